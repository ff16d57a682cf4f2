"""The check of an installation, in words: versions, device, memory, data, weights, widgets."""

import sys
from importlib.metadata import version

PACKAGES = ("torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "anywidget", "tqdm", "safetensors")
LESSON_GB = 1.1  # the most that a lesson's kernel holds: tests/benchmarks/memory.py
MNIST = [(60_000, 33.32), (10_000, 33.79)]  # images and their mean grey


def examine() -> int:
    """Print one line a check, and for each problem what it is.  Returns the exit status: 0 or 1."""
    problems = 0
    for check in (versions, device, memory, data, weights, widgets):
        try:
            print(f"ok       {check.__name__}: {check()}")
        except Exception as error:  # whatever is broken, the list goes on
            problems += 1
            print(f"PROBLEM  {check.__name__}: {type(error).__name__}: {error}")
    if problems:
        print(f"{problems} problem(s). Run the first command of README.md again; this is {sys.executable}")
    else:
        print("Everything works.")
    return min(problems, 1)


# Each check imports what it needs itself: a broken package is one line of the list, not the end of it.


def versions() -> str:
    return ", ".join([f"Python {sys.version.split()[0]}", *(f"{name} {version(name)}" for name in PACKAGES)])


def device() -> str:
    import torch

    from vae_lesson.training import has_bf16

    kind = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if kind == "cuda" else f"{torch.get_num_threads()} CPU thread(s)"
    return f"{name}, bfloat16 {'in' if has_bf16(torch.device(kind)) else 'not in'} hardware"


def memory() -> str:
    import psutil  # comes with ipykernel

    free = psutil.virtual_memory().available / 1e9
    if free < LESSON_GB:
        raise MemoryError(f"{free:.1f} GB free, a lesson needs {LESSON_GB}: close other programs and kernels")
    return f"{free:.1f} GB free, a lesson needs {LESSON_GB} or less"


def data() -> str:
    from vae_lesson.data import load_dataset

    found = [(len(part), round(part.images.numpy().mean().item(), 2)) for part in load_dataset("mnist")]
    if found != MNIST:
        raise ValueError(f"MNIST must have these numbers of images and mean greys: {MNIST}; got {found}")
    return "MNIST, 60,000 + 10,000 images"


def weights() -> str:
    from vae_lesson import checkpoints

    names = checkpoints.shipped_names()
    if not names:
        raise FileNotFoundError("the package has no weights")
    for name in names:
        checkpoints.pretrained(name)
    return ", ".join(names)


def widgets() -> str:
    import torch

    from vae_lesson.widgets import slide

    box = slide(lambda grey: (torch.full((28, 28), grey), f"grey {grey}"), grey=(0.0, 1.0, 0.5))
    before = box.image.value
    box.sliders["grey"].value = 1.0
    if box.image.value == before:
        raise RuntimeError("a slider moved and its picture did not: restart JupyterLab")
    return "a slider moved and its picture changed"
