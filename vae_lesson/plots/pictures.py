"""Images as pictures: tiles, rows, maps and the plane of a 2-D latent space."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vae_lesson.plots.style import COLORS, closed


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
    return closed(figure)


def digits(images: Tensor, title: str, *, columns: int = 10) -> Figure:
    """Images side by side as one tiled picture.  images: (N, 1, 28, 28) or (N, 28, 28), in [0, 1]."""
    tiles = tile(images, columns)
    figure, axis = plt.subplots(
        figsize=(columns * 0.7, columns * 0.7 * tiles.shape[0] / tiles.shape[1] + 0.4)
    )
    axis.imshow(tiles.numpy(), vmin=0, vmax=1)
    axis.set_axis_off()
    axis.set_title(title)
    return closed(figure)


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
    return closed(figure)


def manifold(images: Tensor, reach: float, title: str) -> Figure:
    """Decoded digits over the latent square [-reach, reach]^2.

    images: (n * n, 1, 28, 28), row by row: z2 falls from +reach, z1 rises from -reach.
    """
    n = round(len(images) ** 0.5)
    figure, axis = plt.subplots(figsize=(7, 7))
    axis.imshow(tile(images, n).numpy(), vmin=0, vmax=1, extent=(-reach, reach, -reach, reach))
    axis.set(title=title, xlabel="z1 (prior standard deviations)", ylabel="z2 (prior standard deviations)")
    return closed(figure)


def manifold_with_codes(tiles: Tensor, reach: float, mu: Tensor, labels: Tensor) -> Figure:
    """The manifold as a bare square picture, without axes, and codes on it, each drawn as its digit.

    tiles: (H, H) over the square [-reach, reach]^2; mu: (N, 2); labels: (N,).
    """
    figure = plt.figure(figsize=(5, 5), dpi=120, layout="none")
    axis = figure.add_axes((0, 0, 1, 1))
    axis.imshow(
        tiles.numpy(), vmin=0, vmax=1, cmap="gray_r", extent=(-reach, reach, -reach, reach), alpha=0.35
    )
    for digit in range(10):
        x, y = mu[labels == digit].T.numpy()
        axis.scatter(x, y, marker=f"${digit}$", s=26, linewidths=0.3, color=COLORS[digit])
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach))
    axis.set_axis_off()
    return closed(figure)


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
