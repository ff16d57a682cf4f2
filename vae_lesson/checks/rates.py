"""Exercises of deeper/collapse: which of two VAEs, which latents are active, and a cure to repair."""

import torch
from torch import Generator

from vae_lesson.checks.judge import CORRECT, AnyOf, Case
from vae_lesson.checks.shared import uniform


def equal_price(rng: Generator) -> Case:
    """attempt(a, b), each a pair (rate, distortion) -> the beta for which both have the same D + beta R."""
    ends = torch.tensor([15, 80, 3, 2]), torch.tensor([20, 90, 6, 4])
    rate, distortion, less, beta = uniform(rng, *ends, 4).tolist()
    return ((rate, distortion), (rate - less, distortion + beta * less)), {
        CORRECT: beta,
        "the sign: who has less rate has more distortion, and a price is positive": AnyOf([-beta, -1 / beta]),
        "that is rate per distortion; beta is what one nat of rate is worth in distortion": 1 / beta,
        "that is how much the sums D + R differ, not a price": AnyOf([(beta - 1) * less, (1 - beta) * less]),
    }


def exactly_k(rng: Generator) -> Case:
    """attempt(variances (6,), noise, k) -> a beta with which exactly k latents of a linear VAE are active."""
    noise, k = uniform(rng, 0.02, 0.06).item(), int(torch.randint(2, 5, (), generator=rng))
    variances = 2 ** torch.randperm(6, generator=rng) * uniform(rng, 0.9, 1.1, 6)
    active = lambda level: int((variances > level * (1 + 1e-5)).sum())  # noqa: E731
    return (variances, noise, k), {
        "asked is one number, beta": lambda v: v.shape != (),
        "beta must be positive": lambda v: not v > 0,
        CORRECT: lambda v: active(v * noise) == k,
        "beta * noise is the level, not beta alone": lambda v: active(v) == k,
        "noise is a variance already: take no square root": lambda v: active(v * noise**0.5) == k,
        "equal to beta * noise is silent too": lambda v: (v * noise / variances - 1).abs().min() < 1e-4,
        "too many are active: raise beta (are they sorted?)": lambda v: active(v * noise) > k,
        "too few are active: lower beta (are they sorted?)": lambda v: True,
    }


def repaired_charge(rng: Generator) -> Case:
    """attempt(kl (B, L), free) -> charge of a batch: no latent less than `free` nats on average over it."""
    kl, free = torch.cat([uniform(rng, 0, 0.1, 6, 4), uniform(rng, 1, 1.5, 6, 3)], 1), 0.25
    kl[0, :4] += 0.4  # above the floor in one picture only: its average is below
    kl = kl[:, torch.randperm(7, generator=rng)]
    truth = sum(max(sum(column) / 6, free) for column in kl.T.tolist())
    return (kl, free), {
        CORRECT: truth,
        "one floor for all latents is the mistake: give each its own, then take the sum": kl.sum() / 6,
        "the floor is for the average: mean over the batch first": kl.clamp(min=free).sum() / 6,
        "minimum and maximum are exchanged: the charge is at least `free`": kl.mean(0).clamp(max=free).sum(),
        "sum over the latents, not the mean": truth / 7,
        "average over the batch (dimension 0), not the latents": kl.mean(1).clamp(min=free).sum(),
        "free bits are a floor, not a discount": (kl.mean(0) - free).clamp(min=0).sum(),
    }
