"""A slider for every latent: mean, sample and pixel entropy of what the decoder draws there."""

import ipywidgets
import torch
from torch import Tensor

from vae_lesson.widgets.base import PIXELATED, WRAP, Board, button, captions, number_field, to_png
from vae_lesson.widgets.codes import (
    STEP,
    Codes,
    check_reach,
    moved,
    one_thread,
    pixel_entropy,
    prior_percentile,
    put,
    side_by_side,
)


class LatentExplorer(Board):
    """Sliders for all latents, those that tell most first, above what the decoder draws.

    `.sliders` ("z1" ... -> slider, ordered by KL), `.image` (mean | sample | pixel entropy | test digit),
    `.z` (the code, may be set), `.reset()`, `.draw_from_prior()`, `.encode(number)`, `.play`.
    model: a VAE with any number of latents.  test: a Dataset, MNIST's test digits by default.
    reach: of the sliders, in prior standard deviations.  seed: of the draws and of the sample's noise.
    Raises TypeError for what is no VAE, ValueError for a code or a number out of range.
    """

    def __init__(self, model, test=None, *, reach: float = 4.0, seed: int = 0):
        bernoulli = getattr(model, "likelihood", "") == "bernoulli"
        names = ["mean", "sample", *["pixel entropy"] * bernoulli, "test digit"]
        super().__init__(width=140 * len(names))
        self.codes = Codes(model, test)
        self.reach = check_reach(reach)
        self.generator = torch.Generator().manual_seed(seed)
        self._noise = torch.rand(28, 28, generator=self.generator)  # kept: only z changes the sample
        self._original = torch.zeros(28, 28)
        self._z = torch.zeros(model.latent_dim)
        self._quiet = False
        for latent in self.codes.order:
            self.sliders[f"z{latent + 1}"] = slider = ipywidgets.FloatSlider(
                min=-reach, max=reach, step=STEP, continuous_update=True,
                style={"description_width": "170px"}, layout={"width": "98%"},
            )  # fmt: skip
            slider.observe(lambda change, latent=latent: self._moved(latent, change), names="value")
        legend = ipywidgets.HTML(
            "latent · its KL to the prior · share of the prior below; the most used first, scroll for all"
        )
        self.children = [
            *self._buttons(), legend, self._grid(), captions(names, 140), self.image, self.sentence,
            ipywidgets.HTML(PIXELATED),
        ]  # fmt: skip
        for latent in range(model.latent_dim):
            self._label(latent)
        self._show("Back at the centre, z = 0.")

    @property
    def z(self) -> Tensor:
        """The code that is shown: (L,)."""
        return self._z.clone()

    @z.setter
    def z(self, code: Tensor) -> None:
        self._set(code, "A code was set.")

    def reset(self) -> None:
        """All latents to 0, the centre of the prior."""
        self._set(torch.zeros_like(self._z), "Back at the centre, z = 0.")

    def draw_from_prior(self) -> None:
        """A new code from N(0, I)."""
        z = torch.randn(len(self._z), generator=self.generator)
        self._set(*self._cut(z, "A random code from the prior."))

    def encode(self, number: int) -> None:
        """The mean of q(z|x) of a test digit.  Raises ValueError when there is no such digit."""
        z = self.codes.encode(number)
        self._original = self.codes.test.images[number].float() / 255
        label = int(self.codes.test.labels[number])
        self._set(*self._cut(z, f"Test digit {number}, a {label}, encoded."))

    def _cut(self, z: Tensor, text: str) -> tuple[Tensor, str]:
        """A code that the sliders can show, and it is said when this changed it."""
        outside = int((z.abs() > self.reach).sum())
        cut = f" {outside} of its latents lie beyond the sliders and were cut." if outside else ""
        return z.clamp(-self.reach, self.reach), text + cut

    def _buttons(self) -> list:
        self.number = number_field(len(self.codes.test))
        first = [
            button("centre: z = 0", self.reset),
            button("random draw", self.draw_from_prior),
            self.number,
            button("encode it", lambda: self.encode(self.number.value)),
        ]
        self.swept = ipywidgets.Dropdown(
            options=list(self.sliders), description="sweep", layout={"width": "170px"}
        )
        self.play = ipywidgets.Play(min=0, max=160, step=1, interval=50)
        self.play.observe(self._sweep, names="value")
        return [ipywidgets.HBox(row, layout=WRAP) for row in (first, [self.swept, self.play])]

    def _grid(self) -> ipywidgets.GridBox:
        columns = "repeat(auto-fill, minmax(min(330px, 100%), 1fr))"
        layout = {"grid_template_columns": columns, "max_height": "250px", "overflow": "auto", "width": "98%"}
        return ipywidgets.GridBox(list(self.sliders.values()), layout=layout)

    def _sweep(self, change) -> None:
        """There and back again: 0 and 160 are the left end, 80 is the right one."""
        if not change.new:  # stopped, or not begun
            return
        way = 1 - abs(change.new - 80) / 80
        slider = self.sliders[self.swept.value]
        slider.put_at = []  # this is a move like those of a hand
        slider.value = round((2 * way - 1) * self.reach / STEP) * STEP

    def _set(self, code: Tensor, text: str) -> None:
        code = torch.as_tensor(code, dtype=torch.float32).detach().cpu()
        if code.shape != self._z.shape:
            raise ValueError(
                f"this model has {len(self._z)} latents: z must have shape {tuple(self._z.shape)}; "
                f"got {tuple(code.shape)}"
            )
        if not (code.abs() <= self.reach).all():  # NaN is refused too
            raise ValueError(
                f"the sliders reach from {-self.reach:g} to {self.reach:g}; got {code.min():.3g} to "
                f"{code.max():.3g}: LatentExplorer(model, reach=...) reaches further"
            )
        self._z = code.clone()
        self._show(text)
        self._quiet = True  # forty handles move, one picture is drawn
        try:
            for latent in range(len(code)):
                put(self.sliders[f"z{latent + 1}"], code[latent].item())
                self._label(latent)
        finally:
            self._quiet = False

    def _moved(self, latent: int, change) -> None:
        if self._quiet or not moved(change):
            return
        value = self._z[latent] = change.new
        self._show(f"z{latent + 1} = {value:+.2f}, above {prior_percentile(value):.1f} % of the prior.")
        self._label(latent)

    @one_thread()
    def _show(self, text: str) -> None:
        mean = self.codes.draw(self._z)
        views = [mean]
        if self.codes.model.likelihood == "bernoulli":
            entropy = pixel_entropy(mean)
            views += [(self._noise < mean).float(), entropy]
            text += f" Pixel entropy {entropy.sum():.0f} bits in all."
        else:
            sigma = (0.5 * self.codes.model.log_var_x.detach()).exp().cpu()
            views += [mean + sigma * torch.special.ndtri(self._noise.clamp(1e-6, 1 - 1e-6))]
        png, words = to_png(side_by_side([*views, self._original])), self.codes.vote(self._z)
        self.image.value = png  # all is computed before anything is sent: sending wakes another thread
        self.say(f"{text} {words}")

    def _label(self, latent: int) -> None:
        percent = prior_percentile(self._z[latent].item())
        self.sliders[
            f"z{latent + 1}"
        ].description = f"z{latent + 1} · {self.codes.kl[latent]:.2f} nats · {percent:.0f} %"
