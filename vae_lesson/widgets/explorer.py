"""A slider for every latent: mean, sample and pixel entropy of what the decoder draws there."""

import math
from functools import partial
from statistics import NormalDist

import ipywidgets
import torch
import torch.nn.functional as F
from torch import Tensor

from vae_lesson.widgets.base import WRAP, Board
from vae_lesson.widgets.codes import Codes, in_words
from vae_lesson.widgets.controls import (
    button,
    captions,
    handle,
    number_field,
    one_thread,
    place,
    side_by_side,
)

PRIOR = NormalDist()
LEGEND = "latent · its KL to the prior · share of the prior below; the most used first, scroll for all"


class LatentExplorer(Board):
    """Sliders for all latents, those that tell most first, above what the decoder draws.

    `.sliders` ("z1" ... -> slider, ordered by KL), `.image` (mean | sample | pixel entropy | test digit),
    `.z` (the code, may be set), `.reset()`, `.draw_from_prior()`, `.encode(number)`.
    model: a VAE with any number of latents.  test: a Dataset, MNIST's test digits by default.
    reach: of the sliders, in prior standard deviations.  seed: of the draws and of the sample's noise.
    Raises TypeError for what is no VAE, ValueError for a code or a number out of range.
    """

    def __init__(self, model, test=None, *, reach: float = 4.0, seed: int = 0):
        self.codes = Codes(model, test)
        names = ["mean", "sample", *["pixel entropy"] * model.likelihood.binary, "test digit"]
        super().__init__(width=140 * len(names))
        self.reach, self.seed = reach, seed
        self.generator = torch.Generator().manual_seed(seed)
        self._z = torch.zeros(model.latent_dim)
        wide = {"style": {"description_width": "170px"}, "layout": {"width": "98%"}}
        for latent in self.codes.order:
            self.sliders[f"z{latent + 1}"] = slider = handle(reach, **wide)
            slider.observe(partial(self._moved, latent), "value")
        columns = "repeat(auto-fill, minmax(min(330px, 100%), 1fr))"
        grid = {"grid_template_columns": columns, "max_height": "256px", "overflow": "auto", "width": "98%"}
        self.number = number_field(len(self.codes.test))
        buttons = [
            button("centre: z = 0", self.reset),
            button("random draw", self.draw_from_prior),
            self.number,
            button("encode it", lambda: self.encode(self.number.value)),
        ]
        self.children = [
            ipywidgets.HBox(buttons, layout=WRAP),
            ipywidgets.HTML(LEGEND),
            ipywidgets.GridBox(list(self.sliders.values()), layout=grid),
            *(captions(names, 140), self.image, self.sentence),
        ]
        self.encode(self.number.value)

    @property
    def z(self) -> Tensor:
        """The code that is shown: (L,)."""
        return self._z.clone()

    @z.setter
    def z(self, code) -> None:
        self._set(torch.as_tensor(code), "A code was set.")

    def reset(self) -> None:
        """All latents to 0, the centre of the prior."""
        self._set(torch.zeros(len(self._z)), "Back at the centre, z = 0.")

    def draw_from_prior(self) -> None:
        """A new code from N(0, I), cut where the sliders end."""
        z = torch.randn(len(self._z), generator=self.generator)
        self._set(*self._cut(z, "A random code from the prior."))

    def encode(self, number: int) -> None:
        """The mean of q(z|x) of a test digit, cut where the sliders end.

        Raises ValueError when there is no such digit.
        """
        self._original, z = self.codes.image(number) / 255, self.codes.encode(number)
        label = int(self.codes.test.labels[number])
        self._set(*self._cut(z, f"Test digit {number}, a {label}, encoded."))

    def _cut(self, z: Tensor, text: str) -> tuple[Tensor, str]:
        if outside := int((z.abs() > self.reach).sum()):
            text += f" {outside} of its latents lie beyond the sliders and were cut."
        return z.clamp(-self.reach, self.reach), text

    def _set(self, code: Tensor, text: str) -> None:
        code = code.detach().float().cpu()
        if code.shape != self._z.shape:
            shapes = f"z must have shape {tuple(self._z.shape)}; got {tuple(code.shape)}"
            raise ValueError(f"this model has {len(self._z)} latents: {shapes}")
        if not (code.abs() <= self.reach).all():  # NaN is refused too
            raise ValueError(
                f"the sliders reach from {-self.reach:g} to {self.reach:g}; got {code.min():.3g} to "
                f"{code.max():.3g}: LatentExplorer(model, reach=...) reaches further"
            )
        self._z = code.clone()
        self._draw(text)
        for latent, value in enumerate(code.tolist()):
            slider = self.sliders[f"z{latent + 1}"]
            slider.value = place(slider, value)
            self._label(latent)

    def _moved(self, latent: int, change) -> None:
        if change.new == place(change.owner, self._z[latent].item()):
            return  # put there by `_set`
        self._z[latent] = change.new
        below = 100 * PRIOR.cdf(change.new)
        self._draw(f"z{latent + 1} = {change.new:+.2f}, above {below:.1f} % of the prior.")
        self._label(latent)

    def _label(self, latent: int) -> None:
        below = 100 * PRIOR.cdf(self._z[latent].item())
        description = f"z{latent + 1} · {self.codes.kl[latent]:.2f} nats · {below:.0f} %"
        self.sliders[f"z{latent + 1}"].description = description

    @torch.no_grad()
    @one_thread()
    def _draw(self, text: str) -> None:
        model, decoded = self.codes.model, self.codes.decode(self._z)
        noise = torch.Generator(decoded.device).manual_seed(self.seed)  # the same: only z changes the sample
        mean, sample = model.pixels(decoded)[0], model.pixels(decoded, show="sample", generator=noise)[0]
        views = [mean, sample]
        if model.likelihood.binary:
            bits = (torch.special.entr(mean) + torch.special.entr(1 - mean)) / math.log(2)
            views.append(bits)
            high, low = (F.max_pool2d(way * mean[None], 3, 1, 1)[0] for way in (1, -1))
            edge = (high > 0.5) & (-low < 0.5)  # ink and none are neighbours
            share = bits[edge].sum() / bits.sum().clamp(min=1e-9)  # of a sure model there are no bits
            text += f" Pixel entropy {bits.sum():.0f} bits in all, {share:.0%} of it in the "
            text += f"{edge.float().mean():.0%} of the pixels along the edges of strokes."
        text += f" The mean: {in_words(mean)}. {self.codes.vote(self._z)}"
        self.show(side_by_side([*views, self._original]), text)
