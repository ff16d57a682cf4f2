"""Throughput of `log_likelihood` in decoded images a second, against a bare loop of `decode`.

Run: python tests/benchmarks/scoring.py
"""

import platform
import time

import torch

from vae_lesson.checkpoints import pretrained
from vae_lesson.data import binarize, load_dataset
from vae_lesson.scoring import ROWS, log_likelihood

IMAGES, SAMPLES, ROUNDS = 100, 500, 3

x = binarize(load_dataset("mnist")[1].images[:IMAGES], "static")
machine = platform.processor() or platform.machine()
print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}")
print(f"{'model':16} {'log_likelihood':>15} {'decode alone':>13}  (decoded images a second)")
for name in ("feedforward", "cnn"):
    model, scored, bare = pretrained(name), [], []
    codes = torch.randn(ROWS, model.latent_dim)
    for _ in range(ROUNDS):
        started = time.perf_counter()
        log_likelihood(model, x, SAMPLES)
        scored.append(IMAGES * SAMPLES / (time.perf_counter() - started))
        started = time.perf_counter()
        with torch.inference_mode():
            for _ in range(IMAGES * SAMPLES // ROWS):
                model.decode(codes)
        bare.append(IMAGES * SAMPLES // ROWS * ROWS / (time.perf_counter() - started))
    print(f"{name:16} {max(scored):15,.0f} {max(bare):13,.0f}  ratio {max(scored) / max(bare):.2f}")
