"""How the cost grows with data, width and K: prints a table and draws figures/cost.png.

Run: python tests/benchmarks/cost.py
"""

import platform
import time
from pathlib import Path

import torch

from vae_lesson import plots
from vae_lesson.data import binarize, load_dataset
from vae_lesson.models import FeedforwardVAE
from vae_lesson.plots.style import panels
from vae_lesson.scoring import log_likelihood
from vae_lesson.training import fit

OUT = Path(__file__).parents[2] / "figures" / "cost.png"
ROUNDS = 3  # the fastest counts


def seconds(work) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def epoch(images, hidden: int) -> float:
    return seconds(lambda: fit(FeedforwardVAE(40, hidden=hidden), images, epochs=1, progress=False))


def growth(costs: dict, units: dict):
    """Cost against size, one panel each, both axes logarithmic.  costs: name -> {size: seconds}."""
    title = "Time grows in proportion to data and K, and slowly at first with width"
    figure, axes = panels([""] * len(costs), title, (3.3 * len(costs), 3))
    for axis, (name, cost) in zip(axes, costs.items(), strict=True):
        axis.loglog(list(cost), list(cost.values()), "o-")
        axis.set_xticks(list(cost), [f"{size:,}" for size in cost])
        axis.set_yticks(list(cost.values()), [f"{value:.2g}" for value in cost.values()])
        axis.minorticks_off()
        axis.set(xlabel=name, ylabel=units[name])
    return figure


if __name__ == "__main__":
    plots.use_style()
    train, test = load_dataset("mnist")
    x = binarize(test.images[:100], "static")
    model = FeedforwardVAE(40)
    costs = {
        "images": {n: epoch(train.images[:n], 400) for n in (2_500, 5_000, 10_000, 20_000)},
        "hidden units": {h: epoch(train.images[:5_000], h) for h in (100, 200, 400, 800, 1600)},
        "K": {k: seconds(lambda k=k: log_likelihood(model, x, k)) for k in (10, 50, 200, 1000)},
    }
    units = {"images": "s an epoch, width 400", "hidden units": "s for 5,000 images", "K": "s for 100 images"}
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, cost in costs.items():
        first = next(iter(cost.values()))
        print(f"{name:>13}: " + ", ".join(f"{k:,}: {t:.2f} s ({t / first:.1f} x)" for k, t in cost.items()))
    growth(costs, units).savefig(OUT, dpi=100, metadata={"Software": None})
    print(OUT)
