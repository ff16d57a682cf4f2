"""One style for every figure, and how a figure is shown: its picture, and in words what it shows."""

import base64
import io
import textwrap

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

COLORS = matplotlib.color_sequences["petroff10"]  # for widgets, which are shown without `use_style` too
TRAINING, VALIDATION = "#3f90da", "#bd1f01"  # two of petroff10, told apart by colour-blind readers too


def use_style() -> None:
    """The course's matplotlib settings: legible on a projector, colours of petroff10 (Petroff 2021)."""
    plt.style.use("petroff10")
    plt.rcParams.update(
        {
            "figure.constrained_layout.use": True,
            "figure.dpi": 90,
            "font.size": 11,
            "axes.titlesize": 12,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "image.cmap": "gray",
        }
    )


def show(figure: Figure, alt: str) -> None:
    """Display a figure, and below it in words what it shows, for those who can't see it.

    The words are printed since JupyterLab drops the alt text of an output; they are the alt text too.
    """
    from IPython.display import display

    png = io.BytesIO()
    figure.savefig(png, format="png")
    content = {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": alt}
    display(content, metadata={"image/png": {"alt": alt}}, raw=True)
    print(textwrap.fill(f"In words: {alt}", 100))


def closed(figure: Figure) -> Figure:
    plt.close(figure)  # else the notebook would show it a second time
    return figure
