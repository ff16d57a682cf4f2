"""Images as pictures: tiles, rows and maps."""

import torch
from matplotlib.figure import Figure
from torch import Tensor

from vae_lesson.plots.style import GREY, LATENT_AXES, numbers, panel, panels


def maps(
    pictures: dict, title: str, unit: str, *, reach: float | None = None, top: float | None = None,
    each: bool = False,
) -> Figure:  # fmt: skip
    """Maps of quantities side by side.  pictures: name -> (H, W); unit: of the colour bar.

    reach: the maps show the latent square [-reach, reach]^2, the lowest z2 in their first row.
    top: where the colours end (default: at the largest value); they begin at 0, or at a value below it.
    Where values lie above it, the colour bar ends in an arrow.
    each: every map has colours, and a colour bar, of its own.
    """
    pictures = {name: numbers(picture) for name, picture in pictures.items()}
    if reach is None:
        size, square, labels = (max(2.6 * len(pictures) + 0.8, 5), 3), {}, {"xticks": [], "yticks": []}
    else:
        size, labels = (4.4 * len(pictures), 3.9), LATENT_AXES
        square = {"origin": "lower", "extent": (-reach, reach, -reach, reach)}
    figure, axes = panels(pictures, title, size)
    for axis, picture in zip(axes, pictures.values(), strict=True):
        compared = [picture] if each else pictures.values()
        low = min(0, *(other.min() for other in compared))
        highest = max(other.max() for other in compared)
        high = highest if top is None else top
        bar = {"label": unit, "shrink": 0.8, "extend": "max" if highest > high else "neither"}
        drawn = axis.imshow(picture, cmap="cividis", vmin=low, vmax=high, **square)
        axis.set(**labels)
        if each:
            figure.colorbar(drawn, ax=axis, **bar)
    if not each:
        figure.colorbar(drawn, ax=list(axes), **bar)
    return figure


def digits(images: Tensor, title: str, *, columns: int = 10) -> Figure:
    """Images side by side as one tiled picture.  images: (N, 1, 28, 28) or (N, 28, 28), in [0, 1]."""
    tiles = tile(images, columns)
    width = 0.7 * columns
    axis = panel(title, (width, width * tiles.shape[0] / tiles.shape[1] + 0.4))
    axis.imshow(numbers(tiles), **GREY)
    axis.set_axis_off()
    return axis.figure


def rows_of_digits(rows: dict[str, Tensor], title: str) -> Figure:
    """One row of images for each name, aligned in columns.  rows: name -> (N, 1, 28, 28), in [0, 1]."""
    count = len(next(iter(rows.values())))
    axis = panel(title, (max(count * 0.7 + 1.8, 5), len(rows) * 0.7 + 0.5), xticks=[])
    tiles = torch.cat([tile(images, count) for images in rows.values()])
    axis.imshow(numbers(tiles), **GREY)
    axis.set_yticks([tiles.shape[0] / len(rows) * (i + 0.5) for i in range(len(rows))], rows)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return axis.figure


def tile(images: Tensor, columns: int) -> Tensor:
    """Images as one picture of `columns` a row; missing tiles of the last row are white.

    images: (N, 1, H, W) or (N, H, W).  Returns (rows * H, columns * W), on the CPU.
    """
    images = images.detach().cpu().float().flatten(0, -3)
    height, width = images.shape[-2:]
    missing = -len(images) % columns
    images = torch.cat([images, images.new_ones(missing, height, width)])
    return images.unflatten(0, (-1, columns)).transpose(1, 2).reshape(-1, columns * width)


def card(runs: dict[str, dict], originals: Tensor, title: str) -> Figure:
    """What a doctor sees of training runs, a row each: loss, reconstructions, new samples, KL per latent.

    runs: name -> loss (E + 1,), before training and after each epoch, and kl_per_latent (L,), in nats per
    image; reconstructions and samples (8, 28, 28), in [0, 1].  originals: what they rebuild, (8, 28, 28).
    """
    figure = Figure(figsize=(10, 1.8 * len(runs) + 0.5))
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.subplots(len(runs), 4, squeeze=False, width_ratios=(1.3, 2.2, 1.1, 1.4))
    for (name, run), (curve, rebuilt, new, bars) in zip(runs.items(), axes, strict=True):
        loss = numbers(run["loss"])
        curve.plot(loss, "o-", markersize=3)
        curve.set(title=f"{name}: last loss {loss[-1]:.4g}", xlabel="epoch", ylabel="nats per image")
        rebuilt.imshow(numbers(tile(torch.cat([originals, run["reconstructions"]]), 8)), **GREY)
        rebuilt.set(title="given (above) and rebuilt", xticks=[], yticks=[])
        new.imshow(numbers(tile(run["samples"], 4)), **GREY)
        new.set(title="new samples", xticks=[], yticks=[])
        kl = numbers(run["kl_per_latent"])
        bars.bar(range(1, len(kl) + 1), kl)
        bars.set(title="KL per latent", xlabel="latent", ylabel="nats", ylim=(0, max(1, 1.05 * kl.max())))
    for axis in axes.flat:
        axis.title.set_fontsize(10)
    return figure
