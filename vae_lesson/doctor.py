"""The check of an installation, in words: versions, device, data, weights, widgets."""

import sys


def examine() -> int:
    """Print one line a check, and for each problem what it is.  Returns the exit status: 0 or 1."""
    problems = 0
    for title, check in CHECKS.items():
        try:
            print(f"ok       {title}: {check()}")
        except Exception as error:  # whatever is broken, the list goes on
            problems += 1
            print(f"PROBLEM  {title}: {type(error).__name__}: {error}")
    if problems:
        print(f"{problems} problem(s). Run the first command of README.md again; this is {sys.executable}")
    else:
        print("Everything works.")
    return 1 if problems else 0


def _versions() -> str:
    from importlib.metadata import version

    names = ("torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "anywidget", "tqdm", "safetensors")
    return ", ".join([f"Python {sys.version.split()[0]}", *(f"{name} {version(name)}" for name in names)])


def _device() -> str:
    import torch

    from vae_lesson.training import has_bf16

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    return f"{name}, bfloat16 {'in hardware' if has_bf16(device) else 'not in hardware (float32 is used)'}"


def _data() -> str:
    from vae_lesson.data import load_dataset

    train, test = load_dataset("mnist")
    return f"MNIST, {len(train):,} + {len(test):,} images, hash verified"


def _weights() -> str:
    from vae_lesson import checkpoints

    names = checkpoints.shipped_names()
    if not names:
        raise FileNotFoundError(f"no weights in {checkpoints.ASSETS}")
    for name in names:
        checkpoints.pretrained(name)
    return f"{', '.join(names)}, hashes verified"


def _widgets() -> str:
    import torch

    from vae_lesson.widgets import slide

    box = slide(lambda grey: (torch.full((28, 28), grey), f"grey {grey}"), grey=(0.0, 1.0, 0.5))
    before = box.image.value
    box.sliders["grey"].value = 1.0
    if box.image.value == before:
        raise RuntimeError("a slider moved and its picture did not: restart JupyterLab")
    return "a slider moved and its picture changed"


CHECKS = {
    "versions": _versions,
    "device": _device,
    "data": _data,
    "weights": _weights,
    "widgets": _widgets,
}
