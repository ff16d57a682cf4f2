"""Figures show the data they are given: numbers and pixels are read back from the Figure."""

import math

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from vae_lesson import plots
from vae_lesson.training import History
from vae_lesson.widgets import to_png

TITLE = "A title of the usual length of the lessons"
LABELS = torch.arange(60) % 10


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        plots.use_style()
        yield


def values(*shape, device="cpu"):
    """Numbers in [0, 1), as a model gives them: with a gradient."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_()


PICTURES = ("reconstructions", "samples")
EVERY_FIGURE = {  # v: as `values`
    "a budget": lambda v: plots.boxes(
        {"": (v(3), v(3))}, ["0", "10", "11"], TITLE, xlabel="x", size=(7, 1.6)
    ),
    "filled": lambda v: plots.lines(v(5), {"a": v(5)}, TITLE, xlabel="x", ylabel="y", filled=True),
    "histograms": lambda v: plots.histograms(
        {"a": v(9), "b": v(9)}, TITLE, xlabel="nats", marks={"m": v(1)[0]}
    ),
    "sums": lambda v: plots.named_curve(v(2), v(2), "ab", TITLE, xlabel="x", ylabel="y", sums=[0.5, 1]),
    "bars": lambda v: plots.bars({"a": v(9), "b": list(v(9))}, range(9), TITLE, ylabel="nats", size=(5, 2.8)),
    "bound_bar": lambda v: plots.bound_bar(-100 * v(1)[0], -280.0, TITLE)(-200 * v(1)[0], 80 * v(1)[0]),
    "boxes": lambda v: plots.boxes({"a": (v(4), v(4)), "b": (v(4), v(4) - 0.5)}, "abcd", TITLE, xlabel="x"),
    "card": lambda v: plots.card(
        {
            name: {"loss": v(11), "kl_per_latent": v(9)} | dict.fromkeys(PICTURES, v(8, 28, 28))
            for name in "ab"
        },
        v(8, 28, 28),
        TITLE,
    ),
    "digits": lambda v: plots.digits(v(23, 1, 28, 28), TITLE),
    "filled_panels": lambda v: plots.filled_panels(
        v(5), {name: {"a": v(5), "b": v(5)} for name in "abc"}, TITLE, xlabel="x", ylabel="y"
    ),
    "ladder": lambda v: plots.ladder(
        {"one": v(1)[0], "a name\nof two lines": 500.0, "c": 0.0, "d": 50.0},
        {n: v(4, 1, 28, 28) for n in "abcd"},
        TITLE,
        ylabel="nats",
    ),
    "landing": lambda v: plots.landing(v(60, 2), "directions in which the classes differ most", LABELS)(
        v(1)[0], 99.0
    ),
    "latent_pca": lambda v: plots.latent_pca(v(60, 5), LABELS, TITLE),
    "lines": lambda v: plots.lines(v(5), {"a": v(5), "b": range(5)}, TITLE, xlabel="x", ylabel="nats"),
    "loss_curve": lambda v: plots.loss_curve({"elbo": list(v(3))}, TITLE),
    "manifold": lambda v: plots.manifold(v(9, 1, 28, 28), 3.0, TITLE),
    "manifold_with_codes": lambda v: plots.manifold_with_codes(v(84, 84), 3.0, v(60, 2), LABELS),
    "map": lambda v: plots.maps({"": v(28, 28)}, TITLE, "nats"),
    "maps": lambda v: plots.maps({name: v(28, 28) for name in "abcd"}, TITLE, "nats"),
    "maps of the plane": lambda v: plots.maps({"a": v(9, 9), "b": v(9, 9)}, TITLE, "", reach=3, each=True),
    "named_curve": lambda v: plots.named_curve(v(2), v(2), ["β = 1", "β = 2"], TITLE, xlabel="x", ylabel="y"),
    "plane_and_manifold": lambda v: plots.plane_and_manifold(
        v(60, 2), v(60, 2), LABELS, v(9, 1, 28, 28), 3.0, TITLE
    ),
    "posterior_maps": lambda v: plots.posterior_maps(
        [v(9, 9)] * 3, [(0, 1, 0, 1)] * 3, v(3, 2), v(3, 2), "abc", TITLE
    ),
    "products": lambda v: plots.products(v(9), v(9), {"#..": v(9), "##.": list(v(9))}, TITLE),
    "rows_of_digits": lambda v: plots.rows_of_digits({"a": v(9, 1, 28, 28), "b": v(9, 28, 28)}, TITLE),
    "scale": lambda v: plots.scale({"one": v(1)[0], "a rather long name": 500.0}, TITLE, xlabel="nats"),
    "spans": lambda v: plots.spans(
        {"a": [("H(X) = 0.69", 0, v(1)[0])], "b": [("I", 0, 9)]}, TITLE, xlabel="nats"
    ),
    "weighted_dots": lambda v: plots.weighted_dots({"a rather long name": (v(9), v(9))}, v(9), v(9), TITLE),
}


@pytest.mark.parametrize("name", EVERY_FIGURE)
def test_no_title_label_or_legend_is_cut_and_tensors_may_have_gradients(name):
    figure = EVERY_FIGURE[name](values)
    to_png(figure)  # lays it out
    seen = figure.get_tightbbox()  # in inches
    if name != "manifold_with_codes":  # a bare picture: its numerals end at its border
        assert seen.x0 >= -0.02 and seen.y0 >= -0.02
        assert seen.x1 <= figure.get_figwidth() + 0.02 and seen.y1 <= figure.get_figheight() + 0.02
    assert not plt.get_fignums()  # else a notebook shows it a second time


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("name", EVERY_FIGURE)
def test_tensors_may_be_on_a_gpu(name):
    assert to_png(EVERY_FIGURE[name](lambda *shape: values(*shape, device="cuda")))


def test_each_colour_has_three_to_one_on_white_and_the_style_uses_them():
    """Contrast by WCAG 2.2: (1 + 0.05) / (luminance + 0.05)."""
    for color in plots.COLORS:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (luminance + 0.05) >= 3, color
    figure = plots.lines([0, 1], {i: [0, i] for i in range(10)}, "t", xlabel="x", ylabel="y")
    assert tuple(line.get_color() for line in figure.axes[0].lines) == plots.COLORS


def test_tiles_stand_where_they_belong():
    images = torch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 1, 2, 3) / 10
    tiles = plots.tile(images, 3)
    assert tiles.shape == (4, 9)
    torch.testing.assert_close(tiles[::2, ::3], torch.tensor([[0, 0.1, 0.2], [0.3, 0.4, 1.0]]))


def test_a_card_shows_the_values_it_is_given():
    run = {"loss": [550.0, 120.0], "kl_per_latent": [0.0, 2.0, 1.5]}
    run |= {name: torch.full((8, 28, 28), 0.5) for name in PICTURES}
    curve, rebuilt, new, bars = plots.card({"a": run}, torch.ones(8, 28, 28), "t").axes
    assert list(curve.lines[0].get_ydata()) == [550, 120] and "120" in curve.get_title("left")
    assert [bar.get_height() for bar in bars.patches] == [0, 2, 1.5]
    above, below = rebuilt.images[0].get_array().reshape(2, 28, -1)
    assert (above == 1).all() and (below == 0.5).all() and new.images[0].get_array().shape == (56, 112)


def test_rows_of_digits_are_named_at_their_middles():
    rows = {"dark": torch.zeros(3, 28, 28), "light": torch.ones(3, 1, 28, 28)}
    axis = plots.rows_of_digits(rows, "t").axes[0]
    picture = axis.images[0].get_array()
    assert picture.shape == (56, 84)
    for place, label in zip(axis.get_yticks(), axis.get_yticklabels(), strict=True):
        assert (picture[int(place) - 14 : int(place) + 14] == rows[label.get_text()].max().item()).all()


def test_manifold_shows_each_point_of_the_plane_in_its_place():
    z = plots.plane(4, reach=2.0)
    assert z[0].tolist() == [-1.5, 1.5] and z[3].tolist() == [1.5, 1.5] and z[-1].tolist() == [1.5, -1.5]
    for latent in (0, 1):
        images = (z[:, latent] / 4 + 0.5)[:, None, None, None].expand(-1, 1, 28, 28)  # as grey: -2 to 2
        picture = plots.manifold(images, 2.0, "t").axes[0].images[0]
        left, right, bottom, top = picture.get_extent()
        z1, z2 = np.meshgrid(np.linspace(left, right, 9)[1::2], np.linspace(top, bottom, 9)[1::2])
        shown = 4 * picture.get_array()[14::28, 14::28] - 2
        np.testing.assert_allclose(shown, (z1, z2)[latent])


def test_pca_finds_the_widest_directions():
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator))
    scales = torch.tensor([5.0, 3.0, 0.1, 0.1, 0.1])
    mu = torch.randn(2000, 5, generator=generator) * scales @ basis.T + 7
    axis = plots.latent_pca(mu, torch.arange(2000) % 10, "title").axes[0]
    points = torch.cat([torch.as_tensor(c.get_offsets().data) for c in axis.collections])
    torch.testing.assert_close(points.std(0), torch.tensor([5.0, 3.0]).double(), rtol=0.05, atol=0)
    variances = torch.linalg.eigvalsh(mu.double().T.cov()).flip(0)  # another road to the same shares
    shares = variances / variances.sum()
    assert f"({shares[0]:.0%} of the variance)" in axis.get_xlabel()
    assert f"({shares[1]:.0%})" in axis.get_ylabel()
    for bad in (mu[:, :1], mu[:1]):
        with pytest.raises(ValueError, match="two images and two latents or more; got"):
            plots.latent_pca(bad, torch.zeros(len(bad)), "title")


@pytest.mark.parametrize("validation", [[-4.0, -3.0], [-4.0], []])
def test_loss_curve_draws_the_history_that_there_is(validation):
    history = History(
        elbo=[-3.0, -2.0], log_px_given_z=[-2.0, -1.0], kl=[1.0, 1.5],
        validation_elbo=validation, validation_log_px_given_z=validation, validation_kl=validation,
    )  # fmt: skip
    without = {key: series for key, series in vars(history).items() if series}
    for given in (history, vars(history), without):
        axes = plots.loss_curve(given, "title").axes
        for axis, training in zip(axes, (history.elbo, history.log_px_given_z, history.kl), strict=True):
            drawn = {line.get_label(): line.get_xydata().T.tolist() for line in axis.lines}
            expected = {"training": [[1, 2], training]}
            if validation:
                expected["validation"] = [list(range(1, len(validation) + 1)), validation]
            assert drawn == expected and axis.get_ylabel() == "nats per image"
        assert [text.get_text() for text in axes[0].get_legend().get_texts()] == list(expected)


def test_curves_and_bars_show_the_values_they_are_given():
    line = plots.lines([0, 1], {"a": [3.0, 4.0]}, "t", xlabel="x", ylabel="y").axes[0].lines[0]
    assert line.get_xydata().tolist() == [[0, 3], [1, 4]]
    drawn = plots.bars({"a": [1.0, 2.0], "b": [3.0, 4.0]}, ["one", "two"], "t", ylabel="y").axes[0].patches
    assert [bar.get_height() for bar in drawn] == [1.0, 2.0, 3.0, 4.0]
    assert [round(bar.get_center()[0], 6) for bar in drawn] == [-0.2, 0.8, 0.2, 1.2]  # around their names


def test_scales_and_named_curves_show_the_values_they_are_given():
    axis = plots.scale({"low": 2.0, "high": 7.0}, "t", xlabel="nats").axes[0]
    assert [text.get_text() for text in axis.texts] == ["2.0", "7.0"]
    names = {
        place: label.get_text()
        for place, label in zip(axis.get_yticks(), axis.get_yticklabels(), strict=True)
    }
    assert {names[line.get_ydata()[0]]: line.get_xdata()[0] for line in axis.lines} == {"low": 2, "high": 7}
    heights = [axis.transData.transform(line.get_xydata()[0])[1] for line in axis.lines]
    assert heights[0] > heights[1]  # the first on top
    axis = plots.named_curve([1, 2], [5, 3], ["a", "b"], "t", xlabel="x", ylabel="y").axes[0]
    assert [(text.get_text(), *text.xy) for text in axis.texts] == [("a", 1, 5), ("b", 2, 3)]
    assert axis.lines[0].get_xydata().tolist() == [[1, 5], [2, 3]]


def test_boxes_have_the_areas_that_they_name():
    widths, heights = torch.tensor([0.5, 0.25, 0.25]), torch.tensor([1.0, 2, 4])
    (axis,) = plots.boxes({"words": (widths, heights)}, "abc", TITLE, xlabel="p", ylabel="bits").axes
    assert [(b.get_x(), b.get_width() * b.get_height()) for b in axis.patches] == [
        (0, 0.5),
        (0.5, 0.5),
        (0.75, 1),
    ]
    assert axis.get_title("left") == "words: area 2"


def test_spans_stand_where_they_begin_and_end():
    (axis,) = plots.spans({"a": [("x", 0, 2), ("y", 2, 5)], "b": [("z", 1, 5)]}, TITLE, xlabel="nats").axes
    found = [
        (round(b.get_y() + b.get_height() / 2), b.get_x(), b.get_x() + b.get_width()) for b in axis.patches
    ]
    assert found == [(0, 0, 2), (0, 2, 5), (1, 1, 5)]
    assert [text.get_text() for text in axis.texts] == ["x", "y", "z"]


def test_histograms_show_shares():
    (axis,) = plots.histograms({"a": torch.arange(50.0), "b": torch.zeros(9)}, TITLE, xlabel="nats").axes
    outlines = [polygon.get_xy() for polygon in axis.patches]
    areas = [abs(np.sum(xy[:-1, 0] * xy[1:, 1] - xy[1:, 0] * xy[:-1, 1])) / 2 for xy in outlines]
    assert areas == pytest.approx([49 / 60, 49 / 60])  # every share has the width 49/60, and they add up to 1


def test_a_product_says_its_area_and_dots_have_the_area_of_their_weight():
    z = torch.linspace(-4, 4, 801)
    prior = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    assert (
        plots.products(z, prior, {"x": 0.5 * torch.ones(801)}, TITLE).axes[2].get_title("left")
        == "product: area 0.5"
    )
    _, dots = plots.weighted_dots({"a": (z[:3], torch.tensor([1.0, 2, 5]))}, z, prior, TITLE).axes
    sizes = dots.collections[0].get_sizes()
    assert (sizes / sizes.sum()).tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8])


def test_a_ladder_has_a_bar_for_each_score_and_its_pictures_below():
    bars, below = plots.ladder(
        {"a": 2.0, "b": 1.0}, {"a": values(4, 1, 28, 28), "b": values(4, 1, 28, 28)}, TITLE, ylabel="y"
    ).axes
    assert [bar.get_height() for bar in bars.patches] == [2, 1]
    assert [round(sum(image.get_extent()[:2]) / 2) for image in below.images] == [0] * 4 + [1] * 4


def test_spans_stand_where_they_should_and_a_narrow_one_has_its_name_beside_it():
    rows = {"pair": [("first", 0.0, 2.0), ("second", 2.0, 9.0)], "both": [("a long name", 2.0, 2.5)]}
    axis = plots.spans(rows, "t", xlabel="nats").axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in axis.patches] == [(0, 2), (2, 7), (2, 0.5)]
    assert [text.get_position() for text in axis.texts] == [(1, 0), (5.5, 0), (2.5, 1)]
    first, second = (axis.transData.transform((0, row))[1] for row in (0, 1))
    assert first > second  # the first row on top


def test_ladders_and_boxes_show_the_values_they_are_given():
    pictures = {name: torch.full((4, 1, 28, 28), grey) for name, grey in (("a", 0.0), ("b", 1.0))}
    bars, below = plots.ladder({"a": 3.0, "b": 2.0}, pictures, "t", ylabel="nats").axes
    assert [bar.get_height() for bar in bars.patches] == [3, 2]
    assert [text.get_text() for text in bars.texts] == ["3.0", "2.0"]
    for image in below.images:
        left, right, *_ = image.get_extent()
        assert abs((left + right) / 2 - image.get_array().max()) < 0.4  # below the bar at 0 or at 1
    upper, lower = plots.boxes(
        {"p": ([0.5, 0.5], [1, 1]), "q": ([0.5, 0.5], [2, 3])}, "ab", "t", xlabel="p"
    ).axes
    assert [(box.get_x(), box.get_width(), box.get_height()) for box in lower.patches] == [
        (0, 0.5, 2),
        (0.5, 0.5, 3),
    ]
    assert [axis.get_title("left") for axis in (upper, lower)] == ["p: area 1", "q: area 2.5"]


def test_ellipses_stand_at_mu_with_the_width_of_sigma():
    mu, log_var = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, 2 * math.log(3)]])
    images = torch.rand(4, 1, 28, 28)
    axis, decoded = plots.plane_and_manifold(mu, log_var, torch.tensor([4]), images, 3.0, "t").axes
    assert decoded.images[0].get_extent() == [-3, 3, -3, 3] and axis.get_xlim() == (-3, 3)
    *prior, ellipse = axis.patches
    assert [circle.width for circle in prior] == [circle.height for circle in prior] == [2, 4]
    assert list(ellipse.center) == [1, -2] and (ellipse.width, ellipse.height) == pytest.approx((2, 6))
    assert axis.texts[0].get_text() == "4" and ellipse.get_facecolor()[:3] == to_rgb(plots.COLORS[4])
    axis = plots.posterior_maps([torch.zeros(5, 5)], [(0, 1, -1, 1)], mu, log_var, ["a 4"], "t").axes[0]
    assert axis.images[0].get_extent() == [0, 1, -1, 1] and axis.images[0].origin == "lower"
    assert [(patch.width, *patch.center) for patch in axis.patches] == [(2, 1, -2), (4, 1, -2)]
    assert [patch.height for patch in axis.patches] == pytest.approx([6, 12])


def test_landing_puts_a_cross_where_the_code_lies_or_at_the_border():
    points = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    move = plots.landing(points, "plane", LABELS)
    axis = move().axes[0]
    (cross,) = axis.lines
    assert not cross.get_visible()
    move(0.5, -0.25)
    assert cross.get_visible() and cross.get_xydata().tolist() == [[0.5, -0.25]]
    move(99.0, -99.0)
    assert cross.get_xydata().tolist() == [[axis.get_xlim()[1], axis.get_ylim()[0]]]


@pytest.mark.parametrize(
    "make, first, second",
    [
        (lambda: plots.bound_bar(-119.8, -280.0, "t"), (-146.6, 26.8), (-200.0, 80.2)),
        (lambda: plots.landing(values(60, 2), "plane", LABELS), (0.5, 0.5), ()),
    ],
    ids=["bound_bar", "landing"],
)
def test_a_kept_figure_moves_and_nothing_of_the_last_picture_stays(make, first, second):
    move = make()
    pictures = [to_png(move(*place)) for place in (first, second, first)]
    assert pictures[0] == pictures[2] != pictures[1]
    assert pictures[1] == to_png(make()(*second))
    assert any(artist.get_animated() for artist in move(*first).findobj())  # the rest is drawn once: fast


def test_bound_bar_spans_from_the_elbo_to_log_px():
    axis = plots.bound_bar(-119.8, -280.0, "t")(-146.6, 26.8).axes[0]
    line, diamond = axis.lines
    (bar,) = axis.patches
    assert diamond.get_xdata() == [-146.6] and bar.get_x() == -146.6
    assert bar.get_x() + bar.get_width() == pytest.approx(line.get_xdata()[0]) == -119.8


def test_maps_share_one_scale_or_have_one_each():
    low, high = torch.zeros(4, 4), torch.full((4, 4), 8.0)
    low[0, 3], both = 2.0, {"low": low, "high": high}  # in the plane: low z2, high z1

    def scales(pictures, **options):
        return [axis.images[0].get_clim() for axis in plots.maps(pictures, "t", "nats", **options).axes[:2]]

    assert scales(both) == [(0, 8), (0, 8)] and scales(both, each=True) == [(0, 2), (0, 8)]
    assert scales({"low": low - 5, "high": high}) == [(-5, 8), (-5, 8)]
    assert scales(both, top=5) == [(0, 5), (0, 5)] and scales(both, top=0.5) == [(0, 0.5)] * 2
    plane, picture = (plots.maps(both, "t", "nats", reach=r).axes[0].images[0] for r in (3, None))
    assert plane.origin == "lower" and list(plane.get_extent()) == [-3, 3, -3, 3]
    assert picture.origin == "upper" and plane.get_array()[0, 3] == picture.get_array()[0, 3] == 2
    assert plots.maps(both, "t", "nats", reach=3).axes[-1].get_ylabel() == "nats"  # the colour bar


def test_codes_stand_on_the_manifold_where_they_lie_in_the_colour_of_their_digit():
    mu, labels = torch.tensor([[1.0, -2.0], [0.5, 0.25]]), torch.tensor([3, 7])
    axis = plots.manifold_with_codes(torch.zeros(56, 56), 3.0, mu, labels).axes[0]
    assert axis.get_xlim() == axis.get_ylim() == (-3, 3)
    drawn = {
        tuple(collection.get_facecolor()[0, :3]): collection.get_offsets().tolist()
        for collection in axis.collections
        if len(collection.get_offsets())
    }
    assert drawn == {to_rgb(plots.COLORS[3]): [[1.0, -2.0]], to_rgb(plots.COLORS[7]): [[0.5, 0.25]]}
    assert list(axis.images[0].get_extent()) == [-3, 3, -3, 3]


def test_a_figure_is_shown_with_its_words(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda *given, **options: shown.append((given[0], options))
    )
    plots.show(plots.digits(values(3, 28, 28), "t"), alt="Three digits.")
    ((content, options),) = shown
    assert (
        content["image/png"].startswith("iVBOR")
        and options["metadata"]["image/png"]["alt"] == "t. In words: Three digits."
    )
    assert capsys.readouterr().out == "t. In words: Three digits.\n"
