"""python -m vae_lesson train | evaluate | figures | doctor"""

import argparse
import dataclasses
import inspect
import json
import sys
from pathlib import Path

RECIPES = {  # what the notebooks train: class, its arguments, epochs
    "feedforward": ("FeedforwardVAE", {"latent_dim": 20}, 30),
    "feedforward-2d": ("FeedforwardVAE", {"latent_dim": 2}, 30),
    "cnn": ("ConvVAE", {"latent_dim": 32}, 18),
}
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

    from vae_lesson import checkpoints, data, training

    name = arguments.model
    kind, config, epochs = RECIPES[name]
    out = arguments.out or Path(f"{name}.safetensors")
    unfinished = out.with_suffix(".unfinished.safetensors")
    if out.exists():
        raise ValueError(f"{out} exists: move it, or name another file with --out")
    if unfinished.exists() and not arguments.resume:
        raise ValueError(f"{unfinished} exists: continue it with --resume, or delete it to start again")
    settings = {"epochs": epochs if arguments.epochs is None else arguments.epochs, "seed": arguments.seed}
    torch.manual_seed(arguments.seed)  # for the first weights; `fit` has its own seed
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = checkpoints.ARCHITECTURES[kind](**config).to(device)
    training_set, validation = data.load_dataset("mnist")[0].split()
    history = training.fit(
        model, training_set.images, validation=validation.images,
        checkpoint=unfinished, resume=arguments.resume, **settings,
    )  # fmt: skip
    if history.interrupted:
        print(f"To continue: repeat the command with --resume (it reads {unfinished})")
        return 130
    changed = [
        f"--{key} {settings[key]}"
        for key, usual in (("epochs", epochs), ("seed", 0))
        if settings[key] != usual
    ]
    defaults = {name: value.default for name, value in inspect.signature(training.fit).parameters.items()}
    settings |= {
        name: defaults[name] for name in ("batch_size", "peak_lr", "beta", "warmup_epochs", "binarization")
    }
    notes = {
        "command": " ".join(["python -m vae_lesson train", name, *changed]),
        "training": {**settings, "images": len(training_set), "device": device},
        "history": dataclasses.asdict(history),
    }
    checkpoints.save(model, out, half=True, **notes)
    unfinished.unlink(missing_ok=True)
    print(f"trained in {sum(history.seconds):.0f} s; saved {out}; scoring it on the test set")
    scores = _evaluate(checkpoints.load(out).to(device), arguments.samples)
    checkpoints.annotate(out, scores=scores)
    print(_in_words(out, scores))
    return 0


def evaluate(arguments) -> int:
    """Score a file, or a shipped model, on the whole test set."""
    import torch

    from vae_lesson import checkpoints

    path = arguments.file
    if not Path(path).exists() and path in checkpoints.shipped_names():
        path = checkpoints.shipped(path)
    model = checkpoints.load(path)
    scores = _evaluate(model.to("cuda" if torch.cuda.is_available() else "cpu"), arguments.samples)
    if arguments.save:
        checkpoints.annotate(path, scores=scores)
    print(json.dumps({"file": str(path), **scores}) if arguments.json else _in_words(path, scores))
    return 0


def _evaluate(model, samples: int) -> dict:
    from vae_lesson import data, objectives

    x = data.binarize(data.load_dataset("mnist")[1].images, "static", seed=0)
    x = x.to(next(model.parameters()).device)
    scores = objectives.evaluate(model, x, samples=samples, progress=sys.stderr.isatty())
    return {"data": "MNIST test", "binarization": BINARIZATION, **scores}


def _in_words(path, scores: dict) -> str:
    return (
        f"{path}: {scores['data']}, {scores['images']:,} images, binarisation {scores['binarization']}\n"
        f"  -ELBO      {scores['negative_elbo']:.2f} nats per image "
        f"(standard error over images {scores['negative_elbo_standard_error']:.2f})\n"
        f"  -log p(x)  {scores['negative_log_likelihood']:.2f} nats per image "
        f"(standard error {scores['negative_log_likelihood_standard_error']:.2f}; "
        f"importance sampling, K = {scores['samples']})"
    )


def figures(arguments) -> int:
    """Rebuild the README's pictures from the shipped weights."""
    import torch

    from vae_lesson import checkpoints, data, plots

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
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--out", type=Path, help="a .safetensors file (default: MODEL.safetensors)")
    command.add_argument("--resume", action="store_true", help="continue an interrupted training")
    command.add_argument("--samples", type=int, default=100, help="K of the final score (default: 100)")
    command.set_defaults(command=train)
    command = commands.add_parser("evaluate", help="score a file on the whole MNIST test set")
    command.add_argument("file", help="a .safetensors file or the name of a shipped model")
    command.add_argument("--samples", type=int, default=500, help="importance samples K (default: 500)")
    command.add_argument("--json", action="store_true", help="one line for machines")
    command.add_argument("--save", action="store_true", help="write the scores into the file's header")
    command.set_defaults(command=evaluate)
    command = commands.add_parser("figures", help="rebuild figures/ from the shipped weights")
    command.add_argument("--folder", type=Path, default=FIGURES)
    command.set_defaults(command=figures)
    command = commands.add_parser("doctor", help="check this installation, in words")
    command.set_defaults(command=doctor)
    return parser


if __name__ == "__main__":
    sys.exit(main())
