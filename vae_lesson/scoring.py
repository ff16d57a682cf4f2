"""What is reported of a model: log p(x), the ELBO of many images, KL per latent, active units."""

import math

import torch
from torch import Tensor
from tqdm.auto import tqdm

from vae_lesson.information import gaussian_kl_per_latent
from vae_lesson.objectives import Terms, check_samples, elbo, log_weights

ROWS = 512  # images decoded at once: their logits (1.6 MB) stay in the processor's cache


@torch.no_grad()
def log_likelihood(
    model, x: Tensor, samples: int = 5000, *, generator: torch.Generator | None = None, progress: bool = False
) -> Tensor:
    """log p(x) of each image by importance sampling with q(z|x): the IWAE bound with many samples.

    x: float (B, 1, 28, 28).  Returns (B,), in nats, too low on average by a bias that falls as 1 / samples.
    Memory does not grow with samples, nor with B beyond the result: about ROWS images are decoded at once.
    Source: Rezende et al. 2014, appendix E; Burda et al. 2015, section 5.
    """
    check_samples(samples)
    # ROWS = images x samples: eight images or more, so that the encoder is not asked for each one alone.
    images = max(1, min(len(x), max(8, ROWS // samples)))
    at_once = ROWS // images
    results = []
    for part in tqdm(x.split(images), f"log p(x), K = {samples}", disable=not progress, unit="block"):
        mu, log_var = model.encode(part)
        total = torch.full((len(part),), -math.inf, dtype=torch.float64)
        for start in range(0, samples, at_once):
            log_w, _ = log_weights(model, part, mu, log_var, min(at_once, samples - start), generator)
            total = torch.logaddexp(total, log_w.logsumexp(0).cpu().double())
        results.append((total - math.log(samples)).float())
    return torch.cat(results).to(x.device)


@torch.no_grad()
def evaluate(model, x: Tensor, *, samples: int = 5000, seed: int = 0, progress: bool = False) -> dict:
    """Mean scores over images, in nats per image, each with its standard error over images.

    x: float (B, 1, 28, 28), B >= 2, prepared by `data.binarize`: say how beside the numbers.
    Returns plain numbers: negative_elbo, negative_log_likelihood, their terms and standard errors,
    active_units of all latents, images, samples (K) and seed.
    Raises ValueError for grey pixels under a Bernoulli likelihood, or black and white ones under a Gaussian.
    """
    if len(x) < 2:
        raise ValueError(f"scores with a standard error need 2 images or more; got {len(x)}")
    binary = bool(((x == 0) | (x == 1)).all())
    if binary != model.likelihood.binary:
        raise ValueError(
            f"a model with {model.likelihood.name} pixels is scored on "
            f"{'grey' if binary else 'black and white'} images; these are "
            f"{'black and white' if binary else 'grey'}: "
            f'prepare them by data.binarize(images, "{model.likelihood.binarization}")'
        )
    generator = torch.Generator(x.device).manual_seed(seed)
    terms = elbo_in_chunks(model, x, generator=generator)
    log_px = log_likelihood(model, x, samples, generator=generator, progress=progress)

    def standard_error(values: Tensor) -> float:
        return (values.std() / math.sqrt(len(values))).item()

    return {
        "negative_elbo": -terms.elbo.mean().item(),
        "negative_elbo_standard_error": standard_error(terms.elbo),
        "negative_log_likelihood": -log_px.mean().item(),
        "negative_log_likelihood_standard_error": standard_error(log_px),
        "negative_log_px_given_z": -terms.log_px_given_z.mean().item(),
        "kl": terms.kl.mean().item(),
        "active_units": int(active_units(model, x).sum()),
        "latents": model.latent_dim,
        "images": len(x),
        "samples": samples,
        "seed": seed,
    }


@torch.no_grad()
def elbo_in_chunks(model, x: Tensor, *, generator: torch.Generator | None = None) -> Terms:
    """`objectives.elbo` of any number of images in bounded memory, without gradients: three tensors (B,)."""
    chunks = [elbo(model, rows, generator=generator) for rows in x.split(ROWS)]
    return Terms(*(torch.cat(parts) for parts in zip(*chunks, strict=True)))


@torch.no_grad()
def encode_in_chunks(model, x: Tensor) -> tuple[Tensor, Tensor]:
    """`model.encode` of any number of images in bounded memory, without gradients: mu, log_var (B, L)."""
    mu, log_var = zip(*(model.encode(rows) for rows in x.split(ROWS)), strict=True)
    return torch.cat(mu), torch.cat(log_var)


def kl_per_latent(model, x: Tensor) -> Tensor:
    """KL of each latent to its prior, averaged over images: (L,) in nats; the sum is the KL term.

    x: float (B, 1, 28, 28).
    """
    mu, log_var = encode_in_chunks(model, x)
    return gaussian_kl_per_latent(mu, log_var).mean(0)


def active_units(model, x: Tensor, threshold: float = 0.01) -> Tensor:
    """Which latents are used: those whose mean moves with the image, Var_x[mu] > threshold.

    x: float (B, 1, 28, 28), B >= 2.  Returns (L,) of bool.  Source: Burda et al. 2015, section 5.
    """
    mu, _ = encode_in_chunks(model, x)
    return mu.var(0) > threshold
