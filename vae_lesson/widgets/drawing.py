"""Your own digit: draw or upload it, encode it, see where it lands, reconstruct it, and score it."""

import io
from pathlib import Path

import anywidget
import ipywidgets
import torch
import traitlets
from torch import Tensor

from vae_lesson import objectives, plots
from vae_lesson.widgets.base import (
    PIXELATED,
    WRAP,
    Board,
    button,
    captions,
    number_field,
    to_jpeg,
    to_png,
)
from vae_lesson.widgets.codes import Codes, side_by_side

SIDE = 112  # of the canvas, as in canvas.js
SAMPLES = 200  # K of log p(x)
COMPARED = 100  # test digits that are scored for comparison


class Canvas(anywidget.AnyWidget):
    """A square to draw on by mouse, finger or keyboard; canvas.js is all of it."""

    _esm = Path(__file__).with_name("canvas.js")
    ink = traitlets.CBytes(bytes(SIDE * SIDE)).tag(sync=True)  # from the browser it comes as a memoryview
    label = traitlets.Unicode().tag(sync=True)


class DrawADigit(Board):
    """Draw a digit, upload a picture or take a test digit; the model encodes, reconstructs and scores it.

    `.canvas` (its `.ink` is the drawing), `.image` (as MNIST has it | black and white | reconstruction |
    nearest test digit), `.map` (where it lands among the test digits), `.z` (L,), `.log_px` (nats).
    Keyboard: on the canvas, arrow keys move the pen, Space puts it down or lifts it, Delete clears.
    Raises TypeError for what is no VAE.
    """

    def __init__(self, model, test=None):
        super().__init__(width=112 * 4)
        self.codes = Codes(model, test)
        every = max(1, len(self.codes.test) // COMPARED)
        self._known_log_px = self._score(self.codes.x[::every].float().to(self.codes.device))
        self.canvas = Canvas(
            label="Canvas: arrow keys move the pen, Space puts it down or lifts it, Delete clears"
        )
        self.canvas.layout.width, self.canvas.layout.max_width = "280px", "98%"
        self.canvas.observe(lambda _: self._show(), names="ink")
        self.map = ipywidgets.Image(format="jpeg", width=360, layout={"max_width": "100%", "height": "auto"})
        self._move_cross = plots.landing(*self._flat(self.codes.mu), self.codes.labels)
        self.number = number_field(len(self.codes.test))
        self.upload = ipywidgets.FileUpload(accept="image/*", multiple=False, description="upload a picture")
        self.upload.observe(self._uploaded, names="value")
        row = [
            button("clear", self.clear),
            self.number,
            button("take it", lambda: self.take(self.number.value)),
        ]
        encoded = "black and white" if model.likelihood == "bernoulli" else "encoded"
        names = ["as MNIST has it", encoded, "reconstruction", "nearest digit"]
        self.children = [
            ipywidgets.HBox([*row, self.upload], layout=WRAP),
            ipywidgets.HBox([self.canvas, self.map], layout=WRAP),
            captions(names, 112), self.image, self.sentence, ipywidgets.HTML(PIXELATED),
        ]  # fmt: skip
        self._show()

    def clear(self) -> None:
        """An empty canvas."""
        self.canvas.ink = bytes(SIDE * SIDE)

    def take(self, number: int) -> None:
        """A test digit on the canvas.  Raises ValueError when there is no such digit."""
        image = self.codes.test.images[self.codes.check_number(number)]
        self.canvas.ink = bytes(image.repeat_interleave(4, 0).repeat_interleave(4, 1).flatten().tolist())

    def read(self, content: bytes) -> None:
        """A picture file on the canvas, light ink on dark or dark on light.

        Raises ValueError when it cannot be read as a picture.
        """
        from PIL import Image, ImageOps

        try:
            picture = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGBA")  # phones turn
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("L")
        except Exception as error:  # Pillow raises a dozen kinds for damaged files
            raise ValueError(f"this file could not be read as a picture: {error}") from error
        picture = ImageOps.pad(picture, (SIDE, SIDE), color=_paper(picture))
        if _paper(picture) > 127:  # dark ink on light paper, as on photographs
            picture = ImageOps.invert(picture)
        paper = _paper(picture)
        picture = ImageOps.autocontrast(picture.point(lambda grey: max(0, grey - paper)))
        self.canvas.ink = picture.point(lambda grey: 0 if grey < 60 else grey).tobytes()

    def _uploaded(self, change) -> None:
        if not change.new:
            return
        files = list(change.new.values()) if isinstance(change.new, dict) else change.new  # ipywidgets 7 or 8
        try:
            self.read(bytes(files[0]["content"]))
        except ValueError as error:
            self.say(f"Please choose another file: {error}")
        self.upload.set_trait("value", type(self.upload.value)())  # so that the same file may come again

    def _show(self) -> None:
        ink = torch.frombuffer(bytearray(self.canvas.ink), dtype=torch.uint8).view(SIDE, SIDE)
        if not ink.any():
            self.z = self.log_px = None
            self.image.value = to_png(torch.zeros(28, 28 * 4 + 6))
            self.map.value = to_jpeg(self._move_cross())
            self.say("Nothing is drawn yet: draw a digit, upload a picture, or take a test digit.")
            return
        grey = mnist_style(ink)
        x = self.codes.prepared(grey[None]).to(self.codes.device)
        with torch.no_grad():
            self.z = self.codes.model.encode(x)[0][0].float().cpu()
        self.log_px = self._score(x).item()
        nearest = int(self.codes.neighbours(self.z)[0]) * self.codes.every
        pictures = [grey / 255, x[0, 0].cpu(), self.codes.draw(self.z), self.codes.test.images[nearest] / 255]
        self.image.value = to_png(side_by_side(pictures))
        self.map.value = to_jpeg(self._move_cross(*self._flat(self.z[None])[0][0].tolist()))
        lower = int((self._known_log_px < self.log_px).sum())
        self.say(
            f"log p(x) = {self.log_px:.1f} nats (importance sampling, K = {SAMPLES}): more probable than "
            f"{lower} of {len(self._known_log_px)} test digits. {self.codes.vote(self.z)} "
            f"Distance of the code from the centre: {self.z.norm():.2f}."
        )

    def _score(self, x: Tensor) -> Tensor:
        generator = torch.Generator(self.codes.device).manual_seed(0)
        return objectives.log_likelihood(self.codes.model, x, SAMPLES, generator=generator).cpu()

    def _flat(self, mu: Tensor) -> tuple[Tensor, str]:
        """Codes in the plane: the two latents, or the directions in which the classes' mean codes differ."""
        if mu.shape[1] == 2:
            return mu, "the two latents"
        labels = self.codes.labels
        means = torch.stack([self.codes.mu[labels == kind].mean(0) for kind in labels.unique()])
        directions = torch.linalg.svd(means - means.mean(0), full_matrices=False)[2][:2]
        return (mu - means.mean(0)) @ directions.T, "where classes differ most"


def mnist_style(ink: Tensor) -> Tensor:
    """A drawing as MNIST has its digits: 20 pixels high or wide, centre of mass at pixel (14, 14).

    ink: uint8 (H, W), white on black, not empty.  Returns uint8 (28, 28).  Source: LeCun et al. 1998.
    """
    from PIL import Image

    rows, columns = ink.amax(1).nonzero()[:, 0], ink.amax(0).nonzero()[:, 0]
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = 20 / max(ink.shape)
    size = [max(1, round(side * scale)) for side in (ink.shape[1], ink.shape[0])]
    small = Image.fromarray(ink.numpy()).resize(size, Image.Resampling.BOX)
    small = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(size[1], size[0])
    mass = small.double()
    middle = [
        (mass.sum(1 - axis) @ torch.arange(small.shape[axis], dtype=torch.float64)) / mass.sum()
        for axis in (0, 1)
    ]
    top, left = (
        min(max(round(14 - m.item()), 0), 28 - side) for m, side in zip(middle, small.shape, strict=True)
    )
    picture = torch.zeros(28, 28, dtype=torch.uint8)
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    return picture


def _paper(picture) -> int:
    """The grey value of a picture's border, where the paper shows: the median of its four edges."""
    w, h = picture.size
    edges = [
        picture.crop(box).tobytes()
        for box in ((0, 0, w, 1), (0, h - 1, w, h), (0, 0, 1, h), (w - 1, 0, w, h))
    ]
    greys = sorted(b"".join(edges))
    return greys[len(greys) // 2]
