"""Curves, bars and scales: numbers over an axis, in nats or any other unit."""

import itertools
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from vae_lesson.plots.style import TRAINING, VALIDATION, closed


def loss_curve(history, title: str) -> Figure:
    """ELBO an epoch (left) and its two terms (right), training and validation, in nats per image.

    history: a training.History, or a dict of its lists.
    """
    values = history if isinstance(history, dict) else vars(history)
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2))
    panels = (
        ("elbo", "ELBO"),
        ("log_px_given_z", "log p(x|z): reconstruction"),
        ("kl", "KL: price of the code"),
    )
    epochs = range(1, len(values["elbo"]) + 1)
    for axis, (key, name) in zip(axes, panels, strict=True):
        axis.plot(epochs, values[key], color=TRAINING, marker="o", markersize=3, label="training")
        if values[f"validation_{key}"]:
            axis.plot(
                epochs, values[f"validation_{key}"], color=VALIDATION, marker="s", markersize=3,
                linestyle="--", label="validation",
            )  # fmt: skip
        axis.set(title=name, xlabel="epoch", ylabel="nats per image")
    axes[0].legend(frameon=False)
    figure.suptitle(title, x=0.01, ha="left")
    return closed(figure)


def lines(x, curves: dict, title: str, *, xlabel: str, ylabel: str, size: tuple = (6, 3.2)) -> Figure:
    """Curves over one axis, told apart by dashes as well as by colour.  curves: name -> values like x."""
    figure, axis = plt.subplots(figsize=size)
    styles = itertools.cycle(("-", "--", ":", "-."))
    for (name, values), style in zip(curves.items(), styles, strict=False):
        axis.plot(np.asarray(x), np.asarray(values), linestyle=style, linewidth=2, label=name)
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if len(curves) > 1:
        axis.legend(frameon=False)
    return closed(figure)


def bars(groups: dict, names, title: str, *, ylabel: str, xlabel: str = "", size: tuple = (6, 3)) -> Figure:
    """Bars side by side for each name, told apart by hatching too.  groups: label -> one value a name."""
    figure, axis = plt.subplots(figsize=size)
    width = 0.8 / len(groups)
    for i, (label, values) in enumerate(groups.items()):
        at = np.arange(len(names)) + (i - (len(groups) - 1) / 2) * width
        axis.bar(
            at, np.asarray(values), width, label=label, hatch=("", "//", "..", "xx")[i % 4], edgecolor="w"
        )
    axis.set_xticks(range(len(names)), [str(name) for name in names])
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if len(groups) > 1:
        axis.legend(frameon=False)
    return closed(figure)


def scale(values: dict, title: str, *, xlabel: str, size: tuple = (8, 3)) -> Figure:
    """One labelled diamond for each value on a common horizontal axis, the first on top.

    values: name -> number.
    """
    figure, axis = plt.subplots(figsize=size)
    for row, value in enumerate(values.values()):
        axis.plot([value], [-row], "D", color=f"C{row % 10}")
        axis.annotate(f"{value:.1f}", (value, -row), xytext=(0, 7), textcoords="offset points", ha="center")
    axis.set_yticks([-row for row in range(len(values))], values)
    axis.set_ylim(-len(values) + 0.4, 0.8)
    axis.margins(x=0.08)
    axis.grid(axis="y", alpha=0.4)
    axis.set(title=title, xlabel=xlabel)
    return closed(figure)


def named_curve(x, y, names, title: str, *, xlabel: str, ylabel: str, size: tuple = (6, 4)) -> Figure:
    """A curve through points that carry their names.  x, y: numbers; names: a text for each point."""
    figure, axis = plt.subplots(figsize=size)
    axis.plot(x, y, "o-")
    for at, name in zip(zip(x, y, strict=True), names, strict=True):
        axis.annotate(str(name), at, xytext=(6, 5), textcoords="offset points")
    axis.margins(0.12)
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return closed(figure)


def growth(panels: dict, title: str, ylabels: dict) -> Figure:
    """Cost against size, one panel each, both axes logarithmic.  panels: name -> {size: cost}."""
    figure, axes = plt.subplots(1, len(panels), figsize=(3.3 * len(panels), 3), squeeze=False)
    for axis, (name, cost) in zip(axes[0], panels.items(), strict=True):
        axis.loglog(list(cost), list(cost.values()), "o-")
        axis.set_xticks(list(cost), [f"{size:,}" for size in cost])
        axis.set_yticks(list(cost.values()), [f"{value:.2g}" for value in cost.values()])
        axis.minorticks_off()
        axis.set(xlabel=name, ylabel=ylabels[name])
    figure.suptitle(title, x=0.01, ha="left")
    return closed(figure)


def bound_bar(log_px: float, low: float, title: str) -> Callable:
    """A kept figure for a slider.  Returns move(elbo, gap) -> Figure with a diamond and a hatched bar there.

    A black line stands at log_px; the axis begins at low.
    """
    figure, axis = plt.subplots(figsize=(5, 1.6))
    axis.set(title=title, xlabel="nats per image", xlim=(low, 0), ylim=(-0.6, 0.6), yticks=[])
    axis.axvline(log_px, color="black")
    (bar,) = axis.barh([0], [1], color="C1", hatch="//", edgecolor="w", animated=True)
    (diamond,) = axis.plot([], [], "D", markersize=11, color="C0", animated=True)

    def move(elbo: float, gap: float) -> Figure:
        diamond.set_data([elbo], [0])
        bar.set_x(elbo)
        bar.set_width(gap)
        return figure

    closed(figure)
    return move
