"""What all figures share: colours, the frame with its title, numbers out of tensors, and how one is shown."""

import base64
import io
import textwrap

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

# Blue, red and purple are from petroff10 (Petroff 2021). Some of its others have less than 3:1 on white, and
# made darker they became too alike: these seven were chosen so that colour-blind readers tell them apart.
COLORS = (
    "#3f90da", "#d77d2c", "#bd1f01", "#83959d", "#832db6",
    "#702b04", "#337684", "#e43322", "#4c4d59", "#877a50",
)  # fmt: skip
GREY = {"vmin": 0, "vmax": 1, "cmap": "gray"}  # how images in [0, 1] are shown
LATENT_AXES = {"xlabel": "z1 (prior standard deviations)", "ylabel": "z2 (prior standard deviations)"}


def use_style() -> None:
    """The course's matplotlib settings: legible on a projector, digits in grey, the colours of COLORS."""
    matplotlib.rcParams.update(
        {
            "axes.prop_cycle": matplotlib.cycler(color=COLORS),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 12,
            "figure.constrained_layout.use": True,
            "figure.dpi": 90,
            "font.size": 11,
            "image.cmap": "gray",
        }
    )


def show(figure: Figure, alt: str) -> None:
    """Display a figure, and below it its title and in words what it shows, for those who can't see it.

    The words are printed since JupyterLab drops the alt text of an output; they are the alt text too.
    """
    from IPython.display import display

    png = io.BytesIO()
    figure.savefig(png, format="png")
    title = figure.get_suptitle() or figure.axes[0].get_title("left")
    words = f"{title.replace(chr(10), ' ')}. In words: {alt}"
    content = {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": words}
    display(content, metadata={"image/png": {"alt": words}}, raw=True)
    print(textwrap.fill(words, 100))


def panel(title: str, size: tuple, **settings) -> Axes:
    """The axes of a new figure, `size` inches.  settings: what `Axes.set` takes, as xlabel="...".

    Figures are made without pyplot: a notebook shows them once, and nobody has to close them.
    """
    axis = Figure(figsize=size).subplots()
    axis.set(title=title, **settings)
    return axis


def panels(names, title: str, size: tuple) -> tuple[Figure, np.ndarray]:
    """A new figure, `size` inches, with one panel for each name, side by side under one title."""
    figure = Figure(figsize=size)
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for axis, name in zip(axes, names, strict=True):
        axis.set_title(name, fontsize=11)
    return figure, axes


def numbers(values) -> np.ndarray:
    """Numbers as an array, also out of a tensor on a GPU or with a gradient, or a list of such tensors."""
    if isinstance(values, Tensor):
        return values.numpy(force=True)
    if isinstance(values, list | tuple):
        return np.array([numbers(value) for value in values])
    return np.asarray(values)
