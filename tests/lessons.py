"""Runs the cells that a lesson's sliders need, in this process, and hands out these sliders."""

import contextlib
import io
from pathlib import Path

import nbformat

from vae_lesson import widgets

FOLDER = Path(__file__).parents[1] / "notebooks"
CELLS = {  # by the last three figures of their ids
    "01_information": "004 006 008 014 028",
    "02_entropy": "004 006",
    "03_kl_divergence": "004 011 012 041 042 044 045",
    "04_intractable_marginal": "004 006 010 015",
    "05_elbo": "004 006 007 009 015 016 018 019 029 030",
    "07_cnn_vae": "004 006 007 008",
    "08_latent_space": "004 006 010 018 038",
}
THEORY = tuple(name for name in CELLS if name < "06")


def run(name: str) -> tuple[dict, list]:
    """The cells in CELLS from top to bottom.  Returns the lesson's names and its sliders in order."""
    boxes, slide = [], widgets.slide

    def recorded(*args, **kwargs):
        boxes.append(slide(*args, **kwargs))
        return boxes[-1]

    cells = {
        cell.id[-3:]: cell for cell in nbformat.read(next(FOLDER.rglob(f"{name}.ipynb")), as_version=4).cells
    }
    names = {"__name__": "lesson"}
    widgets.slide = recorded  # before the lesson imports it
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for number in CELLS[name].split():
                exec(compile(cells[number].source, f"{name}, cell {number}", "exec"), names)
    finally:
        widgets.slide = slide
    return names, boxes


def positions(slider) -> list:
    """Every value that a slider can take, from its lowest to its highest."""
    count = round((slider.max - slider.min) / slider.step)
    values = [slider.min + i * slider.step for i in range(count + 1)]
    return values if isinstance(slider.step, int) else [round(value, 6) for value in values]
