"""Exercises of lesson 07: a kernel, the sizes of a layer, and enlarging without a checkerboard."""

# ruff: noqa: E731
import torch
import torch.nn.functional as F
from torch import Generator

from vae_lesson.checks.judge import Case
from vae_lesson.checks.shared import normal, uniform, unless


def stroke_kernel(rng: Generator) -> Case:
    """attempt() -> kernel (3, 3) that answers where its middle is on a vertical stroke, one pixel wide."""
    place = int(torch.randint(3, 9, (), generator=rng))
    upright, dot = torch.zeros(2, 12, 12, dtype=torch.float64)
    upright[:, place] = dot[place, place] = 1
    pictures = torch.stack([upright, upright.T, torch.ones_like(dot), dot])[:, None]
    answer = lambda k: F.conv2d(pictures, k[None, None])[:, 0]  # (4, 10, 10)
    on = lambda k: answer(k)[0, 0, place - 1]  # the middle of the window is one pixel inside
    most = lambda k, picture=0: abs(answer(k)[picture]).max()
    slips = {
        "expected a kernel of 3 x 3 numbers": lambda k: k.shape != (3, 3) or not (abs(k) < 1e9).all(),
        "that kernel finds horizontal strokes: turn it": lambda k: most(k, 1) > 2 * most(k),
        "it never answers": lambda k: most(k) < 1e-6,
        "a white area gets an answer: the weights must add up to 0": lambda k: most(k, 2) > most(k) / 20,
        "horizontal strokes get an answer: each row must add up to 0": lambda k: most(k, 1) > most(k) / 5,
        "the sign: on a white stroke the answer must be above 0": lambda k: on(k) < -most(k) / 2,
        "its largest answer is beside the stroke: that finds an edge": lambda k: on(k) < answer(k)[0].max(),
        "a single white pixel gets much of the answer: use all three rows": lambda k: most(k, 3) > on(k) / 2,
    }
    return (), unless(slips)


def even_layer(rng: Generator) -> list[Case]:
    """attempt(factor) -> (kernel, stride, padding) that shrink a picture so many times, all pixels alike."""
    size = 24 * int(torch.randint(2, 6, (), generator=rng))
    ones = lambda n: torch.ones(1, 1, int(n))
    width = lambda v: F.conv1d(ones(size), ones(v[0]), None, int(v[1]), int(v[2])).shape[-1]
    windows = lambda v: F.conv_transpose1d(ones(width(v)), ones(v[0]), None, int(v[1]), int(v[2]))
    slips = {
        "expected three whole numbers": lambda v: v.shape != (3,) or bool((v != v.round()).any()),
        "kernel and stride begin at 1, padding at 0": lambda v: min(v[0], v[1], v[2] + 1) < 1,
        "that is much for a small picture: take smaller numbers": lambda v: v.max() > 12,
        "some pixels are in more windows than others": lambda v: (
            windows(v)[0, 0, 12:-12].unique().numel() > 1
        ),
        "neighbouring windows must share pixels": lambda v: v[0] <= v[1],
    }
    other = "the result has another width: it must be size / factor"
    narrow = lambda factor: {other: lambda v: width(v) != size // factor}
    return [((factor,), unless(slips | narrow(factor))) for factor in (2, 3, 4)]


def enlarge(rng: Generator) -> Case:
    """attempt(h (B, C, H, W), weight (D, C, 3, 3)) -> (B, D, 2 H, 2 W) without a checkerboard."""
    picture, weight = normal(rng, 2, 10, 10), uniform(rng, 0.2, 1, 3, 2, 3, 3)
    h = torch.stack([torch.ones_like(picture), picture, picture.roll((1, 1), (1, 2))])
    inside = lambda y: y[..., 6:-6, 6:-6]
    total = weight.sum((1, 2, 3))[:, None, None]  # flat: every weight meets a 1
    differ = lambda a, b: bool((abs(a - b) > 1e-3).any())
    moved = lambda y: inside(y[1].roll((2, 2), (1, 2)))
    blocks = lambda y: y.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))  # (B, D, H, 2, W, 2)
    corners = lambda y: blocks(y)[..., :1, :, :1]
    slips = {
        "expected shape (B, D, 2 H, 2 W)": lambda y: y.shape != (3, 3, 20, 20) or not y.isfinite().all(),
        "a flat picture shows a checkerboard": lambda y: differ(inside(y[0]), inside(y[0])[:, :1, :1]),
        "ones must become the sum of the weights": lambda y: differ(inside(y[0]), total),
        "move h by one place: the result must move by two": lambda y: differ(inside(y[2]), moved(y)),
        "2 x 2 equal pixels: convolve after enlarging": lambda y: not differ(blocks(y), corners(y)),
    }
    return (h, weight), unless(slips)
