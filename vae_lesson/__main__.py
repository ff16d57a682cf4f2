"""python -m vae_lesson train | evaluate | summary | figures | page | doctor"""

import argparse
import dataclasses
import functools
import inspect
import json
import sys
from pathlib import Path

BETAS = (0.1, 0.25, 0.5, 1, 2, 4, 10)
SMALL = ("FeedforwardVAE", {"latent_dim": 16, "hidden": 100})
RECIPES = {  # what the notebooks train or load: class, its arguments, settings of `fit`
    "feedforward": ("FeedforwardVAE", {"latent_dim": 40}, {"epochs": 20}),
    "feedforward-2d": ("FeedforwardVAE", {"latent_dim": 2}, {"epochs": 20}),
    "cnn": ("ConvVAE", {"latent_dim": 32}, {"epochs": 16, "peak_lr": 6e-3}),
    "no-warm-up": (*SMALL, {"epochs": 8}),
    "free-bits": (*SMALL, {"epochs": 8, "free_bits": 0.1}),
    **{f"beta-{beta}": (*SMALL, {"epochs": 8, "beta": beta, "warmup_epochs": 4}) for beta in BETAS},
}
TOLD = ("epochs", "batch_size", "seed", "peak_lr", "beta", "warmup_epochs", "binarization")  # in the header
BINARIZATION = "dynamic (one Bernoulli sample of the test set, seed 0)"
FIGURES = Path(__file__).parents[1] / "figures"


def main(argv: list[str] | None = None) -> int:
    """Run one command.  Returns the exit status: 0, 1 for an error that is told, 130 when interrupted."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except (ValueError, OSError, ArithmeticError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def train(arguments) -> int:
    """Train on MNIST, choose nothing by the test set, save half-precision weights with their test scores."""
    import torch

    from vae_lesson import checkpoints, data, objectives, training

    name = arguments.model
    kind, config, recipe = RECIPES[name]
    out = arguments.out or Path(f"{name}.safetensors")
    unfinished = out.with_suffix(".unfinished.safetensors")
    if out.exists():
        raise ValueError(f"{out} exists: move it, or name another file with --out")
    if unfinished.exists() and not arguments.resume:
        raise ValueError(f"{unfinished} exists: continue it with --resume, or delete it to start again")
    changed = {
        key: value
        for key in ("epochs", "seed", "peak_lr", "iwae", "start")
        if (value := getattr(arguments, key)) is not None
    }
    options = "".join(f" --{key.replace('_', '-')} {value}" for key, value in changed.items())
    command = f"python -m vae_lesson train {name}{options}"
    settings = recipe | {key: changed[key] for key in ("epochs", "seed", "peak_lr") if key in changed}
    if floor := settings.pop("free_bits", None):
        settings["objective"] = functools.partial(objectives.free_bits_elbo, floor=floor)
    if arguments.iwae is not None:
        settings["objective"] = functools.partial(objectives.iwae_terms, samples=arguments.iwae)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(settings.get("seed", 0))  # for the first weights; `fit` has its own seed
    model, before = checkpoints.ARCHITECTURES[kind](**config), {}
    if arguments.start:
        wanted = checkpoints.architecture(model)
        model, before = checkpoints.load(arguments.start), checkpoints.describe(arguments.start)
        if checkpoints.architecture(model) != wanted or not {"command", "history"} <= set(before):
            raise ValueError(f"{arguments.start} holds no {name} that `train` made: start from one of those")
    training_set, validation = data.load_dataset("mnist")[0].split()
    history = training.fit(
        model.to(device), training_set.images, validation=validation.images,
        checkpoint=unfinished, resume=arguments.resume, **settings,
    )  # fmt: skip
    if history.interrupted:
        print(f"To continue: repeat the command with --resume (it reads {unfinished})")
        return 130
    defaults = {key: value.default for key, value in inspect.signature(training.fit).parameters.items()}
    told = {key: settings.get(key, defaults[key]) for key in TOLD}
    told["objective"] = training.name_of(settings.get("objective", objectives.elbo))
    notes = {
        "command": f"{before['command']}; then {command}" if before else command,
        "training": {**told, "images": len(training_set), "device": device},
        "history": {
            key: before["history"][key] + value if before and isinstance(value, list) else value
            for key, value in dataclasses.asdict(history).items()
        },
    }
    checkpoints.save(model, out, half=True, **notes)
    unfinished.unlink(missing_ok=True)
    print(f"trained in {sum(history.seconds):.0f} s; saved {out}; scoring it on the test set")
    scores = _evaluate(checkpoints.load(out).to(device), arguments.samples)
    checkpoints.annotate(out, scores=scores)
    print(_in_words(out, checkpoints.describe(out)))
    return 0


def evaluate(arguments) -> int:
    """Score a file, or a shipped model, on the whole test set."""
    import torch

    from vae_lesson import checkpoints

    path = _file(arguments.file)
    model = checkpoints.load(path)
    scores = _evaluate(model.to("cuda" if torch.cuda.is_available() else "cpu"), arguments.samples)
    if arguments.save:
        checkpoints.annotate(path, scores=scores)
    notes = checkpoints.describe(path) | {"scores": scores}
    print(json.dumps({"file": str(path), **scores}) if arguments.json else _in_words(path, notes))
    return 0


def summary(arguments) -> int:
    """The tables that were saved with the weights; computes nothing."""
    from vae_lesson import checkpoints

    for path in arguments.files or [checkpoints.shipped(name) for name in checkpoints.shipped_names()]:
        print(_in_words(path, checkpoints.describe(path)))
    return 0


def _file(name: str):
    """The file of that name, or of the shipped model of that name."""
    from vae_lesson import checkpoints

    known = name in checkpoints.shipped_names() and not Path(name).exists()
    return checkpoints.shipped(name) if known else name


def _evaluate(model, samples: int) -> dict:
    from vae_lesson import data, objectives

    x = data.binarize(data.load_dataset("mnist")[1].images, "static", seed=0)
    x = x.to(next(model.parameters()).device)
    scores = objectives.evaluate(model, x, samples=samples, progress=sys.stderr.isatty())
    return {"data": "MNIST test", "binarization": BINARIZATION, **scores}


def _in_words(path, notes: dict) -> str:
    """The summary table of a model, from its header."""
    lines = [f"{path}"]
    if notes.get("architecture"):
        name, config = notes["architecture"]
        lines += [f"  model         {name}({', '.join(f'{k}={v!r}' for k, v in config.items())})"]
    if "history" in notes:
        history, training = notes["history"], notes["training"]
        lines += [
            f"  training      {len(history['elbo'])} epochs of {training['images']:,} images in "
            f"{sum(history['seconds']):.0f} s on {training.get('device', 'cpu')}, beta {training['beta']}, "
            f"objective {training.get('objective', 'elbo')}, binarisation {training['binarization']}",
            f"  made by       {notes.get('command', 'unknown')}",
        ]
    scores = notes.get("scores")
    if not scores:
        return "\n".join([*lines, "  scores        none yet: python -m vae_lesson evaluate FILE --save"])
    lines += [f"  scored on     {scores['data']}, {scores['images']:,} images, {scores['binarization']}"]
    rows = (
        ("-ELBO", "negative_elbo", "one sample of z"),
        ("  -log p(x|z)", "negative_log_px_given_z", "reconstruction"),
        ("  KL", "kl", "closed form"),
        ("-log p(x)", "negative_log_likelihood", f"importance sampling, K = {scores['samples']}"),
    )
    for label, key, how in rows:
        error = scores.get(f"{key}_standard_error")
        within = f", standard error over images {error:.2f}" if error is not None else ""
        lines.append(f"  {label:13} {scores[key]:7.2f} nats per image ({how}{within})")
    if "active_units" in scores:
        lines.append(f"  active units  {scores['active_units']} of {scores['latents']} latents")
    return "\n".join(lines)


def figures(arguments) -> int:
    """Rebuild the README's pictures from the shipped weights."""
    import torch

    from vae_lesson import checkpoints, data, objectives, plots

    plots.use_style()
    test = data.load_dataset("mnist")[1]
    x, labels = data.binarize(test.images[:3000], "static"), test.labels[:3000]
    made = {}
    for name in ("feedforward", "cnn"):
        model, notes = checkpoints.pretrained(name), checkpoints.describe(checkpoints.shipped(name))
        made[f"{name}_loss"] = plots.loss_curve(notes["history"], f"{name}: the ELBO rises, epoch by epoch")
        generator = torch.Generator().manual_seed(0)
        made[f"{name}_samples"] = plots.digits(
            model.sample(60, generator=generator), f"{name}: digits decoded from random z", columns=12
        )
        with torch.no_grad():
            mu, _ = model.encode(x)
        made[f"{name}_latent_pca"] = plots.latent_pca(mu, labels, f"{name}: latent means of test digits")
    x = data.binarize(test.images, "static")
    generator = torch.Generator().manual_seed(0)
    family = [checkpoints.pretrained(f"beta-{beta}") for beta in BETAS]
    terms = [objectives.elbo_in_chunks(model, x, generator=generator) for model in family]
    made["rate_distortion"] = plots.named_curve(
        [t.kl.mean().item() for t in terms], [-t.log_px_given_z.mean().item() for t in terms],
        [f"β = {beta}" for beta in BETAS], "Rate and distortion of seven small VAEs",
        xlabel="rate: KL, nats per image", ylabel="distortion: -log p(x|z), nats per image",
    )  # fmt: skip
    flat = checkpoints.pretrained("feedforward-2d")
    with torch.no_grad():
        images = flat.pixels(flat.decode(plots.plane(20, reach=2.5)))
    made["manifold"] = plots.manifold(
        images, 2.5, "What the decoder draws at each point of a 2-D latent plane"
    )
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, figure in made.items():
        figure.savefig(arguments.folder / f"{name}.png", dpi=100, metadata={"Software": None})
        print(arguments.folder / f"{name}.png")
    return 0


def page(arguments) -> int:
    """Write the latent plane as one HTML file that decodes digits without Python."""
    from vae_lesson import checkpoints
    from vae_lesson.page import write

    path = write(arguments.out, checkpoints.load(_file(arguments.model)))
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser, it needs no network")
    return 0


def doctor(arguments) -> int:
    """Check this installation, in words."""
    from vae_lesson.doctor import examine

    return examine()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vae_lesson", description="The VAE lesson in the shell.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("train", help="train on MNIST; the defaults are what the notebook trains")
    command.add_argument("model", choices=RECIPES)
    command.add_argument("--epochs", type=int)
    command.add_argument("--seed", type=int)
    command.add_argument("--peak-lr", type=float, help="highest learning rate of the one-cycle schedule")
    command.add_argument("--start", type=Path, metavar="FILE", help="begin with the weights of this file")
    command.add_argument("--iwae", type=int, metavar="K", help="train on the K-sample IWAE bound")
    command.add_argument("--out", type=Path, help="a .safetensors file (default: MODEL.safetensors)")
    command.add_argument("--resume", action="store_true", help="continue an interrupted training")
    command.add_argument("--samples", type=int, default=100, help="K of the final score (default: 100)")
    command.set_defaults(command=train)
    command = commands.add_parser("evaluate", help="score a file on the whole MNIST test set")
    command.add_argument("file", help="a .safetensors file or the name of a shipped model")
    command.add_argument("--samples", type=int, default=200, help="importance samples K (default: 200)")
    command.add_argument("--json", action="store_true", help="one line for machines")
    command.add_argument("--save", action="store_true", help="write the scores into the file's header")
    command.set_defaults(command=evaluate)
    command = commands.add_parser("summary", help="what each file tells of its training and scores")
    command.add_argument("files", nargs="*", type=Path, help="default: the shipped models")
    command.set_defaults(command=summary)
    command = commands.add_parser("figures", help="rebuild figures/ from the shipped weights")
    command.add_argument("--folder", type=Path, default=FIGURES)
    command.set_defaults(command=figures)
    command = commands.add_parser("page", help="one HTML file: a latent plane that decodes in the browser")
    command.add_argument("out", type=Path, help="an .html file; an older one is replaced")
    command.add_argument("--model", default="feedforward-2d", help="a shipped name or file with two latents")
    command.set_defaults(command=page)
    command = commands.add_parser("doctor", help="check this installation, in words")
    command.set_defaults(command=doctor)
    return parser


if __name__ == "__main__":
    sys.exit(main())
