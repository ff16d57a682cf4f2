"""Exercises of lesson 08: search, arcs and directions in the latent space."""

import math

import torch
from torch import Generator, Tensor

from vae_lesson.checks.judge import CORRECT, AnyOf, Case
from vae_lesson.checks.shared import normal, uniform


def find_code(rng: Generator) -> Case:
    """attempt(decode, x (D,)) -> a code (2,) that decodes to x; decode: (N, 2) -> probabilities (N, D)."""
    fixed = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 16, generator=fixed), torch.randn(16, 64, generator=fixed)

    def decode(z: Tensor) -> Tensor:
        return torch.sigmoid(torch.tanh(torch.as_tensor(z, dtype=torch.float32) @ first) @ second)

    secret = torch.cat([uniform(rng, 0.3, 0.9, 1), uniform(rng, 1.2, 1.8, 1)])  # z1 is never z2
    x = decode(secret)
    square = torch.cartesian_prod(*[torch.linspace(-2, 2, 41)] * 2)
    worst = (decode(square) - x).square().sum(1).max()
    return (decode, x), {
        "expected a code of shape (2,)": lambda z: z.shape != (2,),
        CORRECT: lambda z: (decode(z) - x).abs().mean() < 0.02,
        "z1 and z2 are exchanged": lambda z: (decode(z.flip(0)) - x).abs().mean() < 0.02,
        "this picture is the most different one: look for the smallest distance": (
            lambda z: (decode(z) - x).square().sum() > 0.95 * worst
        ),
        "its picture differs by 0.02 or more on average: search the whole square, finer": lambda z: True,
    }


def slerp(rng: Generator) -> Case:
    """attempt(a (L,), b (L,), t) -> the point at t on the arc from a to b, of equal length: (L,)."""
    # omega is far from 90 degrees, where its sine is 1, and from 0, where the arc is a straight line.
    omega, t, length = uniform(rng, 0.9, 1.2), 0.3, 3
    axes = length * torch.linalg.qr(normal(rng, 8, 2)).Q.T  # two directions at right angles
    angles = omega * torch.tensor([0, 1, t, 1 - t])
    a, b, truth, exchanged = torch.stack([angles.cos(), angles.sin()], 1).double() @ axes
    straight = (1 - t) * a + t * b
    return (a, b, t), {
        CORRECT: truth,
        "that is the straight line: turn the direction, keep the length": straight,
        "a and b are exchanged: t = 0 is a": exchanged,
        "you left out the division by sin(omega)": truth * omega.sin(),
        "a stretched straight line does not turn evenly": straight * length / straight.norm(),
        "the cosine of omega is a @ b divided by both lengths": truth * math.nan,
    }


def attribute_direction(rng: Generator) -> Case:
    """attempt(mu (N, L), attribute (N,)) -> direction (L,) of length 1, from low to high attribute."""
    mu = normal(rng, 401, 6) + torch.linspace(1, 3, 6)
    attribute = (mu @ normal(rng, 6) + normal(rng, 401)).exp()  # its mean is far above its median
    middle, much = attribute.median(), attribute > attribute.mean()
    above, below = attribute > middle, attribute < middle
    splits = [(above, ~above), (~below, below), (above, below)]  # one code stands at the median itself
    steps = [mu[high].mean(0) - mu[low].mean(0) for high, low in splits]
    sums = [mu[high].sum(0) - mu[low].sum(0) for high, low in splits[:2]]  # in the third it is the same

    def units(vectors: list[Tensor]) -> AnyOf:
        return AnyOf(vector / vector.norm() for vector in vectors)

    return (mu, attribute), {
        CORRECT: units(steps),
        "make its length 1: divide by the norm": AnyOf(steps),
        "the sign: from little to much": units([-step for step in steps]),
        "split at the median, not at the mean": units([mu[much].mean(0) - mu[~much].mean(0)]),
        "subtract the mean code of those that have little": units([mu[high].mean(0) for high, _ in splits]),
        "take means, not sums: the groups may differ in size": units(sums),
    }
