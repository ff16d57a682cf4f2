"""Weights in and out as safetensors, the shipped ones too: atomic writes, verified reads, no code run."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from vae_lesson.models import VAE, ConvVAE, FeedforwardVAE

ASSETS = Path(__file__).parent / "assets"
ARCHITECTURES = {"FeedforwardVAE": FeedforwardVAE, "ConvVAE": ConvVAE}
OPTIMIZER = "optimizer."  # prefix of the tensors that only `training.fit` reads, to resume


def save(model: VAE, path: str | Path, *, half: bool = False, **notes) -> None:
    """Write a model's weights and architecture, and `notes` about them, to a .safetensors file.

    half: store float16, half the size.  notes: plain data, for example training=..., scores=...,
    read back by `describe`.  The file appears whole or not at all; an older one survives a failure.
    Raises OSError when it cannot be written.
    """
    tensors = {name: t.half() if half else t for name, t in model.state_dict().items()}
    write(path, tensors, {"architecture": architecture(model), **notes})


def load(path: str | Path) -> VAE:
    """The model saved in a file, on the CPU, in float32, ready to use (eval mode).

    Raises FileNotFoundError, or ValueError when the file is damaged or does not fit its architecture.
    """
    tensors, notes = read(path)
    name, config = notes.get("architecture") or (None, None)
    if name not in ARCHITECTURES:
        raise ValueError(f"{path} holds a {name!r}; this version knows {', '.join(ARCHITECTURES)}")
    weights = {name: t.float() for name, t in tensors.items() if not name.startswith(OPTIMIZER)}
    try:
        model = ARCHITECTURES[name](**config)
        model.load_state_dict(weights)
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"the weights in {path} do not fit {name}({config}): {error}") from error
    return model.eval()


def pretrained(name: str) -> VAE:
    """A shipped model: "feedforward", "cnn" or "feedforward-2d" (two latents, for maps of the latent space).

    Raises ValueError for another name.
    """
    return load(shipped(name))


def shipped(name: str) -> Path:
    """The file of a shipped model.  Raises ValueError for an unknown name."""
    names = shipped_names()
    if name not in names:
        raise ValueError(f"unknown model {name!r}: choose one of {', '.join(names)}")
    return ASSETS / f"{name}.safetensors"


def shipped_names() -> list[str]:
    """The names that `pretrained` takes."""
    return sorted(path.stem for path in ASSETS.glob("*.safetensors"))


def describe(path: str | Path) -> dict:
    """What `save` wrote beside the weights: architecture, training settings, scores.  Verifies the file."""
    return read(path)[1]


def annotate(path: str | Path, **notes) -> None:
    """Add notes to a file, or replace those of the same name; its weights stay as they are, bit for bit."""
    tensors, old = read(path)
    write(path, tensors, old | notes)


def architecture(model) -> list | None:
    """[class name, its arguments], or None for a model that is not of this package (a student's own)."""
    name = type(model).__name__
    return [name, model.config] if type(model) is ARCHITECTURES.get(name) else None


def write(path: str | Path, tensors: dict[str, Tensor], notes: dict) -> None:
    """Write tensors and notes (plain data) with a hash over both, first to a temporary file, then rename."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    text = json.dumps(notes)
    write_whole(path, to_safetensors(tensors, {"notes": text, "sha256": _digest(tensors, text)}))


def write_whole(path: str | Path, content: bytes) -> None:
    """A file that appears whole or not at all; an older one survives a failure.  Raises OSError."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        kept = "the older file there is unchanged" if path.exists() else "nothing was written"
        raise OSError(
            error.errno,
            f"could not save {path} ({error.strerror}); {kept}: free some space or name another folder",
        ) from error


def read(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and notes of a file that `write` made.  Raises FileNotFoundError, or ValueError if damaged."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; shipped models are {', '.join(shipped_names())}")
    content = path.read_bytes()
    try:
        tensors = parse_safetensors(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
    except (SafetensorError, ValueError) as error:
        raise ValueError(
            f"{path} is truncated or no safetensors file ({error}): copy or train it again"
        ) from error
    if "sha256" not in header or "notes" not in header:
        raise ValueError(f"{path} was not written by vae_lesson: its header has no notes or no hash")
    if _digest(tensors, header["notes"]) != header["sha256"]:
        raise ValueError(
            f"{path} was altered after it was saved (its hash does not fit): copy or train it again"
        )
    return tensors, json.loads(header["notes"])


def _digest(tensors: dict[str, Tensor], notes: str) -> str:
    digest = hashlib.sha256(notes.encode())
    for name in sorted(tensors):
        t = tensors[name]
        digest.update(f"{name} {t.dtype} {tuple(t.shape)}".encode())
        digest.update(t.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
