"""Exercises of lessons 05 to 07: the ELBO of a VAE, free bits, and the sizes of convolutions."""

import torch
import torch.nn.functional as F
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


def free_bits(rng: Generator) -> Case:
    """attempt(kl (L,), free) -> KL term of the objective: no latent is charged less than `free` nats."""
    free = 0.25
    kl = torch.cat([uniform(rng, 0, 0.2, 4), uniform(rng, 1, 1.5, 4)])[torch.randperm(8, generator=rng)]
    truth = sum(max(value, free) for value in kl.tolist())
    return (kl, free), {
        CORRECT: truth,
        "the floor is for each latent: take the maximum first, then the sum": kl.sum().clamp(min=free),
        "minimum and maximum are exchanged: the charge is at least `free`": kl.clamp(max=free).sum(),
        "sum over the latents, not the mean": truth / 8,
        "free bits are a floor, not a discount": (kl - free).clamp(min=0).sum(),
    }


def conv_size(rng: Generator) -> list[Case]:
    """attempt(size, kernel, stride, padding) -> width of the output of a convolution, in pixels."""
    cases = []
    for size, kernel, stride, padding in ((28, 5, 3, 0), (28, 3, 1, 1), (28, 4, 2, 1), (9, 3, 2, 1)):
        picture, window = torch.zeros(1, 1, size, size), torch.zeros(1, 1, kernel, kernel)
        truth = F.conv2d(picture, window, stride=stride, padding=padding).shape[-1]
        positions = (size + 2 * padding - kernel) / stride + 1
        answers = {
            CORRECT: truth,
            "the padding stands on both sides: count it twice": (size + padding - kernel) // stride + 1,
            "one position too few: the kernel at the left edge counts, so add 1": truth - 1,
            "divide with //: a position that does not fit is dropped": AnyOf([positions, round(positions)]),
        }
        cases.append(((size, kernel, stride, padding), answers))
    return cases


def conv_parameters(rng: Generator) -> list[Case]:
    """attempt(channels_in, channels_out, kernel) -> parameters of a convolution, bias included."""
    cases = []
    for c_in, c_out, kernel in ((3, 8, 5), (1, 3, 5), (5, 2, 7)):  # fixed: no two numbers of a case are alike
        truth = sum(p.numel() for p in torch.nn.Conv2d(c_in, c_out, kernel, device="meta").parameters())
        weights = c_in * c_out * kernel**2
        answers = {
            CORRECT: truth,
            "you left out the bias: one number for each output channel": weights,
            "the bias is one number for each output channel": AnyOf([weights + 1, weights + c_in]),
            "the kernel is kernel x kernel pixels": c_in * c_out * kernel + c_out,
            "every output channel looks at every input channel": c_out * kernel**2 + c_out,
        }
        cases.append(((c_in, c_out, kernel), answers))
    return cases
