"""Does the importance-weighted bound train better, or do five decoded samples a picture?  A fair control.

The shipped small VAE ("beta-1") is trained on with 10,000 digits in two ways: the bound with K = 5, and the
ELBO averaged over 5 samples.  Both decode five samples a picture, take the same steps at the same rate, and
see the same pictures in the same order.  Scores: each 50th test image, binarised once (seed 0), importance
sampling with K = 1000 (or --samples).
Prints the table of lesson deeper/iwae; a run takes about a minute on one thread.
Run: python tests/benchmarks/iwae.py
"""

import argparse
import copy
import functools
import platform

import torch

from vae_lesson.checkpoints import pretrained
from vae_lesson.data import binarize, load_dataset
from vae_lesson.information import gaussian_kl
from vae_lesson.objectives import Terms, iwae_terms, log_weights
from vae_lesson.scoring import elbo_in_chunks, log_likelihood
from vae_lesson.training import fit

SAMPLES, START = 5, pretrained("beta-1")
TRAIN, TEST = load_dataset("mnist")
X = binarize(TEST.images, "static")[::50]


def elbo_of_five(model, x, *, beta=1.0, generator=None) -> Terms:
    """The ELBO of each image, its first term averaged over five samples: less noise, the same bound."""
    mu, log_var = model.encode(x)
    _, log_px_given_z = log_weights(model, x, mu, log_var, SAMPLES, generator)  # (5, B)
    log_px_given_z, kl = log_px_given_z.mean(0), gaussian_kl(mu.float(), log_var.float())
    return Terms(log_px_given_z - beta * kl, log_px_given_z, kl)


def score(model, samples: int) -> tuple[torch.Tensor, str]:
    """log p(x) of each image of X (B,), and in words minus its mean and minus the mean ELBO (20 samples)."""
    log_px = log_likelihood(model, X, samples, generator=torch.Generator().manual_seed(0))
    terms = elbo_in_chunks(model, X.repeat(20, 1, 1, 1), generator=torch.Generator().manual_seed(0))
    return log_px, f"{-log_px.mean():9.2f} {-terms.elbo.mean():7.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--rate", type=float, default=1e-3)
    arguments = parser.parse_args()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'':22} -log p(x)   -ELBO  seconds  ({len(X)} test images, K = {arguments.samples})")
    print(f"{'before':22} {score(START, arguments.samples)[1]}")
    ways = {"ELBO of 5": elbo_of_five, "bound, K = 5": functools.partial(iwae_terms, samples=SAMPLES)}
    for seed in range(arguments.seeds):
        log_px = []
        for name, objective in ways.items():
            model = copy.deepcopy(START)
            settings = {"epochs": arguments.epochs, "peak_lr": arguments.rate, "seed": seed}
            history = fit(model, TRAIN.images[:10_000], objective=objective, progress=False, **settings)
            values, words = score(model, arguments.samples)
            log_px.append(values)
            print(f"{name + f', seed {seed}':22} {words} {sum(history.seconds):8.0f}", flush=True)
        gain = log_px[1] - log_px[0]
        print(f"gain of the bound {gain.mean():.2f} +- {gain.std() / len(gain) ** 0.5:.2f} (over images)")
