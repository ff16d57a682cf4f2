"""What exercises share: inputs to draw, verdicts by property, and the trial of underflow."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from vae_lesson.checks.judge import CORRECT, AnyOf, Case


def uniform(rng: Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=rng, dtype=torch.float64)


def normal(rng: Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=rng, dtype=torch.float64)


def probabilities(rng: Generator, *shape: int, zeros: int = 0) -> Tensor:
    """Numbers whose sum over the last dimension is 1; the first `zeros` are 0, none of the others is tiny."""
    p = uniform(rng, 0.05, 1, *shape)
    p[..., :zeros] = 0
    return p / p.sum(-1, keepdim=True)


def pictures(rng: Generator, count: int, white: Tensor) -> Tensor:
    """(count, D) pixels, 0 or 1; white (D,): the probability of 1."""
    return torch.bernoulli(white.expand(count, -1), generator=rng)


def unless(slips: dict[str, Callable]) -> dict:
    """The verdicts on answers of which many are right: a hint for the first test that fits, else CORRECT."""
    return {CORRECT: lambda value: not any(test(value) for test in slips.values())} | slips


def far_down(inputs: tuple, truth: Tensor) -> Case:
    """A second case, whose inputs and truth have logarithms about 2000 lower: exp() gives 0 there."""
    hint = "exp() underflows for numbers this small: subtract the largest first, or use torch.logsumexp"
    lost = AnyOf([torch.full_like(truth, -torch.inf), torch.full_like(truth, torch.nan)])  # log 0, 0 / 0
    return inputs, {CORRECT: truth, hint: lost}
