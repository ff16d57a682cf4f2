"""Kernel-side time of one slider move in lessons 01 to 05, against drawing the whole figure anew.

Run: python tests/benchmarks/sliders.py
"""

import platform
import sys
import time
from pathlib import Path
from statistics import median

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import lessons

from vae_lesson.widgets import base

MOVES = 200


def milliseconds(move, values) -> list[float]:
    times = []
    for value in values:
        start = time.perf_counter()
        move(value)
        times.append(1000 * (time.perf_counter() - start))
    return sorted(times)


def drawn_whole(figure):
    """The pixels of a figure when what was kept of it no longer holds."""
    figure.stale = True
    return drawn(figure)


drawn = base._drawn
machine = platform.processor() or platform.machine()
print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}")
print(f"{'lesson':24} {'slider':8} {'median ms':>9} {'95 % ms':>8} {'redrawn ms':>10} {'ratio':>6}")
for name in lessons.THEORY:
    for box in lessons.run(name)[1]:
        for key, slider in box.sliders.items():
            every = lessons.positions(slider)
            values = (every * (MOVES // len(every) + 2))[1 : MOVES + 1]
            kept = milliseconds(lambda value, slider=slider: setattr(slider, "value", value), values)
            base._drawn = drawn_whole
            redrawn = milliseconds(lambda value, slider=slider: setattr(slider, "value", value), values[:40])
            base._drawn = drawn
            fast, slow = median(kept), median(redrawn)
            late = kept[int(0.95 * len(kept))]
            print(f"{name:24} {key:8} {fast:9.1f} {late:8.1f} {slow:10.1f} {slow / fast:6.1f}")
