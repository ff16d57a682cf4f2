"""Exercises of the lesson on grey pixels: counting with care, the variance in a loss, a safe logarithm."""

import torch
from torch import Generator, Tensor

from vae_lesson.checks.judge import CORRECT, Case
from vae_lesson.checks.shared import uniform, unless


def count_grey(rng: Generator) -> Case:
    """attempt(grey (N,) of 0 to 255) -> probabilities of the 256 values for new pixels, (256,)."""
    p = torch.cat([torch.tensor([700.0]), uniform(rng, 0.3, 1, 254), torch.tensor([40.0])])
    p = p / p.sum()
    slips = {
        "expected 256 probabilities, one for each grey value": lambda q: q.shape != (256,),
        "probabilities are 0 or more, with sum 1": lambda q: not ((q >= 0).all() and abs(q.sum() - 1) < 1e-4),
        "new pixels may have a value that did not occur: 0 would cost infinitely many bits": lambda q: 0 in q,
        "new pixels cost 0.7 bits more than they need": lambda q: (p * (p / q).log2()).sum() > 0.7,
    }
    return (torch.multinomial(p, 2000, replacement=True, generator=rng),), unless(slips)


def hidden_variance(rng: Generator) -> Case:
    """attempt(weight, pixels, beta) -> sigma^2 in weight * mean squared error + beta * KL."""
    weight, pixels, beta = uniform(rng, 0.3, 0.8).item(), 81, uniform(rng, 1.6, 4).item()
    truth = beta * pixels / (2 * weight)
    return (weight, pixels, beta), {
        CORRECT: truth,
        "the factor 1/2 is missing: the Gaussian has (x - m)^2 / (2 sigma^2)": 2 * truth,
        "the mean is the sum divided by the number of pixels": truth / pixels,
        "the ELBO has the KL once: divide the whole loss by beta": truth / beta,
        "turn it over: a large weight means a small sigma^2": 1 / truth,
        "that is sigma, not sigma^2": truth**0.5,
    }


def log_mass(rng: Generator) -> list[Case]:
    """attempt(x, m, s) -> log probabilities of the grey values x by discretised logistics; all (N,)."""
    x = torch.tensor([0, 0, 255, 255, 1, 90, 160, 254]).double()

    def logs(m: Tensor, s: Tensor, ends: tuple = (0, 255)) -> Tensor:
        v, n = torch.where(x > m, 255 - x, x), torch.where(x > m, 255 - m, m)  # the exact side of a sigmoid
        below, above = torch.sigmoid((v - 0.5 - n) / s), torch.sigmoid((v + 0.5 - n) / s)
        return (above.masked_fill(v == ends[1], 1) - below.masked_fill(v == ends[0], 0)).log()

    wide, narrow = uniform(rng, 2, 20, 8), uniform(rng, 0.5, 0.9, 8)
    near, far = x + wide * uniform(rng, -3, 3, 8), (x < 128) * 240 + uniform(rng, 0, 16, 8)
    closed = "the 256 probabilities do not add up to 1: the boxes at 0 and 255 have no outer edge"
    lost = "far from m the difference is 0, and its log -inf: use logsigmoid, not sigmoid"
    pairs = (near, wide), (far, narrow)
    slips = [{closed: logs(*pair, (-1, -1)), lost: -torch.inf * x.add(1)} for pair in pairs]
    return [((x, *pair), {CORRECT: logs(*pair), **slip}) for pair, slip in zip(pairs, slips, strict=True)]
