"""Probabilities and code lengths as widths and areas, where their sums can be seen."""

from matplotlib.figure import Figure
from torch import Tensor

from vae_lesson.plots.curves import DASHES, HATCHES
from vae_lesson.plots.style import COLORS, GREY, numbers, panels


def boxes(rows: dict, names, title: str, *, xlabel: str, ylabel: str = "", size: tuple = (7, 3)) -> Figure:
    """Boxes side by side: width times height is an area.  rows: name -> (widths, heights), one box a name.

    Each row is a panel of its own; all have the same axes, and each says the sum of its areas.
    """
    figure = Figure(figsize=size)
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.subplots(len(rows), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axis, (row, values) in zip(axes, rows.items(), strict=True):
        widths, heights = map(numbers, values)
        starts = widths.cumsum() - widths
        colors = [COLORS[i % len(COLORS)] for i in range(len(widths))]
        axis.bar(
            starts, heights, widths, align="edge", color=colors, edgecolor="black", linewidth=0.8, alpha=0.55
        )
        for start, width, height, name in zip(starts, widths, heights, names, strict=True):
            axis.text(start + width / 2, height / 2, name, ha="center", va="center", fontsize=9)
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_title(f"{row}: area {widths @ heights:.4g}" if row else "", fontsize=10)
        axis.set(ylabel=ylabel, **({} if ylabel else {"yticks": []}))
        axis.spines["left"].set_visible(bool(ylabel))
    axes[-1].set(xlabel=xlabel)
    return figure


def filled_panels(x, panes: dict, title: str, *, xlabel: str, ylabel: str, size=(9, 3)) -> Figure:
    """Filled curves in panels side by side, with the same axes.  panes: name -> {curve's name: values}.

    The first curve of a panel is filled most.
    """
    figure, axes = panels(panes, title, size)
    for axis, curves in zip(axes, panes.values(), strict=True):
        if axis is not axes[0]:
            axis.sharey(axes[0])
        for i, (name, values) in enumerate(curves.items()):
            axis.plot(numbers(x), numbers(values), DASHES[i % 4], color=COLORS[i], linewidth=2, label=name)
            axis.fill_between(numbers(x), numbers(values), color=COLORS[i], alpha=0.15 if i else 0.4, lw=0)
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_xlabel(xlabel)
    axes[0].set_ylabel(ylabel)
    if len(curves) > 1:
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def spans(rows: dict, title: str, *, xlabel: str, size: tuple = (7, 2.6)) -> Figure:
    """Named stretches of a common axis, one line a row, the first on top: what adds up is seen to add up.

    rows: name -> list of (text, start, stop).
    """
    axis = Figure(figsize=size).subplots()
    places = numbers([place for stretches in rows.values() for _, *ends in stretches for place in ends])
    width = places.max() - places.min()
    for place, stretches in enumerate(rows.values()):
        for i, (text, *ends) in enumerate(stretches):
            start, stop = numbers(ends)
            style = {"color": COLORS[i], "alpha": 0.5, "edgecolor": "black"}
            axis.barh(place, stop - start, left=start, height=0.7, **style)
            inside = (stop - start) / width * size[0] > len(text) / 11  # eleven letters an inch
            x, side = ((start + stop) / 2, "center") if inside else (stop, "left")
            axis.text(x, place, text if inside else f" {text}", ha=side, va="center", fontsize=10)
    axis.set(title=title, xlabel=xlabel, ylim=(len(rows) - 0.5, -0.5))
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(axis="y", length=0)
    return axis.figure


def histograms(groups: dict, title: str, *, xlabel: str, marks: dict | None = None, size=(6.5, 3)) -> Figure:
    """Shares of values, drawn over each other.  groups: name -> values; marks: name -> a place."""
    axis = Figure(figsize=size).subplots()
    values = {name: numbers(group) for name, group in groups.items()}
    low, high = min(v.min() for v in values.values()), max(v.max() for v in values.values())
    for i, (name, group) in enumerate(values.items()):
        style = {"histtype": "stepfilled", "alpha": 0.5, "edgecolor": COLORS[i], "hatch": HATCHES[i % 4]}
        weights = [1 / len(group)] * len(group)
        style |= {"weights": weights, "color": COLORS[i], "label": name, "linewidth": 1.5}
        axis.hist(group, 60, range=(low, high), **style)
    axis.margins(y=0.15)  # room for the names of the marks
    for name, place in (marks or {}).items():
        axis.axvline(numbers(place), color="black", linestyle="--")
        axis.text(numbers(place), axis.get_ylim()[1], f" {name}", va="top")
    axis.set(title=title, xlabel=xlabel, ylabel="share")
    axis.legend(frameon=False)
    return axis.figure


def ladder(scores: dict, pictures: dict[str, Tensor], title: str, *, ylabel: str) -> Figure:
    """A bar with its value for each name, and below it pictures.  pictures: name -> (N, 1, 28, 28)."""
    figure = Figure(figsize=(1.9 * len(scores), 5))
    bars, below = figure.subplots(2, 1, height_ratios=(1.5, 1))
    drawn = bars.bar(range(len(scores)), numbers(list(scores.values())), 0.7, color=COLORS[0])
    bars.bar_label(drawn, fmt="%.1f")
    bars.set(title=title, ylabel=ylabel)
    bars.set_xticks(range(len(scores)), scores)
    bars.margins(y=0.12)
    for place, group in enumerate(pictures.values()):
        for i, picture in enumerate(numbers(group)[:4]):  # two by two
            left, top = place - 0.4 + 0.41 * (i % 2), -0.41 * (i // 2)
            below.imshow(picture[0], extent=(left, left + 0.39, top - 0.39, top), **GREY)
    below.set(xlim=bars.get_xlim(), ylim=(-0.82, 0.02), aspect="equal")
    below.set_axis_off()
    return figure


def products(z, prior, likelihoods: dict, title: str, *, reach: float = 4) -> Figure:
    """Prior, likelihood, and their product with its area shaded; a line of panels for each observation.

    z, prior: (N,), a grid and p(z) on it; likelihoods: name -> p(x|z) on the grid.
    """
    z, prior = numbers(z), numbers(prior)
    figure = Figure(figsize=(9, 2.1 * len(likelihoods) + 0.5))
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.subplots(len(likelihoods), 3, sharex=True, sharey="col", squeeze=False)
    for line, (name, likelihood) in zip(axes, likelihoods.items(), strict=True):
        product = prior * numbers(likelihood)
        area = ((product[1:] + product[:-1]) / 2 * (z[1:] - z[:-1])).sum()
        curves = {
            "prior p(z)": prior,
            f"p(x|z), x = {name}": numbers(likelihood),
            f"product: area {area:.2g}": product,
        }
        for axis, (label, values), color in zip(line, curves.items(), COLORS, strict=False):
            axis.plot(z, values, color=color, linewidth=2)
            axis.set_title(label, fontsize=10)
            axis.set_xlim(-reach, reach)
        line[2].fill_between(z, product, color=COLORS[2], alpha=0.4, hatch="//", edgecolor="white")
    for axis in axes[-1]:
        axis.set_xlabel("z")
    return figure


def weighted_dots(rows: dict, z, density, title: str, *, size: tuple = (7, 4), reach: float = 4) -> Figure:
    """Samples as dots whose area is their weight, one line a row, below a curve that they should cover.

    rows: name -> (samples (K,), weights (K,)); the weights of a row are shares of its sum.
    z, density: a grid and the curve on it; -reach to reach is shown.
    """
    figure = Figure(figsize=size)
    curve, dots = figure.subplots(2, 1, sharex=True, height_ratios=(1, 0.8 + 0.3 * len(rows)))
    curve.fill_between(numbers(z), numbers(density), color=COLORS[2], alpha=0.4)
    curve.plot(numbers(z), numbers(density), color=COLORS[2], linewidth=2)
    curve.set(title=title, yticks=[], xlim=(-reach, reach))
    style = {"facecolor": "#3f90da55", "edgecolor": COLORS[0], "linewidth": 1.5}  # to see through
    for place, (samples, weights) in enumerate(rows.values()):
        share = numbers(weights) / numbers(weights).sum()
        dots.scatter(numbers(samples), [place] * len(share), s=2000 * share, **style)
        dots.plot(numbers(samples), [place] * len(share), "|", color="black", markersize=6)
    dots.set(xlabel="z", ylim=(len(rows) - 0.4, -0.6))
    dots.set_yticks(range(len(rows)), rows)
    return figure
