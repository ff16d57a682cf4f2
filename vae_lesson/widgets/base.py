"""The one pattern of all widgets: a picture and a sentence that follow the handles."""

import base64
import io
from collections.abc import Callable

import anywidget
import ipywidgets
import numpy as np
import torch
import traitlets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vae_lesson import plots

WRAP = {"flex_flow": "row wrap", "align_items": "center"}  # the layout of a row on a narrow page


class Sentence(anywidget.AnyWidget):
    """Words that a screen reader announces: their element stays on the page, its text changes."""

    value = traitlets.Unicode().tag(sync=True)
    _css = ".vae-lesson-pixels { image-rendering: pixelated; }"  # of the picture above
    _esm = """
        function render({ model, el }) {
          const words = document.createElement("p");
          words.setAttribute("role", "status");
          const show = () => { words.textContent = model.get("value"); };
          model.on("change:value", show);
          show();
          el.append(words);
        }
        export default { render };
    """


class Board(ipywidgets.VBox):
    """What all widgets of the course share; in plain text it reads as its sentence.

    `.sliders` (name -> slider), `.image` (the picture), `.sentence` (a widget) and `.text` (its words);
    `.beside`: what else is shown, as a picture file that stands left of the picture where no widgets are.
    Small pictures travel as they are: the browser enlarges them to `width` pixels, without smoothing.
    """

    def __init__(self, width: int):
        super().__init__(layout={"max_width": "100%"})
        self.add_class(f"vae-lesson-{type(self).__name__}")  # where to find it on the page
        self.sliders, self.sentence, self.beside = {}, Sentence(), b""
        self.image = ipywidgets.Image(format="png", width=width, layout={"max_width": "100%"})
        self.image.layout.height = "auto"
        self.image.add_class("vae-lesson-pixels")

    @property
    def text(self) -> str:
        """What the sentence says."""
        return self.sentence.value

    def show(self, picture, text: str) -> None:
        """A new picture, as `to_png` takes it, and the sentence that says what it shows."""
        self.image.value, self.sentence.value = to_png(picture), text

    def _repr_mimebundle_(self, **kwargs):
        """The widget, and its first picture for pages that show no widgets: a code host, a print."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle and self.image.value:
            bundle["image/png"] = base64.b64encode(self.still()).decode()
            return bundle, {"image/png": {"alt": self.text}}
        return bundle

    def still(self) -> bytes:
        """The picture as PNG, in the width that it has on the screen, and what stands beside it."""
        from PIL import Image

        picture, file = Image.open(io.BytesIO(self.image.value)), io.BytesIO()
        width = int(self.image.width)
        if picture.width < width:
            picture = picture.resize(
                (width, picture.height * width // picture.width), Image.Resampling.NEAREST
            )
        if self.beside:
            left = Image.open(io.BytesIO(self.beside))
            left.thumbnail((400, 400))
            size = left.width + 10 + picture.width, max(left.height, picture.height)
            both = Image.new("RGB", size, "white")
            both.paste(left)
            both.paste(picture, (left.width + 10, 0))
            picture = both
        picture.quantize(128 if self.beside else 32).save(file, "PNG", optimize=True)
        return file.getvalue()

    def __repr__(self) -> str:
        return f"[{', '.join(self.sliders) if type(self) is Board else type(self).__name__}] {self.text}"


def slide(draw: Callable, *, width: int = 280, **ranges: tuple) -> Board:
    """Sliders above a picture and a sentence; each move calls `draw` and shows what it returns.

    draw(name=value, ...) returns (picture, sentence): the picture is a matplotlib Figure or pixels,
    (H, W) or (H, W, 3), uint8 or float in [0, 1]; the sentence says what it shows, in plain text.
    A Figure that is kept from move to move is fast when what moves was made with `animated=True`:
    the rest, axes and labels, is drawn again only when it has changed.
    ranges: name=(lowest, highest, step); three ints give whole numbers.  Each starts in the middle.
    width: of the picture, in screen pixels.
    Returns a box with `.sliders` (name -> slider), `.image`, `.sentence` (a widget) and `.text`.
    Raises ValueError for an empty range or another kind of picture.
    """
    box = Board(width)
    box.sliders = {name: _slider(name, *values) for name, values in ranges.items()}
    box.children = [*box.sliders.values(), box.image, box.sentence]

    def update(_change=None) -> None:
        try:
            box.show(*draw(**{name: slider.value for name, slider in box.sliders.items()}))
        except Exception as error:
            box.sentence.value = f"This picture could not be drawn: {error}"
            raise

    update()  # a mistake in `draw` shows here, in the cell that has it
    for slider in box.sliders.values():
        slider.observe(update, "value")
    return box


def _slider(name: str, low, high, step):
    if not (low < high and 0 < step <= high - low):
        raise ValueError(f"{name} needs (lowest, highest, step) with a step inside; got {(low, high, step)}")
    whole = all(isinstance(value, int) for value in (low, high, step))
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    middle = low + step * int((high - low) / step / 2 + 1e-9)
    style = {"description_width": "initial"}
    return kind(middle, min=low, max=high, step=step, description=name, style=style)


class LiveCurves(Board):
    """The loss curve of a running training: `fit(..., on_epoch=LiveCurves(title))`, shown before it starts.

    After each epoch `.image` is redrawn, and `.text` says the last values.
    """

    def __init__(self, title: str = "Training", width: int = 900):
        super().__init__(width)
        self.title = title
        self.image.remove_class("vae-lesson-pixels")  # its letters are shown smaller than drawn
        self.children = [self.image, self.sentence]
        self.sentence.value = f"{title}: no epoch yet"

    def __call__(self, history) -> None:
        self.show(
            plots.loss_curve(history, self.title),
            f"After epoch {len(history.elbo)}: ELBO {history.elbo[-1]:.1f} = "
            f"{history.log_px_given_z[-1]:.1f} (reconstruction) - {history.kl[-1]:.1f} (KL) nats",
        )


def to_png(picture) -> bytes:
    """A Figure or pixels as PNG.  Pixels: (H, W), (1, H, W) or (H, W, 3), uint8 or float in [0, 1].

    Raises ValueError for another shape.
    """
    return encoded(picture, "PNG", compress_level=1)


def encoded(picture, kind: str, **options) -> bytes:
    """What `to_png` takes, as a file of a kind that Pillow writes, with Pillow's options."""
    from PIL import Image

    file = io.BytesIO()
    pixels = _drawn(picture) if isinstance(picture, Figure) else _pixels(picture)
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def _pixels(picture) -> np.ndarray:
    pixels = torch.as_tensor(picture).detach().cpu()
    if pixels.ndim == 3 and len(pixels) == 1:
        pixels = pixels[0]
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        shape = tuple(pixels.shape)
        raise ValueError(f"a picture is a Figure or pixels of shape (H, W) or (H, W, 3); got {shape}")
    if pixels.dtype != torch.uint8:
        pixels = (pixels.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels.numpy()


def _drawn(figure: Figure) -> np.ndarray:
    """The pixels of a figure, (H, W, 3).  What is not animated is drawn only when it has changed."""
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    if figure.stale or not hasattr(canvas, "_kept"):  # moving what is animated makes no figure stale
        canvas.draw()  # leaves out what is animated
        animated = [artist for artist in figure.findobj() if artist.get_animated()]
        canvas._kept = animated, canvas.copy_from_bbox(figure.bbox)  # here it goes when the figure goes
    animated, still = canvas._kept
    canvas.restore_region(still)
    for artist in animated:
        figure.draw_artist(artist)
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
