"""The latent plane: decoded digits, codes, Gaussians as ellipses, true posteriors as heat maps."""

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from torch import Tensor

from vae_lesson.plots.pictures import tile
from vae_lesson.plots.style import COLORS, GREY, LATENT_AXES, numbers, panel, panels


def plane(n: int, reach: float) -> Tensor:
    """The latents that `manifold` shows: an n x n grid over [-reach, reach]^2, as (n * n, 2)."""
    steps = (torch.arange(n) + 0.5) / n * 2 * reach - reach  # the middles of the tiles
    z2, z1 = torch.meshgrid(steps.flip(0), steps, indexing="ij")
    return torch.stack([z1, z2], -1).reshape(-1, 2)


def manifold(images: Tensor, reach: float, title: str) -> Figure:
    """Decoded digits over the latent square [-reach, reach]^2.

    images: (n * n, 1, 28, 28), row by row as `plane` has them: z2 falls from +reach, z1 rises from -reach.
    """
    axis = panel(title, (7, 7))
    _draw_manifold(axis, images, reach)
    return axis.figure


def _draw_manifold(axis: Axes, images: Tensor, reach: float) -> None:
    tiles = tile(images, round(len(images) ** 0.5))
    axis.imshow(numbers(tiles), extent=(-reach, reach, -reach, reach), **GREY)
    axis.set(**LATENT_AXES)


def manifold_with_codes(tiles: Tensor, reach: float, mu: Tensor, labels: Tensor) -> Figure:
    """The manifold as a bare square picture, without axes, and codes on it, each drawn as its digit.

    tiles: (H, H) over the square [-reach, reach]^2; mu: (N, 2); labels: (N,).
    """
    figure = Figure(figsize=(5, 5), dpi=120, layout="none")
    axis = figure.add_axes((0, 0, 1, 1))
    pale = GREY | {"cmap": "gray_r", "alpha": 0.35}
    axis.imshow(numbers(tiles), extent=(-reach, reach, -reach, reach), **pale)
    draw_numerals(axis, mu, labels)
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach))
    axis.set_axis_off()
    return figure


def draw_numerals(axis: Axes, points: Tensor, labels: Tensor) -> None:
    """Draw each point as its digit, in the digit's colour.  points: (N, 2); labels: (N,), 0 to 9."""
    points, labels = numbers(points), numbers(labels)
    for digit, color in enumerate(COLORS):
        x, y = points[labels == digit].T
        axis.scatter(x, y, marker=f"${digit}$", s=25, linewidths=0.3, color=color)


def latent_pca(mu: Tensor, labels: Tensor, title: str) -> Figure:
    """Latent means in the plane of their two widest directions (PCA), each point drawn as its digit.

    mu: (N, L); labels: (N,).  Raises ValueError unless there are two images and two latents or more.
    """
    mu = numbers(mu).astype(float)
    if mu.ndim != 2 or min(mu.shape) < 2:
        raise ValueError(f"mu must be (N, L), of two images and two latents or more; got {mu.shape}")
    centred = mu - mu.mean(0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    share = singular**2 / (singular**2).sum()
    axis = panel(title, (7, 6), aspect="equal")
    draw_numerals(axis, centred @ directions[:2].T, labels)
    axis.set_xlabel(f"first principal component ({share[0]:.0%} of the variance)")
    axis.set_ylabel(f"second principal component ({share[1]:.0%})")
    return axis.figure


def landing(points: Tensor, name: str, labels: Tensor) -> Callable:
    """A kept figure for a widget.  Returns move(x, y) -> Figure with a cross there, move() with none.

    A cross that would lie outside stands at the border.
    points: (N, 2), drawn as their digits; name: of its two axes; labels: (N,).
    """
    axis = panel("Where it lands (cross)", (3.6, 3.6), aspect="equal", xlabel=name)
    axis.figure.set(dpi=100, layout_engine="constrained")
    axis.figure.get_layout_engine().set(h_pad=0.12)  # inches: room above the title
    draw_numerals(axis, points, labels)
    cross_style = {"color": "black", "markersize": 16, "markeredgewidth": 4, "clip_on": False}
    (cross,) = axis.plot([], [], "x", animated=True, **cross_style)
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()

    def move(*point: float) -> Figure:
        cross.set_visible(bool(point))
        if point:
            x, y = np.clip(numbers(point), (left, bottom), (right, top))
            cross.set_data([x], [y])
        return axis.figure

    return move


def plane_and_manifold(
    mu: Tensor, log_var: Tensor, labels: Tensor, images: Tensor, reach: float, title: str
) -> Figure:
    """Left: q(z|x) of many images as ellipses of one standard deviation, as digits.  Right: `manifold`.

    mu, log_var: (N, 2); labels: (N,); images, reach: as for `manifold`.
    The dashed circles are the prior's one and two standard deviations.
    """
    mu, sigma, labels = numbers(mu), np.exp(0.5 * numbers(log_var)), numbers(labels)
    figure, (codes, decoded) = panels(("encoder: q(z|x)", "decoder: p(x|z)"), title, (11, 6))
    codes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", **LATENT_AXES)
    for radius in (1, 2):
        codes.add_patch(Ellipse((0, 0), 2 * radius, 2 * radius, fill=False, linestyle="--", color="dimgray"))
    for m, s, label in zip(mu, sigma, labels, strict=True):
        codes.add_patch(Ellipse(m, *(2 * s), color=COLORS[label], alpha=0.5, linewidth=0))
        codes.text(*m, str(label), fontsize=8, ha="center", va="center", clip_on=True)
    _draw_manifold(decoded, images, reach)
    return figure


def posterior_maps(maps: list, windows: list, mu: Tensor, log_var: Tensor, names: list, title: str) -> Figure:
    """True posteriors p(z|x) as heat maps, under the encoder's Gaussian: ellipses of 1 and 2 deviations.

    maps: pictures (H, W), the lowest z2 in the first row; windows: (left, right, bottom, top) of each, in z;
    mu, log_var: (N, 2); names: a title for each.
    """
    figure, axes = panels(names, title, (2.7 * len(maps), 3.2))
    mu, sigma = numbers(mu), np.exp(0.5 * numbers(log_var))
    for axis, picture, window, m, s in zip(axes, maps, windows, mu, sigma, strict=True):
        axis.imshow(numbers(picture), origin="lower", extent=window, cmap="cividis", aspect="auto")
        for radius in (1, 2):
            axis.add_patch(Ellipse(m, *(2 * radius * s), fill=False, color="white", linewidth=1.5))
        axis.set(xlabel="z1")
    axes[0].set_ylabel("z2")
    return figure
