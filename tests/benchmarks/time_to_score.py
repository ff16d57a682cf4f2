"""-log p(x) over seconds of training: both models for about five minutes, and the usual tutorial loop.

The feedforward VAE gets more epochs than in its lesson, so that both models have the same time; both learn
from all 60,000 images.  The tutorial loop is that of pytorch/examples (see epoch.py): ten epochs, with grey
pixels as it has them, and with black and white ones.  Scores: each tenth test image, binarised once (seed 0),
importance sampling with K = 100; the time of scoring does not count.  During a run the learning rate is still
high, so a run planned for fewer epochs reaches a score sooner: the last lines look for the shortest such run.
Prints tables, draws figures/time_to_score.png, and takes about an hour (with --seeds 1 a third of it).
Run: python tests/benchmarks/time_to_score.py
"""

import argparse
import functools
import platform
from pathlib import Path

import torch
from epoch import tutorial_epoch, tutorial_start

from vae_lesson import plots
from vae_lesson.checkpoints import ARCHITECTURES
from vae_lesson.data import binarize, load_dataset
from vae_lesson.plots.style import panel
from vae_lesson.recipes import RECIPES
from vae_lesson.scoring import log_likelihood
from vae_lesson.training import fit

OUT = Path(__file__).parents[2] / "figures" / "time_to_score.png"
EPOCHS = {"feedforward": 60, "cnn": 24}  # about five minutes each on 2 cores with bfloat16
LEVELS = (100, 97, 94, 91, 89, 88, 87, 86, 85.5, 85, 84.78)  # the last: IWAE with 50 samples, published
TRAIN, TEST = load_dataset("mnist")
X = binarize(TEST.images[::10], "static")


def score(model) -> float:
    model.eval()
    return -log_likelihood(model, X, 100, generator=torch.Generator().manual_seed(0)).mean().item()


@functools.cache
def ours(name: str, epochs: int, seed: int = 0) -> list[tuple[float, float]]:
    """(seconds of training so far, score), while a recipe is trained for so many epochs."""
    recipe, curve = RECIPES[name], []
    settings = recipe.settings | {"seed": seed, "epochs": epochs}
    torch.manual_seed(seed)
    model = ARCHITECTURES[recipe.kind](**recipe.config)

    def look(history) -> None:
        epoch = len(history.seconds)
        if epoch <= 4 or epoch % 3 == 0 or epoch == epochs:
            curve.append((sum(history.seconds), score(model)))

    fit(model, TRAIN.images, progress=False, on_epoch=look, **settings)
    print(f"{name}, seed {seed}:", *(f"{s:.1f} s {value:.2f};" for s, value in curve), flush=True)
    return curve


def tutorial(binary: bool) -> list[tuple[float, float]]:
    """The same for the tutorial loop."""
    torch.manual_seed(0)
    (model, optimizer), curve, seconds = tutorial_start(), [], 0.0
    for _ in range(10):
        model.train()
        seconds += tutorial_epoch(TRAIN.images, model, optimizer, binary)
        curve.append((seconds, score(model)))
    print("tutorial:", *(f"{s:.1f} s {value:.2f};" for s, value in curve), flush=True)
    return curve


def first_below(curve, level: float) -> float | None:
    return next((seconds for seconds, value in curve if value <= level), None)


def shortest(level: float) -> tuple[int, list[tuple[float, float]]]:
    """The shortest planned run of the feedforward VAE whose final score is at the level or below."""
    epochs = 1
    while (curve := ours("feedforward", epochs))[-1][1] > level:
        epochs += 1
    return epochs, curve


def picture(curves: dict):
    """Score over seconds, one line a run; the seconds are logarithmic, lower is better."""
    axis = panel(
        "The CNN comes further", (7, 4.2),
        xlabel="seconds of training", ylabel="-log p(x), nats per image",
    )  # fmt: skip
    for (name, runs), color, marker in zip(curves.items(), ("C2", "C3", "C0", "C1"), "^vos", strict=True):
        for number, run in enumerate(runs):
            label = None if number else name
            axis.semilogx(*zip(*run, strict=True), color=color, marker=marker, ms=3, lw=1, label=label)
    ticks = (5, 10, 30, 60, 120, 300)
    axis.set_xticks(ticks, ticks)
    axis.set_ylim(82, 112)
    axis.legend(frameon=False)
    return axis.figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    curves = {"tutorial": [tutorial(False)], "tutorial, binary": [tutorial(True)]}
    for name in ("feedforward", "cnn"):
        curves[name] = [ours(name, EPOCHS[name], seed) for seed in seeds]
    print(f"{'-log p(x)':>10} {'feedforward':>26} {'cnn':>26}  (seconds of training, by seed)")
    for level in LEVELS:
        row = [[first_below(run, level) for run in curves[name]] for name in ("feedforward", "cnn")]
        print(
            f"{level:10}", *(f"{' '.join(f'{s:.0f}' if s else 'never' for s in times):>26}" for times in row)
        )
    for name in ("tutorial", "tutorial, binary"):
        seconds, level = curves[name][0][-1]
        epochs, run = shortest(level)
        print(
            f"{name}: {level:.2f} after {seconds:.1f} s; feedforward planned for {epochs} epochs: "
            f"{run[-1][1]:.2f} after {run[-1][0]:.1f} s, {seconds / run[-1][0]:.1f} times sooner"
        )
    plots.use_style()
    picture(curves).savefig(OUT, dpi=100, metadata={"Software": None})
    print(OUT)
