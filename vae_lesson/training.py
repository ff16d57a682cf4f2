"""The training loop, and `fit` around it: schedule, validation, checkpoint.  The ELBO is in objectives.py."""

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from vae_lesson import runs
from vae_lesson.data import binarize, check_images
from vae_lesson.objectives import Terms, elbo
from vae_lesson.runs import History, Settings
from vae_lesson.scoring import elbo_in_chunks


class Diverged(ArithmeticError):
    """The objective became NaN or infinite; the message says which term, when, and what to try."""

    def __init__(self, terms: Terms, step: int):
        terms = {"log p(x|z)": terms.log_px_given_z, "the KL": terms.kl}
        broken = [f"{name} is no longer finite" for name, term in terms.items() if not term.isfinite().all()]
        super().__init__(
            f"training stopped at step {step}: {' and '.join(broken) or 'the objective overflows'}. "
            "Try a lower peak_lr, warmup_epochs=5, or bf16=False."
        )


def train_epoch(
    model,
    images: Tensor,
    optimizer,
    *,
    batch_size: int = 128,
    objective: Callable[..., Terms] = elbo,
    binarization: str = "dynamic",
    generator: torch.Generator | None = None,
) -> Tensor:
    """One pass over the images in random order.  Returns the means of log p(x|z) and the KL, in nats: (2,).

    images: uint8 (N, 28, 28), on the device of the model and of the generator.
    Raises Diverged when the objective is no longer finite.
    """
    model.train()
    sums = torch.zeros(2, device=images.device)
    order = torch.randperm(len(images), generator=generator, device=images.device)
    for step, rows in enumerate(order.split(batch_size)):
        x = binarize(images[rows], binarization, generator=generator)  # a fresh sample, every time
        terms = objective(model, x, generator=generator)
        loss = -terms.objective.mean()
        if not math.isfinite(loss.item()):
            raise Diverged(terms, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums += torch.stack([terms.log_px_given_z.sum(), terms.kl.sum()]).detach()
    return sums / len(images)


def fit(
    model,
    images: Tensor,
    *,
    validation: Tensor | None = None,
    objective: Callable[..., Terms] = elbo,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    on_epoch: Callable[[History], None] | None = None,
    **settings,
) -> History:
    """Train a VAE in place with `train_epoch`, Adam and a one-cycle schedule, on the device of the model.

    images, validation: uint8 (N, 28, 28) or float in [0, 1]; validation is scored after each epoch.
    settings: epochs=30, batch_size=128, seed=0, peak_lr=3e-3, beta=1, and what else `Settings` has.
    objective: what to maximise instead of `objectives.elbo`, called in the same way, for example
    functools.partial(objectives.iwae_terms, samples=5); the History holds the ELBO's terms all the same.
    checkpoint: a file for the unfinished run (for example run.pt), written after each epoch.
    resume: continue from it, to the same numbers, bit for bit on one machine, as if never stopped.
    on_epoch: called with the History after each epoch, for example a `widgets.LiveCurves`.
    Returns the History; after an interruption (Ctrl-C, stop button) model and History are usable as well.
    Raises ValueError for bad settings or images or a resume that would not repeat the run, Diverged for NaN.
    """
    device = next(model.parameters()).device
    settings = _complete(Settings(**settings), model, images, validation, device)
    history = History(run=runs.identity(settings, objective, images, validation, device))
    images = images.to(device)  # once: the whole data set stays where the model is
    steps = math.ceil(len(images) / settings.batch_size)  # an epoch
    optimizer, schedule = _adam(model, settings, steps)
    if resume or checkpoint:
        runs.begin(history, checkpoint, resume, model, optimizer, schedule)
    autocast = torch.autocast(device.type, torch.bfloat16) if settings.bf16 else contextlib.nullcontext()
    if validation is not None:
        how = "static" if settings.binarization == "dynamic" else settings.binarization
        validation = binarize(validation, how).to(device)  # the same sample after each epoch

    def weighted(model, x, *, generator):
        done = (schedule.last_epoch + 1) / (settings.warmup_epochs * steps or 1)  # last_epoch: steps so far
        weight = settings.beta * min(1.0, done)
        with autocast:
            return objective(model, x, beta=weight, generator=generator)

    with tqdm(
        total=settings.epochs * steps, initial=len(history.elbo) * steps, unit=" images",
        unit_scale=settings.batch_size, mininterval=0.5, disable=not progress,
    ) as bar:  # fmt: skip
        optimizer.register_step_post_hook(lambda *_: (schedule.step(), bar.update()))
        try:
            for epoch in range(len(history.elbo), settings.epochs):
                started = time.perf_counter()
                # Every epoch has a seed of its own, so that a resumed run draws what an unbroken one would.
                generator = torch.Generator(device).manual_seed(settings.seed * 1_000_003 + epoch)
                means = train_epoch(
                    model, images, optimizer, batch_size=settings.batch_size, objective=weighted,
                    binarization=settings.binarization, generator=generator,
                )  # fmt: skip
                values = _measure(model, means, validation, autocast, settings.seed)
                for name, value in (values | {"seconds": time.perf_counter() - started}).items():
                    getattr(history, name).append(value)
                bar.set_description(f"{epoch + 1} of {settings.epochs} epochs", refresh=False)
                bar.set_postfix_str(history.last())
                if checkpoint:
                    runs.store(history, checkpoint, model, optimizer, schedule)
                if on_epoch:
                    on_epoch(history)
        except KeyboardInterrupt:
            history.interrupted = True
            print(f"Interrupted after {len(history.elbo)} of {settings.epochs} epochs: the model is usable.")
        except Diverged as error:
            error.args = (f"epoch {epoch + 1}: {error}",)
            raise
        finally:
            model.eval()
    return history


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself; emulated, it is 44 to 499 times slower.

    The environment variable VAE_LESSON_BF16 = 0 or 1 decides instead, so that two machines can do the same.
    """
    if wish := os.environ.get("VAE_LESSON_BF16"):
        return wish == "1"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # no public name yet in torch 2.14
    return device.type == "cpu" and probe is not None and probe()


def _complete(settings: Settings, model, images, validation, device) -> Settings:
    """The settings with nothing left open.  Raises ValueError when images, settings and model do not fit."""
    for part in (images, validation):
        if part is not None:
            check_images(part)
            if len(part) == 0:
                raise ValueError("images and validation must hold at least one image; got none")
    if settings.batch_size > len(images):
        raise ValueError(
            f"batch_size {settings.batch_size} is larger than the data set ({len(images)} images)"
        )
    binary, name = model.likelihood.binary, model.likelihood.name
    how = settings.binarization or ("dynamic" if binary else "none")
    if (how == "none") == binary:
        wanted = "black and white" if binary else "grey"
        raise ValueError(
            f"a model with {name} pixels learns from {wanted} images; {how!r} gives others: leave it out"
        )
    bf16 = has_bf16(device) if settings.bf16 is None else settings.bf16
    return dataclasses.replace(settings, binarization=how, bf16=bf16)


def _adam(model, settings: Settings, steps: int):
    """Adam, and a schedule that raises the rate to peak_lr in a fifth of the steps and lets it fall to 0."""
    # The second beta is 0.99: with the usual 0.999, a minute of training ends 0.5 to 1 nat higher.  The first
    # one is the schedule's: it falls from 0.95 to 0.85 while the rate rises, and rises again.
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.peak_lr, betas=(0.95, 0.99), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.peak_lr, pct_start=0.2,
        total_steps=max(settings.epochs * steps, 9) + 1,  # one more than are made; torch needs ten
    )  # fmt: skip
    return optimizer, schedule


def _measure(model, means: Tensor, validation: Tensor | None, autocast, seed: int) -> dict[str, float]:
    """The values of one epoch, by the names of the History's lists."""
    log_px_given_z, kl = means.tolist()
    values = {"elbo": log_px_given_z - kl, "log_px_given_z": log_px_given_z, "kl": kl}
    if validation is not None:
        model.eval()
        generator = torch.Generator(validation.device).manual_seed(seed)  # the same noise after each epoch
        with autocast:
            terms = elbo_in_chunks(model, validation, generator=generator)
        for name in ("elbo", "log_px_given_z", "kl"):
            values[f"validation_{name}"] = getattr(terms, name).mean().item()
    return values
