"""Exercises of "How good is it?": enough samples, a Gaussian with a tilt, an impossible score."""

import itertools

import torch
from torch import Generator

from vae_lesson.checks.judge import CORRECT, Case
from vae_lesson.checks.shared import normal, uniform


def enough_samples(rng: Generator) -> Case:
    """attempt(log_w (N,), limit) -> smallest K with Var(w) / (2 K p(x)^2) at most limit, in nats."""
    log_w, limit = uniform(rng, 0.8, 1.2) * normal(rng, 2000) - 130, uniform(rng, 0.002, 0.01).item()
    need = (log_w.softmax(0) * 2000).var() / (2 * limit)  # softmax: w / (2000 p(x))
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
    sd, rho = uniform(rng, 0.5, 2, 2), uniform(rng, 0.5, 0.9).item()
    cov = torch.outer(sd, sd) * torch.tensor([[1, rho], [rho, 1]], dtype=torch.float64)
    near = lambda found: (found - cov).abs().max() < 1e-3  # noqa: E731
    return (cov,), {
        "asked is a matrix of shape (2, 2)": lambda A: A.shape != (2, 2),
        CORRECT: lambda A: near(A @ A.T),
        "that is A transposed: here eps stands to the right of A": lambda A: near(A.T @ A),
        "that is the covariance itself; A is a kind of square root of it": near,
        "no tilt: z2 must share a part of eps1": lambda A: (A @ A.T)[0, 1].abs() < 1e-3,
        "A A^T must be cov: look at both variances and at the covariance": lambda A: True,
    }


def mistake_in_a_report(rng: Generator) -> list[Case]:
    """attempt(means (5,), errors (5,)) -> index of the row, 1 to 3, that noise can't explain."""
    cases = []
    for edge, wrong in itertools.product((4, 0), (1, 2, 3)):  # above the exact value, or below the ELBO
        means, errors = uniform(rng, 0.3, 1, 5).cumsum(0) - 100, uniform(rng, 0.02, 0.06, 5)
        # The noisy row stands beside its bound, so that without the wrong row the means rise with K.
        errors[4], noisy = 0, (3 if wrong < 3 else 2) if edge else (1 if wrong > 1 else 2)
        noise = (errors**2 + errors[edge] ** 2).sqrt() * (1 if edge else -1)
        means[wrong], means[noisy] = means[edge] + 8 * noise[wrong], means[edge] + 0.8 * noise[noisy]
        answers = {CORRECT: wrong, "that row is off by less than its standard error": noisy}
        answers["asked is one index: which of rows 1 to 3 leaves the bounds?"] = lambda v: True
        cases.append(((means, errors), answers))
    return cases
