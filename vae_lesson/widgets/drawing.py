"""Your own digit: draw or upload it, encode it, see where it lands, reconstruct it, and score it."""

import io
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import torch
import traitlets
from torch import Tensor

from vae_lesson import plots, scoring
from vae_lesson.data import mnist_style
from vae_lesson.widgets.base import WRAP, Board, encoded
from vae_lesson.widgets.codes import Codes, in_words
from vae_lesson.widgets.controls import button, captions, number_field, side_by_side

SIDE = 112  # of the canvas, as in canvas.js
SAMPLES = 200  # K of log p(x)
COMPARED = 100  # test digits that are scored for comparison
EMPTY = "Nothing is drawn yet: draw a digit, upload a picture, or take a test digit."


class Canvas(anywidget.AnyWidget):
    """A square to draw on by mouse, finger or keyboard; canvas.js is all of it."""

    _esm = Path(__file__).with_name("canvas.js")
    ink = traitlets.CBytes(bytes(SIDE * SIDE)).tag(sync=True)  # from the browser it comes as a memoryview
    label = traitlets.Unicode(
        "Canvas: arrow keys move the pen, Space puts it down or lifts it, Delete clears"
    )
    label.tag(sync=True)


class DrawADigit(Board):
    """Draw a digit, upload a picture or take a test digit; the model encodes, reconstructs and scores it.

    `.canvas` (its `.ink` is the drawing), `.image` (as MNIST has it | as the model is fed | reconstruction |
    nearest test digit), `.map` (where it lands among the test digits), `.z` (L,), `.log_px` (nats).
    Keyboard: on the canvas, arrow keys move the pen, Space puts it down or lifts it, Delete clears.
    Raises TypeError for what is no VAE, ValueError for one of another side than 28.
    """

    def __init__(self, model, test=None):
        super().__init__(width=112 * 4)
        if getattr(model, "side", 28) != 28:
            raise ValueError(f"a drawing has side 28; this model has side {model.side}: train one with 28")
        self.codes = Codes(model, test)
        compared = self.codes.test.images[:: max(1, len(self.codes.test) // COMPARED)]
        self._known_log_px = self._score(self.codes.prepared(compared))
        points, name = self._flat(self.codes.mu)
        self._move_cross = plots.landing(points, name, self.codes.labels)
        self.canvas = Canvas(layout={"width": "280px", "max_width": "98%"})
        self.canvas.observe(lambda _: self._draw(), "ink")
        self.map = ipywidgets.Image(format="jpeg", width=360, layout={"max_width": "100%", "height": "auto"})
        self.number = number_field(len(self.codes.test))
        self.upload = ipywidgets.FileUpload(accept="image/*", multiple=False, description="upload a picture")
        self.upload.layout.width = "max-content"
        self.upload.observe(self._uploaded, "value")
        buttons = [
            button("clear", self.clear),
            self.number,
            button("take it", lambda: self.take(self.number.value)),
            self.upload,
        ]
        fed = "black and white" if model.likelihood.binary else "encoded"
        self.children = [
            ipywidgets.HBox(buttons, layout=WRAP),
            ipywidgets.HBox([self.canvas, self.map], layout=WRAP),
            ipywidgets.HTML(f"The map: codes of test digits, and a cross for the drawing; its axes: {name}"),
            captions(["as MNIST has it", fed, "reconstruction", "nearest digit"], 112),
            *(self.image, self.sentence),
        ]
        self.take(self.number.value)

    def clear(self) -> None:
        """An empty canvas."""
        self.canvas.ink = bytes(SIDE * SIDE)

    def take(self, number: int) -> None:
        """A test digit on the canvas.  Raises ValueError when there is no such digit."""
        enlarged = self.codes.image(number).repeat_interleave(4, 0).repeat_interleave(4, 1)
        self.canvas.ink = enlarged.numpy().tobytes()

    def read(self, content: bytes) -> None:
        """A picture file on the canvas, light ink on dark or dark on light.

        Raises ValueError when it cannot be read as a picture.
        """
        from PIL import Image, ImageOps

        try:
            picture = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGBA")  # phones turn
        except Exception as error:  # Pillow raises a dozen kinds for damaged files
            raise ValueError(f"this file could not be read as a picture: {error}") from error
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        grey = np.asarray(ImageOps.contain(picture.convert("L"), (SIDE, SIDE))).astype(float)
        paper = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))  # at the border
        ink = (paper - grey if paper > 127 else grey - paper).clip(0)
        ink *= 255 / max(ink.max(), 1)
        ink[ink < 60] = 0  # the grain of the paper
        self.canvas.ink = ImageOps.pad(Image.fromarray(ink.astype(np.uint8)), (SIDE, SIDE)).tobytes()

    def _uploaded(self, change) -> None:
        if not change.new:
            return
        (file,) = change.new.values() if isinstance(change.new, dict) else change.new  # ipywidgets 7 or 8
        try:
            self.read(bytes(file["content"]))
        except ValueError as error:
            self.sentence.value = f"Please choose another file: {error}"
        self.upload.set_trait("value", type(self.upload.value)())  # so that the same file may come again

    @torch.no_grad()
    def _draw(self) -> None:
        ink = torch.frombuffer(bytearray(self.canvas.ink), dtype=torch.uint8).view(SIDE, SIDE)
        if not ink.any():
            self.z = self.log_px = None
            self._land()
            self.show(torch.zeros(28, 28 * 4 + 6), EMPTY)
            return
        grey = mnist_style(ink)
        x = self.codes.prepared(grey[None])
        self.z = self.codes.model.encode(x)[0][0].float().cpu()
        self.log_px = self._score(x).item()
        nearest = self.codes.image(int(self.codes.neighbours(self.z)[0]) * self.codes.every)
        across, up = self._flat(self.z[None])[0][0].tolist()
        self._land(across, up)
        drawn, again = grey / 255, self.codes.draw(self.z)
        lost = ((drawn - again).abs() > 0.5).sum(1)  # in each row
        many = int(lost.sum())
        where = "1 pixel" if many == 1 else f"{many} pixels"
        if many:
            most = "most " * (many > 1)
            where += f", {most}in row {int(lost.argmax())} (top 0, bottom 27)"
        lower, known = int((self._known_log_px < self.log_px).sum()), len(self._known_log_px)
        self.show(
            side_by_side([drawn, x[0, 0], again, nearest / 255]),
            f"log p(x) = {self.log_px:.1f} nats (importance sampling, K = {SAMPLES}): more probable than "
            f"{lower} of {known} test digits. On the map its cross is at ({across:+.1f}, {up:+.1f}). "
            f"{self.codes.vote(self.z)} The drawing: {in_words(drawn)}. "
            f"The reconstruction: {in_words(again)}. They differ by more than 0.5 in {where}.",
        )

    def _land(self, *point: float) -> None:
        self.map.value = self.beside = encoded(self._move_cross(*point), "JPEG", quality=85)

    def _score(self, x: Tensor) -> Tensor:
        generator = torch.Generator(x.device).manual_seed(0)
        return scoring.log_likelihood(self.codes.model, x, SAMPLES, generator=generator).cpu()

    def _flat(self, mu: Tensor) -> tuple[Tensor, str]:
        """Codes in the plane: the two latents, or the directions in which the classes' mean codes differ."""
        if mu.shape[1] == 2:
            return mu, "the two latents"
        labels = self.codes.labels
        means = torch.stack([self.codes.mu[labels == kind].mean(0) for kind in labels.unique()])
        directions = torch.linalg.svd(means - means.mean(0), full_matrices=False).Vh[:2]
        return (mu - means.mean(0)) @ directions.T, "directions in which the classes differ most"
