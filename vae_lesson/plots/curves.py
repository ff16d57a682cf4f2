"""Curves, bars and scales: numbers over an axis, in nats or any other unit."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from vae_lesson.plots.style import COLORS, numbers, panel, panels

DASHES = ("-", "--", ":", "-.")
HATCHES = ("", "//", "..", "xx")
SERIES = {  # of a history: how the names of its lists begin, and how they are drawn
    "": {"label": "training", "color": COLORS[0], "marker": "o"},
    "validation_": {"label": "validation", "color": COLORS[2], "marker": "s", "linestyle": "--"},
}


def loss_curve(history, title: str) -> Figure:
    """ELBO an epoch and its two terms, training and validation, in nats per image.

    history: a training.History, or a dict of its lists; validation lists may be shorter, empty or absent.
    """
    values = history if isinstance(history, dict) else vars(history)
    terms = {
        "elbo": "ELBO", "log_px_given_z": "log p(x|z): reconstruction", "kl": "KL: price of the code",
    }  # fmt: skip
    figure, axes = panels(terms.values(), title, (10, 3.2))
    for axis, term in zip(axes, terms, strict=True):
        for start, style in SERIES.items():
            means = numbers(values.get(start + term, []))
            if len(means):
                axis.plot(range(1, len(means) + 1), means, markersize=3, **style)
        axis.set(xlabel="epoch", ylabel="nats per image")
        axis.xaxis.get_major_locator().set_params(integer=True)
    if axes[0].lines:
        axes[0].legend(frameon=False)
    return figure


def lines(
    x, curves: dict, title: str, *, xlabel: str, ylabel: str, size: tuple = (6, 3.2), filled: bool = False
) -> Figure:
    """Curves over one axis, told apart by dashes as well as by colour.  curves: name -> values like x.

    filled: the areas below them are coloured and hatched.
    """
    axis = panel(title, size, xlabel=xlabel, ylabel=ylabel)
    for i, (name, values) in enumerate(curves.items()):
        axis.plot(numbers(x), numbers(values), linestyle=DASHES[i % 4], linewidth=2, label=name)
        if filled:
            style = {"color": COLORS[i], "hatch": HATCHES[i % 4], "edgecolor": "white", "alpha": 0.35}
            axis.fill_between(numbers(x), numbers(values), **style)
    if len(curves) > 1:
        axis.legend(frameon=False)
    return axis.figure


def bars(groups: dict, names, title: str, *, ylabel: str, xlabel: str = "", size: tuple = (6, 3)) -> Figure:
    """Bars side by side for each name, told apart by hatching too.  groups: label -> one value a name."""
    axis = panel(title, size, xlabel=xlabel, ylabel=ylabel)
    width = 0.8 / len(groups)
    for i, (label, values) in enumerate(groups.items()):
        places = np.arange(len(names)) + (i - (len(groups) - 1) / 2) * width
        axis.bar(places, numbers(values), width, label=label, hatch=HATCHES[i % 4], edgecolor="white")
    crowded = len(names) * 0.4 > size[0]
    axis.set_xticks(range(len(names)), [str(name) for name in names], fontsize=8 if crowded else None)
    if len(groups) > 1:
        axis.legend(frameon=False)
    return axis.figure


def scale(values: dict, title: str, *, xlabel: str, size: tuple = (8, 3)) -> Figure:
    """One labelled diamond for each value on a common horizontal axis, the first on top.

    values: name -> number.
    """
    axis = panel(title, size, xlabel=xlabel)
    rows = range(len(values))
    for row, value in zip(rows, numbers(list(values.values())), strict=True):
        axis.plot(value, row, "D", color=COLORS[0])
        axis.annotate(f"{value:.1f}", (value, row), xytext=(0, 7), textcoords="offset points", ha="center")
    axis.set_yticks(rows, values)
    axis.set_ylim(len(values) - 0.4, -0.8)  # the first row on top
    axis.margins(x=0.08)
    axis.grid(axis="y", alpha=0.4)
    return axis.figure


def named_curve(
    x, y, names, title: str, *, xlabel: str, ylabel: str, size: tuple = (6, 4), sums=()
) -> Figure:
    """A curve through points that carry their names.  x, y: numbers; names: a text for each point.

    sums: for each of these numbers a dashed line where x + y has this sum.
    """
    axis = panel(title, size, xlabel=xlabel, ylabel=ylabel)
    x, y = numbers(x), numbers(y)
    axis.plot(x, y, "o-")
    for u, v, name in zip(x, y, names, strict=True):
        axis.annotate(str(name), (u, v), xytext=(6, 5), textcoords="offset points")
    axis.margins(0.12)
    axis.autoscale_view()
    axis.autoscale(False)
    for total in sums:
        axis.axline((0, total), slope=-1, color="grey", linestyle="--", linewidth=1, zorder=0)
    return axis.figure


def bound_bar(log_px: float, low: float, title: str) -> Callable:
    """A kept figure for a slider.  Returns move(elbo, gap) -> Figure with a diamond and a hatched bar there.

    A black line stands at log_px; the axis begins at low.
    """
    axis = panel(title, (5, 1.6), xlabel="nats per image", xlim=(low, 0), ylim=(-0.6, 0.6), yticks=[])
    axis.axvline(numbers(log_px), color="black")
    (bar,) = axis.barh(0, 1, color=COLORS[1], hatch="//", edgecolor="white", animated=True)
    (diamond,) = axis.plot([], [], "D", markersize=11, color=COLORS[0], animated=True)

    def move(elbo: float, gap: float) -> Figure:
        start, width = numbers([elbo, gap])
        diamond.set_data([start], [0])
        bar.set(x=start, width=width)
        return axis.figure

    return move
