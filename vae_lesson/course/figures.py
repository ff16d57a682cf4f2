"""The pictures of README, made from the shipped weights."""

from pathlib import Path

import torch
from matplotlib.figure import Figure

from vae_lesson import checkpoints, data, plots, recipes, scoring


def make(folder: str | Path) -> list[Path]:
    """Draw the pictures into a folder, which is made if need be; older ones of the same names are replaced.

    Returns the files.  Raises OSError when they cannot be written.
    """
    plots.use_style()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    test = data.load_dataset("mnist")[1]
    x = data.binarize(test.images, "static")
    figures = {"rate_distortion": rate_distortion(x)}
    for name in ("feedforward", "cnn"):
        model, history = (
            checkpoints.pretrained(name),
            checkpoints.describe(checkpoints.shipped(name))["history"],
        )
        mu, _ = scoring.encode_in_chunks(model, x[:3000])
        new = model.sample(60, generator=torch.Generator().manual_seed(0))
        figures |= {
            f"{name}_loss": plots.loss_curve(history, f"{name}: training, epoch by epoch"),
            f"{name}_samples": plots.digits(new, f"{name}: digits decoded from random z", columns=12),
            f"{name}_latent_pca": plots.latent_pca(
                mu, test.labels[:3000], f"{name}: latent means of test digits"
            ),
        }
    files = []
    for name, figure in figures.items():
        files.append(folder / f"{name}.png")
        figure.savefig(files[-1], dpi=100, metadata={"Software": None})  # no version: the same file each time
    return files


def rate_distortion(x: torch.Tensor) -> Figure:
    """Rate and distortion of the shipped beta-VAEs on images x, the two halves of their ELBO."""
    generator = torch.Generator().manual_seed(0)
    models = [checkpoints.pretrained(f"beta-{beta}") for beta in recipes.BETAS]
    terms = [scoring.elbo_in_chunks(model, x, generator=generator) for model in models]
    return plots.named_curve(
        [t.kl.mean() for t in terms], [-t.log_px_given_z.mean() for t in terms],
        [f"β = {beta}" for beta in recipes.BETAS], "Rate and distortion of seven small VAEs",
        xlabel="rate: KL, nats per image", ylabel="distortion: -log p(x|z), nats per image",
    )  # fmt: skip
