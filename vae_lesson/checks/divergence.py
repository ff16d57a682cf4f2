"""Exercises of lesson 03: two directions of a KL divergence, the KL of Gaussians, the best forward fit."""

import torch
from torch import Generator, Tensor
from torch.distributions import Normal, kl_divergence

from vae_lesson.checks.judge import CORRECT, AnyOf, Case
from vae_lesson.checks.shared import normal, uniform


def lopsided(rng: Generator) -> Case:
    """attempt() -> (p, q), three outcomes each, no 0, with KL(p || q) < 0.1 and KL(q || p) > 1 nats."""

    def wanted(t: Tensor, p: int = 0, q: int = 1) -> bool:
        return kl(t[p], t[q]) < 0.1 and kl(t[q], t[p]) > 1

    return (), {
        CORRECT: lambda t: tables(t) and t.shape == (2, 3) and (t > 0).all() and wanted(t),
        "return two tables, p and q: three probabilities each, with sum 1": (
            lambda t: not (tables(t) and t.shape == (2, 3))
        ),
        "a probability is 0, and its logarithm infinite: take a very small number": lambda t: (t == 0).any(),
        "p and q are exchanged: return them in the other order": lambda t: wanted(t, 1, 0),
        "KL(p || q) is too large: where p is large, q must be about as large": lambda t: kl(*t) >= 0.1,
        "KL(q || p) is too small: let q give more of what p nearly never gives": lambda t: True,
    }


def gaussians_kl(rng: Generator) -> Case:
    """attempt(mu_p, log_var_p, mu_q, log_var_q), each (N,) -> KL(N_p || N_q) of each pair in nats (N,)."""
    mu_p, log_var_p, mu_q, log_var_q = inputs = tuple(normal(rng, 4, 6))
    p, q = Normal(mu_p, (0.5 * log_var_p).exp()), Normal(mu_q, (0.5 * log_var_q).exp())
    truth = kl_divergence(p, q)
    as_log_sigma = kl_divergence(Normal(mu_p, log_var_p.exp()), Normal(mu_q, log_var_q.exp()))
    ratio_only = as_log_sigma + 0.5 * (log_var_p - log_var_q)  # the logarithms are right, the variances not
    broken = ratio_only + 0.5 * (mu_p - mu_q) ** 2 * ((-2 * log_var_p).exp() - (-2 * log_var_q).exp())
    by_p = 0.5 * (mu_p - mu_q) ** 2 * (1 / p.variance - 1 / q.variance)
    return inputs, {
        CORRECT: truth,
        "the direction: you computed KL(q || p)": kl_divergence(q, p),
        "you took log_var for log sigma: sigma is exp(log_var / 2)": AnyOf([as_log_sigma, ratio_only]),
        "these are the two old mistakes: check each line against the formula": broken,
        "log_var_q - log_var_p belongs inside the half, once": truth + 0.5 * (log_var_q - log_var_p),
        "the - 1 is missing: the KL of equal Gaussians must be 0": truth + 0.5,
        "divide the squared distance by q's variance, not by p's": truth + by_p,
    }


def best_gaussian(rng: Generator) -> Case:
    """attempt(x (N,), p (N,)) -> (mu, sigma) of the Gaussian q that minimises -sum p log q(x).

    x: outcomes, p: their probabilities.
    """
    # p falls with x: its peak, its mean and the plain mean of x are far from each other, and from 0.
    x = torch.linspace(6, 16, 30)[torch.randperm(30, generator=rng)] + uniform(rng, -0.1, 0.1, 30)
    p = torch.softmax(uniform(rng, -0.2, 0.2, 30) - x / 2, 0)
    mu, var = p @ x, torch.cov(x, aweights=p, correction=0)
    return (x, p), {
        CORRECT: (mu, var.sqrt()),
        "asked is sigma, the root of the variance": (mu, var),
        "weight the outcomes by p": AnyOf((x.mean(), x.std(correction=c)) for c in (0, 1)),
        "weight the squares by p too": (mu, (x - mu).square().mean().sqrt()),
        "subtract the mean before you square": (mu, (p @ x**2).sqrt()),
        "KL(p || q) wants a q that covers p: not only its peak": (x[p.argmax()], var.sqrt()),
    }


def tables(value: Tensor) -> bool:
    """Whether the rows are tables of probabilities."""
    return value.dim() == 2 and bool((value >= 0).all() and ((value.sum(1) - 1).abs() < 1e-4).all())


def kl(p: Tensor, q: Tensor) -> float:
    return (p * (p / q).log()).sum().item()
