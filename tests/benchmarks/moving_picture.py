"""README's first picture: a hand walks over the latent plane of the real page, and the digit follows.

figures/page.gif moves; figures/page.png is its first frame, for those who stop motion.
Run: python tests/benchmarks/moving_picture.py
"""

import io
import math
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
import test_browser

from vae_lesson.course import page

FIGURES = Path(__file__).parents[2] / "figures"
FRAMES, MILLISECONDS = 120, 90  # about eleven seconds, slow enough to read the digits
SIZE, WIDTH = (1120, 654), 784
HAND = [(0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12)]  # an arrow, in pixels


def place(t: float) -> tuple[float, float]:
    """Where the hand is at t in [0, 1), as a share of the pad's width and height: a closed, slow curve."""
    angle = 2 * math.pi * t
    return 0.5 + 0.3 * math.sin(angle), 0.5 - 0.3 * math.sin(2 * angle + 0.8)


def shots(tab) -> list[Image.Image]:
    """The page with the hand at each place of its walk."""
    box, pictures = tab.locator(".vae-lesson-pad").bounding_box(), []
    for n in range(FRAMES):
        right, down = place(n / FRAMES)
        x, y = box["x"] + right * box["width"], box["y"] + down * box["height"]
        tab.mouse.move(x, y)
        if n == 0:
            tab.mouse.down()
        tab.evaluate("new Promise(requestAnimationFrame)")
        picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
        hand = [(x + across, y + along) for across, along in HAND]
        ImageDraw.Draw(picture).polygon(hand, fill="white", outline="black", width=2)
        pictures.append(picture)
    return pictures


def write(pictures: list[Image.Image], folder: Path) -> None:
    """The moving picture and its still, in the colours of the page."""
    height = round(SIZE[1] * WIDTH / SIZE[0])
    small = [picture.resize((WIDTH, height), Image.Resampling.LANCZOS) for picture in pictures]
    sheet = Image.new("RGB", (WIDTH, 4 * height))  # one palette for all frames: no flicker
    for row, picture in enumerate(small[:: FRAMES // 4]):
        sheet.paste(picture, (0, row * height))
    palette = sheet.quantize(128, method=Image.Quantize.MAXCOVERAGE)
    drawn = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in small]
    moves = {"append_images": drawn[1:], "duration": MILLISECONDS, "loop": 0}
    drawn[0].save(folder / "page.gif", save_all=True, optimize=True, **moves)
    drawn[0].save(folder / "page.png", optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=test_browser.BROWSER, args=["--no-sandbox"])
        tab = browser.new_page(viewport=dict(zip(("width", "height"), SIZE, strict=True)))
        tab.goto(page.write(Path(folder) / "plane.html").as_uri())
        tab.evaluate("vaeLesson.tilesDrawn")
        write(shots(tab), FIGURES)
        browser.close()
    for name in ("page.gif", "page.png"):
        print(f"{name}: {(FIGURES / name).stat().st_size / 1e6:.2f} MB")
