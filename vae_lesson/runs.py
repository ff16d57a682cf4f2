"""What is known of a training run: its settings, its history, and the file of an unfinished one."""

import dataclasses
import functools
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from vae_lesson import checkpoints


@dataclass
class History:
    """What happened, one value an epoch, the terms as means in nats per image; and `run`, how it was made."""

    elbo: list[float] = field(default_factory=list)
    log_px_given_z: list[float] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    validation_elbo: list[float] = field(default_factory=list)
    validation_log_px_given_z: list[float] = field(default_factory=list)
    validation_kl: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False
    run: dict = field(default_factory=dict)

    def last(self) -> str:
        """The last epoch in words."""
        words = f"ELBO {self.elbo[-1]:.1f} = {self.log_px_given_z[-1]:.1f} - {self.kl[-1]:.1f} nats"
        return words + (f", validation {self.validation_elbo[-1]:.1f}" if self.validation_elbo else "")


@dataclass(frozen=True)
class Settings:
    """How `fit` trains.  Raises ValueError for a setting out of range.

    peak_lr: the highest learning rate of the one-cycle schedule (Smith & Topin 2018).
    beta: weight of the KL; over the first warmup_epochs it rises to that from 0 (Bowman et al. 2016).
    binarization: see `data.binarize`; None means "dynamic" for Bernoulli pixels and "none" for Gaussian ones.
    bf16: multiply in bfloat16; None means where the hardware has it.
    """

    epochs: int = 30
    batch_size: int = 128
    seed: int = 0
    peak_lr: float = 3e-3
    beta: float = 1.0
    warmup_epochs: float = 0
    binarization: str | None = None
    bf16: bool | None = None

    def __post_init__(self):
        for name, least in (("epochs", 0), ("batch_size", 1), ("beta", 0), ("warmup_epochs", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be {least} or more; got {getattr(self, name)}")
        if not self.peak_lr > 0:
            raise ValueError(f"peak_lr must be above 0; got {self.peak_lr}")


def name_of(objective: Callable) -> str:
    """The objective in words, as it is stored with a run: "elbo", "iwae_terms(samples=5)"."""
    if isinstance(objective, functools.partial):
        told = [*map(str, objective.args), *(f"{key}={value}" for key, value in objective.keywords.items())]
        return f"{name_of(objective.func)}({', '.join(told)})"
    return getattr(objective, "__qualname__", type(objective).__qualname__)


def identity(settings: Settings, objective: Callable, images: Tensor, validation, device) -> dict:
    """All that decides the numbers of a run, as plain data: compared on resume, kept with the weights."""
    run = dataclasses.asdict(settings) | {"objective": name_of(objective), "device": device.type}
    for name, part in (("images", images), ("validation", validation)):
        content = b"" if part is None else part.cpu().contiguous().numpy()
        run |= {name: len(content), f"{name}_crc32": f"{zlib.crc32(content):08x}"}
    return run


def store(history: History, path: str | Path, model, optimizer, schedule) -> None:
    """Write the state of a run; the file appears whole or not at all."""
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    state = {name: part.state_dict() for name, part in parts.items()}
    content = io.BytesIO()
    torch.save({"history": dataclasses.asdict(history), **state}, content)
    checkpoints.write_whole(path, content.getvalue())


def begin(history: History, path: str | Path | None, resume: bool, model, optimizer, schedule) -> None:
    """Make sure that nothing is lost at `path`; with resume, continue the run that is stored there.

    Raises ValueError when another run, or something else, is there, FileNotFoundError for nothing to resume.
    """
    if resume and (path is None or not Path(path).exists()):
        raise FileNotFoundError(f"there is nothing to resume at {path}: leave resume out to begin a new run")
    path = Path(path)
    if "<" in history.run["objective"]:  # <lambda>, <locals>: another one would have the same name
        raise ValueError(
            "a run with checkpoint needs an objective with a name of its own; "
            f"got {history.run['objective']}: define it by `def` at the top level"
        )
    if path.suffix == ".safetensors":
        raise ValueError(f"{path} would be an unfinished run, which is no .safetensors file: name it .pt")
    if not resume:
        if path.exists():
            raise ValueError(f"{path} exists: continue it with resume=True, or move or delete it")
        return
    state = read(path)
    past = state["history"]
    changed = [
        f"{key}: {past['run'].get(key)!r} there, {value!r} here"
        for key, value in history.run.items()
        if past["run"].get(key) != value
    ]
    if changed:
        raise ValueError(f"{path} holds another run ({'; '.join(changed)}): repeat it as it was")
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"the weights in {path} do not fit this model: {error}") from error
    schedule.load_state_dict(state["schedule"])
    history.__dict__.update(past)


def read(path: str | Path) -> dict:
    """The state of an unfinished run.  Raises ValueError for another kind of file; runs no code from it."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if set(state) == {"history", "model", "optimizer", "schedule"}:
            return state
        reason = "it has other parts"
    except OSError:
        raise
    except Exception as error:  # torch.load raises many kinds for damaged files
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    raise ValueError(f"{path} holds no unfinished run ({reason}): there is no training to resume")
