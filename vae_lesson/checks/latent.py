"""Exercises of lesson 08: search, arcs and directions in the latent space."""

import torch
from torch import Generator, Tensor

from vae_lesson.checks.judge import CORRECT, Case
from vae_lesson.checks.shared import normal, uniform, unless


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


def even_walk(rng: Generator) -> Case:
    """attempt(a (L,), b (L,), steps) -> (steps, L) from a to b, of their length, in equal steps."""
    # omega is far from 0, where the arc is a straight line.
    omega, length, steps = uniform(rng, 0.9, 1.2), 3, 7
    axes = length * torch.linalg.qr(normal(rng, 8, 2)).Q.T  # two directions at right angles
    angles = torch.stack([torch.zeros(()), omega])
    a, b = torch.stack([angles.cos(), angles.sin()], 1).double() @ axes

    def differ(values: Tensor, others: Tensor) -> bool:
        return bool((values - others).abs().max() > 1e-3)

    def uneven(walk: Tensor) -> bool:
        step = walk.diff(dim=0).norm(dim=1)
        return differ(step, step.mean())

    return (a, b, steps), unless(
        {
            f"expected shape ({steps}, 8): one code in each row": lambda walk: walk.shape != (steps, 8),
            "a number is NaN: is the cosine of the angle a @ b divided by both lengths?": (
                lambda walk: not walk.isfinite().all()
            ),
            "the first code must be a": lambda walk: differ(walk[0], a),
            "the last code must be b": lambda walk: differ(walk[-1], b),
            "the codes on the way are not as long as a and b: a straight way is too short in the middle": (
                lambda walk: differ(walk.norm(dim=1), torch.tensor(length))
            ),
            "the lengths are right, but the steps are not equal: turn by equal angles": uneven,
        }
    )


def within_classes(rng: Generator) -> Case:
    """attempt(mu (N, L), attribute (N,), labels (N,)) -> direction (L,) of length 1 that keeps the class."""
    labels = torch.arange(10).repeat(60)
    along, across = torch.linalg.qr(normal(rng, 6, 2)).Q.T  # within a class; from class to class
    attribute = labels + normal(rng, 600)  # it differs more between classes than within one
    mu = (
        torch.outer(attribute - labels, along) + torch.outer(0.5 * labels, across) + 0.3 * normal(rng, 600, 6)
    )

    def share(direction: Tensor, of: Tensor) -> float:
        return float(direction @ of / direction.norm())

    return (mu, attribute, labels), unless(
        {
            "expected shape (6,): one number for each latent": lambda d: d.shape != (6,),
            "NaN: in some class no code is above the overall median; take the median of each class": (
                lambda d: not d.isfinite().all()
            ),
            "the sign: from little to much": lambda d: share(d, along) < -0.98,
            "this way leads from class to class: compare codes of the same class only": (
                lambda d: abs(share(d, across)) > 0.3
            ),
            "this is not the way in which the attribute grows": lambda d: not share(d, along) >= 0.98,
            "make its length 1: divide by the norm": lambda d: abs(d.norm() - 1) > 1e-3,
        }
    )
