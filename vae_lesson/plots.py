"""One style for every figure. Functions take data, return a Figure, and never train or save."""

import base64
import io
import itertools
import textwrap
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

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
    return _closed(figure)


def lines(x, curves: dict, title: str, *, xlabel: str, ylabel: str, size: tuple = (6, 3.2)) -> Figure:
    """Curves over one axis, told apart by dashes as well as by colour.  curves: name -> values like x."""
    figure, axis = plt.subplots(figsize=size)
    styles = itertools.cycle(("-", "--", ":", "-."))
    for (name, values), style in zip(curves.items(), styles, strict=False):
        axis.plot(np.asarray(x), np.asarray(values), linestyle=style, linewidth=2, label=name)
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if len(curves) > 1:
        axis.legend(frameon=False)
    return _closed(figure)


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
    return _closed(figure)


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

    _closed(figure)
    return move


def maps(pictures: dict, title: str, unit: str) -> Figure:
    """Maps of a quantity side by side on one scale.  pictures: name -> (H, W); unit: of the colour bar."""
    figure, axes = plt.subplots(
        1, len(pictures), figsize=(max(2.6 * len(pictures) + 0.8, 5), 3), squeeze=False
    )
    high = max(float(picture.max()) for picture in pictures.values())
    low = min(0.0, *(float(picture.min()) for picture in pictures.values()))
    for axis, (name, picture) in zip(axes[0], pictures.items(), strict=True):
        drawn = axis.imshow(np.asarray(picture), cmap="cividis", vmin=low, vmax=high)
        axis.set(xticks=[], yticks=[])
        axis.set_title(name, fontsize=11)
    figure.colorbar(drawn, ax=list(axes[0]), label=unit, shrink=0.8)
    figure.suptitle(title, x=0.01, ha="left")
    return _closed(figure)


def digits(images: Tensor, title: str, *, columns: int = 10) -> Figure:
    """Images side by side as one tiled picture.  images: (N, 1, 28, 28) or (N, 28, 28), in [0, 1]."""
    tiles = tile(images, columns)
    figure, axis = plt.subplots(
        figsize=(columns * 0.7, columns * 0.7 * tiles.shape[0] / tiles.shape[1] + 0.4)
    )
    axis.imshow(tiles.numpy(), vmin=0, vmax=1)
    axis.set_axis_off()
    axis.set_title(title)
    return _closed(figure)


def rows_of_digits(rows: dict[str, Tensor], title: str) -> Figure:
    """One row of images for each name, aligned in columns.  rows: name -> (N, 1, 28, 28), in [0, 1]."""
    count = len(next(iter(rows.values())))
    figure, axis = plt.subplots(figsize=(count * 0.7 + 1.8, len(rows) * 0.7 + 0.4))
    axis.imshow(tile(torch.cat(list(rows.values())), count).numpy(), vmin=0, vmax=1)
    axis.set_xticks([])
    axis.set_yticks([28 * i + 14 for i in range(len(rows))], rows)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(title)
    return _closed(figure)


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
        axis.scatter(x, y, marker=f"${digit}$", s=24, linewidths=0.3, color=f"C{digit}", alpha=0.8)
    axis.set(title=title, xlabel="z1 (prior standard deviations)", ylabel="z2 (prior standard deviations)")
    axis.set_aspect("equal")
    return _closed(figure)


def manifold(images: Tensor, reach: float, title: str) -> Figure:
    """Decoded digits over the latent square [-reach, reach]^2.

    images: (n * n, 1, 28, 28), row by row: z2 falls from +reach, z1 rises from -reach.
    """
    n = round(len(images) ** 0.5)
    figure, axis = plt.subplots(figsize=(7, 7))
    axis.imshow(tile(images, n).numpy(), vmin=0, vmax=1, extent=(-reach, reach, -reach, reach))
    axis.set(title=title, xlabel="z1 (prior standard deviations)", ylabel="z2 (prior standard deviations)")
    return _closed(figure)


def plane(n: int, reach: float) -> Tensor:
    """The latents that `manifold` shows: an n x n grid over [-reach, reach]^2, as (n * n, 2)."""
    steps = (torch.arange(n) + 0.5) / n * 2 * reach - reach  # the middles of the tiles
    z2, z1 = torch.meshgrid(steps.flip(0), steps, indexing="ij")
    return torch.stack([z1, z2], -1).reshape(-1, 2)


def tile(images: Tensor, columns: int) -> Tensor:
    """Images as one picture of `columns` a row; missing tiles of the last row are white.

    images: (N, 1, H, W) or (N, H, W).  Returns (rows * H, columns * W).
    """
    images = images.detach().cpu().float().flatten(0, -3)
    height, width = images.shape[-2:]
    missing = -len(images) % columns
    images = torch.cat([images, images.new_ones(missing, height, width)])
    return images.unflatten(0, (-1, columns)).transpose(1, 2).reshape(-1, columns * width)


def _closed(figure: Figure) -> Figure:
    plt.close(figure)  # else the notebook would show it a second time
    return figure
