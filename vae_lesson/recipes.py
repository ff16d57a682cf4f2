"""What is trained, in the lessons and for the shipped weights, and with which settings.  Data, no code."""

from typing import NamedTuple

BETAS = (0.1, 0.25, 0.5, 1, 2, 4, 10)


class Recipe(NamedTuple):
    """A class of models.py, its arguments, settings of `training.fit`, an objective and its arguments."""

    kind: str
    config: dict
    settings: dict
    objective: tuple[str, dict] = ("elbo", {})


SMALL = ("FeedforwardVAE", {"latent_dim": 16, "hidden": 100})

RECIPES = {
    "feedforward": Recipe("FeedforwardVAE", {"latent_dim": 40}, {"epochs": 20}),
    "feedforward-2d": Recipe("FeedforwardVAE", {"latent_dim": 2}, {"epochs": 20}),
    "cnn": Recipe("ConvVAE", {"latent_dim": 32}, {"epochs": 24, "peak_lr": 4e-3}),
    # The same small network with and without a cure for latents that fall silent, and with seven betas.
    "no-warm-up": Recipe(*SMALL, {"epochs": 8}),
    "free-bits": Recipe(*SMALL, {"epochs": 8}, ("free_bits_elbo", {"floor": 0.1})),
    **{f"beta-{b}": Recipe(*SMALL, {"epochs": 8, "beta": b, "warmup_epochs": 4}) for b in BETAS},
}
