"""Milliseconds from a key or a pointer to the digit drawn, measured inside the page, and its longest frames.

"drawn": the event's handlers, at whose end digit and sentence are set.  "frame": what the next frame then
takes to show them.  "seen": from the event to that frame's end, most of it the wait for the screen's beat.
The page makes the events itself: a driver outside would compete for the cores.  The tests press real keys.
Run: python tests/benchmarks/page.py
"""

import os
import platform
import sys
import tempfile
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
import test_browser

from vae_lesson.course import page

MOVES, LOADS = 200, 5
FRAMES = """
    const ask = window.requestAnimationFrame.bind(window), {port1, port2} = new MessageChannel();
    window.frames_ms = [];
    window.requestAnimationFrame = (work) => ask((time) => {
        const began = performance.now();
        work(time);
        const worked = performance.now();
        port1.onmessage = () => frames_ms.push([worked - began, performance.now() - began]);
        port2.postMessage(0); // arrives when the frame is painted
    });
"""
MEASURE = """async ([kind, count]) => {
    const pad = document.querySelector(".vae-lesson-pad"), slider = document.getElementById("z1");
    pad.hasPointerCapture = () => true; // of a pointer that the page makes itself there is none
    const box = pad.getBoundingClientRect(), {port1, port2} = new MessageChannel(), moves = [];
    const painted = () => new Promise(resolve => { port1.onmessage = resolve; port2.postMessage(0); });
    const acts = {
        key: n => pad.dispatchEvent(
            new KeyboardEvent("keydown", {key: n % 100 < 50 ? "ArrowRight" : "ArrowLeft"})),
        slider: n => { slider.value = (n % 100) * 0.05 - 2; slider.dispatchEvent(new Event("input")); },
        pointer: n => pad.dispatchEvent(new PointerEvent("pointermove",
            {buttons: 1, clientX: box.left + 20 + n, clientY: box.top + 220 - n})),
    };
    for (let n = 0; n < count; n++) {
        const began = performance.now();
        acts[kind](n);
        const drawn = performance.now();
        await new Promise(requestAnimationFrame);
        const frame = performance.now();
        await painted();
        moves.push([drawn - began, performance.now() - frame, performance.now() - began]);
    }
    return moves;
}"""


def told(values: list[float]) -> str:
    values = sorted(values)
    return f"{median(values):8.1f} {values[int(0.95 * len(values))]:6.1f}"


if __name__ == "__main__":
    print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f}", end=", ")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = page.write(Path(folder) / "plane.html")
        browser = playwright.chromium.launch(executable_path=test_browser.BROWSER, args=["--no-sandbox"])
        print(f"Chromium {browser.version}, {file.stat().st_size / 1e6:.2f} MB")
        tab = browser.new_page()
        tab.goto(file.as_uri())
        tab.evaluate("vaeLesson.tilesDrawn")
        print(f"{'ms, median and 95 %':22} {'drawn':>15} {'frame':>15} {'seen':>15}")
        for kind in ("key", "slider", "pointer"):
            moves = tab.evaluate(MEASURE, [kind, MOVES])
            print(f"{kind:22} {' '.join(told(column) for column in zip(*moves, strict=True))}")
        tab.close()
        for _ in range(LOADS):
            tab = browser.new_page()
            tab.add_init_script(FRAMES)
            tab.goto(file.as_uri())
            tab.evaluate("vaeLesson.tilesDrawn")
            scripts, frames = zip(*tab.evaluate("frames_ms"), strict=True)
            late = sum(ms > 8 for ms in frames)
            print(f"background, {len(frames)} frames, {late} over 8 ms; median and longest:", end=" ")
            print(f"decoding {median(scripts):.1f} {max(scripts):.1f}", end=", ")
            print(f"with painting {median(frames):.1f} {max(frames):.1f}")
            tab.close()
        browser.close()
