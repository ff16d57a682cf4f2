"""The widgets of lesson 08, without a browser: each picture is what the model decodes, each word is true."""

import base64
import io
import math
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch.distributions import Bernoulli, Normal

from vae_lesson import objectives, plots, widgets
from vae_lesson.checkpoints import pretrained
from vae_lesson.data import Dataset, binarize
from vae_lesson.models import FeedforwardVAE
from vae_lesson.widgets.base import to_jpeg
from vae_lesson.widgets.drawing import SIDE, mnist_style


@pytest.fixture(scope="module")
def model():
    return pretrained("beta-1")  # 16 latents


@pytest.fixture(scope="module")
def flat():
    return pretrained("feedforward-2d")


@pytest.fixture(scope="module")
def test(mnist):
    return Dataset("a part of the test set", mnist[1].images[:400], mnist[1].labels[:400])


def pixels_of(image):
    return np.asarray(Image.open(io.BytesIO(bytes(image.value)))).astype(float)


def decoded(model, z):
    with torch.no_grad():
        return 255 * model.pixels(model.decode(z))[..., 0, :, :].numpy()


def parts(image, count):
    """The pictures side by side, without the stripes between them."""
    pixels = pixels_of(image)
    assert pixels.shape == (28, 28 * count + 2 * (count - 1))
    return [pixels[:, 30 * i : 30 * i + 28] for i in range(count)]


# LatentExplorer


def test_every_slider_moves_its_own_latent_and_shows_what_is_decoded(model, test):
    explorer = widgets.LatentExplorer(model, test)
    z = torch.zeros(16)
    for latent in range(16):
        value = round(-2.1 + 0.25 * latent, 2)  # never 0, where they all stand
        explorer.sliders[f"z{latent + 1}"].value = z[latent] = value
        assert torch.equal(explorer.z, z)
        mean, sample, entropy, _ = parts(explorer.image, 4)
        assert np.abs(mean - decoded(model, z)).max() < 0.51
        assert set(np.unique(sample)) <= {0, 255}
        p = torch.tensor(decoded(model, z) / 255)
        bits = Bernoulli(p.clamp(1e-6, 1 - 1e-6)).entropy() / math.log(2)
        assert np.abs(entropy - 255 * bits.numpy()).max() < 0.6
        assert f"z{latent + 1} = {value:+.2f}" in explorer.text and explorer.text in explorer.sentence.value


def test_sliders_are_ordered_by_kl_and_labelled_with_kl_and_percentile(model, test):
    explorer = widgets.LatentExplorer(model, test)
    kl = objectives.kl_per_latent(model, binarize(test.images, "static"))
    assert list(explorer.sliders) == [f"z{i + 1}" for i in kl.argsort(descending=True).tolist()]
    for value in (-3.9, -1.0, 0.0, 0.35, 2.5):
        explorer.sliders["z3"].value = value
        percent = 100 * Normal(0.0, 1.0).cdf(torch.tensor(value)).item()
        assert explorer.sliders["z3"].description == f"z3 · {kl[2]:.2f} nats · {percent:.0f} %"
        assert f"above {percent:.1f} % of the prior" in explorer.text
    assert all(slider.continuous_update for slider in explorer.sliders.values())


def test_the_sample_follows_the_mean_and_nothing_else(model, test):
    """With one kept noise, the share of white over many seeds is the mean."""
    z = torch.full((16,), 0.5)
    white = np.zeros((28, 28))
    for seed in range(60):
        explorer = widgets.LatentExplorer(model, test, seed=seed)
        explorer.z = z
        white += parts(explorer.image, 4)[1] / 255
    p = decoded(model, z) / 255
    assert (np.abs(white / 60 - p) < 5 * np.sqrt(p * (1 - p) / 60) + 0.02).all()


def test_buttons_reset_draw_and_encode(model, test):
    explorer = widgets.LatentExplorer(model, test, seed=3)
    buttons = {b.description: b for row in explorer.children[:2] for b in row.children if hasattr(b, "click")}
    buttons["random draw"].click()
    first = explorer.z
    assert torch.equal(first, widgets_draw(3, explorer)) and first.abs().max() > 1
    assert all(abs(s.value - first[int(n[1:]) - 1]) < 0.0251 for n, s in explorer.sliders.items())
    buttons["random draw"].click()
    assert not torch.equal(explorer.z, first)
    explorer.number.value = 7
    buttons["encode it"].click()
    mu, _ = model.encode(binarize(test.images, "static"))  # the noise belongs to the place among all
    torch.testing.assert_close(explorer.z, mu[7].detach())
    assert np.array_equal(parts(explorer.image, 4)[3], test.images[7].numpy())
    assert f"Test digit 7, a {test.labels[7]}, encoded" in explorer.text
    code = explorer.z
    for slider in explorer.sliders.values():
        slider.value = math.nextafter(slider.value, 9)  # the browser's answers
    assert torch.equal(explorer.z, code)
    buttons["centre: z = 0"].click()
    assert not explorer.z.any() and not any(s.value for s in explorer.sliders.values())


def widgets_draw(seed, explorer):
    generator = torch.Generator().manual_seed(seed)
    torch.rand(28, 28, generator=generator)
    return torch.randn(16, generator=generator).clamp(-explorer.reach, explorer.reach)


def test_play_sweeps_the_chosen_latent_there_and_back(model, test):
    explorer = widgets.LatentExplorer(model, test)
    explorer.swept.value = "z5"
    seen = []
    for step in range(1, explorer.play.max + 1):
        explorer.play.value = step
        seen.append(explorer.z[4].item())
    assert max(seen) == pytest.approx(4) and seen[-1] == pytest.approx(-4)
    explorer.play.value = 0  # the button "stop" does that
    assert explorer.z[4].item() == seen[-1]
    explorer.reset()
    explorer.play.value = 1
    assert explorer.z[4] == pytest.approx(-3.9)
    assert seen.index(max(seen)) == 79 and explorer.z[:4].abs().max() == 0


def test_late_answers_of_the_browser_do_not_mix_into_the_next_code(model, test):
    """It answers a handle's place with a rounded number, at times after the handle was put elsewhere."""
    explorer = widgets.LatentExplorer(model, test)
    explorer.draw_from_prior()
    places = {name: slider.value for name, slider in explorer.sliders.items()}
    explorer.draw_from_prior()
    code = explorer.z
    for name, slider in explorer.sliders.items():
        now = slider.value
        slider.value = math.nextafter(places[name], 9)
        assert slider.value == now
    assert torch.equal(explorer.z, code)
    slider.value = 1.3  # a hand
    assert explorer.z[int(name[1:]) - 1] == pytest.approx(1.3)


def test_codes_that_do_not_fit_are_refused_and_nothing_changes(model, test):
    explorer = widgets.LatentExplorer(model, test)
    explorer.sliders["z2"].value = 1.0
    before = explorer.z
    for reach in (0, -1, math.nan, 2.71, math.inf):
        with pytest.raises(ValueError, match="reach must be a positive multiple"):
            widgets.LatentExplorer(model, test, reach=reach)
    for bad, message in (
        (torch.zeros(3), r"this model has 16 latents.*got \(3,\)"),
        (torch.full((16,), 9.0), "the sliders reach from -4 to 4; got 9 to 9"),
        (torch.full((16,), math.nan), "the sliders reach"),
    ):
        with pytest.raises(ValueError, match=message):
            explorer.z = bad
    for number in (-1, 400):
        with pytest.raises(ValueError, match="numbers from 0 to 399"):
            explorer.encode(number)
    assert torch.equal(explorer.z, before)


def test_a_gaussian_model_shows_its_mean_and_a_sample_without_entropy(test):
    torch.manual_seed(0)
    model = FeedforwardVAE(3, hidden=20, likelihood="gaussian")
    explorer = widgets.LatentExplorer(model, test)
    explorer.sliders["z1"].value = 2.0
    mean, sample, _ = parts(explorer.image, 3)
    z = torch.tensor([2.0, 0, 0])
    assert np.abs(mean - decoded(model, z).clip(0, 255)).max() < 0.51
    assert "entropy" not in explorer.text and np.abs(sample - mean).mean() > 20


@pytest.mark.parametrize(
    "name", ["LatentExplorer", "LatentPlane", "Interpolator", "Traversals", "DrawADigit"]
)
def test_what_is_no_vae_is_refused_in_words(name):
    for wrong in (3, torch.nn.Linear(2, 2), "cnn"):
        with pytest.raises(TypeError, match=r"expected a VAE such as .*; got (int|Linear|str)"):
            getattr(widgets, name)(wrong)


def test_dropout_is_switched_off(test):
    model = FeedforwardVAE(2, hidden=20).train()
    widgets.LatentExplorer(model, test)
    assert not model.training


# LatentPlane


def test_point_sliders_and_digit_agree(flat, test):
    plane = widgets.LatentPlane(flat, test)
    plane.pad.set_state({"point": [1, 0]})  # as the browser sends 1.0 and 0.0
    assert plane.sliders["z1"].value == 1 and "Code (+1.00, +0.00)" in plane.text
    plane.pad.point = [1.234, -2.5]  # as a drag does
    assert [slider.value for slider in plane.sliders.values()] == [1.25, -2.5]  # where handles can stand
    assert np.abs(pixels_of(plane.image) - decoded(flat, torch.tensor([1.234, -2.5]))).max() < 0.51
    assert plane.z.tolist() == pytest.approx([1.234, -2.5]) and "Code (+1.23, -2.50)" in plane.text
    plane.sliders["z1"].value = -0.75  # as the keyboard does
    assert plane.pad.point == [-0.75, -2.5]
    plane.pad.point = [0.37, 0.37]
    plane.sliders["z1"].value = 0.35000000000000003  # the browser's answer to the kernel's 0.35
    assert plane.pad.point == [0.37, 0.37]
    plane.sliders["z1"].value = 0.4
    assert plane.pad.point == [0.4, 0.37]
    plane.z = [0.5, 3]
    assert plane.sliders["z2"].value == 3 and "Code (+0.50, +3.00)" in plane.text


def test_a_handle_goes_back_where_the_point_has_been(flat, test, monkeypatch):
    """What follows a put within a second may be the browser's answer; what comes later is a hand."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    plane = widgets.LatentPlane(flat, test)
    for z1 in (0.4, 0.45, 0.5):
        plane.z = [z1, 0]
    plane.sliders["z1"].value = 0.45
    assert plane.sliders["z1"].value == 0.5 and plane.pad.point == [0.5, 0]
    now[0] = 1.5
    plane.sliders["z1"].value = 0.45
    assert plane.pad.point[0] == 0.45
    for value in (0.4, 0.45, 0.5, 0.45, 0.4):  # to and fro, as fast as a hand can
        plane.sliders["z1"].value = value
        assert plane.pad.point[0] == value


def test_the_words_count_the_neighbours(flat, test):
    plane = widgets.LatentPlane(flat, test)
    with torch.no_grad():
        codes = flat.encode(binarize(test.images, "static"))[0]
    for z in ([0.0, 0.0], [-2.0, 1.0], [1.0, -2.0]):
        plane.z = z
        nearest = (codes - torch.tensor(z)).norm(dim=1).argsort()[:50]
        counts = test.labels[nearest].bincount(minlength=10)
        assert (
            f"Of the 50 test digits with the nearest codes, {counts.max()} are {counts.argmax()}s."
            in plane.text
        )


def test_the_picture_behind_shows_the_chosen_class_alone(flat, test):
    plane = widgets.LatentPlane(flat, test)
    pictures = {}
    for kind in ("none", "all", "1"):
        plane.shown.value = kind
        pictures[kind] = plane.pad.picture
    assert len(set(pictures.values())) == 3
    for kind, chosen in (("all", test.labels >= 0), ("1", test.labels == 1)):
        figure = plots.manifold_with_codes(plane._tiles, 3.0, plane.codes.mu[chosen], test.labels[chosen])
        content = base64.b64encode(to_jpeg(figure)).decode()
        assert pictures[kind] == f"data:image/jpeg;base64,{content}"


def test_a_plane_needs_two_latents_and_a_point_inside(model, flat, test):
    with pytest.raises(ValueError, match="two latents; this one has 16"):
        widgets.LatentPlane(model)
    plane = widgets.LatentPlane(flat, test, reach=2)
    for bad in ([3.0, 0.0], [1.0], 0.0, [math.nan, 0]):
        with pytest.raises(ValueError, match="two numbers from -2 to 2"):
            plane.z = bad
    assert plane.z.tolist() == [0, 0]


# Interpolator


def test_slerp_turns_evenly_and_changes_the_length_evenly():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        a, b = torch.randn(2, 12, generator=generator, dtype=torch.float64)
        b = 3 * b
        omega = torch.arccos(torch.cosine_similarity(a, b, dim=0))
        for t in (0.0, 0.2, 0.7, 1.0):
            z = widgets.slerp(a, b, torch.tensor(t, dtype=torch.float64))
            torch.testing.assert_close(z.norm(), (1 - t) * a.norm() + t * b.norm())
            angle = torch.arccos(torch.cosine_similarity(a, z, dim=0).clamp(-1, 1))
            torch.testing.assert_close(angle, t * omega, atol=1e-6, rtol=0)
            assert torch.linalg.matrix_rank(torch.stack([a, b, z]), atol=1e-9) == 2  # in the plane of a and b


def test_slerp_of_one_direction_or_from_the_centre_is_straight():
    a, t = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.5, 1.0])
    torch.testing.assert_close(widgets.slerp(a, 3 * a, t), torch.outer(1 + 2 * t, a))
    torch.testing.assert_close(widgets.slerp(torch.zeros(2), a, t), torch.outer(t, a))


def test_both_paths_begin_and_end_at_the_two_digits(model, test):
    box = widgets.Interpolator(model, 3, 5, test=test)
    with torch.no_grad():
        codes = model.encode(binarize(test.images, "static"))[0]
    for t, number in ((0, 3), (1, 5)):
        box.sliders["t"].value = t
        end = codes[number]
        straight, spherical = parts(box.image, 2)
        assert np.abs(straight - decoded(model, end)).max() < 0.51
        assert np.abs(spherical - decoded(model, end)).max() < 0.51
        assert f"{t:.0%} of the way from a {test.labels[3]} to a {test.labels[5]}" in box.text
    box.sliders["t"].value = 0.5
    middle = (box.a + box.b) / 2
    assert np.abs(parts(box.image, 2)[0] - decoded(model, middle)).max() < 0.51
    assert f"straight {middle.norm():.2f}" in box.text
    strip = pixels_of(box.strip)
    assert strip.shape == (2 * 28, 11 * 28)
    assert np.abs(strip[:28, 5 * 28 : 6 * 28] - decoded(model, middle)).max() < 0.51
    with pytest.raises(ValueError, match="numbers from 0 to 399"):
        widgets.Interpolator(model, 0, 400, test=test)


# Traversals


def test_each_row_moves_one_latent(model, test):
    box = widgets.Traversals(model, 4, latents=[2, 9], test=test)
    grid = box.grid()
    assert grid.shape == (2, 11, 16)
    start = box.codes.encode(4)
    for row, latent in enumerate([2, 9]):
        others = torch.arange(16) != latent
        assert (grid[row][:, others] == start[others]).all()
        torch.testing.assert_close(grid[row][:, latent], torch.linspace(-3, 3, 11))
    pixels = pixels_of(box.image)
    assert np.abs(pixels[28:56, 28:56] - decoded(model, grid[1, 1])).max() < 0.51
    box.sliders["reach"].value = 5
    assert box.grid()[0, 0, 2] == -5 and "Between -5 and 5" in box.text
    box.number.value = 9
    assert f"Test digit 9, a {test.labels[9]}" in box.text


def test_rows_are_the_most_used_latents_unless_told(model, test):
    box = widgets.Traversals(model, rows=3, test=test)
    assert box.latents == box.codes.order[:3]
    for bad, message in (([16], r"0 to 15; got \[16\]"), ([-1, 2], r"got \[-1\]"), ([], "no latent")):
        with pytest.raises(ValueError, match=message):
            widgets.Traversals(model, latents=bad, test=test)


# DrawADigit


def enlarged(image):
    return image.repeat_interleave(4, 0).repeat_interleave(4, 1)


def test_a_drawing_becomes_a_digit_as_mnist_has_it(mnist):
    """MNIST's own digits, enlarged and moved, come back as they were, or a pixel beside."""
    same = 0
    for image in mnist[1].images[:200]:
        back = mnist_style(torch.nn.functional.pad(enlarged(image), (20, 8, 3, 25)))
        assert back.shape == (28, 28) and back.dtype == torch.uint8
        same += torch.equal(back, image)
        shifts = [torch.roll(back, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        assert min((shifted.int() - image.int()).abs().max() for shifted in shifts) < 30
    assert same > 160


def test_thin_drawings_and_dots_do_not_fail():
    for top, left, height, width in ((0, 0, 112, 1), (50, 50, 1, 1), (111, 0, 1, 112), (0, 0, 112, 112)):
        ink = torch.zeros(112, 112, dtype=torch.uint8)
        ink[top : top + height, left : left + width] = 255
        assert mnist_style(ink).any()


def test_a_digit_is_encoded_reconstructed_and_scored(model, test):
    box = widgets.DrawADigit(model, test)
    assert box.z is None and "Nothing is drawn yet" in box.text
    box.take(5)
    x = binarize(mnist_style(enlarged(test.images[5]))[None], "static")
    with torch.no_grad():
        mu, _ = model.encode(x)
    torch.testing.assert_close(box.z, mu[0])
    grey, black_and_white, reconstruction, nearest = parts(box.image, 4)
    assert np.array_equal(black_and_white, 255 * x[0, 0].numpy())
    assert np.abs(reconstruction - decoded(model, mu[0])).max() < 0.51
    assert np.array_equal(grey, mnist_style(enlarged(test.images[5])).numpy())
    closest = (box.codes.mu - mu[0]).norm(dim=1).argmin()
    assert np.array_equal(nearest, test.images[closest].numpy())
    other = torch.Generator().manual_seed(99)
    again = objectives.log_likelihood(model, x, 2000, generator=other).item()
    assert box.log_px == pytest.approx(again, abs=3) and f"log p(x) = {box.log_px:.1f} nats" in box.text
    landed = bytes(box.map.value)
    box.canvas.set_state({"ink": memoryview(bytes(SIDE * SIDE))})  # as the browser sends an empty canvas
    assert box.z is None
    box.take(5)
    box.clear()
    assert box.z is None and box.log_px is None and bytes(box.map.value) != landed


@pytest.mark.parametrize("paper", [0, 255])
@pytest.mark.parametrize("version", [7, 8])
def test_an_uploaded_picture_is_read_ink_on_paper_or_light_on_dark(model, test, paper, version):
    box = widgets.DrawADigit(model, test)
    picture = Image.new("RGB", (300, 200), (paper,) * 3)
    picture.paste((255 - paper,) * 3, (130, 40, 160, 160))  # a thick 1
    file = io.BytesIO()
    picture.save(file, "PNG")
    content = {"content": file.getvalue()}
    box._uploaded(type("Change", (), {"new": {"one.png": content} if version == 7 else (content,)}))
    ink = torch.frombuffer(bytearray(box.canvas.ink), dtype=torch.uint8).view(SIDE, SIDE)
    assert ink[SIDE // 2, SIDE // 2] == 255 and ink[:10].max() == 0
    assert box.log_px is not None


def test_a_photo_keeps_its_thin_ink_and_loses_its_paper(model, test):
    box = widgets.DrawADigit(model, test)
    noise = np.random.default_rng(0).integers(190, 211, (400, 400, 1)).astype(np.uint8)
    photo = Image.fromarray(noise.repeat(3, 2))
    photo.paste((40, 40, 60), (196, 100, 204, 300))  # a thin vertical 1: one per cent of the picture
    for turned in (False, True):
        file, exif = io.BytesIO(), Image.Exif()
        exif[274] = 6 if turned else 1  # 6: the camera was held sideways
        (photo.rotate(90) if turned else photo).save(file, "JPEG", quality=95, exif=exif)
        box.read(file.getvalue())
        ink = np.frombuffer(box.canvas.ink, np.uint8).reshape(SIDE, SIDE)
        assert ink[40:72, 54:58].max() > 200 and ink[:, :40].max() == 0 and ink[:, 70:].max() == 0
        rows, columns = ink.max(1).nonzero()[0], ink.max(0).nonzero()[0]
        assert rows.max() - rows.min() > 50 > 8 > columns.max() - columns.min()


def test_black_ink_on_nothing_is_read(model, test):
    box = widgets.DrawADigit(model, test)
    picture, file = Image.new("RGBA", (100, 100)), io.BytesIO()
    picture.paste((0, 0, 0, 255), (45, 20, 55, 80))
    picture.save(file, "PNG")
    box.read(file.getvalue())
    ink = np.frombuffer(box.canvas.ink, np.uint8).reshape(SIDE, SIDE)
    assert ink[56, 56] == 255 and ink[:, :30].max() == 0


def test_the_nearest_digit_is_the_nearest_whatever_the_number_of_digits(model, mnist):
    odd = Dataset("4,001 digits", mnist[1].images[:4001], mnist[1].labels[:4001])  # every second is encoded
    box = widgets.DrawADigit(model, odd)
    box.take(8)
    closest = 2 * (box.codes.mu - box.z).norm(dim=1).argmin()
    assert np.array_equal(parts(box.image, 4)[3], odd.images[closest].numpy())


def test_a_file_that_is_no_picture_is_told_and_keeps_the_drawing(model, test):
    box = widgets.DrawADigit(model, test)
    box.take(1)
    before = bytes(box.canvas.ink)
    box._uploaded(type("Change", (), {"new": ({"content": b"no picture"},)}))
    assert "Please choose another file" in box.text and bytes(box.canvas.ink) == before
    with pytest.raises(ValueError, match="numbers from 0 to 399"):
        box.take(400)


def test_threads_are_given_back(flat, test):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    widgets.LatentPlane(flat, test).z = [1, 1]
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
