"""The widgets: a picture and a sentence that follow sliders, a point on a plane, or a pen."""

# ruff: noqa: F401 (imported to be found here)
from vae_lesson.widgets.base import Board, LiveCurves, slide, to_png
from vae_lesson.widgets.codes import Codes, measure
from vae_lesson.widgets.drawing import DrawADigit
from vae_lesson.widgets.explorer import LatentExplorer
from vae_lesson.widgets.plane import LatentPlane
