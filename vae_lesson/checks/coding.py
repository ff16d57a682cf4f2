"""Exercises of lessons 00 to 02 and 08: information, codes, entropy and what follows from them."""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import Bernoulli, Categorical, Normal

from vae_lesson.checks.judge import CORRECT, AnyOf, Case
from vae_lesson.checks.shared import pictures, probabilities, uniform

LOG_2 = math.log(2)
SIGN = "the sign: information and entropy are never negative here"
NATS = "these are nats: divide by log 2, or use torch.log2"
BITS = "these are bits: nats use the natural logarithm"
DIGITS = "log 10 gives decimal digits; bits need log 2"
MEAN = "did you average over pixels? The information of independent pixels adds up"
NAN = "0 * log(0) gave nan: it counts as 0; use torch.xlogy or torch.special.entr"


def nats_to_bits(rng: Generator) -> Case:
    """attempt(nats (N,)) -> the same information in bits (N,)."""
    nats = uniform(rng, 1, 100, 5)
    return (nats,), {
        CORRECT: nats.exp().log2(),
        "you multiplied by log 2: a bit is smaller than a nat, so the number must grow": nats * LOG_2,
        DIGITS: nats / math.log(10),
    }


def surprise_in_bits(rng: Generator) -> Case:
    """attempt(p (N,)) -> information of events of probability p, in bits (N,)."""
    p = uniform(rng, 0.05, 0.95, 6)
    nats = -Bernoulli(p).log_prob(torch.ones(6))
    return (p,), {
        CORRECT: nats / LOG_2,
        SIGN: -nats / LOG_2,
        NATS: nats,
        DIGITS: nats / math.log(10),
        "1/p has no logarithm yet: surprise is its log": 1 / p,
    }


def image_information(rng: Generator) -> Case:
    """attempt(x (B, D) in {0, 1}, p (D,)) -> information of each image in nats (B,), independent pixels."""
    p = uniform(rng, 0.05, 0.95, 784)
    x = pictures(rng, 3, p)
    pixels = -Bernoulli(p).log_prob(x)
    return (x, p), {
        CORRECT: pixels.sum(-1),
        MEAN: pixels.mean(-1),
        SIGN: -pixels.sum(-1),
        "a black pixel has information too: it has probability 1 - p": (x * pixels).sum(-1),
        "p is the probability of white (x = 1): you gave it to black": -Bernoulli(1 - p).log_prob(x).sum(-1),
    }


def shannon_lengths(rng: Generator) -> Case:
    """attempt(p (n,)) -> Shannon's code lengths (n,): whole bits, the surprise rounded up."""
    p = (1 + torch.randperm(24, generator=rng)).double() / 300  # no surprise is near a whole number
    bits = -p.log2()
    too_short = 0.5 ** torch.arange(16) > p[:, None]  # of the words with 0, 1, 2, ... bits
    return (p,), {
        CORRECT: too_short.sum(-1),
        "a length is a whole number of bits: round up": bits,
        "round up: rounded down, the lengths are too short for a code (Kraft sum above 1)": bits.floor(),
        "round up, always: a code one bit too short for one symbol steals another's word": bits.round(),
        "lengths are in bits here: use log2": (-p.log()).ceil(),
    }


def huffman_mean_length(rng: Generator) -> list[Case]:
    """attempt(p (n,)) -> mean length of the best prefix code, in bits."""
    # In the first neither a balanced tree is best nor one that grows at one end; in the second the latter is.
    return [huffman_case(rng, [15, 7, 6, 6, 5]), huffman_case(rng, [45, 25, 14, 10, 7])]


def huffman_case(rng: Generator, weights: list[int]) -> Case:
    p = torch.tensor(weights)[torch.randperm(5, generator=rng)] * uniform(rng, 0.97, 1.03, 5)
    p = p / p.sum()
    lengths = torch.tensor(list(itertools.product(range(1, 5), repeat=5)), dtype=torch.float64)
    possible = (0.5**lengths).sum(-1) <= 1  # Kraft's inequality: there is a prefix code of these lengths
    truth = (lengths[possible] @ p).min()  # the best of all 1024 tries, not Huffman's algorithm
    return (p,), {
        CORRECT: truth,
        "that is the entropy: a code of whole bits is a little longer": Categorical(p).entropy() / LOG_2,
        "those are Shannon's lengths: correct but not the shortest code": p @ (-p.log2()).ceil(),
        "merge the two smallest, not the two largest": merged(p, lambda w: sorted(w, reverse=True)),
        "sort again after each merge: the merged pair may not be the smallest any more": merged(p, list),
        "count the last merge too: it puts one bit in front of every symbol": truth - 1,
        "add the two merged probabilities at each merge; you seem to count merges": 4.0,
    }


def merged(p: Tensor, arrange: Callable[[list], list]) -> float:
    """The sum of all merged weights if the first two are merged each time and `arrange` orders the list."""
    weights, total = arrange(sorted(p.tolist())), 0.0
    while len(weights) > 1:
        pair = weights[0] + weights[1]
        total += pair
        weights = arrange([pair, *weights[2:]])
    return total


def entropy(rng: Generator) -> Case:
    """attempt(p (B, n)) -> entropy of each row in nats (B,); some p are 0."""
    p = probabilities(rng, 4, 6, zeros=1)
    truth = Categorical(p).entropy()
    return (p,), {
        CORRECT: truth,
        SIGN: -truth,
        NAN: truth * math.nan,
        BITS: truth / LOG_2,
        "you averaged over the outcomes: the weights p are the average already, so sum": truth / 6,
    }


def decoded_entropy(rng: Generator) -> Case:
    """attempt(p (B, D)) -> entropy of D independent pixels, white with probability p: (B,), in bits."""
    p = uniform(rng, 0, 1, 3, 784)
    p[:, :20], p[:, 20:50] = 0, 1  # sure pixels
    nats, white = Bernoulli(p).entropy().sum(-1), torch.special.entr(p).sum(-1)
    return (p,), {
        CORRECT: nats / LOG_2,
        MEAN: nats / LOG_2 / 784,
        SIGN: -nats / LOG_2,
        NATS: nats,
        NAN: nats * math.nan,
        "a pixel has two outcomes: black counts too, with 1 - p": AnyOf([white, white / LOG_2]),
    }


def mutual_information(rng: Generator) -> Case:
    """attempt(joint (n, m), all positive) -> I(X; Y) in nats."""
    # Three X of unequal weight, each with a favourite among four Y: H(X), H(Y) and what they share differ.
    joint = torch.tensor([[1.0], [2.0], [5.0]]) * (torch.eye(3, 4) + uniform(rng, 0.1, 0.4, 3, 4))
    joint = joint / joint.sum()
    h_x, h_y, h_xy = (Categorical(q.flatten()).entropy() for q in (joint.sum(1), joint.sum(0), joint))
    truth = h_x + h_y - h_xy
    log_ratio = (joint / joint.sum(1, keepdim=True) / joint.sum(0)).log()
    return (joint,), {
        CORRECT: truth,
        SIGN: -truth,
        BITS: truth / LOG_2,
        "that is the joint entropy H(X, Y)": h_xy,
        "that is H(X|Y): what stays unknown; asked is what Y tells": h_xy - h_y,
        "that is H(Y|X): what stays unknown; asked is what X tells": h_xy - h_x,
        "weight each log ratio by the joint probability, and sum": log_ratio.sum(),
    }


def pixel_score(rng: Generator) -> Case:
    """attempt(train (N, D), test (M, D)) -> cross-entropy of one Bernoulli a pixel, nats per test image.

    Probabilities from the training images, with one white and one black pixel added to the counts.
    """
    train, test = (pictures(rng, count, torch.full((784,), 0.1)) for count in (20, 9))

    def score(counted: Tensor, added: int = 2) -> Tensor:
        p = (counted.sum(0) + 1) / (len(counted) + added)
        return -Bernoulli(p.double()).log_prob(test).sum(-1).mean()

    truth = score(train)
    return (train, test), {
        CORRECT: truth,
        MEAN: truth / 784,
        SIGN: -truth,
        BITS: truth / LOG_2,
        "count the training images only: you used the test images too": score(torch.cat([train, test])),
        "you counted the test images: a score on data already seen is no test": score(test),
        "sum over pixels, but average over images: the unit is nats per image": truth * len(test),
        "a pixel that was never white got probability 0: add one white picture": AnyOf([math.inf, math.nan]),
        "add 2 to the number of pictures: one white and one black": score(train, added=1),
    }


def gaussian_entropy(rng: Generator) -> Case:
    """attempt(log_var (B, L)) -> differential entropy of N(mu, diag exp(log_var)) in nats (B,)."""
    log_var = uniform(rng, -2, 2, 4, 5)
    latents, as_log_sigma = (Normal(0.0, (factor * log_var).exp()).entropy() for factor in (0.5, 1))
    truth = latents.sum(-1)
    return (log_var,), {
        CORRECT: truth,
        "did you average over latents? Entropies of independent parts add up": latents.mean(-1),
        "you took log_var for log sigma: log sigma is log_var / 2": as_log_sigma.sum(-1),
        "the e is missing: log(2 pi e), and log e = 1": truth - 2.5,
        "the factor 1/2 belongs to log(2 pi e) too": truth + 2.5 * math.log(2 * math.pi * math.e),
        "the sign: a wider Gaussian has more entropy": -truth,
    }
