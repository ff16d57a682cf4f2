"""Kernel-side time of one slider move of LatentExplorer, against decoding alone.

Run: python tests/benchmarks/explorer.py
A move is what a message from the browser does: the slider's new value, the pictures and the words.  Measured
in this process, where nobody listens, and in a kernel, which also sends four messages back for each move.
"""

import platform

import nbformat
import torch
from nbclient import NotebookClient

MOVES = 500
CODE = f"""
import time
from statistics import median
import torch
from vae_lesson.checkpoints import pretrained
from vae_lesson.widgets import LatentExplorer

def milliseconds(action):
    times = []
    for i in range({MOVES} + 50):  # the first fifty warm up
        start = time.perf_counter()
        action(-3 + 6 * i / {MOVES + 50})
        times.append(1000 * (time.perf_counter() - start))
    return sorted(times[50:])

for name in ("feedforward", "cnn"):
    model = pretrained(name)
    explorer = LatentExplorer(model)
    slider = next(iter(explorer.sliders.values()))
    z = torch.zeros(model.latent_dim)
    moves = milliseconds(lambda value: slider.set_state({{"value": value}}))  # as a message does
    with torch.inference_mode():
        bare = milliseconds(lambda value: model.pixels(model.decode(z + value)))
    late = moves[int(0.95 * {MOVES})]
    middle, alone = median(moves), median(bare)
    print(f"{{name:12}} {{where:8}} {{middle:9.2f}} {{late:9.2f}} {{alone:9.2f}} {{middle / alone:6.1f}}")
"""

if __name__ == "__main__":
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} cores, torch {torch.__version__}")
    print(f"{'model':12} {'where':8} {'median ms':>9} {'95 % ms':>9} {'decode ms':>9} {'ratio':>6}")
    exec(CODE, {"where": "process"})
    CODE = "where = 'kernel'\n" + CODE
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    NotebookClient(notebook, timeout=300).execute()
    print(
        *(output["text"] for output in notebook.cells[0].outputs if output.get("name") == "stdout"),
        sep="",
        end="",
    )
