"""Runs a lesson's code cells in this process and hands out its sliders, without a browser or a kernel."""

import contextlib
import io
from pathlib import Path

import nbformat

from vae_lesson import widgets

FOLDER = Path(__file__).parents[1] / "notebooks"
THEORY = ("01_information", "02_entropy", "03_kl_divergence", "04_intractable_marginal", "05_elbo")


def run(name: str) -> tuple[dict, list]:
    """All code cells from top to bottom.  Returns the lesson's names and its sliders in order."""
    boxes, slide = [], widgets.slide

    def recorded(*args, **kwargs):
        boxes.append(slide(*args, **kwargs))
        return boxes[-1]

    names = {"__name__": "lesson"}
    widgets.slide = recorded  # before the lesson imports it
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for cell in nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, f"{name}.ipynb", "exec"), names)
    finally:
        widgets.slide = slide
    return names, boxes


def positions(slider) -> list:
    """Every value that a slider can take, from its lowest to its highest."""
    count = round((slider.max - slider.min) / slider.step)
    values = [slider.min + i * slider.step for i in range(count + 1)]
    return values if isinstance(slider.step, int) else [round(value, 6) for value in values]
