"""Judges of lesson 08: doubt, search, arcs and directions in the latent space."""

import math
from collections.abc import Callable

import torch
from torch.distributions import Bernoulli

from vae_lesson.checks.judge import CORRECT, called, judge


def decoded_entropy(attempt: Callable) -> str:
    """attempt(p (B, D)) -> entropy of D independent pixels, white with probability p: (B,), in bits."""
    p = torch.rand(3, 784, dtype=torch.float64)
    p[:, :20], p[:, 20:50] = 0, 1  # sure pixels: 0 log 0 counts as 0
    nats = Bernoulli(p).entropy()  # (B, D)
    truth = nats.sum(1) / math.log(2)
    white_only = torch.special.entr(p).sum(1)
    return judge(
        attempt,
        (p,),
        truth,
        {
            "that is in nats: divide by log 2 for bits": nats.sum(1),
            "nats to bits: divide by log 2, do not multiply": nats.sum(1) * math.log(2),
            "did you average over pixels? The entropies of independent pixels add up": truth / 784,
            "the sign: an entropy is never negative": -truth,
            "a pixel has two outcomes: black counts too, with 1 - p": white_only / math.log(2),
            "a pixel has two outcomes, and nats become bits when divided by log 2": white_only,
            "0 log 0 gives nan in floating point and counts as 0: torch.special.entr or xlogy": truth
            * math.nan,
            "one value per image, please: sum over the pixels only": truth.sum(),
            "sum over the pixels of each image": nats / math.log(2),
        },
    )


def find_code(attempt: Callable) -> str:
    """attempt(decode, x (D,)) -> a code (2,) that decodes to x; decode: (N, 2) -> probabilities (N, D)."""
    generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    first, second = torch.randn(2, 16, generator=generator), torch.randn(16, 64, generator=generator)

    def decode(z):
        return torch.sigmoid(torch.tanh(z.float() @ first) @ second)

    secret = torch.tensor([1.0, 1.6]) + 0.3 * torch.rand(2, generator=generator)  # z1 is never z2
    x = decode(secret[None])[0]
    found, verdict = called(attempt, (decode, x))
    if verdict:
        return verdict
    if not isinstance(found, torch.Tensor) or found.shape != (2,):
        kind = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        return f"not yet: expected a code of shape (2,), got {kind}"

    def miss(z):
        return (decode(z[None])[0] - x).abs().mean().item()

    if miss(found) < 0.02:
        return CORRECT
    if miss(found.flip(0)) < 0.02:
        return "not yet: z1 and z2 are exchanged"
    steps = torch.linspace(-2, 2, 81)
    grid = torch.cartesian_prod(steps, steps)
    worst = (decode(grid) - x).square().sum(1).max()
    if (decode(found[None])[0] - x).square().sum() > 0.95 * worst:
        return "not yet: this picture is the most different one: look for the smallest distance"
    return (
        f"not yet: the pixels of your code's picture differ by {miss(found):.3f} on average, asked is less "
        "than 0.02: search the whole square, with a finer step"
    )


def slerp(attempt: Callable) -> str:
    """attempt(a (L,), b (L,), t) -> the point at t on the arc from a to b, of equal length: (L,)."""
    a, b = torch.randn(2, 8, dtype=torch.float64)
    a, b = 3 * a / a.norm(), 3 * b / b.norm()
    t = 0.3
    omega = torch.arccos(a @ b / 9)
    towards = (b - (a @ b) / 9 * a) / torch.sin(omega)  # at right angles to a, of the same length

    def turned(angle):
        return torch.cos(angle) * a + torch.sin(angle) * towards

    straight = (1 - t) * a + t * b
    weights = torch.sin(torch.tensor([1 - t, t], dtype=torch.float64) * omega)
    return judge(
        attempt,
        (a, b, t),
        turned(t * omega),
        {
            "that is the straight line: turn the direction, keep the length": straight,
            "a and b are exchanged: t = 0 is a": turned((1 - t) * omega),
            "you left out the division by sin(omega)": weights[0] * a + weights[1] * b,
            "the straight line, stretched to the right length, does not turn evenly": 3
            * straight
            / straight.norm(),
        },
    )


def attribute_direction(attempt: Callable) -> str:
    """attempt(mu (N, L), attribute (N,)) -> direction (L,) of length 1, from low to high attribute."""
    mu = torch.randn(401, 6, dtype=torch.float64) + torch.linspace(1, 3, 6, dtype=torch.float64)
    attribute = mu @ torch.randn(6, dtype=torch.float64) + torch.randn(401, dtype=torch.float64)
    attribute = attribute.exp()  # skewed: its mean is far above its median
    middle = attribute.median()
    much, above_mean = attribute > middle, attribute > attribute.mean()
    verdicts = [
        judge(
            attempt,
            (mu, attribute),
            _unit(mu[high].mean(0) - mu[low].mean(0)),
            {
                "make its length 1: divide by the norm": mu[high].mean(0) - mu[low].mean(0),
                "the sign: from little to much": _unit(mu[low].mean(0) - mu[high].mean(0)),
                "split at the median, not at the mean": _unit(
                    mu[above_mean].mean(0) - mu[~above_mean].mean(0)
                ),
                "subtract the mean code of those that have little": _unit(mu[high].mean(0)),
                "take means, not sums: the two groups need not be equally large": _unit(
                    mu[high].sum(0) - mu[low].sum(0)
                ),
            },
        )
        # one picture stands at the median itself: in the lower group, in the upper one, in none
        for high, low in (
            (much, ~much),
            (attribute >= middle, attribute < middle),
            (much, attribute < middle),
        )
    ]
    return CORRECT if CORRECT in verdicts else min(verdicts, key=lambda verdict: "expected" in verdict)


def _unit(vector):
    return vector / vector.norm()
