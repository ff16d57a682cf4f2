"""The commands of `python -m vae_lesson`: a recipe from start to finish, scores, and notes in words."""

import functools
import json
import sys
from pathlib import Path

import torch

from vae_lesson import checkpoints, data, objectives, scoring, training
from vae_lesson.recipes import RECIPES

DYNAMIC = "dynamic (one Bernoulli sample of the test set, seed 0)"


def train(arguments) -> int:
    """Train on MNIST, choose nothing by the test set, save half-precision weights with their test scores."""
    name, recipe = arguments.model, RECIPES[arguments.model]
    out = arguments.out or Path(f"{name}.safetensors")
    if out.suffix != ".safetensors":
        raise ValueError(f"a model is a .safetensors file; got {out}: name it {out.name}.safetensors")
    unfinished = out.with_name(out.name.removesuffix(".safetensors") + ".unfinished.pt")
    if out.exists():
        raise ValueError(f"{out} exists: move it, or name another file with --out")
    if unfinished.exists() and not arguments.resume:
        raise ValueError(f"{unfinished} exists: continue it with --resume, or delete it to start again")

    asked = {key: getattr(arguments, key) for key in ("epochs", "seed", "peak_lr")}
    asked = {key: value for key, value in asked.items() if value is not None}
    options = "".join(f" --{key.replace('_', '-')} {value}" for key, value in asked.items())
    command = f"python -m vae_lesson train {name}{options}{' --all' if arguments.all else ''}"
    settings = recipe.settings | asked
    objective, values = recipe.objective
    objective = getattr(objectives, objective)
    if values:
        objective = functools.partial(objective, **values)

    torch.manual_seed(settings.get("seed", 0))  # for the first weights; `fit` has its own seed
    model = checkpoints.ARCHITECTURES[recipe.kind](**recipe.config)
    everything, _ = data.load_dataset("mnist")
    images, validation = (part.images for part in everything.split())
    if arguments.all:
        images, validation = everything.images, None
    history = training.fit(
        model.to(_device()), images, validation=validation, objective=objective,
        checkpoint=unfinished, resume=arguments.resume, **settings,
    )  # fmt: skip
    if history.interrupted:
        print(f"To continue: repeat the command with --resume (it reads {unfinished})")
        return 130

    epochs = {key: values for key, values in vars(history).items() if isinstance(values, list)}
    checkpoints.save(model, out, half=True, command=command, training=history.run, history=epochs)
    unfinished.unlink(missing_ok=True)
    print(f"trained in {sum(history.seconds):.0f} s; saved {out}; scoring it on the test set")
    try:
        scores = score(checkpoints.load(out).to(_device()), arguments.samples)
    except KeyboardInterrupt:
        print(f"{out} lacks its scores alone: python -m vae_lesson evaluate {out} --save")
        raise
    checkpoints.annotate(out, scores=scores)
    print(in_words(out, checkpoints.describe(out)))
    return 0


def evaluate(arguments) -> None:
    """Score a file, or a shipped model, on the whole test set."""
    path = file_of(arguments.file)
    model = checkpoints.load(path)
    if arguments.save:
        checkpoints.check_writable(path)
    scores = score(model.to(_device()), arguments.samples)
    if arguments.save:
        checkpoints.annotate(path, scores=scores)
    notes = checkpoints.describe(path) | {"scores": scores}
    print(json.dumps({"file": str(path), **scores}) if arguments.json else in_words(path, notes))


def summary(arguments) -> None:
    """The tables that were saved with the weights; computes nothing."""
    for path in map(file_of, arguments.files or checkpoints.shipped_names()):
        print(in_words(path, checkpoints.describe(path)))


def figures(arguments) -> None:
    """Rebuild README's pictures from the shipped weights."""
    from vae_lesson.course.figures import make

    print(*make(arguments.folder), sep="\n")


def page(arguments) -> None:
    """Write the latent plane as one HTML file that decodes digits without Python."""
    from vae_lesson.course.page import write

    path = write(arguments.out, checkpoints.load(file_of(arguments.model)))
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser, it needs no network")


def edition(arguments) -> None:
    """Write what a lecturer hands out."""
    from vae_lesson.course import editions

    path = editions.colab(arguments.out)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def score(model, samples: int) -> dict:
    """`scoring.evaluate` on MNIST's test set, as the model's likelihood wants it, and how that was."""
    x = data.binarize(data.load_dataset("mnist")[1].images, model.likelihood.binarization)
    x = x.to(next(model.parameters()).device)
    scores = scoring.evaluate(model, x, samples=samples, progress=sys.stderr.isatty())
    how = DYNAMIC if model.likelihood.binary else "none (grey pixels)"
    return {"data": "MNIST test", "binarization": how, **scores}


def file_of(name: str) -> Path:
    """The file of that name, or of the shipped model of that name."""
    known = name in checkpoints.shipped_names() and not Path(name).exists()
    return checkpoints.shipped(name) if known else Path(name)


def in_words(path: str | Path, notes: dict) -> str:
    """A table of what is known of a model.  notes: as `checkpoints.save` was given them; none is needed."""
    lines = [f"{path}"]
    if notes.get("architecture"):
        name, config = notes["architecture"]
        lines += [f"  model         {name}({', '.join(f'{k}={v!r}' for k, v in config.items())})"]
    history, run, scores = (notes.get(key) or {} for key in ("history", "training", "scores"))
    run = run or history.get("run", {})
    if history.get("seconds"):
        lines += [f"  training      {len(history['seconds'])} epochs in {sum(history['seconds']):.0f} s"]
    if run:
        known = run | {"bf16": {True: "yes", False: "no"}.get(run.get("bf16"), "not recorded")}
        lines += [f"  settings      {', '.join(f'{key} {value}' for key, value in known.items())}"]
    if "command" in notes:
        lines += [f"  made by       {notes['command']}"]
    if not scores:
        return "\n".join([*lines, "  scores        none yet: python -m vae_lesson evaluate FILE --save"])
    told = [f"{scores[key]}" for key in ("data", "binarization") if key in scores]
    lines += [f"  scored on     {', '.join([str(scores.get('images', '?')) + ' images', *told])}"]
    for label, key, how in (
        ("-ELBO", "negative_elbo", "one sample of z"),
        ("  -log p(x|z)", "negative_log_px_given_z", "reconstruction"),
        ("  KL", "kl", "closed form"),
        ("-log p(x)", "negative_log_likelihood", f"importance sampling, K = {scores.get('samples', '?')}"),
    ):
        if key in scores:
            error = scores.get(f"{key}_standard_error")
            within = f", standard error over images {error:.2f}" if error is not None else ""
            lines.append(f"  {label:13} {scores[key]:7.2f} nats per image ({how}{within})")
    if "active_units" in scores:
        lines.append(f"  active units  {scores['active_units']} of {scores.get('latents', '?')} latents")
    return "\n".join(lines)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
