"""From a key press to the new picture in a real JupyterLab, against a bare slider with a bare picture.

Run: python tests/benchmarks/latency.py
Measured inside the page: from the keydown to the change of the image's `src`.  Twice: with Jupyter's server
as it is, and with TCP_NODELAY on its web socket.  Without it the server waits, after the kernel's first small
message, for the browser to acknowledge it, which Linux puts off for about 40 ms (Nagle's algorithm).
Last a drag on the plane: 10 s, 60 events a second, and how late the last picture comes.
"""

import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
import test_browser

CELLS = [
    "import ipywidgets, torch\nfrom vae_lesson import widgets\n"
    "from vae_lesson.checkpoints import pretrained\n"
    "slider, image = ipywidgets.FloatSlider(min=-3, max=3, step=0.05), ipywidgets.Image(width=280)\n"
    "def show(_):\n    image.value = widgets.to_png(torch.rand(28, 28))\n"
    "slider.observe(show, names='value')\nshow(0)\nbare = ipywidgets.VBox([slider, image])\n"
    "bare.add_class('vae-lesson-bare')\nimage.add_class('vae-lesson-pixels')\nbare",
    "widgets.LatentExplorer(pretrained('feedforward'))",
    "box = widgets.LatentExplorer(pretrained('cnn'))\nbox.add_class('vae-lesson-cnn')\nbox",
    "widgets.LatentPlane(pretrained('feedforward-2d'))",
]
PLACES = {  # what is measured: where it stands, and what takes the keys
    "bare slider": (".vae-lesson-bare", ".noUi-handle"),
    "explorer, feedforward": (".vae-lesson-LatentExplorer", ".noUi-handle"),
    "explorer, cnn": (".vae-lesson-cnn", ".noUi-handle"),
    "plane, slider": (".vae-lesson-LatentPlane", ".noUi-handle"),
    "plane, arrow keys": (".vae-lesson-LatentPlane", ".vae-lesson-pad"),
}
WATCH = """place => {
    window.waits = [];
    let pressed = null;
    document.addEventListener("keydown", () => { pressed = performance.now(); }, true);
    new MutationObserver(() => {
        if (pressed !== null) window.waits.push(performance.now() - pressed);
        pressed = null;
    }).observe(place.querySelector("img"), { attributes: true, attributeFilter: ["src"] });
}"""
AS_IT_IS = "import sys; from jupyterlab.labapp import main; sys.exit(main())"
NO_DELAY = """
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler as Handler
opened = Handler.open
async def open_at_once(self, *arguments, **named):
    self.set_nodelay(True)
    await opened(self, *arguments, **named)
Handler.open = open_at_once
"""


def measure(start: str, name: str, browser) -> None:
    with tempfile.TemporaryDirectory() as home:
        test_browser.write_notebook(Path(home), "latency", *CELLS)
        with test_browser.jupyterlab(Path(home), "-c", start) as address:
            page = test_browser.opened(address, browser, "latency")
            page.set_default_timeout(20_000)
            page.locator(".vae-lesson-pad").wait_for()
            page.get_by_text("| Idle").wait_for()
            for what, (place, target) in PLACES.items():
                waits = keys(page, page.locator(place).first, target)
                late = waits[int(0.95 * len(waits))]
                print(f"{name:12} {what:22} {median(waits):6.1f} {late:6.1f}  ({len(waits)} pictures)")
            drag = test_browser.dragged(test_browser.board(page, "LatentPlane"), seconds=10)
            print(
                f"{name:12} drag: {drag['events']} events in {drag['took'] / 1000:.1f} s, "
                f"{len(drag['changes'])} pictures, the last {drag['late']:.0f} ms after the last event"
            )
            page.close()


def keys(page, place, target) -> list[float]:
    """Milliseconds of 100 key presses, fewer when a picture answers two of them."""
    handle = place.locator(target).first
    handle.scroll_into_view_if_needed()
    place.evaluate(WATCH)
    handle.focus()
    for i in range(100):
        page.keyboard.press("ArrowRight" if i % 40 < 20 else "ArrowLeft")
        time.sleep(0.08)
    page.wait_for_timeout(500)
    return sorted(page.evaluate("window.waits"))


if __name__ == "__main__":
    print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f}; ms, median and 95 %")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=test_browser.BROWSER, args=["--no-sandbox"])
        measure(AS_IT_IS, "as it is", chromium)
        measure(NO_DELAY + AS_IT_IS, "TCP_NODELAY", chromium)
        chromium.close()
