"""Judges of lessons 00 to 02: information, codes, entropy and what follows from them."""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Normal

from vae_lesson.checks.judge import judge

MEAN_OVER_PIXELS = "did you average over pixels? The information of an image is the sum over them"
PER_IMAGE = "one value per image, please: sum over the pixels only"


def nats_to_bits(attempt: Callable) -> str:
    """attempt(nats: Tensor (N,)) -> the same information in bits (N,)."""
    nats = torch.rand(5) * 100
    return judge(
        attempt,
        (nats,),
        nats / math.log(2),
        {
            "you multiplied by log 2: a bit is smaller than a nat, so the number must grow": nats
            * math.log(2),
            "log 10 gives decimal digits; bits need log 2": nats / math.log(10),
        },
    )


def surprise_in_bits(attempt: Callable) -> str:
    """attempt(p (N,)) -> information of events of probability p, in bits (N,)."""
    p = torch.rand(6) * 0.9 + 0.05
    nats = -Bernoulli(p).log_prob(torch.ones(6))
    slips = {
        "the sign: information is never negative": -nats / math.log(2),
        "these are nats: divide by log 2, or use torch.log2": nats,
        "log 10 gives decimal digits; bits need log 2": nats / math.log(10),
        "1/p has no logarithm yet: surprise is its log": 1 / p,
    }
    return judge(attempt, (p,), nats / math.log(2), slips)


def image_information(attempt: Callable) -> str:
    """attempt(x (B, D) in {0, 1}, p (D,)) -> information of each image in nats (B,), independent pixels."""
    p = torch.rand(784) * 0.9 + 0.05
    x = torch.bernoulli(p.expand(3, 784))
    per_pixel = -Bernoulli(p).log_prob(x)
    truth = per_pixel.sum(-1)
    slips = {
        MEAN_OVER_PIXELS: per_pixel.mean(-1),
        "a black pixel has information too: it has probability 1 - p": (x * per_pixel).sum(-1),
        "p is the probability of white (x = 1): you gave it to black": -Bernoulli(1 - p).log_prob(x).sum(-1),
        "the sign: information is never negative": -truth,
        PER_IMAGE: truth.sum(),
        "one value per image, please: you averaged over the images": truth.mean(),
        "sum over the pixels of each image": per_pixel,
    }
    return judge(attempt, (x, p), truth, slips, tolerance=1e-3)


def shannon_lengths(attempt: Callable) -> str:
    """attempt(p (n,)) -> Shannon's code lengths (n,): whole bits, the surprise rounded up."""
    p = torch.rand(24) + 0.05  # many, so that rounding to the nearest is not right by luck
    p = p / p.sum()
    bits = -p.log() / math.log(2)
    slips = {
        "a length is a whole number of bits: round up": bits,
        "round up: rounded down, the lengths are too short for a code (Kraft sum above 1)": bits.floor(),
        "round up, always: a code one bit too short for one symbol steals another's word": bits.round(),
        "lengths are in bits here: use log2": (-p.log()).ceil(),
        "the sign: take the negative logarithm first, then round up": (-bits).ceil(),
    }
    return judge(attempt, (p,), bits.ceil(), slips)


def huffman_mean_length(attempt: Callable) -> str:
    """attempt(p (n,)) -> mean length of the best prefix code, in bits."""
    p = torch.distributions.Dirichlet(torch.tensor([4.0, 2.0, 1.0, 0.7, 0.5])).sample().double()
    p = (p + 0.01) / (p + 0.01).sum()
    lengths = torch.tensor(list(itertools.product(range(1, 5), repeat=5)), dtype=torch.float64)
    possible = (2.0**-lengths).sum(-1) <= 1  # Kraft's inequality: there is a prefix code of these lengths
    means = lengths[possible] @ p
    truth = means.min()  # the best of all 1024 tries, not Huffman's algorithm
    slips = {
        "that is the entropy: a code of whole bits is a little longer": Categorical(p).entropy()
        / math.log(2),
        "those are Shannon's lengths: correct but not the shortest code": -(p.log2().floor() @ p),
        "merge the two smallest, not the two largest": _merging_the_largest(p),
        "count the last merge too: it puts one bit in front of every symbol": truth - 1,
        "add the two merged probabilities at each merge; you seem to count merges": torch.tensor(
            4.0
        ).double(),
    }
    return judge(attempt, (p,), truth, slips)


def entropy(attempt: Callable) -> str:
    """attempt(p (B, n)) -> entropy of each row in nats (B,); some p are 0."""
    p = torch.rand(4, 6) + 0.05
    p[:2, 0] = 0.0
    p = p / p.sum(-1, keepdim=True)
    truth = torch.stack([Categorical(row[row > 0]).entropy() for row in p])
    slips = {
        "the sign: log p is negative, so entropy needs a minus": -truth,
        "0 * log(0) gave nan: use torch.xlogy(p, p), which is 0 there": -(p * p.log()).sum(-1),
        "these are bits: nats use the natural logarithm": truth / math.log(2),
        "you averaged over the outcomes: the weights p are the average already, so sum": truth / 6,
        "one value per distribution, please: sum over the last dimension only": truth.sum(),
    }
    return judge(attempt, (p,), truth, slips)


def mutual_information(attempt: Callable) -> str:
    """attempt(joint (n, m), all positive) -> I(X; Y) in nats."""
    joint = torch.distributions.Dirichlet(torch.ones(12)).sample().reshape(3, 4) + 0.01
    joint = joint / joint.sum()
    h_x, h_y, h_xy = (Categorical(q.flatten()).entropy() for q in (joint.sum(1), joint.sum(0), joint))
    truth = h_x + h_y - h_xy
    slips = {
        "the sign: mutual information is never negative": -truth,
        "that is the joint entropy H(X, Y)": h_xy,
        "that is H(X|Y): what stays unknown; asked is what Y tells": h_xy - h_y,
        "that is H(Y|X): what stays unknown; asked is what X tells": h_xy - h_x,
        "these are bits: nats use the natural logarithm": truth / math.log(2),
        "weight each log ratio by the joint probability, and sum": (
            joint.log() - joint.sum(1, keepdim=True).log() - joint.sum(0).log()
        ).sum(),
    }
    return judge(attempt, (joint,), truth, slips)


def pixel_score(attempt: Callable) -> str:
    """attempt(train (N, D), test (M, D)) -> cross-entropy of one Bernoulli a pixel, nats per test image.

    Probabilities from the training images, with one white and one black pixel added to the counts.
    """
    train, test = (torch.bernoulli(torch.full((n, 784), 0.1)) for n in (20, 9))
    both = torch.cat([train, test])

    def score(p: Tensor) -> Tensor:
        return -Bernoulli(p, validate_args=False).log_prob(test).sum(-1).mean()

    counted = lambda x: (x.sum(0) + 1) / (len(x) + 2)  # noqa: E731
    truth = score(counted(train))
    slips = {
        "count the training images only: you used the test images too": score(counted(both)),
        "you counted the test images: a score on data already seen is no test": score(counted(test)),
        "the sign: a cross-entropy is never negative": -truth,
        MEAN_OVER_PIXELS: truth / 784,
        "sum over pixels, but average over images: the unit is nats per image": truth * len(test),
        "with log2 the unit is bits; asked are nats": truth / math.log(2),
        "a pixel that was never white got probability 0, a surprise without end: add 1 to the count of white "
        "and 2 to the number of images": torch.tensor(torch.inf),
        "0 * log(0) gave nan: add 1 to the count of white and 2 to that of images": torch.tensor(torch.nan),
        "add 2 to the number of images: one white and one black pixel": score(
            (train.sum(0) + 1) / (len(train) + 1)
        ),
    }  # fmt: skip
    return judge(attempt, (train, test), truth, slips, tolerance=1e-3)


def gaussian_entropy(attempt: Callable) -> str:
    """attempt(log_var (B, L)) -> differential entropy of N(mu, diag exp(log_var)) in nats (B,)."""
    log_var = torch.randn(4, 5)
    per_latent = Normal(0.0, (0.5 * log_var).exp()).entropy()
    truth = per_latent.sum(-1)
    as_log_sigma = Normal(0.0, log_var.exp()).entropy().sum(-1)
    slips = {
        "you took log_var for log sigma: log sigma is log_var / 2": as_log_sigma,
        "did you average over latents? Entropies of independent parts add up": per_latent.mean(-1),
        "the e is missing: log(2 pi e), and log e = 1": truth - 2.5,
        "the factor 1/2 belongs to log(2 pi e) too": truth + 2.5 * (1 + math.log(2 * math.pi)),
        "the sign: a wider Gaussian has more entropy": -truth,
        "sum over the latents of each row": per_latent,
        "one value per row, please: sum over the last dimension only": truth.sum(),
    }
    return judge(attempt, (log_var,), truth, slips)


def _merging_the_largest(p: Tensor) -> Tensor:
    """What Huffman's sum would be, if the two largest weights were merged each time."""
    weights, total = sorted(p.tolist(), reverse=True), 0.0
    while len(weights) > 1:
        merged = weights[0] + weights[1]
        total += merged
        weights = sorted([*weights[2:], merged], reverse=True)
    return torch.tensor(total, dtype=torch.float64)
