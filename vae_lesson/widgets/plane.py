"""A plane to drag on: the manifold of a model with two latents, its test digits, and a digit that follows."""

import base64
from pathlib import Path

import anywidget
import ipywidgets
import torch
import traitlets
from torch import Tensor

from vae_lesson import plots
from vae_lesson.widgets.base import PIXELATED, Board, to_jpeg, to_png
from vae_lesson.widgets.codes import STEP, Codes, check_reach, moved, one_thread, put

TILES = 15  # a side of the manifold


class Pad(anywidget.AnyWidget):
    """A square picture with a point on it, moved by mouse, finger or arrow keys; pad.js is all of it."""

    _esm = Path(__file__).with_name("pad.js")
    point = traitlets.List(traitlets.CFloat(), [0.0, 0.0]).tag(sync=True)  # JSON makes 0 of 0.0
    reach = traitlets.Float(3.0).tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)  # a data: address
    label = traitlets.Unicode().tag(sync=True)


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
        self.codes = Codes(model, test)
        self.reach = check_reach(reach)
        self._tiles = plots.tile(self.codes.draw(plots.plane(TILES, reach)), TILES)
        for name in ("z1", "z2"):
            self.sliders[name] = slider = ipywidgets.FloatSlider(
                0, min=-reach, max=reach, step=STEP, description=name, continuous_update=True,
                layout={"width": "300px", "max_width": "98%"},
            )  # fmt: skip
            slider.observe(self._slid, names="value")
        kinds = ["none", "all", *(str(digit) for digit in range(10))]
        self.shown = ipywidgets.Dropdown(
            options=kinds, value="all", description="test digits", layout={"width": "190px"}
        )
        self.shown.observe(lambda _: self._show_picture(), names="value")
        self.pad = Pad(reach=reach, label="Latent plane: arrow keys move the point, Home goes to the centre")
        self.pad.layout.width = "400px"
        self.pad.layout.max_width = "98%"
        self.pad.observe(lambda change: self._moved(*change.new), names="point")
        self._show_picture()
        beside = ipywidgets.VBox([self.shown, *self.sliders.values(), self.image])
        beside.layout.width = "330px"
        self.children = [
            ipywidgets.HBox([self.pad, beside], layout={"flex_flow": "row wrap"}),
            ipywidgets.HTML(
                f"The plane: z1 from {-reach:g} (left) to {reach:g}, z2 from {-reach:g} (below) to {reach:g}"
            ),
            self.sentence,
            ipywidgets.HTML(PIXELATED),
        ]
        self._quiet = False
        self._moved(0.0, 0.0)

    @property
    def z(self) -> Tensor:
        """The code that is shown: (2,)."""
        return torch.tensor(self.pad.point, dtype=torch.float32)

    @z.setter
    def z(self, code) -> None:
        values = torch.as_tensor(code, dtype=torch.float64).tolist()
        if not isinstance(values, list) or len(values) != 2 or not all(abs(v) <= self.reach for v in values):
            raise ValueError(f"z must be two numbers from {-self.reach:g} to {self.reach:g}; got {values}")
        self.pad.point = values

    def _slid(self, change) -> None:
        if self._quiet or not moved(change):
            return
        point = list(self.pad.point)
        point[list(self.sliders.values()).index(change.owner)] = change.new  # the other one stays exact
        self.pad.point = point

    @one_thread()
    def _moved(self, z1: float, z2: float) -> None:
        z = torch.tensor([z1, z2])
        png, words = to_png(self.codes.draw(z)), self.codes.vote(z)
        self.image.value = png
        self.say(f"Code ({z1:+.2f}, {z2:+.2f}). {words}")
        self._quiet = True  # the handles follow the point; they must not move it
        try:
            for slider, value in zip(self.sliders.values(), (z1, z2), strict=True):
                put(slider, value)
        finally:
            self._quiet = False

    def _show_picture(self) -> None:
        kind = self.shown.value
        chosen = {
            "none": torch.zeros(len(self.codes.labels), dtype=torch.bool),
            "all": torch.ones(len(self.codes.labels), dtype=torch.bool),
        }.get(kind)
        if chosen is None:
            chosen = self.codes.labels == int(kind)
        picture = plots.manifold_with_codes(
            self._tiles, self.reach, self.codes.mu[chosen], self.codes.labels[chosen]
        )
        self.pad.picture = "data:image/jpeg;base64," + base64.b64encode(to_jpeg(picture)).decode()
