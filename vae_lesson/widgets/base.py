"""The one pattern of all widgets: a picture and a sentence that follow the handles."""

import html
import io
from collections.abc import Callable

import ipywidgets
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vae_lesson import plots

WRAP = {"flex_flow": "row wrap", "align_items": "center"}  # the layout of a row on a narrow page
PIXELATED = "<style>.vae-lesson-pixels { image-rendering: pixelated; }</style>"


class Board(ipywidgets.VBox):
    """What all widgets of the course share; in plain text it reads as its sentence.

    `.sliders` (name -> slider), `.image` (a picture), `.text` and `.sentence` (its words, and their widget).
    """

    def __init__(self, width: int):
        super().__init__(layout={"max_width": "100%"})
        self.sliders, self.text = {}, ""
        self.add_class(f"vae-lesson-{type(self).__name__}")  # where to find it on the page
        self.image, self.sentence = pixel_image(width), ipywidgets.HTML()

    def say(self, text: str) -> None:
        """Show a new sentence, read aloud by screen readers."""
        self.text = text
        self.sentence.value = f'<p role="status">{html.escape(text)}</p>'

    def __repr__(self) -> str:
        name = ", ".join(self.sliders) if type(self) is Board else type(self).__name__
        return f"[{name}] {self.text}"


def pixel_image(width: int) -> ipywidgets.Image:
    """An image widget whose pixels stay squares.  Small pictures travel as they are; the browser enlarges."""
    image = ipywidgets.Image(format="png", width=width, layout={"max_width": "100%", "height": "auto"})
    image.add_class("vae-lesson-pixels")
    return image


def number_field(count: int, description: str = "test digit", number: int = 0) -> ipywidgets.BoundedIntText:
    """A field for the number of one of `count` images."""
    return ipywidgets.BoundedIntText(
        number, 0, count - 1, description=description,
        layout={"width": "190px"}, style={"description_width": "initial"},
    )  # fmt: skip


def button(description: str, action: Callable) -> ipywidgets.Button:
    """A button that calls `action`, a function without arguments."""
    made = ipywidgets.Button(description=description)
    made.on_click(lambda _: action())
    return made


def captions(names: list[str], width: int) -> ipywidgets.HTML:
    """Words above the parts of a picture, each `width` screen pixels wide."""
    cells = "".join(f"<span>{name}</span>" for name in names)
    columns = f"grid-template-columns: repeat({len(names)}, 1fr)"
    return ipywidgets.HTML(
        f'<div style="display: grid; {columns}; text-align: center; line-height: 1.3">{cells}</div>',
        layout={"width": f"{width * len(names)}px", "max_width": "100%", "margin": "0"},
    )


def slide(draw: Callable, *, width: int = 280, **ranges: tuple) -> Board:
    """Sliders above a picture and a sentence; each move calls `draw` and shows what it returns.

    draw(name=value, ...) returns (picture, sentence): the picture is a matplotlib Figure or pixels,
    (H, W) or (H, W, 3), uint8 or float in [0, 1]; the sentence says what it shows, in plain text.
    A Figure that is kept from move to move is fast when what moves was made with `animated=True`:
    then all the rest, axes and labels, is drawn once.
    ranges: name=(lowest, highest, step); three ints give whole numbers.  Each starts in the middle.
    width: of the picture, in screen pixels.
    Returns a box with `.sliders` (name -> slider), `.image`, `.sentence` (a widget) and `.text`.
    Raises ValueError for an empty range or another kind of picture.
    """
    box = Board(width)
    box.sliders = {name: _slider(name, *values) for name, values in ranges.items()}
    box.children = [*box.sliders.values(), box.image, box.sentence, ipywidgets.HTML(PIXELATED)]

    def update(_change=None) -> None:
        try:
            picture, text = draw(**{name: slider.value for name, slider in box.sliders.items()})
            box.image.value = to_png(picture)
        except Exception as error:
            box.say(f"This picture could not be drawn: {error}")
            raise
        box.say(text)

    update()  # a mistake in `draw` shows here, in the cell that has it
    for slider in box.sliders.values():
        slider.observe(update, names="value")
    return box


class LiveCurves(ipywidgets.VBox):
    """The loss curve of a running training: `fit(..., on_epoch=LiveCurves(title))`, shown before it starts.

    `.image` is redrawn after each epoch, `.sentence` says the last values in words.
    """

    def __init__(self, title: str = "Training", width: int = 900):
        self.title = title
        self.image, self.sentence = (
            ipywidgets.Image(format="png", width=width),
            ipywidgets.HTML("no epoch yet"),
        )
        super().__init__([self.image, self.sentence])

    def __call__(self, history) -> None:
        self.image.value = to_png(plots.loss_curve(history, self.title))
        self.sentence.value = (
            f'<p role="status">After epoch {len(history.elbo)}: ELBO {history.elbo[-1]:.1f} = '
            f"{history.log_px_given_z[-1]:.1f} (reconstruction) - {history.kl[-1]:.1f} (KL) nats</p>"
        )

    def __repr__(self) -> str:
        return f"[live curves: {self.title}]"


def to_png(picture) -> bytes:
    """A Figure or pixels as PNG.  Pixels: (H, W), (1, H, W) or (H, W, 3), uint8 or float in [0, 1]."""
    from PIL import Image

    file = io.BytesIO()
    if isinstance(picture, Figure):
        Image.fromarray(_redrawn(picture)).save(file, "PNG", compress_level=1)
        return file.getvalue()
    pixels = torch.as_tensor(picture).detach().cpu()
    if pixels.ndim == 3 and len(pixels) == 1:
        pixels = pixels[0]
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(
            f"a picture is a Figure or pixels of shape (H, W) or (H, W, 3); got {tuple(pixels.shape)}"
        )
    if pixels.dtype != torch.uint8:
        pixels = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
    Image.fromarray(pixels.numpy()).save(file, "PNG", compress_level=1)
    return file.getvalue()


def to_jpeg(figure: Figure) -> bytes:
    """A Figure with many colours as JPEG, a quarter of its PNG's size."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(_redrawn(figure)).save(file, "JPEG", quality=85)
    return file.getvalue()


def _redrawn(figure: Figure) -> np.ndarray:
    """The figure's pixels (H, W, 3); what is not animated is drawn the first time only."""
    if not isinstance(figure.canvas, FigureCanvasAgg):  # a closed figure has lost its canvas
        FigureCanvasAgg(figure)
    canvas = figure.canvas
    moving, still = getattr(figure, "_vae_lesson_kept", ([], None))
    if moving:
        canvas.restore_region(still)
    else:
        canvas.draw()  # leaves out what is animated
        moving = [artist for artist in figure.findobj() if artist.get_animated()]
        figure._vae_lesson_kept = (moving, canvas.copy_from_bbox(figure.bbox))
    for artist in moving:
        figure.draw_artist(artist)
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _slider(name: str, low, high, step):
    if not (low < high and 0 < step <= high - low):
        raise ValueError(f"{name} needs (lowest, highest, step) with a step inside; got {(low, high, step)}")
    whole = all(isinstance(value, int) for value in (low, high, step))
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    middle = low + step * int((high - low) / step / 2 + 1e-9)
    return kind(
        value=middle, min=low, max=high, step=step, description=name, continuous_update=True,
        style={"description_width": "initial"},
    )  # fmt: skip
