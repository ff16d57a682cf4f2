"""A real JupyterLab in a real Chromium: run lesson 08, move its widgets by mouse and keyboard, look.

Skipped where there is no Chromium, unless VAE_LESSON_BROWSER=required (as in .ci/run): then it fails.
"""

import contextlib
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

import nbformat
import numpy as np
import pytest
from PIL import Image

from vae_lesson import widgets
from vae_lesson.checkpoints import pretrained

LESSON = Path(__file__).parents[1] / "notebooks" / "08_latent_space.ipynb"
SLOW_LINE = (
    "from vae_lesson import checkpoints, widgets\nwidgets.LatentExplorer(checkpoints.pretrained('beta-1'))"
)
REQUIRED = os.environ.get("VAE_LESSON_BROWSER") == "required"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None and not REQUIRED,
        reason="no Chromium here: install it (Debian: apt-get install chromium) to run this test",
    ),
]


@contextlib.contextmanager
def jupyterlab(home: Path, *program: str):
    """The address of a JupyterLab on the folder `home`, with settings and state of its own.

    program: what Python is to start, ("-m", "jupyterlab") unless told.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime"}
    own |= {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    environment = os.environ | {name: str(home / folder) for name, folder in own.items()}
    options = ["--no-browser", "--allow-root", f"--port={address.split(':')[-1]}"]
    options += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", "--LabApp.news_url="]
    command = [sys.executable, *(program or ("-m", "jupyterlab")), *options]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (home / "log").read_text(encoding="utf-8")
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def write_notebook(home: Path, name: str, *cells: str) -> None:
    """A notebook of these cells, to be opened by `opened`."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    (home / "notebooks").mkdir(exist_ok=True)
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, home / "notebooks" / f"{name}.ipynb")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    home = tmp_path_factory.mktemp("lab")
    write_notebook(home, "slow_line", SLOW_LINE)
    shutil.copy(LESSON, home / "notebooks")
    with jupyterlab(home) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    assert BROWSER, "VAE_LESSON_BROWSER=required, but no Chromium is installed"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=BROWSER, args=options)
        yield browser
        browser.close()


def opened(lab, chromium, name, script="", **options):
    """A page with the notebook, which runs; its first picture is there.  `.complaints`: of the console."""
    page = chromium.new_page(**{"viewport": {"width": 1280, "height": 1000}} | options)
    page.complaints = []
    page.on("console", lambda message: message.type == "error" and page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.add_init_script(script)
    page.set_default_timeout(120_000)
    page.goto(f"{lab}/lab/workspaces/{name}/tree/notebooks/{name}.ipynb")  # a workspace without other tabs
    page.get_by_text("| Idle").wait_for()  # a cell run before that is silently dropped
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator("img.vae-lesson-pixels").first.wait_for()
    return page


@pytest.fixture(scope="module")
def running(lab, chromium):
    """Lesson 08 in the browser, while it runs."""
    page = opened(lab, chromium, LESSON.stem)
    yield page
    page.close()


@pytest.fixture(scope="module")
def lesson(running):
    """Lesson 08 when it has run: its last widget is there."""
    page = running
    page.locator(".vae-lesson-DrawADigit canvas").wait_for(state="attached")
    page.get_by_text("| Idle").wait_for()
    yield page
    stderr = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
    assert stderr.count() == 0 and page.complaints == []


# The judge of each picture is the same widget in this process, where no browser is.


def board(page, name):
    """A widget on the page, scrolled into view."""
    place = page.locator(f".vae-lesson-{name}").first
    place.scroll_into_view_if_needed()
    if folder := os.environ.get("VAE_LESSON_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}-{page.viewport_size['width']}.png")
    return place


def pixels_of(content: bytes):
    return np.asarray(Image.open(io.BytesIO(content)).convert("L")).astype(int)


def shown(place):
    """The pixels of the picture in the browser."""
    read = """async img => [...new Uint8Array(await (await fetch(img.src)).arrayBuffer())]"""
    return pixels_of(bytes(place.locator("img.vae-lesson-pixels").evaluate(read)))


def said(place):
    return place.locator("p[role=status]").last.inner_text()  # the canvas has one too, before it


def settled(place):
    """The sentence when it has stopped to change."""
    before = None
    while before != (before := said(place)):
        place.page.wait_for_timeout(500)
    return before


def wait_until_alike(here, there):
    """The browser shows the picture and the sentence of the widget `there`, within ten seconds.

    A grey level of difference is rounding on another thread.
    """
    expected = pixels_of(bytes(there.image.value))
    for _ in range(200):
        if said(here) == there.text and np.abs(shown(here) - expected).max() <= 1:
            return
        here.page.wait_for_timeout(50)
    raise AssertionError(
        f"the browser says {said(here)!r} in place of {there.text!r}, or shows another picture"
    )


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


# A slow line: what the page sends arrives `late` milliseconds later, in order; `sent` lists the values in it.
HELD_BACK = """
    window.late = 0;
    window.sent = [];
    const send = WebSocket.prototype.send, decoder = new TextDecoder();
    WebSocket.prototype.send = function (data) {
        const text = typeof data === "string" ? data : decoder.decode(data);
        const update = /"method": ?"update".*?"value": ?([^,}]*)/.exec(text);
        if (update) window.sent.push(Number(update[1]));
        if (window.late) setTimeout(() => send.call(this, data), window.late);
        else send.call(this, data);
    };
"""


def test_on_a_slow_line_the_browser_answers_nothing_and_no_key_is_lost(running, lab, chromium):
    """Were handles put where a browser can't have them, it would answer each with a move of its own."""
    page = opened(lab, chromium, "slow_line", HELD_BACK)
    page.get_by_text("| Idle").wait_for()
    here, there = board(page, "LatentExplorer"), widgets.LatentExplorer(pretrained("beta-1"))
    page.evaluate("window.late = 3000; window.sent = []")
    for _ in range(2):  # the second is on its way before the page has heard of the first
        here.get_by_role("button", name="random draw").click()
        there.draw_from_prior()
        page.wait_for_timeout(1500)
    wait_until_alike(here, there)
    page.wait_for_timeout(500)
    assert page.evaluate("window.sent") == []  # 32 handles were put somewhere, and none has answered
    slider = next(iter(there.sliders.values()))
    stood = slider.value
    here.get_by_role("button", name="random draw").click()
    there.draw_from_prior()
    press(here, ".noUi-handle", *["ArrowRight"] * 4)  # before the page has heard of the draw
    slider.value = stood + 4 / 16
    wait_until_alike(here, there)
    moves = page.evaluate("window.sent")
    assert set(moves) <= {stood + k / 16 for k in (1, 2, 3, 4)} and moves[-1] == stood + 4 / 16
    assert page.complaints == []
    page.close()


def test_a_slider_by_keyboard_changes_picture_and_words_and_no_element(lesson):
    """A screen reader announces a change within an element; one that is put in its place may stay unread."""
    here = board(lesson, "Board")
    settled(here)
    picture = shown(here)
    words = here.locator("p[role=status]").element_handle()
    press(here, ".noUi-handle >> nth=2", "ArrowRight")
    lesson.wait_for_function("p => p.innerText.includes('52% of the way')", arg=words)
    assert words.evaluate("p => p.isConnected") and words.inner_text() == said(here)
    assert (shown(here) != picture).any()
    assert here.locator("img").evaluate("img => getComputedStyle(img).imageRendering") == "pixelated"


def test_explorer(lesson):
    here, there = board(lesson, "LatentExplorer"), widgets.LatentExplorer(pretrained("cnn"))
    press(here, ".noUi-handle", *["ArrowRight"] * 7)  # by keyboard
    first = next(iter(there.sliders))
    there.sliders[first].value += 7 / 16
    wait_until_alike(here, there)
    assert f"{first} = {there.sliders[first].value:+.2f}" in said(here)
    assert there.sliders[first].description in here.inner_text()
    handle = here.locator(".noUi-handle").nth(2)
    drag(lesson, handle, (0.5, 0.5), (4, 0.5))  # by mouse
    name, value = re.match(r"(z\d+) = ([+-][\d.]+),", settled(here)).groups()
    assert name == list(there.sliders)[2] and float(value) > 0.5
    there.sliders[name].value = round(float(value) * 16) / 16
    wait_until_alike(here, there)
    typed(here, "input[type=number]", 7)
    press(here, "button:has-text('encode it')", "Enter")
    there.encode(7)
    wait_until_alike(here, there)
    handle.press("ArrowRight")  # one step from where the handle stands
    there.sliders[name].value += 1 / 16
    wait_until_alike(here, there)
    here.get_by_role("button", name="random draw").click()
    there.draw_from_prior()
    wait_until_alike(here, there)
    press(here, "button:has-text('centre')", "Space")
    there.reset()
    wait_until_alike(here, there)


def test_plane(lesson):
    here, there = board(lesson, "LatentPlane"), widgets.LatentPlane(pretrained("feedforward-2d"))
    press(here, ".vae-lesson-pad", *["ArrowRight"] * 10, *["ArrowUp"] * 4, "Shift+ArrowUp")
    there.z = [0.5, 0.45]
    wait_until_alike(here, there)
    press(here, ".vae-lesson-pad", "Home")
    there.z = [0, 0]
    wait_until_alike(here, there)
    drag(lesson, here.locator(".vae-lesson-pad"), (0.5, 0.5), (0.9, 0.2), (0.75, 0.25))
    there.z = [1.5, 1.5]
    wait_until_alike(here, there)
    assert "(+1.50, +1.50)" in said(here)
    press(here, ".noUi-handle", *["ArrowLeft"] * 5)  # right after the drag, through where it has been
    there.sliders["z1"].value -= 5 * 3 / 64
    wait_until_alike(here, there)
    picture = here.locator(".vae-lesson-pad").evaluate("pad => pad.style.backgroundImage")
    here.locator("select").select_option("4")
    lesson.wait_for_function("before => document.querySelector('.vae-lesson-pad').style.backgroundImage"
                             " !== before", arg=picture)  # fmt: skip


def test_drawing(lesson):
    here, there = board(lesson, "DrawADigit"), widgets.DrawADigit(pretrained("cnn"))
    typed(here, "input[type=number]", 3)
    here.get_by_role("button", name="take it").click()
    there.take(3)
    wait_until_alike(here, there)
    press(here, "canvas", "Delete")
    there.clear()
    wait_until_alike(here, there)
    press(here, "canvas", *["ArrowUp"] * 9, "Space", *["ArrowDown"] * 18, "Space")  # a 1, by keyboard
    assert here.locator("p[role=status]").first.inner_text() == "pen up, column 14, row 23"
    here.get_by_text("are 1s").wait_for()
    settled(here)
    drawn = shown(here)
    assert drawn[4:24, :28].max() > 200 and drawn[:3, :28].max() == 0
    press(here, "canvas", "Delete")
    drag(lesson, here.locator("canvas"), (0.3, 0.2), (0.7, 0.2), (0.45, 0.85))  # a 7, by mouse
    here.get_by_text("are 7s").wait_for()
    ink = here.locator("canvas").evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, 112, 112).data].filter((_, i) => i % 4 === 0)"
    )
    there.canvas.ink = bytes(ink)
    wait_until_alike(here, there)


def test_a_long_drag_ends_where_the_pointer_ends_and_leaves_no_queue(lesson):
    there = widgets.LatentPlane(pretrained("feedforward-2d"))
    here = board(lesson, "LatentPlane")
    result = dragged(here, seconds=4)
    assert result["events"] == 240 and len(result["changes"]) > 20
    there.z = result["code"]
    wait_until_alike(here, there)
    count = lesson.evaluate("window.changes.length")
    lesson.wait_for_timeout(500)
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
