"""The explorers, without a browser: each picture is what the model decodes, each word is true."""

import base64
import io
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch.distributions import Bernoulli, Normal

from vae_lesson import scoring, widgets
from vae_lesson.checkpoints import pretrained
from vae_lesson.data import Dataset, binarize, mnist_style
from vae_lesson.likelihoods import Bernoulli as BernoulliPixels
from vae_lesson.models import FeedforwardVAE
from vae_lesson.widgets.controls import handle, place
from vae_lesson.widgets.drawing import SIDE

EXPLORERS = ("LatentExplorer", "LatentPlane", "DrawADigit")


@pytest.fixture(scope="module")
def model():
    return pretrained("beta-1")  # 16 latents


@pytest.fixture(scope="module")
def flat():
    return pretrained("feedforward-2d")


@pytest.fixture(scope="module")
def test(mnist):
    return Dataset("a part of the test set", mnist[1].images[:400], mnist[1].labels[:400])


@pytest.fixture(scope="module")
def codes(model, test):
    """The code of each test digit, (400, 16)."""
    with torch.no_grad():
        return model.encode(binarize(test.images, "static"))[0]


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


def press(board, words):
    """Click the button with these words."""
    (found,) = [b for row in board.children for b in getattr(row, "children", ()) if b.description == words]
    found.click()


# What all explorers share


@pytest.mark.parametrize("name", EXPLORERS)
def test_what_is_no_vae_is_refused_in_words(name):
    for wrong in (3, torch.nn.Linear(2, 2), "cnn"):
        with pytest.raises(TypeError, match=r"expected a VAE such as .*; got (int|Linear|str)"):
            getattr(widgets, name)(wrong)


@pytest.mark.parametrize("name", EXPLORERS)
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_model_is_fed_what_it_was_made_for_in_eval_mode(name, likelihood, test):
    """Black and white pixels for Bernoulli, grey ones for Gaussian; threads are given back."""
    torch.manual_seed(0)
    model = FeedforwardVAE(2, hidden=20, likelihood=likelihood).train()
    fed, encode, threads = [], model.encode, torch.get_num_threads()
    model.encode = lambda x: fed.append(x) or encode(x)
    board = getattr(widgets, name)(model, test)
    if name == "DrawADigit":
        board.take(3)
    assert fed and not model.training and torch.get_num_threads() == threads
    for x in fed:
        assert ((x == 0) | (x == 1)).all() == (likelihood == "bernoulli")


def test_codes_with_a_gradient_or_of_another_type_are_taken(model, flat, test):
    z = torch.full((16,), 0.5, dtype=torch.float64, requires_grad=True)
    codes = widgets.Codes(model, test)
    assert np.abs(255 * codes.draw(z).numpy() - decoded(model, z.float())).max() < 1e-3
    assert codes.vote(z) == codes.vote(torch.full((16,), 0.5))
    explorer, plane = widgets.LatentExplorer(model, test), widgets.LatentPlane(flat, test)
    explorer.z, plane.z = z, z[:2]
    assert explorer.z.tolist() == [0.5] * 16 and plane.z.tolist() == [0.5, 0.5]


def test_images_of_another_side_are_shown(test):
    small = Dataset("small", test.images[:, 4:24, 4:24], test.labels)
    explorer = widgets.LatentExplorer(FeedforwardVAE(3, hidden=20, side=20), small)
    explorer.encode(7)
    pixels = pixels_of(explorer.image)
    assert pixels.shape == (20, 4 * 20 + 6) and np.array_equal(pixels[:, -20:], small.images[7].numpy())
    plane = widgets.LatentPlane(FeedforwardVAE(2, hidden=20, side=20), small)
    assert pixels_of(plane.image).shape == (20, 20)
    with pytest.raises(ValueError, match="a drawing has side 28; this model has side 20: train one with 28"):
        widgets.DrawADigit(FeedforwardVAE(2, hidden=20, side=20), small)


class Elsewhere:
    """A VAE that takes float32 on its own device alone (here one without numbers), as on a GPU."""

    latent_dim, likelihood = 2, BernoulliPixels()

    def eval(self):
        return self

    def parameters(self):
        return iter([torch.empty(0, device="meta")])

    def encode(self, x):
        assert x.is_meta and x.dtype == torch.float32
        return torch.linspace(-1, 1, 2 * len(x)).view(-1, 2), torch.zeros(len(x), 2)

    def decode(self, z):
        assert z.is_meta and z.dtype == torch.float32
        return torch.zeros(*z.shape[:-1], 1, 28, 28)

    pixels = FeedforwardVAE.pixels


def test_a_model_on_another_device_gets_its_inputs_there(test):
    explorer, plane = widgets.LatentExplorer(Elsewhere(), test), widgets.LatentPlane(Elsewhere(), test)
    explorer.encode(3)
    explorer.sliders["z1"].value = 1.0
    plane.z = torch.ones(2, dtype=torch.float64)
    assert (parts(explorer.image, 4)[0] == 128).all() and (pixels_of(plane.image) == 128).all()


def test_the_words_count_the_nearest_codes(model, test, codes):
    known = widgets.Codes(model, test)
    for z in (torch.zeros(16), codes[3], torch.full((16,), -1.0)):
        nearest = (codes - z).norm(dim=1).argsort()[:50]
        counts = test.labels[nearest].bincount()
        words = f"Of the 50 test digits with the nearest codes, {counts.max()} are {counts.argmax()}s."
        assert known.vote(z) == words


def test_the_attributes_are_those_of_numpy_and_each_sentence_says_them(model, flat, test):
    """The rulers of the explorers, by loops and weighted covariances."""
    explorer, plane = widgets.LatentExplorer(model, test), widgets.LatentPlane(flat, test)
    box = widgets.DrawADigit(model, test)
    for number in (0, 3, 18):
        explorer.encode(number)
        box.take(number)
        plane.z = [number / 9, -0.5]
        mean, grey, again = parts(explorer.image, 4)[0], parts(box.image, 4)[0], parts(box.image, 4)[2]
        said = [(explorer.text, mean), (box.text.split("The drawing:")[1], grey)]
        said += [(box.text.split("The reconstruction:")[1], again), (plane.text, pixels_of(plane.image))]
        for text, picture in said:
            found = re.search(ATTRIBUTES, text).groups()
            expected = attributes(picture / 255)
            for value, want, off in zip(found, expected, (2, 0.03, 0.06, 0.03), strict=True):
                assert float(value) == pytest.approx(want, abs=off)  # the picture's grey values are rounded
            measured = widgets.measure(torch.as_tensor(picture / 255))
            assert [value.item() for value in measured.values()] == pytest.approx(
                expected, rel=1e-4, abs=1e-5
            )
        rows = (np.abs(grey - again) > 127.5).sum(1)
        where = f"in {rows.sum()} pixels, most in row {rows.argmax()} (top 0, bottom 27)."
        where = where.replace("in 1 pixels, most", "in 1 pixel,") if rows.sum() else "in 0 pixels."
        assert box.text.endswith(f"They differ by more than 0.5 {where}")
    assert all(value.isfinite() for value in widgets.measure(torch.zeros(28, 28)).values())
    batch = widgets.measure(test.images[:6].view(2, 3, 28, 28) / 255)["slant"]
    assert batch.shape == (2, 3) and batch[1, 2] == widgets.measure(test.images[5] / 255)["slant"]


ATTRIBUTES = r"ink (\d+) pixels, thickness (\d\.\d+), width (\d+\.\d) pixels, slant ([-+]\d\.\d+)"


def attributes(picture):
    """Ink, thickness, width, slant of a picture (28, 28), as numpy has them."""
    padded = np.pad(picture, 1, constant_values=np.inf)
    core = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).min((2, 3)).sum()
    rows, columns = np.indices((28, 28))
    cov = np.cov(columns.ravel(), -rows.ravel(), aweights=picture.ravel(), bias=True)
    return [picture.sum(), core / picture.sum(), cov[0, 0] ** 0.5, cov[0, 1] / cov[1, 1]]


def test_where_no_widgets_are_a_still_shows_all_that_they_show(flat, model, test):
    for name, vae in (("LatentExplorer", model), ("LatentPlane", flat), ("DrawADigit", model)):
        board = getattr(widgets, name)(vae, test)
        picture = Image.open(io.BytesIO(board.still()))
        width = int(board.image.width)
        if name == "LatentExplorer":
            assert picture.width == width
        else:  # the plane or the map, and the digits
            beside = Image.open(io.BytesIO(board.beside))
            beside.thumbnail((400, 400))
            assert picture.size == (beside.width + 10 + width, beside.height)
            near = np.asarray(picture.convert("RGB").crop((0, 0, *beside.size))).astype(float)
            assert np.abs(near - np.asarray(beside.convert("RGB"))).mean() < 6  # few colours


def answer(low, high, step, value):
    """What JupyterLab's sliders (noUiSlider) make of a value: they compute in per cent of the way."""
    percent, of_a_step = (value - low) * 100 / (high - low), step * 100 / (high - low)
    return math.floor(percent / of_a_step + 0.5) * of_a_step * (high - low) / 100 + low


def test_the_browser_finds_the_very_number_that_the_kernel_has_set():
    """In steps of 0.05 it does not, nor in steps of 1/16 where three divides the way."""
    for reach in (0.25, 1, 2.5, 3, 4, 6, 7.75, 11, 25, 99):
        slider = handle(reach)
        for value in np.linspace(-reach, reach, 1001).tolist():
            slider.value = place(slider, value)
            assert abs(slider.value - value) <= slider.step / 2 * (1 + 1e-9)
            assert answer(slider.min, slider.max, slider.step, slider.value) == slider.value
    assert answer(-4, 4, 0.05, 0.35) != 0.35
    assert any(answer(-3, 3, 1 / 16, k / 16) != k / 16 for k in range(-48, 49))
    for reach in (0, -1, math.nan, 2.71, math.inf):
        with pytest.raises(ValueError, match="reach must be a positive multiple"):
            handle(reach)


# LatentExplorer


def test_every_slider_moves_its_own_latent_and_shows_what_is_decoded(model, test):
    explorer = widgets.LatentExplorer(model, test)
    explorer.reset()
    kl = scoring.kl_per_latent(model, binarize(test.images, "static"))
    assert list(explorer.sliders) == [f"z{i + 1}" for i in kl.argsort(descending=True).tolist()]
    z = torch.zeros(16)
    for latent in range(16):
        value = -2.0625 + 0.25 * latent  # never 0, where they all stand
        slider = explorer.sliders[f"z{latent + 1}"]
        slider.value = z[latent] = value
        assert torch.equal(explorer.z, z) and slider.continuous_update
        mean, sample, entropy, _ = parts(explorer.image, 4)
        assert np.abs(mean - decoded(model, z)).max() < 0.51
        assert set(np.unique(sample)) <= {0, 255}
        p = torch.tensor(decoded(model, z) / 255)
        bits = Bernoulli(p.clamp(1e-6, 1 - 1e-6)).entropy() / math.log(2)
        assert np.abs(entropy - 255 * bits.numpy()).max() < 0.6
        percent = 100 * Normal(0.0, 1.0).cdf(torch.tensor(value)).item()
        assert f"z{latent + 1} = {value:+.2f}, above {percent:.1f} % of the prior." in explorer.text
        assert slider.description == f"z{latent + 1} · {kl[latent]:.2f} nats · {percent:.0f} %"


def test_the_sample_follows_the_mean_and_nothing_else(model, test):
    """The share of white over many seeds is the mean; with one seed, a pixel turns white as its p grows."""
    white, z = np.zeros((28, 28)), torch.full((16,), 0.5)
    for seed in range(60):
        explorer = widgets.LatentExplorer(model, test, seed=seed)
        explorer.z = z
        white += parts(explorer.image, 4)[1] / 255
    p = decoded(model, z) / 255
    assert (np.abs(white / 60 - p) < 6 * np.sqrt(p * (1 - p) / 60) + 0.02).all()
    first, sample = parts(explorer.image, 4)[:2]
    explorer.z = z + 0.5
    second, other = parts(explorer.image, 4)[:2]
    assert (other[second > first + 1] >= sample[second > first + 1]).all()
    assert (other[second < first - 1] <= sample[second < first - 1]).all() and (other != sample).any()


def test_buttons_draw_encode_and_return(model, test, codes):
    explorer = widgets.LatentExplorer(model, test, seed=3)
    press(explorer, "random draw")
    assert torch.equal(explorer.z, torch.randn(16, generator=torch.Generator().manual_seed(3)).clamp(-4, 4))
    explorer.number.value = 7
    press(explorer, "encode it")
    code = explorer.z
    torch.testing.assert_close(code, codes[7])
    assert np.array_equal(parts(explorer.image, 4)[3], test.images[7].numpy())
    assert f"Test digit 7, a {test.labels[7]}, encoded" in explorer.text
    for name, slider in explorer.sliders.items():  # the handles stand near; nobody has moved them
        assert abs(slider.value - code[int(name[1:]) - 1]) <= 1 / 32
    assert np.abs(parts(explorer.image, 4)[0] - decoded(model, code)).max() < 0.51
    slider = explorer.sliders["z3"]
    slider.value += 1 / 16  # a hand: one step from where the handle stands
    assert explorer.z[2] == slider.value and torch.equal(explorer.z[3:], code[3:])
    slider.value -= 1 / 16
    assert explorer.z[2] == slider.value
    press(explorer, "centre: z = 0")
    assert not explorer.z.any() and not any(s.value for s in explorer.sliders.values())


def test_codes_that_do_not_fit_are_refused_and_nothing_changes(model, test):
    explorer = widgets.LatentExplorer(model, test)
    explorer.sliders["z2"].value = 1.0
    before = explorer.z
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
    narrow = widgets.LatentExplorer(model, test, reach=0.5)
    narrow.draw_from_prior()
    assert narrow.z.abs().max() == 0.5 and "lie beyond the sliders and were cut" in narrow.text


def test_a_gaussian_model_shows_its_mean_and_a_sample_without_entropy(test):
    torch.manual_seed(0)
    model = FeedforwardVAE(3, hidden=20, likelihood="gaussian")
    explorer = widgets.LatentExplorer(model, test)
    explorer.reset()
    explorer.sliders["z1"].value = 2.0
    mean, sample, _ = parts(explorer.image, 3)
    assert np.abs(mean - decoded(model, torch.tensor([2.0, 0, 0])).clip(0, 255)).max() < 0.51
    assert "entropy" not in explorer.text and np.abs(sample - mean).mean() > 20


# LatentPlane


def test_point_sliders_and_digit_agree(flat, test):
    plane = widgets.LatentPlane(flat, test)
    plane.pad.set_state({"point": [1, 0]})  # as the browser sends 1.0 and 0.0
    assert plane.z.tolist() == [1, 0] and "Code (+1.00, +0.00)" in plane.text
    plane.pad.point = [1.234, -2.5]  # as a drag does
    assert [slider.value for slider in plane.sliders.values()] == [26 * 3 / 64, -53 * 3 / 64]
    assert np.abs(pixels_of(plane.image) - decoded(flat, torch.tensor([1.234, -2.5]))).max() < 0.51
    assert plane.pad.point == [1.234, -2.5] and "Code (+1.23, -2.50)" in plane.text
    plane.sliders["z1"].value = -0.75  # as the keyboard does
    assert plane.pad.point == [-0.75, -2.5]
    for step in (1, 2, 1, 0, -1, 0):  # to and fro, as fast as a hand can, and right after a drag
        plane.sliders["z1"].value = -0.75 + step * 3 / 64
        assert plane.pad.point[0] == -0.75 + step * 3 / 64
    plane.z = [0.5, 3]
    assert plane.sliders["z2"].value == 3 and "Code (+0.50, +3.00)" in plane.text


def test_the_picture_behind_shows_the_chosen_class_alone(flat, test):
    plane, pictures = widgets.LatentPlane(flat, test), {}
    for kind in ("none", "all", "1"):
        plane.shown.value = kind
        content = base64.b64decode(plane.pad.picture.removeprefix("data:image/jpeg;base64,"))
        pictures[kind] = np.asarray(Image.open(io.BytesIO(content))).astype(int)
    changed = {kind: np.abs(picture - pictures["none"]).max(-1) > 100 for kind, picture in pictures.items()}
    assert changed["all"].sum() > 3 * changed["1"].sum() > 100
    with torch.no_grad():
        mu = flat.encode(binarize(test.images, "static"))[0]
    ones = mu[(test.labels == 1) & (mu.abs() < 2.9).all(1)]  # pixel by pixel: z2 falls from +3, z1 rises
    rows, columns = ((3 - ones[:, 1]) * 100).int().tolist(), ((ones[:, 0] + 3) * 100).int().tolist()
    near = np.zeros((600, 600), bool)
    for row, column in zip(rows, columns, strict=True):
        assert changed["1"][row - 7 : row + 8, column - 7 : column + 8].any()
        near[max(0, row - 20) : row + 20, max(0, column - 20) : column + 20] = True
    margin = slice(30, -30)
    assert not (changed["1"] & ~near)[margin, margin].any()


def test_a_plane_needs_two_latents_and_a_point_inside(model, flat, test):
    with pytest.raises(ValueError, match="two latents; this one has 16"):
        widgets.LatentPlane(model)
    plane = widgets.LatentPlane(flat, test, reach=2)
    for bad in ([3.0, 0.0], [1.0], 0.0, [math.nan, 0]):
        with pytest.raises(ValueError, match="two numbers from -2 to 2"):
            plane.z = bad
    assert plane.z.tolist() == [0, 0]


# DrawADigit


def test_a_digit_is_encoded_reconstructed_and_scored(model, mnist):
    odd = Dataset("4,001 digits", mnist[1].images[:4001], mnist[1].labels[:4001])  # every second is encoded
    box = widgets.DrawADigit(model, odd)
    assert box.z is not None  # it starts with a test digit
    box.clear()
    empty = bytes(box.map.value)
    assert box.z is None and "Nothing is drawn yet" in box.text
    box.take(5)
    digit = mnist_style(odd.images[5].repeat_interleave(4, 0).repeat_interleave(4, 1))
    x = binarize(digit[None], "static")
    with torch.no_grad():
        mu = model.encode(x)[0][0]
        closest = (model.encode(binarize(odd.images[::2], "static"))[0] - mu).norm(dim=1).argmin()
    torch.testing.assert_close(box.z, mu)
    grey, black_and_white, reconstruction, nearest = parts(box.image, 4)
    assert np.array_equal(grey, digit.numpy()) and np.array_equal(black_and_white, 255 * x[0, 0].numpy())
    assert np.abs(reconstruction - decoded(model, mu)).max() < 0.51
    assert np.array_equal(nearest, odd.images[2 * closest].numpy())
    again = scoring.log_likelihood(model, x, 2000, generator=torch.Generator().manual_seed(99)).item()
    assert box.log_px == pytest.approx(again, abs=3) and f"log p(x) = {box.log_px:.1f} nats" in box.text
    assert bytes(box.map.value) != empty
    box.canvas.set_state({"ink": memoryview(bytes(SIDE * SIDE))})  # as the browser sends an empty canvas
    assert box.z is None and box.log_px is None and bytes(box.map.value) == empty
    with pytest.raises(ValueError, match="numbers from 0 to 4000"):
        box.take(4001)


def photo(paper, ink, size=(600, 400), mode="RGB"):
    """A thin upright 1 in the middle of a picture, on paper with grain."""
    grain = np.random.default_rng(0).integers(-10, 11, (size[1], size[0], 1))
    noisy = Image.fromarray(np.clip(paper + grain, 0, 255).astype(np.uint8).repeat(3, 2))
    picture = Image.new(mode, size) if mode == "RGBA" else noisy
    picture.paste(ink, (size[0] // 2 - 6, 100, size[0] // 2 + 6, 300))
    return picture


@pytest.mark.parametrize("version", [7, 8])
@pytest.mark.parametrize(
    "picture, turned",
    [
        (photo(200, (40, 40, 60)), False),
        (photo(200, (40, 40, 60)), True),  # the camera was held sideways
        (photo(20, (255, 255, 255)), False),  # chalk
        (photo(0, (0, 0, 0, 255), mode="RGBA"), False),  # black ink on nothing
    ],
)
def test_an_uploaded_picture_keeps_its_ink_and_loses_its_paper(model, test, version, picture, turned):
    box, file, exif = widgets.DrawADigit(model, test), io.BytesIO(), Image.Exif()
    exif[274] = 6 if turned else 1
    kind = "PNG" if picture.mode == "RGBA" else "JPEG"
    (picture.rotate(90, expand=True) if turned else picture).save(file, kind, exif=exif)
    content = {"content": file.getvalue()}
    box._uploaded(type("Change", (), {"new": {"one": content} if version == 7 else (content,)}))
    ink = np.frombuffer(box.canvas.ink, np.uint8).reshape(SIDE, SIDE)
    rows, columns = ink.max(1).nonzero()[0], ink.max(0).nonzero()[0]
    assert ink[50:62, 55:57].min() > 200 and box.log_px is not None
    assert 36 <= np.ptp(rows) <= 40 and np.ptp(columns) <= 5


def test_a_file_that_is_no_picture_is_told_and_keeps_the_drawing(model, test):
    box = widgets.DrawADigit(model, test)
    box.take(1)
    before = bytes(box.canvas.ink)
    box._uploaded(type("Change", (), {"new": ({"content": b"no picture"},)}))
    assert "Please choose another file" in box.text and bytes(box.canvas.ink) == before
