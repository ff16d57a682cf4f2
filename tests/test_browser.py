"""A real JupyterLab in a real Chromium: run a lesson, move its first slider by keyboard, see it change.

Skipped where there is no Chromium, unless VAE_LESSON_BROWSER=required (as in .ci/run): then it fails.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

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
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(f"{lab}/lab/workspaces/{name}/tree/notebooks/{name}.ipynb")  # a workspace without other tabs
    page.get_by_text("| Idle").wait_for()  # a cell run before that is silently dropped
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    image = page.locator("img.vae-lesson-pixels").first
    image.wait_for()
    page.get_by_text("| Idle").wait_for()
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
