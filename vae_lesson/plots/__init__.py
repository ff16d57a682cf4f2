"""Figures in one style.  Each function takes data (tensors, wherever they are) and returns the Figure."""

# ruff: noqa: F401 (imported to be found here)
from vae_lesson.plots.areas import boxes, filled_panels, histograms, ladder, products, spans, weighted_dots
from vae_lesson.plots.curves import bars, bound_bar, lines, loss_curve, named_curve, scale
from vae_lesson.plots.latent import (
    landing,
    latent_pca,
    manifold,
    manifold_with_codes,
    plane,
    plane_and_manifold,
    posterior_maps,
)
from vae_lesson.plots.pictures import card, digits, maps, rows_of_digits, tile
from vae_lesson.plots.style import COLORS, show, use_style
