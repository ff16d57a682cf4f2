"""The widgets: a picture and a sentence that follow sliders, a point on a plane, or a pen."""

from vae_lesson.widgets.base import Board, LiveCurves, slide, to_png
from vae_lesson.widgets.drawing import DrawADigit
from vae_lesson.widgets.explorer import LatentExplorer
from vae_lesson.widgets.paths import Interpolator, Traversals, slerp
from vae_lesson.widgets.plane import LatentPlane

__all__ = [
    "Board",
    "DrawADigit",
    "Interpolator",
    "LatentExplorer",
    "LatentPlane",
    "LiveCurves",
    "Traversals",
    "slerp",
    "slide",
    "to_png",
]
