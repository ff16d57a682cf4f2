"""Exercises of lessons 05 to 07: the parts of a VAE and its ELBO."""

import torch
from torch import Generator, Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae_lesson.checks.judge import CORRECT, AnyOf, Case
from vae_lesson.checks.shared import normal, pictures, uniform

PRIOR = Normal(0.0, 1.0)
ONE_IN_FIVE = torch.full((784,), 0.2)


def reparameterize(rng: Generator) -> Case:
    """attempt(mu, log_var, eps), each (B, L) -> z (B, L)."""
    mu, log_var, eps = normal(rng, 3, 7, 4)
    truth = Normal(mu, (0.5 * log_var).exp()).icdf(PRIOR.cdf(eps))  # by quantiles
    return (mu, log_var, eps), {
        CORRECT: truth,
        "log_var is the log of the variance: sigma is the root of its exponential": mu + log_var.exp() * eps,
        "sigma is exp(log_var / 2), not log_var itself": mu + log_var * eps,
        "sigma must be positive: take exp(0.5 * log_var)": mu + 0.5 * log_var * eps,
        "you left out the mean mu": truth - mu,
    }


def log_px_given_z(rng: Generator) -> Case:
    """attempt(x, logits), each (B, D) -> log p(x|z) (B,), in nats per image."""
    x, logits = pictures(rng, 3, ONE_IN_FIVE), 2 * normal(rng, 3, 784)
    pixels = Bernoulli(logits=logits).log_prob(x)
    return (x, logits), {
        CORRECT: pixels.sum(-1),
        "did you average over pixels? An image's log probability is the sum over them": pixels.mean(-1),
        "the sign: this is the cross-entropy; the log probability is minus that": -pixels.sum(-1),
    }


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


def gaussian_kl(rng: Generator) -> Case:
    """attempt(mu, log_var), each (B, L) -> KL(N(mu, exp(log_var)) || N(0, I)) (B,), in nats per image."""
    mu, log_var = normal(rng, 2, 6, 5)
    answers = kl_terms(mu, log_var)
    return (mu, log_var), answers | {"the sign: a KL divergence is never negative": -answers[CORRECT]}


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


def active_units(rng: Generator) -> Case:
    """attempt(mu (N, L)) -> which latents are active, bool (L,): their mean varies by more than 0.01."""
    spread = torch.tensor([1.0, 0.05, 0.15, 0.02, 0.7, 0.09])
    centre = torch.tensor([0.0, 2.0, 0.0, -3.0, 0.5, 0.0])  # two silent latents stand far from 0
    spread, centre = torch.stack([spread, centre])[:, torch.randperm(6, generator=rng)]
    mu = normal(rng, 500, 6)
    mu = (mu - mu.mean(0)) / mu.std(0) * spread + centre
    active = spread > 0.1
    return (mu,), {
        CORRECT: active,
        "the limit 0.01 is for the variance; you took the standard deviation": spread > 0.01,
        "a mean far from 0 that never moves tells nothing: use the variance": spread**2 + centre**2 > 0.01,
        "the variance over the images (dimension 0), not over the latents": mu.var(1) > 0.01,
        "asked is the comparison with 0.01, not the variance itself": mu.var(0),
    }
