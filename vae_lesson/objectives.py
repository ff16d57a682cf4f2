"""The ELBO and its two terms, the IWAE bound, and log p(x) by importance sampling. All in nats per image."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vae_lesson.information import (
    bernoulli_log_prob,
    gaussian_kl,
    gaussian_kl_per_latent,
    gaussian_log_density,
)

ROWS = 512  # images decoded at once when scoring: their logits (1.6 MB) stay in the processor's cache


class ELBO(NamedTuple):
    """The bound and its two terms, each of shape (B,), in nats."""

    elbo: Tensor
    log_px_given_z: Tensor
    kl: Tensor


def elbo(model, x: Tensor, *, beta: float = 1.0, generator: torch.Generator | None = None) -> ELBO:
    """One-sample estimate of the ELBO of each image: log p(x|z) - beta * KL(q(z|x) || p(z)), z from q(z|x).

    x: float (B, 1, 28, 28).  Returns three tensors (B,).
    With beta = 1 its mean over z is at most log p(x); with another beta it is a training objective,
    and with beta < 1 no bound.  The KL is the closed form, not a sample.
    Source: Kingma & Welling 2014, equation 10; beta: Higgins et al. 2017, equation 4.
    """
    mu, log_var = model.encode(x)  # (B, L), (B, L)
    z = model.reparameterize(mu, log_var, generator=generator)  # (B, L)
    log_px_given_z = log_likelihood_given_z(model, x, z)  # (B,)
    kl = gaussian_kl(mu.float(), log_var.float())  # (B,)
    return ELBO(log_px_given_z - beta * kl, log_px_given_z, kl)


def free_bits_elbo(
    model, x: Tensor, floor: float = 0.1, *, beta: float = 1.0, generator: torch.Generator | None = None
) -> ELBO:
    """The ELBO with free bits, for `training.fit`: no latent is charged less than `floor` nats on average.

    x: float (B, 1, 28, 28).  The KL of each latent is averaged over the batch before it is compared with the
    floor.  Returns the objective and the true terms, three tensors (B,); with beta = 1 the mean of the
    objective is at most the mean ELBO.
    Source: Kingma et al. 2016, equation 15 (with one latent in each group).
    """
    mu, log_var = model.encode(x)
    z = model.reparameterize(mu, log_var, generator=generator)
    log_px_given_z = log_likelihood_given_z(model, x, z)
    kl = gaussian_kl_per_latent(mu.float(), log_var.float())  # (B, L)
    charged = kl.mean(0).clamp(min=floor).sum()  # one number for the batch
    return ELBO(log_px_given_z - beta * charged, log_px_given_z, kl.sum(-1))


def iwae_bound(model, x: Tensor, samples: int = 50, *, generator: torch.Generator | None = None) -> Tensor:
    """Importance-weighted bound: log of the mean of `samples` weights p(x, z) / q(z|x), z from q(z|x).

    x: float (B, 1, 28, 28).  Returns (B,), differentiable.
    Its mean lies between the ELBO (samples = 1) and log p(x), and grows with samples.
    Source: Burda et al. 2015, equation 8.
    """
    return iwae_terms(model, x, samples, generator=generator).elbo


def iwae_terms(
    model, x: Tensor, samples: int = 5, *, beta: float = 1.0, generator: torch.Generator | None = None
) -> ELBO:
    """What `training.fit` needs to train on `iwae_bound`: the bound, and beside it the two terms of the ELBO.

    x: float (B, 1, 28, 28).  Returns the bound, log p(x|z) averaged over the samples, and the closed-form
    KL, three tensors (B,).  Raises ValueError for beta other than 1, for which the bound is not defined.
    """
    _check_samples(samples)
    if beta != 1:
        raise ValueError(f"the importance-weighted bound has no beta; got {beta}: leave beta and warm-up out")
    mu, log_var = model.encode(x)
    log_w, log_px_given_z = _log_weights(model, x, mu, log_var, samples, generator)  # (K, B) each
    bound = log_w.logsumexp(0) - math.log(samples)
    return ELBO(bound, log_px_given_z.mean(0), gaussian_kl(mu.float(), log_var.float()))


@torch.no_grad()
def log_likelihood(
    model, x: Tensor, samples: int = 5000, *, generator: torch.Generator | None = None, progress: bool = False
) -> Tensor:
    """log p(x) of each image by importance sampling with q(z|x): `iwae_bound` with many samples.

    x: float (B, 1, 28, 28).  Returns (B,), in nats, too low on average by a bias that falls as 1 / samples.
    Memory does not grow with samples, nor with B beyond the result: about ROWS images are decoded at once.
    Source: Rezende et al. 2014, appendix E; Burda et al. 2015, section 5.
    """
    _check_samples(samples)
    block = min(len(x), max(1, ROWS // min(samples, 64)))  # few images, many samples: both fill ROWS
    chunk = max(1, ROWS // max(block, 1))
    results = []
    for rows in _progress(x.split(block), progress, f"log p(x), K = {samples}", "block"):
        mu, log_var = model.encode(rows)
        total = torch.full(mu.shape[:1], -math.inf, device=mu.device, dtype=torch.float64)
        for start in range(0, samples, chunk):
            log_w, _ = _log_weights(model, rows, mu, log_var, min(chunk, samples - start), generator)
            total = torch.logaddexp(total, log_w.double().logsumexp(0))
        results.append((total - math.log(samples)).float())
    return torch.cat(results)


@torch.no_grad()
def evaluate(model, x: Tensor, *, samples: int = 5000, seed: int = 0, progress: bool = False) -> dict:
    """Mean scores over images, in nats per image, each with its standard error over images.

    x: float (B, 1, 28, 28), B >= 2, prepared by `data.binarize`: say how beside the numbers.
    Returns plain numbers: negative_elbo, negative_log_likelihood, their terms and standard errors,
    active_units of all latents, images, samples (K) and seed.
    """
    if len(x) < 2:
        raise ValueError(f"scores with a standard error need 2 images or more; got {len(x)}")
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


@torch.no_grad()
def elbo_in_chunks(model, x: Tensor, *, generator: torch.Generator | None = None) -> ELBO:
    """`elbo` of any number of images in bounded memory, without gradients.  Returns three tensors (B,)."""
    chunks = [elbo(model, rows, generator=generator) for rows in x.split(ROWS)]
    return ELBO(*(torch.cat(parts) for parts in zip(*chunks, strict=True)))


def log_likelihood_given_z(model, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z), in nats.  x: (B, 1, 28, 28), z: (..., B, L).  Returns (..., B)."""
    decoded = model.decode(z).flatten(-3).float()  # (..., B, D)
    x = x.flatten(-3).float()
    if model.likelihood == "bernoulli":
        return bernoulli_log_prob(x, decoded)
    return gaussian_log_density(x, decoded, model.log_var_x.float())


def _log_weights(model, x, mu, log_var, samples, generator) -> tuple[Tensor, Tensor]:
    """log p(x|z) + log p(z) - log q(z|x) and its first term, for z from q(z|x): (samples, B) each."""
    mu, log_var = mu.expand(samples, *mu.shape), log_var.expand(samples, *log_var.shape)  # (K, B, L)
    z = model.reparameterize(mu, log_var, generator=generator)
    log_pz = gaussian_log_density(z.float(), torch.zeros_like(z), torch.zeros_like(z))
    log_qz = gaussian_log_density(z.float(), mu.float(), log_var.float())
    log_px_given_z = log_likelihood_given_z(model, x, z)
    return log_px_given_z + log_pz - log_qz, log_px_given_z


def _check_samples(samples: int) -> None:
    if samples < 1:
        raise ValueError(f"samples (K) must be 1 or more; got {samples}")


def _progress(items, shown: bool, text: str, unit: str):
    if not shown:
        return items
    from tqdm.auto import tqdm

    return tqdm(items, desc=text, unit=unit)
