"""The page without a kernel, in a real Chromium: its pixels are PyTorch's, and it needs no network.

The tests with a browser are skipped where there is no Chromium, as in test_browser.py.
"""

import base64
import re

import pytest
import test_browser
import torch
from matplotlib.colors import to_rgb

from vae_lesson import checkpoints, plots, scoring
from vae_lesson.course import page
from vae_lesson.data import binarize
from vae_lesson.models import ConvVAE, FeedforwardVAE
from vae_lesson.widgets import measure

chromium = test_browser.chromium
PAD = ".vae-lesson-pad"
CANVAS = """id => {
    const canvas = document.getElementById(id), {width, height} = canvas;
    let text = "";
    for (const byte of canvas.getContext("2d").getImageData(0, 0, width, height).data)
        text += String.fromCharCode(byte);
    return btoa(text); // a list of six million numbers would take a minute to arrive
}"""
COLORS = 255 * torch.tensor([to_rgb(color) for color in plots.COLORS])  # (10, 3)


def in_browser(test):
    """Mark a test that needs Chromium."""
    missing = test_browser.BROWSER is None and not test_browser.REQUIRED
    return pytest.mark.slow(pytest.mark.skipif(missing, reason="no Chromium here: see test_browser.py")(test))


@pytest.fixture(scope="module")
def model():
    return checkpoints.pretrained("feedforward-2d")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return page.write(tmp_path_factory.mktemp("page") / "plane.html")


@pytest.fixture(scope="module")
def codes(model, mnist):
    """Codes and labels of every tenth test digit, taken out of the sample of all of them."""
    x = binarize(mnist[1].images, "static")[:: page.EVERY]
    return scoring.encode_in_chunks(model, x)[0], mnist[1].labels[:: page.EVERY]


@pytest.fixture
def open_tab(chromium):
    """Opens a file in Chromium; afterwards nothing was requested but that file, and nothing went wrong."""
    tabs, asked, allowed, complaints = [], [], set(), []

    def open_tab(path, **options):
        tab = chromium.new_page(**options)
        tabs.append(tab)
        allowed.add(path.as_uri())
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(path.as_uri())
        return tab

    yield open_tab
    for tab in tabs:
        tab.close()
    assert {url for url in asked if not url.startswith("data:")} == allowed
    assert complaints == []


@torch.inference_mode()
def pixels(model, z) -> torch.Tensor:
    return model.pixels(model.decode(torch.as_tensor(z))).flatten(-3)


def rgba(tab, canvas: str) -> torch.Tensor:
    """What is on a canvas of the page: (pixels, 4), 0 to 255."""
    content = bytearray(base64.b64decode(tab.evaluate(CANVAS, canvas)))
    return torch.frombuffer(content, dtype=torch.uint8).reshape(-1, 4).float()


@pytest.fixture
def check_shown(model, codes):
    """Asserts that a tab is at a point, and shows there what PyTorch decodes and counts."""

    def check(tab, point) -> None:
        assert tab.evaluate("vaeLesson.point()") == pytest.approx(point, abs=1e-6)
        levels = rgba(tab, "digit")
        assert (levels[:, :3] - 255 * pixels(model, point)[:, None]).abs().max() <= 1
        assert (levels[:, 3] == 255).all()
        code = "({:+.2f}, {:+.2f})".format(*point).replace("-", "−")
        assert tab.get_by_role("img").get_attribute("aria-label") == f"The digit decoded from {code}"
        sentence = r"Code (\(.*\)): (.*)\. Of the 25 test digits with the nearest codes, (\d+) are (\d)s\."
        said = re.fullmatch(sentence, tab.get_by_role("status").inner_text())
        found = [float(value) for value in re.findall(r"[+-]?\d[\d.]*", said[2].replace("−", "-"))]
        expected = [value.item() for value in measure(pixels(model, point).view(28, 28)).values()]
        assert found[0] == pytest.approx(expected[0], abs=0.51)
        assert found[1:] == pytest.approx(expected[1:], abs=0.051)  # rounded
        mu, labels = codes
        nearest = (mu.half().float() - torch.as_tensor(point)).norm(dim=1).topk(25, largest=False).indices
        counts = labels[nearest].bincount(minlength=10)
        assert said[1] == code and int(said[3]) == counts.max() == counts[int(said[4])]

    return check


def perturbed(model):
    """Weights that float16 can't hold exactly, as in a file that a student saved in float32."""
    own, generator = FeedforwardVAE(**model.config), torch.Generator().manual_seed(1)
    noise = {name: torch.randn(t.shape, generator=generator) for name, t in model.state_dict().items()}
    own.load_state_dict({name: t * (1 + 3e-4 * noise[name]) for name, t in model.state_dict().items()})
    return own.eval()


def small(model):
    """Another depth and width, and weights as small as float16's subnormal numbers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = FeedforwardVAE(2, hidden=13, blocks=3)
    with torch.no_grad():
        own.decoder[0].bias.mul_(1e-5)
    return own.half().float().eval()


@in_browser
@pytest.mark.parametrize(
    "make, within",
    [(lambda model: model, 1e-4), (small, 1e-4), (perturbed, 1 / 255)],  # float16 holds the first two
    ids=["shipped", "another shape", "float32 weights"],
)
def test_pixels_of_100_random_points_are_pytorchs(open_tab, model, make, within, tmp_path):
    own = make(model)
    tab = open_tab(page.write(tmp_path / "own.html", own))
    z = 6 * torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) - 3
    decoded = tab.evaluate("zs => zs.map(z => [...vaeLesson.decode(...z)])", z.tolist())
    assert (torch.tensor(decoded) - pixels(own, z)).abs().max() <= within


@in_browser
def test_sliders_pointer_and_keys_show_what_pytorch_decodes(open_tab, written, check_shown):
    tab = open_tab(written)
    check_shown(tab, (0.0, 0.0))
    for slider, key, presses in (("z1", "ArrowRight", 30), ("z2", "ArrowLeft", 17)):
        tab.get_by_label(slider).focus()
        for _ in range(presses):
            tab.keyboard.press(key)
    check_shown(tab, (1.5, -0.85))
    box = tab.locator(PAD).bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 8)
    tab.mouse.down()
    check_shown(tab, (-1.5, 2.25))
    tab.mouse.move(box["x"] - 20, box["y"] + box["height"] / 2)  # beyond the left side: it stays at the edge
    tab.mouse.up()
    check_shown(tab, (-3.0, 0.0))
    assert tab.get_by_label("z1").input_value() == "-3"
    tab.keyboard.press("ArrowUp")  # the click has given the plane the focus
    tab.keyboard.press("Shift+ArrowRight")
    check_shown(tab, (-2.75, 0.05))
    tab.keyboard.press("Home")
    check_shown(tab, (0.0, 0.0))


@in_browser
def test_keyboard_alone_reaches_everything_and_focus_is_seen(open_tab, written, check_shown):
    tab, reached = open_tab(written), []
    for _ in range(5):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.className"))
        assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == ["vae-lesson-pad", "z1", "z2", "shown", "centre"]
    tab.locator(PAD).press("Shift+ArrowDown")
    check_shown(tab, (0.0, -0.25))
    tab.locator("#centre").press("Enter")
    check_shown(tab, (0.0, 0.0))


@in_browser
def test_background_is_the_decoded_plane_and_numerals_are_chosen_by_class(open_tab, model, written, codes):
    tab = open_tab(written)
    tab.evaluate("vaeLesson.tilesDrawn")
    tiles = plots.tile(pixels(model, plots.plane(15, 3.0)).reshape(-1, 28, 28), 15)
    assert (rgba(tab, "tiles")[:, 0] - 255 * (1 - 0.35 * tiles.flatten())).abs().max() <= 1

    def covered() -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels that numerals cover wholly: their z (pixels, 2), and how far they are from each colour."""
        drawn = rgba(tab, "numerals").reshape(840, 840, 4)
        row, column = (drawn[..., 3] == 255).nonzero(as_tuple=True)
        z = torch.stack([column / 420 - 1, 1 - row / 420], 1) * 3
        return z, (drawn[row, column, None, :3] - COLORS).abs().amax(-1)  # (pixels, 10)

    assert (covered()[1].amin(0) <= 1).all()  # 1 for rounding where numerals overlap
    tab.get_by_label("Test digits").select_option("7")
    z, off = covered()
    sevens = codes[0][codes[1] == 7]
    assert len(z) and (off[:, 7] <= 1).all() and torch.cdist(z, sevens).amin(1).max() < 0.1  # half a numeral
    tab.get_by_label("Test digits").select_option("none")
    assert not rgba(tab, "numerals").any()


@in_browser
@pytest.mark.parametrize("width", [320, 844, 1920])
def test_nothing_is_wider_than_the_screen(open_tab, written, width):
    tab = open_tab(written, viewport={"width": width, "height": 844 if width < 844 else 390})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator(PAD).bounding_box()["width"] >= min(width - 32, 280)


@in_browser
def test_the_browser_itself_forbids_the_network(chromium, written):
    tab = chromium.new_page()
    tab.goto(written.as_uri())
    forbidden = tab.evaluate("""() => new Promise(resolve => {
        document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
        fetch("https://example.org/").catch(() => {});
    })""")
    assert forbidden == "connect-src"
    tab.close()


def test_the_file_is_small_and_whole(written):
    text = written.read_text(encoding="utf-8")
    assert written.stat().st_size <= 2_000_000
    assert "{{" not in text and "export default" not in text


def bad_weight(value: float):
    own = FeedforwardVAE(2, hidden=3)
    torch.nn.init.constant_(own.decoder[0].bias, value)
    return own.eval()


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: FeedforwardVAE(3, hidden=3),
            "3 latents and 28 x 28 bernoulli pixels: use",
        ),
        (lambda: FeedforwardVAE(2, hidden=3, likelihood="gaussian"), "2 latents and 28 x 28 gaussian pixels"),
        (lambda: FeedforwardVAE(2, hidden=3, side=20), "2 latents and 20 x 20 bernoulli pixels: use"),
        (lambda: ConvVAE(2, channels=2, blocks=0, hidden=3), "Linear, SiLU and Residual layers, as"),
        (lambda: bad_weight(1e6), "are NaN or beyond 65504: train it again"),
        (lambda: bad_weight(float("nan")), "are NaN or beyond 65504: train it again"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_and_an_older_page_stays(make, message, tmp_path):
    out = tmp_path / "plane.html"
    out.write_text("older", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        page.write(out, make())
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {out.name: "older"}


@pytest.mark.parametrize("name", ["flat.safetensors", "flat", "flat.html.gz", "flat.htm"])
def test_only_html_files_are_written(model, tmp_path, name):
    with pytest.raises(ValueError, match=r"a page is an \.html file; got .*: name it flat"):
        page.write(tmp_path / name, model)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("reach", [0, -1, float("nan"), float("inf")])
def test_reach_must_be_a_length(model, reach):
    with pytest.raises(ValueError, match="reach must be a positive number"):
        page.html(model, reach=reach)
