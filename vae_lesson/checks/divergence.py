"""Exercises of lesson 03: KL divergence, exact, Gaussian, from samples and as a fit."""

import math
from collections.abc import Callable

import torch
from torch import Generator
from torch.distributions import Categorical, Normal, kl_divergence

from vae_lesson.checks.judge import CORRECT, AnyOf, Case
from vae_lesson.checks.shared import normal, probabilities, uniform


def kl(rng: Generator) -> Case:
    """attempt(p (B, n), q (B, n)) -> KL(p || q) of each row in nats (B,); some p are 0, no q is."""
    p, q = probabilities(rng, 4, 5, zeros=1), probabilities(rng, 4, 5)
    truth = kl_divergence(Categorical(p), Categorical(q))
    return (p, q), {
        CORRECT: truth,
        "the sign: sum p log(q / p) is minus the KL, and never positive": -truth,
        "0 * log(0) gave nan: use torch.xlogy, which is 0 there": truth * math.nan,
        "the direction: you computed KL(q || p), infinite because some p are 0": [math.inf] * 4,
        "weight each log ratio by p, and then sum": [-math.inf] * 4,  # by q, or not at all
        "that is the cross-entropy H(p, q): subtract the entropy H(p)": truth + Categorical(p).entropy(),
        "you averaged over the outcomes: the weights p are the average already, so sum": truth / 5,
    }


def gaussians_kl(rng: Generator) -> Case:
    """attempt(mu_p, log_var_p, mu_q, log_var_q), each (N,) -> KL(N_p || N_q) of each pair in nats (N,)."""
    mu_p, log_var_p, mu_q, log_var_q = inputs = tuple(normal(rng, 4, 6))
    p, q = Normal(mu_p, (0.5 * log_var_p).exp()), Normal(mu_q, (0.5 * log_var_q).exp())
    truth = kl_divergence(p, q)
    as_log_sigma = kl_divergence(Normal(mu_p, log_var_p.exp()), Normal(mu_q, log_var_q.exp()))
    by_p = 0.5 * (mu_p - mu_q) ** 2 * (1 / p.variance - 1 / q.variance)
    return inputs, {
        CORRECT: truth,
        "the direction: you computed KL(q || p)": kl_divergence(q, p),
        "you took log_var for log sigma: sigma is exp(log_var / 2)": as_log_sigma,
        "log_var_q - log_var_p belongs inside the half, once": truth + 0.5 * (log_var_q - log_var_p),
        "the - 1 is missing: the KL of equal Gaussians must be 0": truth + 0.5,
        "divide the squared distance by q's variance, not by p's": truth + by_p,
    }


def kl_from_samples(rng: Generator) -> Case:
    """attempt(log_p (K,), log_q (K,)), at K samples of p -> (estimate of KL(p || q), its standard error)."""
    log_p, log_q = 3 + normal(rng, 100), 2 * normal(rng, 100)
    ratio = log_p - log_q
    mean, root_k, weighted = ratio.mean(), 10, (log_p.exp() * ratio).mean()

    def either(answer: Callable) -> AnyOf:
        """The squares may be divided by K - 1 or by K: both are fine."""
        return AnyOf(answer(ratio.std(correction=c)) for c in (1, 0))

    return (log_p, log_q), {
        CORRECT: either(lambda s: (mean, s / root_k)),
        "the samples are from p already: do not weight by p": either(lambda s: (weighted, s / root_k)),
        "the sign or the direction: it is the mean of log p - log q": either(lambda s: (-mean, s / root_k)),
        "the standard error is the standard deviation divided by the root of K": either(lambda s: (mean, s)),
        "divide the standard deviation by the root of K, not by K": either(lambda s: (mean, s / root_k**2)),
        "that is the square of the standard error: take the root": either(lambda s: (mean, s**2 / 100)),
        "the estimate is a mean over the samples, not a sum": either(lambda s: (ratio.sum(), s / root_k)),
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
