"""Handles, fields, buttons and captions of the explorers, and pictures side by side."""

from collections.abc import Callable
from contextlib import contextmanager

import ipywidgets
import torch
from torch import Tensor


@contextmanager
def one_thread():
    """For one move of a handle, a few small products: on busy cores, threads wait for each other.

    Measured with two threads on two busy cores: 5 % of the moves took 30 ms or more, with one 9 ms or less.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def handle(reach: float, **options) -> ipywidgets.FloatSlider:
    """A slider from -reach to reach in 128 steps.  Raises ValueError unless reach is a multiple of 1/4.

    A browser computes places in per cent of the way.  With 128 steps these are exact binary numbers, so it
    finds the very number that the kernel has set, and has nothing to answer.
    """
    if not (0 < reach < 100 and reach * 4 % 1 == 0):
        raise ValueError(f"reach must be a positive multiple of 1/4 (prior deviations); got {reach}")
    return ipywidgets.FloatSlider(0, min=-reach, max=reach, step=reach / 64, **options)


def place(slider: ipywidgets.FloatSlider, value: float) -> float:
    """Where a handle can stand nearest to `value`.

    The kernel puts it there and nowhere else: a handle at the place of its latent was not moved by hand.
    """
    return round(value / slider.step) * slider.step


def side_by_side(pictures: list[Tensor], gap: int = 2) -> Tensor:
    """Pictures (H, W) in a row, with grey stripes between them."""
    stripe = torch.full((pictures[0].shape[0], gap), 0.5)
    row = [part for picture in pictures for part in (stripe, picture.cpu())]
    return torch.cat(row[1:], 1)


def captions(names: list[str], width: int) -> ipywidgets.HTML:
    """Words above the parts of a picture, each `width` screen pixels wide."""
    cells = "".join(f"<span>{name}</span>" for name in names)
    grid = f"display: grid; grid-template-columns: repeat({len(names)}, 1fr); text-align: center"
    layout = {"width": f"{width * len(names)}px", "max_width": "100%", "margin": "0"}
    return ipywidgets.HTML(f'<div style="{grid}; line-height: 1.3">{cells}</div>', layout=layout)


def button(description: str, action: Callable) -> ipywidgets.Button:
    """A button that calls `action`, a function without arguments."""
    made = ipywidgets.Button(description=description)
    made.on_click(lambda _: action())
    return made


def number_field(count: int) -> ipywidgets.BoundedIntText:
    """A field for the number of one of `count` test digits."""
    options = {"layout": {"width": "190px"}, "style": {"description_width": "initial"}}
    return ipywidgets.BoundedIntText(0, 0, count - 1, description="test digit", **options)
