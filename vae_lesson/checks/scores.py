"""Exercises of the lesson "How good is it?": enough samples, a Gaussian with a tilt, an impossible score."""

import torch
from torch import Generator, Tensor

from vae_lesson.checks.judge import CORRECT, Case
from vae_lesson.checks.shared import normal, uniform


def enough_samples(rng: Generator) -> Case:
    """attempt(log_w (N,), limit) -> smallest K for which Var(w) / (2 K p(x)^2) is at most limit, in nats."""
    log_w, limit = uniform(rng, 0.8, 1.2) * normal(rng, 2000) - 130, uniform(rng, 0.002, 0.01).item()
    ratio = log_w.softmax(0) * 2000  # w / p(x), both estimated
    need = ratio.var() / (2 * limit)
    return (log_w, limit), {
        "asked is one number, K": lambda k: k.shape != (),
        CORRECT: lambda k: 0.999 * need <= k < 1.001 * need + 1,
        "exp(log_w) underflows: divide all weights by the largest one first": lambda k: not k.isfinite(),
        "asked is the variance of the weights, not of their logarithms": (log_w.var() / (2 * limit)).ceil(),
        "too few: with this K the bias is above the limit": lambda k: k < need,
        "more than the smallest K that the rule asks for": lambda k: True,
    }


def tilted_gaussian(rng: Generator) -> Case:
    """attempt(cov (2, 2)) -> A (2, 2) so that A eps, with eps from N(0, I), has the covariance cov."""
    sd, rho = uniform(rng, 0.5, 2, 2), uniform(rng, 0.5, 0.9) * (1 - 2 * torch.randint(2, (), generator=rng))
    cov = sd[:, None] * sd * torch.tensor([[1, rho], [rho, 1]], dtype=torch.float64)

    def near(found: Tensor, wanted: Tensor) -> bool:
        return bool((found - wanted).abs().max() < 1e-3)

    return (cov,), {
        "asked is a matrix of shape (2, 2)": lambda A: A.shape != (2, 2),
        CORRECT: lambda A: near(A @ A.T, cov),
        "that is A transposed: with it eps would have to stand on the left": lambda A: near(A.T @ A, cov),
        "that is the covariance; A is a kind of square root of it": lambda A: near(A, cov),
        "no tilt: z2 must share a part of eps1": lambda A: (A @ A.T)[0, 1].abs() < 1e-3,
        "A A^T must be cov: look at the variance of z1, of z2, and at their covariance": lambda A: True,
    }


def mistake_in_a_report(rng: Generator) -> list[Case]:
    """attempt(means (5,), errors (5,)) -> index of the row, 1 to 3, that is impossible beyond its noise."""
    cases = []
    for too_high in (True, False, True, False):
        means, errors = uniform(rng, 0.3, 1, 5).cumsum(0) - 100, uniform(rng, 0.02, 0.06, 5)
        errors[4], (wrong, noisy, _) = 0, 1 + torch.randperm(3, generator=rng)
        edge = means[4] if too_high else means[0]
        sign, first = (1, 0) if too_high else (-1, errors[0])
        means[wrong] = edge + sign * 8 * (errors[wrong] ** 2 + first**2) ** 0.5
        means[noisy] = edge + sign * 0.8 * (errors[noisy] ** 2 + first**2) ** 0.5
        cases.append(((means, errors), {
            CORRECT: wrong,
            "that row is off by less than its standard error: noise": noisy,
            "the first and the last row are right; so is the row that you found": lambda v: v.shape == (),
            "asked is one index, counted from 0": lambda v: True,
        }))  # fmt: skip
    return cases
