"""The exercise of lesson 05 on the ELBO of a VAE."""

import torch
from torch import Generator, Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae_lesson.checks.judge import CORRECT, AnyOf, Case
from vae_lesson.checks.shared import normal, pictures, uniform

PRIOR = Normal(0.0, 1.0)
ONE_IN_FIVE = torch.full((784,), 0.2)


def kl_terms(mu: Tensor, log_var: Tensor) -> dict[str, Tensor]:
    """KL(N(mu, exp(log_var)) || N(0, I)) of each image (B,), and its slips."""
    q, wider = Normal(mu, (0.5 * log_var).exp()), Normal(mu, log_var.exp())
    kl = kl_divergence(q, PRIOR).sum(-1)
    return {
        CORRECT: kl,
        "did you average over latents? The KL is the sum over them": kl / mu.shape[-1],
        "the direction: asked is KL(q || prior), not KL(prior || q)": kl_divergence(PRIOR, q).sum(-1),
        "you took log_var for log sigma: sigma is exp(log_var / 2)": kl_divergence(wider, PRIOR).sum(-1),
        "log_var is the log of sigma squared: it belongs inside the half, once": kl - 0.5 * log_var.sum(-1),
        "you left out the factor 1/2 of the KL": 2 * kl,
    }


def vae_elbo(rng: Generator) -> Case:
    """attempt(x (B, D), mu (B, L), log_var (B, L), eps (B, L), decode) -> one-sample ELBO (B,), in nats.

    decode: z (..., L) -> logits (..., D).
    """
    mu, log_var, eps = normal(rng, 3, 4, 6)
    side = 2 * pictures(rng, 1, ONE_IN_FIVE)[0] - 1
    b, W = side * uniform(rng, 3, 6, 784), 0.5 * normal(rng, 6, 784)  # good: the KL must not drown
    x = pictures(rng, 4, b.sigmoid())

    def decode(z: Tensor) -> Tensor:
        z = torch.as_tensor(z)
        return z @ W.to(z) + b.to(z)

    def fit(sigma: Tensor) -> Tensor:
        return Bernoulli(logits=decode(mu + sigma * eps)).log_prob(x).sum(-1)

    sigma, kls = (0.5 * log_var).exp(), kl_terms(mu, log_var)
    right, kl = fit(sigma), kls[CORRECT]
    return (x, mu, log_var, eps, decode), {verdict: right - term for verdict, term in kls.items()} | {
        "z: sigma is the root of exp(log_var)": fit(log_var.exp()) - kl,
        "z: sigma is exp(log_var / 2), not log_var": AnyOf([fit(log_var) - kl, fit(0.5 * log_var) - kl]),
        "decode a sample z, not its mean mu": fit(0 * sigma) - kl,
        "did you average over pixels? That is a silent beta of 784": right / 784 - kl,
        "the sign: subtract the KL": right + kl,
        "that is -ELBO, the loss: asked is the ELBO": kl - right,
        "the KL is missing": right,
    }
