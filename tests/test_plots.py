"""Figures show the data they are given; numbers are read back from the Figure."""

import math

import matplotlib.pyplot as plt
import pytest
import torch

from vae_lesson import plots
from vae_lesson.training import History
from vae_lesson.widgets import to_png


def test_tiles_stand_where_they_belong():
    images = torch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 1, 2, 3) / 10
    tiles = plots.tile(images, 3)
    assert tiles.shape == (4, 9)
    corners = tiles[::2, ::3]
    torch.testing.assert_close(corners, torch.tensor([[0, 0.1, 0.2], [0.3, 0.4, 1.0]]))


def test_manifold_plane_runs_left_to_right_and_top_to_bottom():
    z = plots.plane(4, reach=2.0)
    assert z.shape == (16, 2)
    torch.testing.assert_close(z[0], torch.tensor([-1.5, 1.5]))
    torch.testing.assert_close(z[3], torch.tensor([1.5, 1.5]))
    torch.testing.assert_close(z[-1], torch.tensor([1.5, -1.5]))


def test_pca_finds_the_widest_directions():
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator))
    scales = torch.tensor([5.0, 3.0, 0.1, 0.1, 0.1])
    mu = torch.randn(2000, 5, generator=generator) * scales @ basis.T + 7
    figure = plots.latent_pca(mu, torch.arange(2000) % 10, "title")
    axis = figure.axes[0]
    points = torch.cat([torch.as_tensor(c.get_offsets().data) for c in axis.collections])
    torch.testing.assert_close(points.std(0), torch.tensor([5.0, 3.0]).double(), rtol=0.05, atol=0)
    variances = torch.linalg.eigvalsh(mu.double().T.cov()).flip(0)  # another road to the same shares
    shares = variances / variances.sum()
    assert f"({shares[0]:.0%} of the variance)" in axis.get_xlabel()
    assert f"({shares[1]:.0%})" in axis.get_ylabel()


def test_loss_curve_draws_the_history():
    history = History(
        elbo=[-3.0, -2.0], log_px_given_z=[-2.0, -1.0], kl=[1.0, 1.0],
        validation_elbo=[-4.0, -3.0], validation_log_px_given_z=[-2.0, -2.0], validation_kl=[2.0, 1.0],
    )  # fmt: skip
    for given in (history, vars(history)):
        figure = plots.loss_curve(given, "title")
        training, validation = figure.axes[0].lines
        assert training.get_ydata().tolist() == [-3, -2] and validation.get_ydata().tolist() == [-4, -3]
        assert all(axis.get_ylabel() == "nats per image" for axis in figure.axes)


@pytest.mark.parametrize("count", [1, 10, 23])
def test_figures_are_closed_so_that_a_notebook_shows_them_once(count):
    before = plt.get_fignums()
    plots.digits(torch.rand(count, 1, 28, 28), "title")
    plots.rows_of_digits({"a": torch.rand(count, 1, 28, 28), "b": torch.rand(count, 1, 28, 28)}, "title")
    assert plt.get_fignums() == before


LONG = "A title of the usual length of the lessons"


@pytest.mark.parametrize(
    "figure",
    [
        lambda: plots.maps({"": torch.rand(28, 28)}, LONG, "nats"),
        lambda: plots.maps({name: torch.rand(28, 28) for name in "abcd"}, LONG, "nats"),
        lambda: plots.lines(range(5), {"a": torch.rand(5), "b": range(5)}, LONG, xlabel="x", ylabel="nats"),
        lambda: plots.bars({"a": [1.0, 2.0]}, ["one", "two"], LONG, ylabel="nats", size=(5, 2.8)),
        lambda: plots.scale({"one": 1.0, "a rather long name": 500.0}, LONG, xlabel="nats"),
        lambda: plots.named_curve([1, 2], [5, 3], ["β = 1", "β = 2"], LONG, xlabel="x", ylabel="nats"),
        lambda: plots.posterior_ellipses(torch.randn(9, 2), torch.zeros(9, 2), torch.arange(9), LONG),
        lambda: plots.posterior_maps(
            [torch.rand(9, 9)] * 3, [(0, 1, 0, 1)] * 3, torch.rand(3, 2), torch.zeros(3, 2), "abc", LONG
        ),
        lambda: plots.growth({"n": {10: 1.0, 20: 2.0}, "K": {1: 1.0, 500: 9.0}}, LONG, {"n": "s", "K": "s"}),
        lambda: plots.bound_bar(-119.8, -280.0, LONG)(-146.6, 26.8),
    ],
)
def test_no_title_label_or_legend_is_cut(figure):
    plots.use_style()
    figure = figure()
    to_png(figure)  # lays it out
    seen = figure.get_tightbbox()  # in inches
    assert seen.x0 >= -0.02 and seen.y0 >= -0.02
    assert seen.x1 <= figure.get_figwidth() + 0.02 and seen.y1 <= figure.get_figheight() + 0.02


def test_curves_and_bars_show_the_values_they_are_given():
    line = plots.lines([0, 1], {"a": [3.0, 4.0]}, "t", xlabel="x", ylabel="y").axes[0].lines[0]
    assert line.get_ydata().tolist() == [3.0, 4.0]
    bars = plots.bars({"a": [1.0, 2.0], "b": [3.0, 4.0]}, ["one", "two"], "t", ylabel="y").axes[0].patches
    assert [bar.get_height() for bar in bars] == [1.0, 2.0, 3.0, 4.0]


def test_scales_and_named_curves_show_the_values_they_are_given():
    axis = plots.scale({"low": 2.0, "high": 7.0}, "t", xlabel="nats").axes[0]
    assert [text.get_text() for text in axis.texts] == ["2.0", "7.0"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["low", "high"]
    axis = plots.named_curve([1, 2], [5, 3], ["a", "b"], "t", xlabel="x", ylabel="y").axes[0]
    assert [(text.get_text(), *text.xy) for text in axis.texts] == [("a", 1, 5), ("b", 2, 3)]


def test_ellipses_stand_at_mu_with_the_width_of_sigma():
    mu, log_var = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, 2 * math.log(3)]])
    *_, ellipse = plots.posterior_ellipses(mu, log_var, torch.tensor([4]), "t").axes[0].patches
    assert ellipse.center == [1, -2] and ellipse.width == 2 and ellipse.height == pytest.approx(6)
    picture = torch.zeros(5, 5)
    axis = plots.posterior_maps([picture], [(0, 1, -1, 1)], mu, log_var, ["a 4"], "t").axes[0]
    assert axis.images[0].get_extent() == [0, 1, -1, 1] and axis.images[0].origin == "lower"
    assert [patch.height for patch in axis.patches] == pytest.approx([6, 12])


def test_landing_puts_a_cross_where_the_code_lies_or_at_the_border():
    points = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    move = plots.landing(points, "plane", torch.arange(60) % 10)
    figure = move(0.5, -0.25)
    cross = figure.axes[0].lines[0]
    assert [list(values) for values in cross.get_data()] == [[0.5], [-0.25]]
    move(99.0, 0.0)
    assert list(cross.get_data()[0]) == [figure.axes[0].get_xlim()[1]]
    move()
    assert len(cross.get_data()[0]) == 0


def test_plane_maps_show_each_quantity_with_the_lowest_z2_below():
    low, high = torch.zeros(4, 4), torch.full((4, 4), 8.0)
    low[0, 3] = 2.0  # low z2, high z1
    figure = plots.plane_maps({"low": low, "high": high}, 3, "title", "unit")
    shown = [axis.images[0] for axis in figure.axes[:2]]
    assert [image.get_clim() for image in shown] == [(0, 8), (0, 8)]
    assert shown[0].origin == "lower" and list(shown[0].get_extent()) == [-3, 3, -3, 3]
    assert float(shown[0].get_array()[0, 3]) == 2
    each = plots.plane_maps({"low": low, "high": high}, 3, "title", "", each=True)
    assert [axis.images[0].get_clim() for axis in each.axes[:2]] == [(0, 2), (0, 8)]
    assert plots.plane_maps({"high": high}, 3, "", "", top=5).axes[0].images[0].get_clim() == (0, 5)


def test_codes_stand_on_the_manifold_where_they_lie():
    mu, labels = torch.tensor([[1.0, -2.0], [0.5, 0.25]]), torch.tensor([3, 7])
    figure = plots.manifold_with_codes(torch.zeros(56, 56), 3.0, mu, labels)
    axis = figure.axes[0]
    assert axis.get_xlim() == axis.get_ylim() == (-3, 3)
    drawn = {i: c.get_offsets().tolist() for i, c in enumerate(axis.collections) if len(c.get_offsets())}
    assert drawn == {3: [[1.0, -2.0]], 7: [[0.5, 0.25]]}
    assert list(axis.images[0].get_extent()) == [-3, 3, -3, 3]
