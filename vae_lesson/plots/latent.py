"""Codes in the plane: latent means, Gaussians as ellipses, true posteriors as heat maps."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from torch import Tensor

from vae_lesson.plots.style import COLORS, closed

AXES = {"xlabel": "z1 (prior standard deviations)", "ylabel": "z2 (prior standard deviations)"}


def latent_pca(mu: Tensor, labels: Tensor, title: str) -> Figure:
    """Latent means in the plane of their two widest directions (PCA), each point drawn as its digit.

    mu: (N, L), L >= 2; labels: (N,).
    """
    centred = mu.double() - mu.double().mean(0)
    _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
    share = singular**2 / (singular**2).sum()
    figure = latent_scatter(centred @ directions[:2].T, labels, title)
    figure.axes[0].set(
        xlabel=f"first principal component ({share[0]:.0%} of the variance)",
        ylabel=f"second principal component ({share[1]:.0%})",
    )
    return figure


def latent_scatter(points: Tensor, labels: Tensor, title: str) -> Figure:
    """Points in the plane, each drawn as its digit in its colour.  points: (N, 2); labels: (N,)."""
    figure, axis = plt.subplots(figsize=(7, 6))
    for digit in range(10):
        x, y = points[labels == digit].T.numpy()
        axis.scatter(x, y, marker=f"${digit}$", s=24, linewidths=0.3, color=COLORS[digit], alpha=0.8)
    axis.set(title=title, **AXES)
    axis.set_aspect("equal")
    return closed(figure)


def plane_maps(
    pictures: dict, reach: float, title: str, unit: str, *, top: float | None = None, each: bool = False
) -> Figure:
    """Maps of quantities over the latent square [-reach, reach]^2, side by side.

    pictures: name -> (H, W), the lowest z2 in the first row; unit: of the colour bar.
    top: where the colours end (default: at the largest value).  each: a colour bar for each map.
    """
    figure, axes = plt.subplots(1, len(pictures), figsize=(4.4 * len(pictures), 3.9), squeeze=False)
    top = top if each else top or max(float(picture.max()) for picture in pictures.values())
    for axis, (name, picture) in zip(axes[0], pictures.items(), strict=True):
        drawn = axis.imshow(
            np.asarray(picture), origin="lower", extent=(-reach, reach, -reach, reach), cmap="cividis",
            vmin=0, vmax=top,
        )  # fmt: skip
        axis.set_title(name, fontsize=11)
        axis.set(**AXES)
        if each:
            figure.colorbar(drawn, ax=axis, shrink=0.8)
    if not each:
        figure.colorbar(drawn, ax=list(axes[0]), label=unit, shrink=0.8)
    figure.suptitle(title, x=0.01, ha="left")
    return closed(figure)


def landing(points: Tensor, name: str, labels: Tensor) -> Callable:
    """A kept figure for a widget.  Returns move(x, y) -> Figure with a cross there, move() with none.

    A cross that would lie outside stands at the border.

    points: (N, 2), drawn as their digits; name: of the plane; labels: (N,).
    """
    figure = latent_scatter(points, labels, f"Where it lands: {name}")
    figure.set(figwidth=3.6, figheight=3.6, dpi=100)
    axis = figure.axes[0]
    axis.set(xlabel="", ylabel="")
    (cross,) = axis.plot([], [], "x", color="black", markersize=16, markeredgewidth=4, animated=True)

    def move(*at: float) -> Figure:
        limits = (axis.get_xlim(), axis.get_ylim())
        inside = [[min(max(value, low), high)] for value, (low, high) in zip(at, limits, strict=False)]
        cross.set_data(inside or ([], []))
        return figure

    return move


def posterior_ellipses(mu: Tensor, log_var: Tensor, labels: Tensor, title: str) -> Figure:
    """q(z|x) of many images as ellipses of one standard deviation, named by their digit, over the prior's.

    mu, log_var: (N, 2); labels: (N,).  The dashed circles are the prior's one and two standard deviations.
    """
    figure, axis = plt.subplots(figsize=(7, 6.6))
    for radius in (1, 2):
        axis.add_patch(Ellipse((0, 0), 2 * radius, 2 * radius, fill=False, linestyle="--", color="gray"))
    sigma = (0.5 * log_var).exp()
    for m, s, label in zip(mu.tolist(), sigma.tolist(), labels.tolist(), strict=True):
        axis.add_patch(Ellipse(m, 2 * s[0], 2 * s[1], color=f"C{label}", alpha=0.5, linewidth=0))
        axis.annotate(str(label), m, fontsize=7, ha="center", va="center")
    reach = float(mu.abs().max()) + 0.5
    axis.set(title=title, xlim=(-reach, reach), ylim=(-reach, reach), **AXES)
    axis.set_aspect("equal")
    return closed(figure)


def posterior_maps(maps: list, windows: list, mu: Tensor, log_var: Tensor, names: list, title: str) -> Figure:
    """True posteriors p(z|x) as heat maps, under the encoder's Gaussian: ellipses of 1 and 2 deviations.

    maps: pictures (H, W), the lowest z2 in the first row; windows: (left, right, bottom, top) of each, in z;
    mu, log_var: (N, 2); names: a title for each.
    """
    figure, axes = plt.subplots(1, len(maps), figsize=(2.7 * len(maps), 3.2), squeeze=False)
    sigma = (0.5 * log_var).exp()
    for axis, picture, window, m, s, name in zip(
        axes[0], maps, windows, mu.tolist(), sigma.tolist(), names, strict=True
    ):
        axis.imshow(np.asarray(picture), origin="lower", extent=window, cmap="cividis", aspect="auto")
        for radius in (1, 2):
            size = (2 * radius * s[0], 2 * radius * s[1])
            axis.add_patch(Ellipse(m, *size, fill=False, color="white", linewidth=1.5))
        axis.set_title(name, fontsize=11)
        axis.set(xlabel="z1")
    axes[0, 0].set_ylabel("z2")
    figure.suptitle(title, x=0.01, ha="left")
    return closed(figure)
