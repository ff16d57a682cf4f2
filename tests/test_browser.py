"""A real JupyterLab in a real Chromium: run a lesson, move its widgets by mouse and keyboard, look.

Skipped where there is no Chromium, unless VAE_LESSON_BROWSER=required (as in .ci/run): then it fails.
"""

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_lesson import widgets
from vae_lesson.checkpoints import pretrained

ROOT = Path(__file__).parents[1]
REQUIRED = os.environ.get("VAE_LESSON_BROWSER") == "required"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(
    BROWSER is None and not REQUIRED,
    reason="no Chromium here: install it (Debian: apt-get install chromium) to run this test",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a copy of the notebooks, with settings and state of its own."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", home / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime"}
    own |= {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    environment = os.environ | {name: str(home / folder) for name, folder in own.items()}
    options = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--IdentityProvider.token=", "--LabApp.news_url="]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], cwd=home, env=environment, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (home / "log").read_text()
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def chromium():
    assert BROWSER, "VAE_LESSON_BROWSER=required, but no Chromium is installed"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


def opened(lab, chromium, name, **options):
    """A page with the lesson, run from top to bottom; `page.complaints` collects what the console says."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1000}, **options)
    page.complaints = []
    page.on("console", lambda message: message.type == "error" and page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.set_default_timeout(120_000)
    page.goto(f"{lab}/lab/workspaces/{name}/tree/notebooks/{name}.ipynb")  # a workspace without other tabs
    page.get_by_text("| Idle").wait_for()  # a cell run before that is silently dropped
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator("img.vae-lesson-pixels").first.wait_for()
    page.get_by_text("| Idle").wait_for()
    return page


@pytest.mark.parametrize(
    "name, pixels, said_after",
    [
        (
            "00_start_here",
            [28, 28],
            "Code (0.50, 0.00)",
        ),  # a picture: 28 x 28 pixels, enlarged by the browser
        ("05_elbo", [450, 144], "= -119.81 nats"),  # a kept figure
    ],
)
def test_run_all_then_move_the_slider_by_keyboard(lab, chromium, name, pixels, said_after):
    page = opened(lab, chromium, name)
    image = page.locator("img.vae-lesson-pixels").first
    handle = page.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    before, said = image.evaluate("img => img.src"), page.locator("p[role=status]").first.inner_text()
    handle.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("([img, src]) => img.src !== src", arg=[image.element_handle(), before])
    page.wait_for_function("text => document.querySelector('p[role=status]').innerText !== text", arg=said)
    assert said_after in page.locator("p[role=status]").first.inner_text()
    assert image.evaluate("img => [img.naturalWidth, img.naturalHeight]") == pixels
    assert image.evaluate("img => getComputedStyle(img).imageRendering") == "pixelated"
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    if folder := os.environ.get("VAE_LESSON_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")
    page.close()


# Lesson 08.  The judge of each picture is the same widget in this process, where no browser is.


@pytest.fixture(scope="module")
def lesson(lab, chromium):
    """Lesson 08 in the browser; its last widget is there when the lesson has run."""
    page = opened(lab, chromium, "08_latent_space")
    page.locator(".vae-lesson-DrawADigit canvas").wait_for(state="attached")
    page.get_by_text("| Idle").wait_for()
    yield page
    stderr = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
    assert stderr.count() == 0 and page.complaints == []
    page.close()


def board(page, name):
    """A widget of lesson 08, scrolled into view."""
    place = page.locator(f".vae-lesson-{name}").first
    place.scroll_into_view_if_needed()
    return place


def pixels_of(content: bytes):
    return np.asarray(Image.open(io.BytesIO(content)).convert("L")).astype(int)


def shown(place, number=0):
    """The pixels of a picture in the browser."""
    read = """async img => [...new Uint8Array(await (await fetch(img.src)).arrayBuffer())]"""
    return pixels_of(bytes(place.locator("img").nth(number).evaluate(read)))


def wait_until_alike(here, there, picture="image", number=0):
    """The browser shows the picture and the sentence of the widget `there`, within ten seconds.

    A grey level of difference is rounding on another thread.
    """
    expected = pixels_of(bytes(getattr(there, picture).value))
    for _ in range(200):
        if said(here) == there.text and np.abs(shown(here, number) - expected).max() <= 1:
            return
        here.page.wait_for_timeout(50)
    raise AssertionError(
        f"the browser says {said(here)!r} in place of {there.text!r}, or shows another picture"
    )


def said(place):
    return place.locator(".widget-html p[role=status]").inner_text()


def settled(place):
    """The sentence when it has stopped to change."""
    before = None
    while before != (before := said(place)):
        place.page.wait_for_timeout(500)
    return before


def wait_until_said(place, words):
    """The sentence contains these words."""
    sentence = place.locator(".widget-html p[role=status]", has_text=words)
    sentence.wait_for()


def press(place, selector, *keys):
    target = place.locator(selector).first
    target.scroll_into_view_if_needed()
    target.focus()
    for key in keys:
        place.page.keyboard.press(key)


def drag(page, target, *points):
    """Press at the first of the points, given as shares of the target's width and height; pass the others."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    at = [(box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()


def typed(place, selector, number):
    field = place.locator(selector)
    field.fill(str(number))
    field.press("Enter")


def test_explorer(lesson):
    here, there = board(lesson, "LatentExplorer"), widgets.LatentExplorer(pretrained("cnn"))
    press(here, ".noUi-handle", *["ArrowRight"] * 7)  # by keyboard
    first = next(iter(there.sliders))
    there.sliders[first].value = 0.35
    wait_until_alike(here, there)
    assert f"{first} = +0.35" in said(here)
    assert there.sliders[first].description in here.inner_text()
    handle = here.locator(".noUi-handle").nth(2)
    box = handle.bounding_box()  # by mouse
    lesson.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    lesson.mouse.down()
    lesson.mouse.move(box["x"] + 40, box["y"] + box["height"] / 2, steps=6)
    lesson.mouse.up()
    name, value = re.match(r"(z\d+) = ([+-][\d.]+),", settled(here)).groups()
    assert name == list(there.sliders)[2] and float(value) > 0.5
    there.sliders[name].value = float(value)
    wait_until_alike(here, there)
    typed(here, "input[type=number]", 7)
    press(here, "button:has-text('encode it')", "Enter")
    there.encode(7)
    wait_until_alike(here, there)
    here.get_by_role("button", name="random draw").click()
    there.draw_from_prior()
    wait_until_alike(here, there)
    press(here, "button:has-text('centre')", "Space")
    there.reset()
    wait_until_alike(here, there)
    here.locator(".widget-play button").first.click()  # plays: the first latent goes there and back
    lesson.wait_for_function("() => /above 9\\d\\.\\d %/.test(document.querySelector("
                             "'.vae-lesson-LatentExplorer p[role=status]').innerText)")  # fmt: skip
    here.locator(".widget-play button").nth(1).click()  # stops


def test_plane(lesson):
    here, there = board(lesson, "LatentPlane"), widgets.LatentPlane(pretrained("feedforward-2d"))
    press(here, ".vae-lesson-pad", *["ArrowRight"] * 10, *["ArrowUp"] * 4, "Shift+ArrowUp")
    there.z = [0.5, 0.45]
    wait_until_alike(here, there)
    press(here, ".vae-lesson-pad", "Home")
    there.z = [0, 0]
    wait_until_alike(here, there)
    press(here, ".noUi-handle", *["ArrowLeft"] * 5)
    there.sliders["z1"].value = -0.25
    wait_until_alike(here, there)
    drag(lesson, here.locator(".vae-lesson-pad"), (0.5, 0.5), (0.9, 0.2), (0.75, 0.25))
    there.z = [1.5, 1.5]
    wait_until_alike(here, there)
    assert "(+1.50, +1.50)" in said(here)
    picture = here.locator(".vae-lesson-pad").evaluate("pad => pad.style.backgroundImage")
    here.locator("select").select_option("4")
    lesson.wait_for_function("before => document.querySelector('.vae-lesson-pad').style.backgroundImage"
                             " !== before", arg=picture)  # fmt: skip


def test_interpolator(lesson):
    here, there = board(lesson, "Interpolator"), widgets.Interpolator(pretrained("cnn"))
    press(here, ".noUi-handle", *["ArrowRight"] * 20)
    there.sliders["t"].value = 0.7
    wait_until_alike(here, there)
    typed(here, "input[type=number] >> nth=1", 9)
    there.second.value = 9
    wait_until_alike(here, there, "strip", number=1)
    track = here.locator(".noUi-target").bounding_box()
    lesson.mouse.click(track["x"] + 1, track["y"] + track["height"] / 2)
    there.sliders["t"].value = int(settled(here).split("%")[0]) / 100
    wait_until_alike(here, there)


def test_traversals(lesson):
    here, there = board(lesson, "Traversals"), widgets.Traversals(pretrained("cnn"))
    wait_until_alike(here, there)
    press(here, ".noUi-handle", "ArrowRight", "ArrowRight")
    there.sliders["reach"].value = 4
    wait_until_alike(here, there)
    press(here, "input[type=number]", "ArrowUp", "ArrowUp", "Enter")
    there.number.value = 2
    wait_until_alike(here, there)
    track = here.locator(".noUi-target").bounding_box()
    lesson.mouse.click(track["x"] + track["width"] - 1, track["y"] + track["height"] / 2)
    there.sliders["reach"].value = 8
    wait_until_alike(here, there)


def test_drawing(lesson):
    here, there = board(lesson, "DrawADigit"), widgets.DrawADigit(pretrained("cnn"))
    typed(here, "input[type=number]", 3)
    here.get_by_role("button", name="take it").click()
    there.take(3)
    wait_until_alike(here, there, number=1)
    press(here, "canvas", "Delete")
    there.clear()
    wait_until_said(here, "Nothing")
    press(here, "canvas", *["ArrowUp"] * 9, "Space", *["ArrowDown"] * 18, "Space")  # a 1, by keyboard
    wait_until_said(here, "are 1s")
    settled(here)
    drawn = shown(here, number=1)
    assert drawn[4:24, :28].max() > 200 and drawn[:3, :28].max() == 0
    press(here, "canvas", "Delete")
    drag(lesson, here.locator("canvas"), (0.3, 0.2), (0.7, 0.2), (0.45, 0.85))  # a 7, by mouse
    wait_until_said(here, "are 7s")
    ink = here.locator("canvas").evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, 112, 112).data].filter((_, i) => i % 4 === 0)"
    )
    there.canvas.ink = bytes(ink)
    wait_until_alike(here, there, number=1)


def test_a_long_drag_ends_where_the_pointer_ends_and_leaves_no_queue(lesson):
    """Ten seconds at 60 events a second."""
    there = widgets.LatentPlane(pretrained("feedforward-2d"))
    here = board(lesson, "LatentPlane")
    result = dragged(here, seconds=10)
    assert result["events"] == 600 and len(result["changes"]) > 50
    there.z = result["code"]
    wait_until_alike(here, there)
    count = lesson.evaluate("window.changes.length")
    lesson.wait_for_timeout(1000)
    assert lesson.evaluate("window.changes.length") == count  # nothing was waiting


DRAG = """async ([here, seconds]) => {
    const pad = here.querySelector(".vae-lesson-pad"), box = pad.getBoundingClientRect();
    const start = performance.now();
    window.changes = [];
    new MutationObserver(() => window.changes.push(performance.now()))
        .observe(here.querySelector("img"), { attributes: true, attributeFilter: ["src"] });
    let x, y, events = 0;
    for (let i = 1; i <= 60 * seconds; i++) {
        const pause = start + 1000 * i / 60 - performance.now();
        if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
        [x, y] = [box.left + (0.5 + 0.4 * Math.sin(i / 40)) * box.width,
                  box.top + (0.5 + 0.4 * Math.sin(i / 27)) * box.height];
        const where = { pointerId: 1, buttons: 1, clientX: x, clientY: y };
        pad.dispatchEvent(new PointerEvent("pointermove", where));
        events++;
    }
    const ended = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    return { events, took: ended - start, changes: window.changes, late: window.changes.at(-1) - ended,
             code: [6 * (x - box.left) / box.width - 3, 3 - 6 * (y - box.top) / box.height] };
}"""


def dragged(here, seconds):
    """Press on the plane with the mouse, drag it 60 times a second, let go.

    The page makes the moves itself: a driver outside, which waits for each, comes to about 15 a second.
    """
    pad = here.locator(".vae-lesson-pad")
    pad.scroll_into_view_if_needed()
    pad.hover()
    here.page.mouse.down()
    result = here.page.evaluate(DRAG, [here.element_handle(), seconds])
    here.page.mouse.up()
    return result
