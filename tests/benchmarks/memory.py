"""Peak memory of each lesson's kernel and the seconds of its run, on one thread.  Linux only.

`python tests/benchmarks/memory.py [NAME ...]` runs all lessons, or those named, from top to bottom.
What it prints at most is what `python -m vae_lesson doctor` says that a lesson needs.
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
PEAK = 'print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))'


def peak(path: Path) -> float:
    """Run a notebook in a fresh kernel; returns the most memory that the kernel held, in GB (10^9 bytes)."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": path.parent}}).execute()
    return int(notebook.cells[-1].outputs[0].text) * 1024 / 1e9


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    for path in sorted(FOLDER.rglob("[!.]*.ipynb"), key=lambda path: (len(path.parts), path)):
        if path.stem in sys.argv[1:] or len(sys.argv) == 1:
            began = time.perf_counter()
            print(f"{path.stem:24} {peak(path):5.2f} GB {time.perf_counter() - began:6.0f} s", flush=True)
