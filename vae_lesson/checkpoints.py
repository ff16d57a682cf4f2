"""Weights in and out as safetensors, the shipped ones too: files are written whole, and none runs code."""

import contextlib
import dataclasses
import json
import os
import uuid
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from vae_lesson.models import VAE, ConvVAE, FeedforwardVAE

ASSETS = Path(__file__).parent / "assets"
ARCHITECTURES = {"FeedforwardVAE": FeedforwardVAE, "ConvVAE": ConvVAE}


def save(model: nn.Module, path: str | Path, *, half: bool = False, **notes) -> None:
    """Write a model's weights, what it is, and `notes` about it, to a .safetensors file.

    half: store float16, half the size.  notes: plain data or dataclasses, for example history=..., and
    scores=..., read back by `describe`.  The file appears whole or not at all; an older one survives.
    Raises ValueError for weights that float16 cannot hold, OSError when it cannot be written.
    """
    tensors = {name: t.half() if half else t for name, t in model.state_dict().items()}
    for name, t in tensors.items():
        if half and not t.isfinite().all():
            raise ValueError(f"{name} is NaN or beyond 65504, too large for float16: save with half=False")
    _write(path, tensors, {"architecture": architecture(model), **notes})


def load(path: str | Path, model: nn.Module | None = None) -> VAE:
    """The model saved in a file, on the CPU, in float32, ready to use (eval mode).

    model: your own, to be filled with the weights of the file; needed unless it is one of models.py.
    Raises FileNotFoundError, or ValueError when the file is damaged or does not fit the model.
    """
    tensors, notes = _read(path)
    name, config = notes.get("architecture") or (None, {})
    if model is None and name not in ARCHITECTURES:
        raise ValueError(
            f"{path} holds a model that this version does not know ({name}); it knows "
            f"{', '.join(ARCHITECTURES)}: make your model and fill it by load(path, model)"
        )
    try:
        model = ARCHITECTURES[name](**config) if model is None else model
        model.load_state_dict({key: t.float() if t.is_floating_point() else t for key, t in tensors.items()})
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"the weights in {path} do not fit this model: {error}") from error
    return model.eval()


def pretrained(name: str) -> VAE:
    """A shipped model, for example "feedforward", "cnn" or "feedforward-2d" (two latents, for maps).

    Raises ValueError for another name, which lists them all.
    """
    return load(shipped(name))


def shipped(name: str) -> Path:
    """The file of a shipped model.  Raises ValueError for an unknown name."""
    if name not in shipped_names():
        raise ValueError(f"unknown model {name!r}: choose one of {', '.join(shipped_names())}")
    return ASSETS / f"{name}.safetensors"


def shipped_names() -> list[str]:
    """The names that `pretrained` takes."""
    return sorted(path.stem for path in ASSETS.glob("*.safetensors"))


def describe(path: str | Path) -> dict:
    """What `save` wrote beside the weights: architecture, history, scores.  Reads the header alone."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; shipped models are {', '.join(shipped_names())}")
    try:
        with safe_open(path, "pt") as file:
            notes = (file.metadata() or {}).get("notes")
    except (SafetensorError, ValueError) as error:
        raise ValueError(
            f"{path} is truncated or no safetensors file ({error}): copy or train it again"
        ) from error
    if notes is None:
        raise ValueError(f"{path} was not written by vae_lesson: its header has no notes")
    return json.loads(notes)


def annotate(path: str | Path, **notes) -> None:
    """Add notes to a file, or replace those of the same name; its weights stay as they are, bit for bit.

    Raises ValueError for a shipped model: it belongs to the installation.
    """
    check_writable(path)
    tensors, old = _read(path)
    _write(path, tensors, old | notes)


def check_writable(path: str | Path) -> None:
    """Raises ValueError for a shipped model: it belongs to the installation."""
    if Path(path).resolve().parent == ASSETS.resolve():
        raise ValueError(f"{path} belongs to the installation: copy it, and change the copy")


def architecture(model: nn.Module) -> list | None:
    """[class name, its arguments], or None for a model that is not one of models.py (a student's own)."""
    name = type(model).__name__
    return [name, model.config] if type(model) is ARCHITECTURES.get(name) else None


def write_whole(path: str | Path, content: bytes) -> None:
    """A file that appears whole or not at all; an older one survives a failure.  Raises OSError."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")  # two writers do not meet
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        kept = "the older file there is unchanged" if path.exists() else "nothing was written"
        raise OSError(
            error.errno,
            f"could not save {path} ({error.strerror}); {kept}: free some space or name another folder",
        ) from error
    finally:  # after Ctrl-C too
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write(path: str | Path, tensors: dict[str, Tensor], notes: dict) -> None:
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}  # tied ones apart
    write_whole(path, to_safetensors(tensors, {"notes": json.dumps(notes, default=dataclasses.asdict)}))


def _read(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    notes = describe(path)
    return parse_safetensors(Path(path).read_bytes()), notes
