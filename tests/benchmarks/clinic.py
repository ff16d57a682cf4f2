"""The runs of lesson 09: each case of the clinic trained for ten epochs, written to assets/clinic.npz.

Every case learns from the first 20,000 training images in batches of 100, with the same seed; pictures and
numbers come from 1,000 validation images.  Takes about two minutes on one thread.
Run: python tests/benchmarks/clinic.py
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae_lesson.checks.patients import Patient
from vae_lesson.data import binarize, load_dataset

OUT = Path(__file__).parents[2] / "vae_lesson" / "assets" / "clinic.npz"
EPOCHS, BATCH, PRIOR = 10, 100, Normal(0.0, 1.0)
TRAIN, VALIDATION = load_dataset("mnist")[0].split()
IMAGES, HELD_OUT = TRAIN.images[:20_000], VALIDATION.images[:1000]
X = binarize(HELD_OUT, "static").flatten(1)  # (1000, 784)


def grey_bytes(probabilities: torch.Tensor) -> np.ndarray:
    return (255 * probabilities).round().byte().reshape(-1, 28, 28).numpy()


@torch.no_grad()
def opinion(model: Patient) -> dict:
    """-ELBO, -log p(x) (K = 100) and the KL per latent, from encode and decode alone, in evaluation mode."""
    model.eval()
    mu, log_var = model.encode(X)
    q = Normal(mu.double(), (0.5 * log_var.double()).exp(), validate_args=False)  # case 3 overflows floats
    kl, log_w, log_px_given_z = kl_divergence(q, PRIOR), [], []
    for _ in range(100):
        z = q.sample().float()
        log_px_given_z.append(Bernoulli(logits=model.decode(z), validate_args=False).log_prob(X).sum(-1))
        log_w.append(log_px_given_z[-1] + (PRIOR.log_prob(z) - q.log_prob(z)).sum(-1))
    log_px = torch.stack(log_w).logsumexp(0) - np.log(100)
    nelbo = kl.sum(-1) - torch.stack(log_px_given_z).mean(0)
    per_latent = torch.full((40,), torch.nan)
    per_latent[: kl.shape[1]] = kl.mean(0)
    return {"opinion": nelbo.mean(), "nll": -log_px.mean(), "kl_per_latent": per_latent}


def run(case: int) -> dict:
    """One case, trained: the loss before training and after each epoch, as its program says, and pictures."""
    torch.manual_seed(0)
    model = Patient(case)
    losses, mean_kl = [[model.score(model.prepare(HELD_OUT))]], []
    for _ in range(EPOCHS):
        rows = torch.randperm(len(IMAGES)).split(BATCH)
        losses.append([model.train_step(model.prepare(IMAGES[some])) for some in rows])
        with torch.no_grad():
            mean_kl.append(model.terms(model.prepare(HELD_OUT))[1].mean())
    score = model.score(model.prepare(HELD_OUT))  # leaves the model in the mode of its program
    with torch.no_grad():
        codes = torch.zeros(8, model.decoder[0].in_features)
        samples = model.decode(model.sample(codes, codes)).sigmoid()
        rebuilt = model.decode(model.encode(X[:8])[0]).sigmoid()
    return {
        "loss": torch.tensor([np.mean(epoch) for epoch in losses]),
        "spread": np.std(losses[-1]),
        "kl": torch.stack(mean_kl),
        "score": score,
        "samples": grey_bytes(samples),
        "reconstructions": grey_bytes(rebuilt),
    } | opinion(model)


if __name__ == "__main__":
    arrays = defaultdict(list)
    for case in range(10):
        for name, value in run(case).items():
            arrays[name].append(np.asarray(value, dtype=None if name[0:2] in ("sa", "re") else np.float32))
        print(case, {name: np.round(values[-1], 2) for name, values in arrays.items() if values[-1].ndim < 2})
    np.savez_compressed(OUT, originals=grey_bytes(X[:8]), **{k: np.stack(v) for k, v in arrays.items()})
    print(OUT, OUT.stat().st_size)
