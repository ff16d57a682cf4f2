"""The page without a kernel, in a real Chromium: its pixels are PyTorch's, and it needs no network.

The tests with a browser are skipped where there is no Chromium, as in test_browser.py.
"""

import base64
import re
import subprocess
import sys
import textwrap

import matplotlib
import pytest
import test_browser
import torch
from matplotlib.colors import to_rgb

from vae_lesson import __main__ as cli
from vae_lesson import checkpoints, objectives, page, plots
from vae_lesson.data import binarize
from vae_lesson.models import ConvVAE, FeedforwardVAE

chromium = test_browser.chromium
in_browser = pytest.mark.skipif(
    test_browser.BROWSER is None and not test_browser.REQUIRED, reason="no Chromium here: see test_browser.py"
)
PAD = ".vae-lesson-pad"
CANVAS = """id => {
    const canvas = document.getElementById(id), {width, height} = canvas;
    let text = "";
    for (const byte of canvas.getContext("2d").getImageData(0, 0, width, height).data)
        text += String.fromCharCode(byte);
    return btoa(text); // a list of six million numbers would take a minute to arrive
}"""
COLORS = 255 * torch.tensor([to_rgb(color) for color in matplotlib.color_sequences["petroff10"]])  # (10, 3)


@pytest.fixture(scope="module")
def model():
    return checkpoints.pretrained("feedforward-2d")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return page.write(tmp_path_factory.mktemp("page") / "plane.html")


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


def check_shown(tab, model, point) -> None:
    """The page is at this point, and shows there what PyTorch decodes and counts."""
    assert tab.evaluate("vaeLesson.point()") == pytest.approx(point, abs=1e-6)
    levels = rgba(tab, "digit")
    assert (levels[:, 0] - 255 * pixels(model, point)).abs().max() <= 1
    assert (levels[:, :3] == levels[:, :1]).all() and (levels[:, 3] == 255).all()
    code = "({:+.2f}, {:+.2f})".format(*point).replace("-", "−")
    assert tab.get_by_role("img").get_attribute("aria-label") == f"The digit decoded from {code}"
    said = tab.get_by_role("status").inner_text()
    sentence = r"Code (\(.*\))\. Of the 25 test digits with the nearest codes, (\d+) are (\d)s\."
    told, count, kind = re.fullmatch(sentence, said).groups()
    assert told == code
    test = page.data.load_dataset("mnist")[1]
    x, labels = binarize(test.images[:: page.EVERY], "static"), test.labels[:: page.EVERY]
    with torch.inference_mode():
        codes = objectives.encode_in_chunks(model, x)[0].half().float()
    distance = (codes - torch.as_tensor(point)).norm(dim=1)
    counts = labels[distance.topk(25, largest=False).indices].bincount(minlength=10)
    assert int(count) == counts.max() == counts[int(kind)]


def perturbed(model):
    """Weights that float16 can't hold exactly, as in a file that a student saved in float32."""
    own, generator = FeedforwardVAE(**model.config), torch.Generator().manual_seed(1)
    own.load_state_dict(
        {
            name: t * (1 + 3e-4 * torch.randn(t.shape, generator=generator))
            for name, t in model.state_dict().items()
        }
    )
    return own.eval()


def small(model):
    """Another depth and width, and weights as small as float16's subnormal numbers."""
    torch.manual_seed(0)
    own = FeedforwardVAE(2, hidden=13, blocks=3)
    with torch.no_grad():
        own.decoder[0].bias.mul_(1e-5)
    return own.half().float().eval()


@in_browser
@pytest.mark.parametrize(
    "make, within",
    [(None, 1e-4), (small, 1e-4), (perturbed, 1 / 255)],  # float16 holds the first two exactly
    ids=["shipped", "another shape", "float32 weights"],
)
def test_pixels_of_100_random_points_are_pytorchs(open_tab, model, written, make, within, tmp_path):
    own, path = model, written
    if make:
        own = make(model)
        checkpoints.save(own, tmp_path / "own.safetensors")
        path = tmp_path / "own.html"
        assert cli.main(["page", str(path), "--model", str(tmp_path / "own.safetensors")]) == 0
    z = 6 * torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) - 3
    decoded = open_tab(path).evaluate("zs => zs.map(z => [...vaeLesson.decode(...z)])", z.tolist())
    assert (torch.tensor(decoded) - pixels(own, z)).abs().max() <= within


@in_browser
def test_sliders_and_plane_show_what_pytorch_decodes(open_tab, model, written):
    tab = open_tab(written)
    check_shown(tab, model, (0.0, 0.0))
    tab.get_by_label("z1").focus()
    for _ in range(30):
        tab.keyboard.press("ArrowRight")
    tab.get_by_label("z2").focus()
    for _ in range(17):
        tab.keyboard.press("ArrowLeft")
    check_shown(tab, model, (1.5, -0.85))
    box = tab.locator(PAD).bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 8)
    tab.mouse.down()
    check_shown(tab, model, (-1.5, 2.25))
    tab.mouse.move(box["x"] - 20, box["y"] + box["height"] / 2)  # beyond the left side: it stays at the edge
    tab.mouse.up()
    check_shown(tab, model, (-3.0, 0.0))
    assert tab.get_by_label("z1").input_value() == "-3"
    tab.keyboard.press("ArrowUp")  # the click has given the plane the focus
    tab.keyboard.press("Shift+ArrowRight")
    check_shown(tab, model, (-2.75, 0.05))
    tab.get_by_role("button", name="Centre").click()
    check_shown(tab, model, (0.0, 0.0))


@in_browser
def test_keyboard_alone_reaches_everything_and_focus_is_seen(open_tab, model, written):
    tab, reached = open_tab(written), []
    for _ in range(6):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.className"))
        assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached[:5] == ["vae-lesson-pad", "z1", "z2", "shown", "centre"]
    tab.locator(PAD).focus()
    tab.keyboard.press("Shift+ArrowDown")
    check_shown(tab, model, (0.0, -0.25))
    tab.keyboard.press("Home")
    check_shown(tab, model, (0.0, 0.0))


@in_browser
def test_background_is_the_decoded_plane_and_numerals_are_chosen_by_class(open_tab, model, written):
    tab = open_tab(written)
    tab.evaluate("vaeLesson.tilesDrawn")
    tiles = plots.tile(pixels(model, plots.plane(15, 3.0)).reshape(-1, 28, 28), 15)
    assert (rgba(tab, "tiles")[:, 0] - 255 * (1 - 0.35 * tiles.flatten())).abs().max() <= 1

    def off() -> torch.Tensor:
        """How far each pixel that a numeral covers wholly is from the colour of each digit: (pixels, 10)."""
        drawn = rgba(tab, "numerals")
        return (drawn[drawn[:, 3] == 255][:, None, :3] - COLORS).abs().amax(-1)

    assert (off().amin(0) <= 1).all()  # 1 for rounding where numerals overlap
    tab.get_by_label("Test digits").select_option("7")
    assert len(off()) and (off()[:, 7] <= 1).all()
    tab.get_by_label("Test digits").select_option("none")
    assert not rgba(tab, "numerals").any()


@in_browser
@pytest.mark.parametrize("width", [320, 390, 844, 1920])
def test_nothing_is_wider_than_the_screen(open_tab, written, width):
    tab = open_tab(written, viewport={"width": width, "height": 844 if width < 844 else 390})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator(PAD).bounding_box()["width"] >= min(width - 32, 280)


@in_browser
def test_dark_and_light_follow_the_system(open_tab, written):
    ground = "getComputedStyle(document.body).backgroundColor"
    dark, light = (open_tab(written, color_scheme=scheme) for scheme in ("dark", "light"))
    assert dark.evaluate(ground) == "rgb(23, 25, 28)" and light.evaluate(ground) == "rgb(255, 255, 255)"


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
    assert page.PAD.read_text(encoding="utf-8").removesuffix("export default { render };\n") in text


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["p.html", "--model", "feedforward"],
            "this FeedforwardVAE has 40 latents and bernoulli pixels: use",
        ),
        (
            ["p.html", "--model", "cnn"],
            "this ConvVAE has 32 latents and bernoulli pixels: use feedforward-2d",
        ),
        (
            ["p.html", "--model", "flat.safetensors"],
            "SiLU and Residual layers, as FeedforwardVAE has; this one",
        ),
        (["p.html", "--model", "grey.safetensors"], "has 2 latents and gaussian pixels: use feedforward-2d"),
        (["p.html", "--model", "huge.safetensors"], "are NaN or beyond 65504: train it again"),
        (["p.html", "--model", "nothing"], "no checkpoint at nothing; shipped models are"),
        (["flat.safetensors"], "a page is an .html file; got flat.safetensors: name it flat.html"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    checkpoints.save(ConvVAE(2, channels=2, blocks=0, hidden=3), "flat.safetensors")
    checkpoints.save(FeedforwardVAE(2, hidden=3, likelihood="gaussian"), "grey.safetensors")
    huge = FeedforwardVAE(2, hidden=3)
    torch.nn.init.constant_(huge.decoder[0].bias, 1e6)
    checkpoints.save(huge, "huge.safetensors")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert cli.main(["page", *arguments]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ") and message in told and told.count("\n") == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("reach", [0, -1, float("nan"), float("inf")])
def test_reach_must_be_a_length(model, reach):
    with pytest.raises(ValueError, match="reach must be a positive number"):
        page.html(model, reach=reach)


def test_command_writes_the_file_and_says_so(tmp_path, capsys):
    out = tmp_path / "new folder" / "plane.html"
    assert cli.main(["page", str(out)]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: 1.7 MB")
    assert [path.name for path in out.parent.iterdir()] == ["plane.html"]


def test_a_full_disk_keeps_the_older_page(tmp_path):
    """A real failure: a process whose files may not grow beyond 10 kB."""
    out = tmp_path / "plane.html"
    out.write_text("older")
    program = f"""
        import resource, signal, sys
        from vae_lesson.__main__ import main
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        sys.exit(main(["page", {str(out)!r}]))
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert result.returncode == 1
    assert "could not save" in result.stderr and "the older file there is unchanged" in result.stderr
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"plane.html": "older"}
