"""From digit to digit (Interpolator) and along single latents (Traversals)."""

import math

import ipywidgets
import torch
from torch import Tensor

from vae_lesson import plots
from vae_lesson.widgets.base import PIXELATED, WRAP, Board, number_field, pixel_image, to_png
from vae_lesson.widgets.codes import Codes, one_thread, side_by_side

STOPS = 11  # pictures of a path or a row
CELL = 36  # screen pixels of one small digit


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation: the direction turns evenly from a to b, and the norm changes evenly.

    a, b: (L,); t: (...) in [0, 1].  Returns (..., L).  Along one line, or from 0, it is the straight path.
    Source: White 2016 (after Shoemake 1985), here with the norm apart.
    """
    t = torch.as_tensor(t)[..., None]
    norm_a, norm_b = a.norm(), b.norm()
    cosine = ((a @ b) / (norm_a * norm_b).clamp(min=1e-12)).clamp(-1, 1)
    omega = torch.arccos(cosine)
    if torch.sin(omega) < 1e-4 or min(norm_a, norm_b) < 1e-12:
        return (1 - t) * a + t * b
    turned = (torch.sin((1 - t) * omega) * a / norm_a + torch.sin(t * omega) * b / norm_b) / torch.sin(
        omega
    )  # of norm 1
    return ((1 - t) * norm_a + t * norm_b) * turned


class Interpolator(Board):
    """Two test digits, and what lies between their codes: on the straight line and on the arc.

    `.sliders["t"]`, `.first` and `.second` (numbers of test digits), `.image` (straight | spherical at t),
    `.strip` (both paths, straight above).
    Raises TypeError for what is no VAE, ValueError for a digit that does not exist.
    """

    def __init__(self, model, first: int = 0, second: int = 1, *, test=None):
        super().__init__(width=56 * 6)
        self.codes = Codes(model, test)
        for number in (first, second):
            self.codes.check_number(number)
        count = len(self.codes.test)
        self.first = number_field(count, "from test digit", first)
        self.second = number_field(count, "to test digit", second)
        self.sliders["t"] = ipywidgets.FloatSlider(
            0.5, min=0, max=1, step=0.01, description="t", continuous_update=True
        )
        self.strip = pixel_image(CELL * STOPS)
        row = ipywidgets.HBox([self.first, self.second], layout=WRAP)
        words = ipywidgets.HTML("left: straight line, right: spherical; below: both paths, straight on top")
        self.children = [
            row, self.sliders["t"], words, self.image, self.sentence, self.strip, ipywidgets.HTML(PIXELATED),
        ]  # fmt: skip
        self.first.observe(lambda _: self._new_ends(), names="value")
        self.second.observe(lambda _: self._new_ends(), names="value")
        self.sliders["t"].observe(lambda _: self._show(), names="value")
        self._new_ends()

    def between(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The codes at t (...) of the straight and of the spherical path, (..., L) each."""
        t = torch.as_tensor(t, dtype=torch.float32)
        straight = (1 - t)[..., None] * self.a + t[..., None] * self.b
        return straight, slerp(self.a, self.b, t)

    def _new_ends(self) -> None:
        self.a, self.b = self.codes.encode(self.first.value), self.codes.encode(self.second.value)
        paths = torch.cat(self.between(torch.linspace(0, 1, STOPS)))
        self.strip.value = to_png(plots.tile(self.codes.draw(paths), STOPS))
        self._show()

    @one_thread()
    def _show(self) -> None:
        t = self.sliders["t"].value
        z = torch.stack(self.between(t))  # (2, L)
        self.image.value = to_png(side_by_side(list(self.codes.draw(z))))
        labels = self.codes.test.labels
        ends = f"from a {labels[self.first.value]} to a {labels[self.second.value]}"
        straight, spherical = z.norm(dim=-1).tolist()
        self.say(
            f"{t:.0%} of the way {ends}. Distance from the centre: straight {straight:.2f}, spherical "
            f"{spherical:.2f}; a random code has about {math.sqrt(z.shape[1]):.2f}. "
            f"Straight: {self.codes.vote(z[0])} Spherical: {self.codes.vote(z[1])}"
        )


class Traversals(Board):
    """A grid of digits: each row moves one latent from -reach to reach, all others stay.

    `.number` (the test digit whose code is the start), `.sliders["reach"]`, `.image`, `.latents` (indices).
    rows: how many latents, those with the largest KL first.  latents: or these, numbered from 0.
    Raises TypeError for what is no VAE, ValueError for a latent or a digit that does not exist.
    """

    def __init__(self, model, number: int = 0, *, rows: int = 8, latents: list | None = None, test=None):
        super().__init__(width=CELL * STOPS)
        self.codes = Codes(model, test)
        self.codes.check_number(number)
        self.latents = list(self.codes.order[:rows] if latents is None else latents)
        wrong = [latent for latent in self.latents if latent not in range(model.latent_dim)]
        if wrong or not self.latents:
            raise ValueError(
                f"latents of this model are numbered from 0 to {model.latent_dim - 1}; "
                f"got {wrong or 'no latent at all'}"
            )
        self.number = number_field(len(self.codes.test), number=number)
        self.sliders["reach"] = ipywidgets.FloatSlider(
            3, min=0.5, max=8, step=0.5, description="reach", continuous_update=True
        )
        height = f"height: {CELL}px; line-height: {CELL}px; white-space: nowrap"
        labels = "".join(
            f'<div style="{height}">z{latent + 1}, {self.codes.kl[latent]:.2f} nats</div>'
            for latent in self.latents
        )
        self.image.layout.max_width = "none"  # rows stay as high as the labels; a narrow page scrolls
        row = ipywidgets.HBox([self.number, self.sliders["reach"]], layout=WRAP)
        words = ipywidgets.HTML(labels, layout={"flex": "0 0 auto", "margin": "0"})
        self.image.layout.margin, self.image.layout.flex = "0 0 0 8px", "0 0 auto"
        picture = ipywidgets.HBox([words, self.image], layout={"overflow": "auto"})
        self.children = [row, picture, self.sentence, ipywidgets.HTML(PIXELATED)]
        self.number.observe(lambda _: self._show(), names="value")
        self.sliders["reach"].observe(lambda _: self._show(), names="value")
        self._show()

    def grid(self) -> Tensor:
        """The codes that are shown: (rows, STOPS, L)."""
        reach = self.sliders["reach"].value
        z = self.codes.encode(self.number.value).repeat(len(self.latents), STOPS, 1)
        for row, latent in enumerate(self.latents):
            z[row, :, latent] = torch.linspace(-reach, reach, STOPS)
        return z

    def _show(self) -> None:
        digits = self.codes.draw(self.grid())  # (rows, STOPS, 28, 28)
        self.image.value = to_png(plots.tile(digits.flatten(0, 1), STOPS))
        changed = ((digits[:, 0] - digits[:, -1]).abs() > 0.5).sum((1, 2)).tolist()
        most, least = max(range(len(changed)), key=changed.__getitem__), changed.index(min(changed))
        label, reach = self.codes.test.labels[self.number.value], self.sliders["reach"].value
        self.say(
            f"Test digit {self.number.value}, a {label}. Between {-reach:g} and {reach:g}, "
            f"z{self.latents[most] + 1} (row {most + 1}) changes most, {changed[most]} pixels; "
            f"z{self.latents[least] + 1} (row {least + 1}) changes least, {changed[least]} pixels."
        )
