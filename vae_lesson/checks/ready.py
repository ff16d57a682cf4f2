"""The self-test of lesson 00: what a reader should know before lesson 01."""

import math

import torch
from torch import Generator, Tensor, nn

from vae_lesson.checks.judge import CORRECT, Case
from vae_lesson.checks.shared import normal, uniform


def rows_shifted(rng: Generator) -> Case:
    """attempt(x (4, 4), shift (4,)) -> x with its own number subtracted from each row."""
    x, shift = normal(rng, 4, 4), normal(rng, 4)
    return (x, shift), {
        CORRECT: torch.stack([row - number for row, number in zip(x, shift, strict=True)]),
        "that subtracts a number from each column: shift[:, None] is a column, one number a row": x - shift,
        "subtract, don't add": x + shift[:, None],
    }


def mean_picture(rng: Generator) -> Case:
    """attempt(images (B, 28, 28)) -> the mean over the images, (28, 28)."""
    images = uniform(rng, 0, 1, 5, 28, 28)
    truth = sum(images) / 5
    return (images,), {
        CORRECT: truth,
        "that is one number: average over the images alone, dim=0": truth.mean(),
        "that is the mean of each image: average over the images, dim=0": images.mean((1, 2)),
        "that is the sum: divide by the number of images": truth * 5,
    }


def uniform_density(rng: Generator) -> Case:
    """attempt(width (N,)) -> the density of a number that lies anywhere between 0 and width, all alike."""
    width = uniform(rng, 0.1, 4, 5)
    return (width,), {
        CORRECT: torch.distributions.Uniform(0, width).log_prob(width / 2).exp(),
        "1 is the whole probability; a density is probability per length: it may exceed 1": torch.ones(5),
        "density times width must be 1: divide": width,
    }


def area_under(rng: Generator) -> Case:
    """attempt(y (N,), step) -> the area under a curve: y are its values at places `step` apart."""
    step = 0.01 * (1 + int(torch.randint(5, (), generator=rng)))
    places = torch.arange(-10, 10, step, dtype=torch.float64)
    height, spread = uniform(rng, 0.5, 2, 2)
    y = height * torch.exp(-0.5 * (places / spread) ** 2)
    truth = height * spread * math.sqrt(2 * math.pi)
    return (y, step), {
        CORRECT: truth,
        "each value stands for a strip that is `step` wide: multiply by step": truth / step,
        "that is the mean height: an area is height times width": y.mean(),
    }


def slope(rng: Generator) -> Case:
    """attempt(x (N,)) -> the derivative of x^3 - 2 x at each x, (N,)."""
    x = uniform(rng, -2, 2, 6)
    truth = 3 * x**2 - 2
    return (x,), {
        CORRECT: truth,
        "that is the function's value; asked is its slope": x**3 - 2 * x,
        "that is the sum of all slopes: give one for each x": truth.sum(),
    }


def linear_layer(rng: Generator) -> Case:
    """attempt(x (B, 3), W (2, 3), b (2,)) -> what nn.Linear gives with these weights, (B, 2)."""
    x, W, b = normal(rng, 4, 3), normal(rng, 2, 3), normal(rng, 2)
    truth = nn.functional.linear(x, W, b)
    return (x, W, b), {
        CORRECT: truth,
        "add the bias b to each row": truth - b,
        "b is added, not subtracted": truth - 2 * b,
    }


def three_steps(rng: Generator) -> Case:
    """attempt(w, target, rate) -> w after three steps of gradient descent on (w - target)^2."""
    w, target = (float(value) for value in normal(rng, 2))
    rate = 0.05 + 0.1 * float(uniform(rng, 0, 1, 1))
    after = lambda factor, steps=3: target + (w - target) * factor**steps  # noqa: E731
    target += 5  # far from w
    return (w, target, rate), {
        CORRECT: after(1 - 2 * rate),
        "that is one step; make three": after(1 - 2 * rate, 1),
        "the slope of (w - target)^2 is 2 (w - target)": after(1 - rate),
        "downhill: subtract the slope": after(1 + 2 * rate),
        "that is the gradient; asked is w": Tensor([2 * (w - target)]).double()[0],
    }
