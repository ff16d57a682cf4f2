"""What training maximises: the ELBO, free bits, the importance-weighted bound.  All in nats per image.

A model is anything with `encode(x) -> mu, log_var`, `decode(z)`, `reparameterize(mu, log_var, generator)` and
a `likelihood` with `log_prob(x, decoded)`, as those of models.py have.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vae_lesson.information import gaussian_kl, gaussian_kl_per_latent, gaussian_log_density


class Terms(NamedTuple):
    """What is maximised, and the two terms of the ELBO beside it: shape (B,) each, in nats per image."""

    objective: Tensor
    log_px_given_z: Tensor
    kl: Tensor

    @property
    def elbo(self) -> Tensor:
        """The ELBO itself, whatever was maximised: (B,)."""
        return self.log_px_given_z - self.kl


def elbo(model, x: Tensor, *, beta: float = 1.0, generator: torch.Generator | None = None) -> Terms:
    """One-sample estimate of the ELBO of each image: log p(x|z) - beta * KL(q(z|x) || p(z)), z from q(z|x).

    x: float (B, 1, 28, 28).  Returns three tensors (B,).
    With beta = 1 the objective is the ELBO, its mean over z at most log p(x); with another beta it is
    a training objective, and with beta < 1 no bound.  The KL is the closed form, not a sample.
    Source: Kingma & Welling 2014, equation 10; beta: Higgins et al. 2017, equation 4.
    """
    mu, log_var = model.encode(x)  # (B, L), (B, L)
    z = model.reparameterize(mu, log_var, generator=generator)  # (B, L)
    log_px_given_z = log_likelihood_given_z(model, x, z)  # (B,)
    kl = gaussian_kl(mu.float(), log_var.float())  # (B,)
    return Terms(log_px_given_z - beta * kl, log_px_given_z, kl)


def free_bits_elbo(
    model, x: Tensor, floor: float = 0.1, *, beta: float = 1.0, generator: torch.Generator | None = None
) -> Terms:
    """The ELBO with free bits: no latent is charged less than `floor` nats on average over the batch.

    x: float (B, 1, 28, 28).  Returns the objective and the true terms, three tensors (B,); with beta = 1
    the mean of the objective is at most the mean ELBO.
    Source: Kingma et al. 2016, equation 15 (with one latent in each group).
    """
    mu, log_var = model.encode(x)
    z = model.reparameterize(mu, log_var, generator=generator)
    log_px_given_z = log_likelihood_given_z(model, x, z)
    kl = gaussian_kl_per_latent(mu.float(), log_var.float())  # (B, L)
    charged = kl.mean(0).clamp(min=floor).sum()  # one number for the batch
    return Terms(log_px_given_z - beta * charged, log_px_given_z, kl.sum(-1))


def iwae_bound(model, x: Tensor, samples: int = 50, *, generator: torch.Generator | None = None) -> Tensor:
    """Importance-weighted bound: log of the mean of `samples` weights p(x, z) / q(z|x), z from q(z|x).

    x: float (B, 1, 28, 28).  Returns (B,), differentiable.
    Its mean lies between the ELBO (samples = 1) and log p(x), and grows with samples.
    Source: Burda et al. 2015, equation 8.
    """
    return iwae_terms(model, x, samples, generator=generator).objective


def iwae_terms(
    model, x: Tensor, samples: int = 5, *, beta: float = 1.0, generator: torch.Generator | None = None
) -> Terms:
    """`iwae_bound` as an objective for training, and beside it the two terms of the ELBO.

    x: float (B, 1, 28, 28).  Returns the bound, log p(x|z) averaged over the samples, and the closed-form
    KL, three tensors (B,).  Raises ValueError for beta other than 1, for which the bound is not defined.
    """
    check_samples(samples)
    if beta != 1:
        raise ValueError(f"the importance-weighted bound has no beta; got {beta}: leave beta and warm-up out")
    mu, log_var = model.encode(x)
    log_w, log_px_given_z = log_weights(model, x, mu, log_var, samples, generator)  # (K, B) each
    bound = log_w.logsumexp(0) - math.log(samples)
    return Terms(bound, log_px_given_z.mean(0), gaussian_kl(mu.float(), log_var.float()))


def log_likelihood_given_z(model, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z) in nats per image.  x: (B, 1, 28, 28), z: (..., B, L).  Returns (..., B)."""
    return model.likelihood.log_prob(x, model.decode(z))


def log_weights(model, x, mu, log_var, samples: int, generator=None) -> tuple[Tensor, Tensor]:
    """log p(x|z) + log p(z) - log q(z|x), and its first term, for z from q(z|x): (samples, B) each.

    x: (B, 1, 28, 28); mu, log_var: (B, L), what `model.encode(x)` gives.
    """
    mu, log_var = mu.expand(samples, *mu.shape), log_var.expand(samples, *log_var.shape)  # (K, B, L)
    z = model.reparameterize(mu, log_var, generator=generator)
    log_pz = gaussian_log_density(z.float(), torch.zeros_like(z), torch.zeros_like(z))
    log_qz = gaussian_log_density(z.float(), mu.float(), log_var.float())
    log_px_given_z = log_likelihood_given_z(model, x, z)
    return log_px_given_z + log_pz - log_qz, log_px_given_z


def check_samples(samples: int) -> None:
    """Raises ValueError unless the number of importance samples K is 1 or more."""
    if samples < 1:
        raise ValueError(f"samples (K) must be 1 or more; got {samples}")
