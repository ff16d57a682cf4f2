"""python -m vae_lesson train | evaluate | summary | figures | page | edition | doctor"""

import argparse
import sys
from pathlib import Path

from vae_lesson.recipes import RECIPES


def main(argv: list[str] | None = None) -> int:
    """Run one command.  Returns the exit status: 0, 1 for an error that is told, 130 when interrupted."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "doctor":  # works where torch or another package is broken
            from vae_lesson.course.doctor import examine

            return examine()
        from vae_lesson.course import commands

        return getattr(commands, arguments.command)(arguments) or 0
    except (ValueError, OSError, ArithmeticError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vae_lesson", description="The VAE lesson in the shell.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("train", help="train on MNIST; the defaults are what the notebook trains")
    command.add_argument("model", choices=RECIPES)
    command.add_argument("--epochs", type=int)
    command.add_argument("--seed", type=int)
    command.add_argument("--peak-lr", type=float, help="highest learning rate of the one-cycle schedule")
    command.add_argument("--all", action="store_true", help="all 60,000 images, none left for validation")
    command.add_argument("--out", type=Path, help="a .safetensors file (default: MODEL.safetensors)")
    command.add_argument("--resume", action="store_true", help="continue an interrupted training")
    command.add_argument("--samples", type=_count, default=100, help="K of the final score (default: 100)")
    command.set_defaults(command="train")
    command = commands.add_parser("evaluate", help="score a file on the whole MNIST test set")
    command.add_argument("file", help="a .safetensors file or the name of a shipped model")
    command.add_argument("--samples", type=_count, default=200, help="importance samples K (default: 200)")
    command.add_argument("--json", action="store_true", help="one line for machines")
    command.add_argument("--save", action="store_true", help="write the scores into the file's header")
    command.set_defaults(command="evaluate")
    command = commands.add_parser("summary", help="what each file tells of its training and scores")
    command.add_argument("files", nargs="*", help="files or shipped names; default: all shipped models")
    command.set_defaults(command="summary")
    command = commands.add_parser("figures", help="rebuild README's pictures from the shipped weights")
    command.add_argument("--folder", type=Path, default=Path("figures"), help="default: figures/ right here")
    command.set_defaults(command="figures")
    command = commands.add_parser("page", help="one HTML file: a latent plane that decodes in the browser")
    command.add_argument("out", type=Path, help="an .html file; an older one is replaced")
    command.add_argument("--model", default="feedforward-2d", help="a shipped name or file with two latents")
    command.set_defaults(command="page")
    command = commands.add_parser("edition", help="what a lecturer hands out")
    command.add_argument(
        "kind", choices=["colab"], help="colab: a .zip of the notebooks and the course's wheel"
    )
    command.add_argument("--out", type=Path, required=True, help="a new .zip file")
    command.set_defaults(command="edition")
    command = commands.add_parser("doctor", help="check this installation, in words")
    command.set_defaults(command="doctor")
    return parser


def _count(text: str) -> int:
    """A whole number from 1, so that a slip is told before anything is trained."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more; got {text}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
