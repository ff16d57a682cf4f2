"""A plane to drag on: the manifold of a model with two latents, its test digits, and a digit that follows."""

import base64
from functools import partial
from pathlib import Path

import anywidget
import ipywidgets
import torch
import traitlets
from torch import Tensor

from vae_lesson import plots
from vae_lesson.widgets.base import Board, encoded
from vae_lesson.widgets.codes import Codes, in_words
from vae_lesson.widgets.controls import handle, one_thread, place

TILES = 15  # a side of the manifold


class Pad(anywidget.AnyWidget):
    """A square picture with a point on it, moved by mouse, finger or arrow keys; pad.js is all of it."""

    _esm = Path(__file__).with_name("pad.js")
    point = traitlets.List(traitlets.CFloat(), [0.0, 0.0]).tag(sync=True)  # JSON makes 0 of 0.0
    reach = traitlets.Float(3.0).tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)  # a data: address
    label = traitlets.Unicode("Latent plane: arrow keys move the point, Home goes to the centre")
    label.tag(sync=True)


class LatentPlane(Board):
    """The plane of two latents: decoded digits as tiles, test digits by class, and a point that you move.

    Move it by clicking or dragging on `.pad`, by arrow keys there, or by `.sliders` ("z1", "z2").
    `.image` (the decoded digit), `.z` (the code, may be set), `.shown` (which test digits are drawn).
    reach: the plane is the square [-reach, reach]^2, in prior standard deviations.
    Raises TypeError for what is no VAE, ValueError for another number of latents or a code out of range.
    """

    def __init__(self, model, test=None, *, reach: float = 3.0):
        super().__init__(width=200)
        if getattr(model, "latent_dim", 2) != 2:
            raise ValueError(
                f"a plane needs a model with two latents; this one has {model.latent_dim}: "
                "use pretrained('feedforward-2d'), or LatentExplorer for any number"
            )
        self.codes, self.reach = Codes(model, test), reach
        layout = {"width": "300px", "max_width": "98%"}
        for latent, name in enumerate(("z1", "z2")):
            self.sliders[name] = handle(reach, description=name, layout=layout)
            self.sliders[name].observe(partial(self._slid, latent), "value")
        kinds = ["none", "all", *map(str, range(10))]
        self.shown = ipywidgets.Dropdown(
            options=kinds, value="all", description="test digits", layout={"width": "190px"}
        )
        self.shown.observe(lambda _: self._draw_plane(), "value")
        self.pad = Pad(reach=reach, layout={"width": "400px", "max_width": "98%"})
        self.pad.observe(lambda _: self._moved(), "point")
        self._tiles = plots.tile(self.codes.draw(plots.plane(TILES, reach)), TILES)
        self._draw_plane()
        beside = [self.shown, *self.sliders.values(), self.image]
        beside = ipywidgets.VBox(beside, layout={"width": "330px"})
        words = f"The plane: z1 from {-reach:g} (left) to {reach:g}, z2 from {-reach:g} (below) to {reach:g}"
        self.children = [
            ipywidgets.HBox([self.pad, beside], layout={"flex_flow": "row wrap"}),
            *(ipywidgets.HTML(words), self.sentence),
        ]
        self._moved()

    @property
    def z(self) -> Tensor:
        """The code that is shown: (2,)."""
        return torch.tensor(self.pad.point)

    @z.setter
    def z(self, code) -> None:
        values = torch.as_tensor(code).tolist()
        if not isinstance(values, list) or len(values) != 2 or not all(abs(v) <= self.reach for v in values):
            raise ValueError(f"z must be two numbers from {-self.reach:g} to {self.reach:g}; got {values}")
        self.pad.point = values

    def _slid(self, latent: int, change) -> None:
        if change.new != place(change.owner, self.pad.point[latent]):  # else put there by `_moved`
            point = list(self.pad.point)
            point[latent] = change.new  # the other one stays exact
            self.pad.point = point

    @one_thread()
    def _moved(self) -> None:
        z1, z2 = self.pad.point
        digit = self.codes.draw(self.z)
        self.show(digit, f"Code ({z1:+.2f}, {z2:+.2f}): {in_words(digit)}. {self.codes.vote(self.z)}")
        for slider, value in zip(self.sliders.values(), (z1, z2), strict=True):
            slider.value = place(slider, value)

    def _draw_plane(self) -> None:
        kind, labels = self.shown.value, self.codes.labels
        chosen = labels == int(kind) if kind.isdigit() else torch.full(labels.shape, kind == "all")
        figure = plots.manifold_with_codes(self._tiles, self.reach, self.codes.mu[chosen], labels[chosen])
        self.beside = encoded(figure, "JPEG", quality=85)  # many colours: a quarter of the PNG
        self.pad.picture = "data:image/jpeg;base64," + base64.b64encode(self.beside).decode()
