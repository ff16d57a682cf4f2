"""Are the silent latents of the small VAE luck?  Without a cure, with warm-up, with free bits; three seeds.

The recipes "no-warm-up", "beta-1" and "free-bits", each from other first weights and in another order of the
digits; trained on 50,000 digits, as the shipped weights (seed 0).  Scores as in the lesson: all test images,
binarised once (generator of seed 1); a latent is active when its KL is above 0.02 nats.
Prints the table of lesson deeper/collapse; nine runs take about three minutes on one thread.
Run: python tests/benchmarks/collapse.py
"""

import argparse
import functools
import platform

import torch

from vae_lesson import objectives
from vae_lesson.checkpoints import ARCHITECTURES
from vae_lesson.data import binarize, load_dataset
from vae_lesson.recipes import RECIPES
from vae_lesson.scoring import elbo_in_chunks, kl_per_latent
from vae_lesson.training import fit

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    train, test = load_dataset("mnist")
    train, _ = train.split()
    x = binarize(test.images, generator=torch.Generator().manual_seed(1))
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'recipe':12} seed  active of 16  -ELBO  seconds")
    for name in ("no-warm-up", "beta-1", "free-bits"):
        recipe = RECIPES[name]
        objective, arguments = recipe.objective
        objective = functools.partial(getattr(objectives, objective), **arguments)
        for seed in range(1, seeds + 1):
            torch.manual_seed(seed)
            model = ARCHITECTURES[recipe.kind](**recipe.config)
            settings = recipe.settings | {"seed": seed, "objective": objective, "progress": False}
            seconds = sum(fit(model, train.images, **settings).seconds)
            terms = elbo_in_chunks(model, x, generator=torch.Generator().manual_seed(0))
            active = int((kl_per_latent(model, x) > 0.02).sum())
            print(f"{name:12} {seed:4} {active:13} {-terms.elbo.mean():6.1f} {seconds:8.0f}", flush=True)
