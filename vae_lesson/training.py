"""The training loop: progress, validation, checkpoints, resume. The ELBO itself stands in objectives.py."""

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from vae_lesson import checkpoints
from vae_lesson.data import binarize
from vae_lesson.objectives import ELBO, elbo, elbo_in_chunks


class Diverged(ArithmeticError):
    """A loss term became NaN or infinite; the message says which, when, and what to try."""


@dataclass
class History:
    """What happened, one value an epoch; the terms are means in nats per image."""

    elbo: list[float] = field(default_factory=list)
    log_px_given_z: list[float] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    validation_elbo: list[float] = field(default_factory=list)
    validation_log_px_given_z: list[float] = field(default_factory=list)
    validation_kl: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False


def fit(
    model,
    images: Tensor,
    *,
    validation: Tensor | None = None,
    epochs: int = 30,
    batch_size: int = 128,
    seed: int = 0,
    peak_lr: float = 3e-3,
    beta: float = 1.0,
    warmup_epochs: float = 0,
    binarization: str = "dynamic",
    objective: Callable[..., ELBO] = elbo,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    bf16: bool | None = None,
    progress: bool = True,
    on_epoch: Callable[[History], None] | None = None,
) -> History:
    """Train a VAE in place by maximising the ELBO, on the device where the model is.

    images, validation: uint8 (N, 28, 28) or float in [0, 1].  validation is scored after each epoch.
    peak_lr: the highest learning rate of the one-cycle schedule (Smith & Topin 2018).
    beta: weight of the KL; over the first warmup_epochs it rises to that from 0 (Bowman et al. 2016).
    objective: what to maximise instead of `objectives.elbo`, called in the same way, for example
    functools.partial(objectives.iwae_terms, samples=5); the History holds the ELBO's terms all the same.
    checkpoint: a .safetensors file, written after each epoch.  resume: continue from it, to the same
    numbers, bit for bit on one machine, as if never stopped; without such a file, start at the beginning.
    bf16: None means where the hardware has it.
    on_epoch: called with the History after each epoch, for example a `widgets.LiveCurves`.
    Returns the History.  After an interruption (Ctrl-C, stop button) the model and the History so far
    are usable.  Raises ValueError for bad settings or images, Diverged for a NaN or infinite loss.
    """
    _check(len(images), epochs, batch_size, peak_lr, beta, warmup_epochs)
    device = next(model.parameters()).device
    settings = {
        "images": len(images), "epochs": epochs, "batch_size": batch_size, "seed": seed, "peak_lr": peak_lr,
        "beta": beta, "warmup_epochs": warmup_epochs, "binarization": binarization,
        "objective": name_of(objective),
    }  # fmt: skip
    binarize(images, "none")  # raises at once for images of a wrong kind
    images = images.to(device)  # once: the whole data set stays where the model is
    if validation is not None:
        how = "static" if binarization == "dynamic" else binarization  # the same sample after each epoch
        validation = binarize(validation, how).to(device)

    steps_per_epoch = math.ceil(len(images) / batch_size)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=peak_lr,
        betas=(0.9, 0.99),  # with the usual 0.999, a minute of training ends 0.5 to 1 nat higher
        weight_decay=0.0,
        fused=True,
    )
    total = max(1, epochs * steps_per_epoch) + 1
    rising = 0.2 if total >= 10 else 0.3  # torch divides by zero where the rising part is a single step
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=peak_lr, total_steps=total, pct_start=rising
    )
    history, first_epoch = History(), 0
    if resume and checkpoint and Path(checkpoint).exists():
        history = _restore(checkpoint, settings, model, optimizer, schedule)
        first_epoch = len(history.elbo)
    autocast = _autocast(device, has_bf16(device) if bf16 is None else bf16)

    bar = _bar(len(images), epochs, first_epoch, progress)
    try:
        for epoch in range(first_epoch, epochs):
            started = time.perf_counter()
            # Every epoch has a seed of its own, so that a resumed run draws what an unbroken one would.
            generator = torch.Generator(device).manual_seed(seed * 1_000_003 + epoch)
            sums = torch.zeros(2, device=device)  # of log p(x|z) and of the KL
            model.train()
            order = torch.randperm(len(images), generator=generator, device=device)
            for step, rows in enumerate(order.split(batch_size), start=epoch * steps_per_epoch):
                x = binarize(images[rows], binarization, generator=generator, fast=True)
                weight = beta * min(1.0, (step + 1) / (warmup_epochs * steps_per_epoch or 1))
                with autocast:
                    terms = objective(model, x, beta=weight, generator=generator)
                loss = -terms.elbo.mean()
                if not math.isfinite(loss.item()):
                    raise _diverged(terms, step, epoch, schedule.get_last_lr()[0])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                sums += torch.stack([terms.log_px_given_z.detach().sum(), terms.kl.detach().sum()])
                bar.update(len(rows))
            values = _measure(model, sums / len(images), validation, autocast, seed)
            values["seconds"] = time.perf_counter() - started
            for name, value in values.items():
                getattr(history, name).append(value)
            _show(bar, history, epochs)
            if checkpoint:
                _store(checkpoint, settings, history, model, optimizer, schedule)
            if on_epoch:
                on_epoch(history)
    except KeyboardInterrupt:
        history.interrupted = True
        print(f"Interrupted in epoch {len(history.elbo) + 1} of {epochs}: the model is usable as it is.")
    finally:
        bar.close()
        model.eval()
    return history


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself; emulated, it is 44 to 499 times slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # no public name yet in torch 2.14
    return device.type == "cpu" and probe is not None and probe()


def _autocast(device: torch.device, bf16: bool):
    return torch.autocast(device.type, torch.bfloat16) if bf16 else contextlib.nullcontext()


def name_of(objective: Callable) -> str:
    """The objective in words, for checkpoints: "elbo", "iwae_terms(samples=5)"."""
    if isinstance(objective, functools.partial):
        return f"{objective.func.__name__}({', '.join(f'{k}={v}' for k, v in objective.keywords.items())})"
    return getattr(objective, "__name__", type(objective).__name__)


def _measure(model, sums: Tensor, validation: Tensor | None, autocast, seed: int) -> dict[str, float]:
    """The values of one epoch, by the names of the History's lists."""
    log_px_given_z, kl = sums.tolist()
    values = {"elbo": log_px_given_z - kl, "log_px_given_z": log_px_given_z, "kl": kl}
    if validation is not None:
        model.eval()
        generator = torch.Generator(validation.device).manual_seed(seed)  # the same noise after each epoch
        with autocast:
            terms = elbo_in_chunks(model, validation, generator=generator)
        for name, term in zip(terms._fields, terms, strict=True):
            values[f"validation_{name}"] = term.mean().item()
    return values


def _store(path, settings: dict, history: History, model, optimizer, schedule) -> None:
    state = optimizer.state_dict()
    tensors = dict(model.state_dict())
    for index, values in state["state"].items():
        for name, value in values.items():
            tensors[f"{checkpoints.OPTIMIZER}{index}.{name}"] = value
    notes = {
        "architecture": checkpoints.architecture(model),
        "training": settings,
        "history": dataclasses.asdict(history),
        "optimizer": state["param_groups"],
        "schedule": schedule.state_dict(),
    }
    checkpoints.write(path, tensors, notes)


def _restore(path, settings: dict, model, optimizer, schedule) -> History:
    tensors, notes = checkpoints.read(path)
    if "optimizer" not in notes:
        raise ValueError(f"{path} holds a finished model: there is no training to resume")
    changed = [
        f"{key} {notes['training'].get(key)!r} there, {value!r} here"
        for key, value in settings.items()
        if notes["training"].get(key) != value
    ]
    if changed:
        raise ValueError(f"{path} was trained with other settings ({'; '.join(changed)}): repeat those")
    state: dict[int, dict[str, Tensor]] = {}
    for name in [name for name in tensors if name.startswith(checkpoints.OPTIMIZER)]:
        index, key = name.removeprefix(checkpoints.OPTIMIZER).split(".")
        state.setdefault(int(index), {})[key] = tensors.pop(name)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"the weights in {path} do not fit this model: {error}") from error
    # The fused optimizer walks through memory, so its state must lie in memory as the weights do.
    for index, parameter in enumerate(model.parameters()):
        for key, value in state.get(index, {}).items():  # none for a frozen weight
            if value.shape == parameter.shape:
                state[index][key] = torch.empty_like(parameter, requires_grad=False).copy_(value)
    optimizer.load_state_dict({"state": state, "param_groups": notes["optimizer"]})
    schedule.load_state_dict(notes["schedule"])
    return History(**notes["history"])


def _diverged(terms: ELBO, step: int, epoch: int, lr: float) -> Diverged:
    broken = [
        f"{name} is {values[~values.isfinite()][0].item()} for {int((~values.isfinite()).sum())} images"
        for name, values in (("log p(x|z)", terms.log_px_given_z), ("the KL", terms.kl))
        if not values.isfinite().all()
    ]
    what = " and ".join(broken) or "their sum overflows"
    return Diverged(
        f"training stopped at step {step} (epoch {epoch + 1}): {what}. "
        f"Try a lower peak_lr (the rate was {lr:.2g}), warmup_epochs=5, or bf16=False."
    )


def _check(count, epochs, batch_size, peak_lr, beta, warmup_epochs) -> None:
    rules = [
        (epochs >= 0, f"epochs must be 0 or more; got {epochs}"),
        (batch_size >= 1, f"batch_size must be 1 or more; got {batch_size}"),
        (batch_size <= count, f"batch_size {batch_size} is larger than the data set ({count} images)"),
        (peak_lr > 0, f"peak_lr must be above 0; got {peak_lr}"),
        (beta >= 0, f"beta must be 0 or more; got {beta}"),
        (warmup_epochs >= 0, f"warmup_epochs must be 0 or more; got {warmup_epochs}"),
    ]
    for holds, message in rules:
        if not holds:
            raise ValueError(message)


def _bar(images: int, epochs: int, done: int, shown: bool):
    from tqdm.auto import tqdm

    return tqdm(
        total=images * epochs, initial=images * done, desc=f"epoch {done + 1}/{epochs}", unit=" images",
        unit_scale=True, mininterval=0.5, disable=not shown,
    )  # fmt: skip


def _show(bar, history: History, epochs: int) -> None:
    bar.set_description(f"epoch {min(len(history.elbo) + 1, epochs)}/{epochs}", refresh=False)
    shown = f"ELBO {history.elbo[-1]:.1f} = {history.log_px_given_z[-1]:.1f} - {history.kl[-1]:.1f} nats"
    if history.validation_elbo:
        shown += f", validation {history.validation_elbo[-1]:.1f}"
    bar.set_postfix_str(shown)
