"""Figures in one style. Functions take data, return a Figure, and never train or save."""

from vae_lesson.plots.curves import bars, bound_bar, growth, lines, loss_curve, named_curve, scale
from vae_lesson.plots.latent import (
    landing,
    latent_pca,
    latent_scatter,
    plane_maps,
    posterior_ellipses,
    posterior_maps,
)
from vae_lesson.plots.pictures import digits, manifold, manifold_with_codes, maps, plane, rows_of_digits, tile
from vae_lesson.plots.style import show, use_style

__all__ = [
    "bars",
    "bound_bar",
    "digits",
    "growth",
    "landing",
    "latent_pca",
    "latent_scatter",
    "lines",
    "loss_curve",
    "manifold",
    "manifold_with_codes",
    "maps",
    "named_curve",
    "plane",
    "plane_maps",
    "posterior_ellipses",
    "posterior_maps",
    "rows_of_digits",
    "scale",
    "show",
    "tile",
    "use_style",
]
