"""Seconds of training until a score is reached: both models, as their lessons train them.

The scores are taken after each epoch on every tenth test image (binarised once, seed 0; K = 50), so a
level counts as reached at the end of the first epoch that is below it.  Scoring is not part of the time.
The learning rate still falls at that moment: a run planned for fewer epochs reaches the level sooner.
Run: python tests/benchmarks/time_to_score.py
"""

import platform

import torch

from vae_lesson.checkpoints import ARCHITECTURES
from vae_lesson.data import binarize, load_dataset
from vae_lesson.recipes import RECIPES
from vae_lesson.scoring import evaluate
from vae_lesson.training import fit

LEVELS = {
    "-ELBO": ("negative_elbo", (110, 100, 96, 94, 92, 90)),
    "-log p(x)": ("negative_log_likelihood", (100, 96, 92, 90, 88, 86)),
}


def run(name: str) -> list[dict]:
    """The scores after each epoch, each with the seconds of training so far."""
    recipe = RECIPES[name]
    torch.manual_seed(0)
    model, scores = ARCHITECTURES[recipe.kind](**recipe.config), []
    everything, test = load_dataset("mnist")
    x = binarize(test.images, "static")[::10]

    def score(history) -> None:
        model.eval()
        scores.append(evaluate(model, x, samples=50) | {"seconds": sum(history.seconds)})

    fit(model, everything.split()[0].images, progress=False, on_epoch=score, **recipe.settings)
    return scores


if __name__ == "__main__":
    runs = {name: run(name) for name in ("feedforward", "cnn")}
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'level':>16} {'feedforward':>12} {'cnn':>8} {'ratio':>6}  (seconds of training)")
    for label, (key, levels) in LEVELS.items():
        for level in levels:
            times = [
                next((s["seconds"] for s in scores if s[key] <= level), None) for scores in runs.values()
            ]
            shown = [f"{t:.1f}" if t else "never" for t in times]
            ratio = f"{times[1] / times[0]:.2f}" if all(times) else "-"
            print(f"{label:>11} {level:4} {shown[0]:>12} {shown[1]:>8} {ratio:>6}")
    for name, scores in runs.items():
        last = scores[-1]
        print(
            f"{name}: after {last['seconds']:.0f} s -ELBO {last['negative_elbo']:.2f}, "
            f"-log p(x) {last['negative_log_likelihood']:.2f} (K = 50, {last['images']} images)"
        )
