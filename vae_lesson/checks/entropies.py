"""Exercises of lessons 02 and 08: entropy, and what variables tell about each other."""

import math

import torch
from torch import Generator, Tensor
from torch.distributions import Categorical

from vae_lesson.checks.coding import BITS, LOG_2, NAN, SIGN
from vae_lesson.checks.judge import CORRECT, AnyOf, Case
from vae_lesson.checks.shared import probabilities


def entropy(rng: Generator) -> Case:
    """attempt(p (B, n)) -> entropy of each row in nats (B,); some p are 0."""
    p = probabilities(rng, 4, 6, zeros=1)
    truth = Categorical(p).entropy()
    return (p,), {
        CORRECT: truth,
        NAN: truth * math.nan,
        SIGN: AnyOf([-truth, -truth / LOG_2]),
        BITS: truth / LOG_2,
        "you averaged over the outcomes: the weights p are the average already, so sum": truth / 6,
        "one value for each row: sum over the last dimension only": AnyOf(
            factor * truth.sum() for factor in (1, -1, 1 / LOG_2, -1 / LOG_2, math.nan)
        ),
    }


def three_bits(rng: Generator) -> Case:
    """attempt() -> p (2, 2, 2): no two of X, Y, Z tell about each other, X and Y together tell all of Z."""

    def H(p: Tensor, *bits: int) -> Tensor:
        others = [bit for bit in range(3) if bit not in bits]
        return torch.special.entr(p.sum(others) if others else p).sum()

    def tell(p: Tensor, a: int, b: int) -> bool:
        return H(p, a) + H(p, b) - H(p, a, b) > 1e-4

    def left(p: Tensor) -> Tensor:
        return H(p, 0, 1, 2) - H(p, 0, 1)

    return (), {
        "expected a table of shape (2, 2, 2)": lambda p: p.shape != (2, 2, 2),
        "expected probabilities: at least 0, with sum 1": lambda p: (
            not (p >= 0).all() or abs(p.sum() - 1) > 1e-4
        ),
        "Z is always the same: there is nothing to tell": lambda p: H(p, 2) < 1e-3,
        "X and Y tell about each other: I(X; Y) should be 0": lambda p: tell(p, 0, 1),
        "X alone tells about Z: I(X; Z) should be 0": lambda p: tell(p, 0, 2),
        "Y alone tells about Z: I(Y; Z) should be 0": lambda p: tell(p, 1, 2),
        CORRECT: lambda p: left(p) < 1e-4,
        "X and Y together do not tell all of Z: H(Z|X,Y) should be 0": lambda p: True,
    }


def second_pixel(rng: Generator) -> list[Case]:
    """attempt(x (N, D) in {0, 1}, y (N,), first) -> the pixel that tells most of y when first is known."""
    order = torch.randperm(6, generator=rng)  # no place is right in both cases
    return [pixel_case(rng, order, odd=False), pixel_case(rng, order.roll(1), odd=True)]


def pixel_case(rng: Generator, order: Tensor, odd: bool) -> Case:
    """y is a pair of bits or, if odd, whether they differ: then the best second pixel alone tells nothing."""

    def noisy(bit: Tensor, share: float) -> Tensor:
        return bit ^ (torch.rand(2000, generator=rng) < share)

    a = torch.rand(2000, generator=rng) < 0.5
    b = noisy(a, 0.3)
    y = (a ^ b).long() if odd else 2 * a + b.long()
    weak = noisy(a ^ b if odd else b, 0.35)
    coins = (noisy(torch.zeros_like(a), 0.5) for _ in range(2))
    known = noisy(a, 0.03)
    x = torch.stack([known, noisy(known, 0.05), noisy(b, 0.15), weak, *coins], 1)[:, order].double()
    first = int(order.argmin())

    def left(*pixels: Tensor) -> float:
        """H(Y | pixels) by its definition: for each of their values the entropy of Y, then the mean."""
        values = sum(2**i * pixel for i, pixel in enumerate(pixels)).long()
        counts = torch.stack([y[values == v].bincount(minlength=4) for v in values.unique()]).double()
        return float(counts.sum(1) @ Categorical(counts).entropy()) / 2000

    alone = [left(pixel) if i != first else math.inf for i, pixel in enumerate(x.T)]
    both = [left(x[:, first], pixel) for pixel in x.T]
    return (x, y, first), {
        CORRECT: both.index(min(both)),
        "that is the first pixel itself: it tells nothing new": first,
        "that pixel tells most alone: asked is what it adds to the first": alone.index(min(alone)),
    }
