"""Judges of lessons 06 and 07: the parts of a VAE, the sizes of convolutions, log p(x) by sampling."""

from collections.abc import Callable

import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae_lesson.checks.judge import CORRECT, judge


def reparameterize(attempt: Callable) -> str:
    """attempt(mu, log_var, eps), each (B, L) -> z (B, L)."""
    mu, log_var, eps = torch.randn(3, 7, 4)
    return judge(
        attempt,
        (mu, log_var, eps),
        Normal(mu, (0.5 * log_var).exp()).icdf(Normal(0, 1).cdf(eps.double())).float(),
        {
            "log_var is the log of the variance: sigma is its exponential's square root": mu
            + log_var.exp() * eps,
            "sigma is exp(log_var / 2), not log_var itself": mu + log_var * eps,
            "sigma must be positive: take exp(0.5 * log_var)": mu + 0.5 * log_var * eps,
            "you left out the mean mu": (0.5 * log_var).exp() * eps,
        },
        tolerance=1e-3,  # the judge goes through a quantile function
    )


def log_px_given_z(attempt: Callable) -> str:
    """attempt(x, logits), each (B, D) -> log p(x|z) (B,), in nats per image."""
    x, logits = torch.bernoulli(torch.full((3, 784), 0.2)), torch.randn(3, 784) * 2
    per_pixel = Bernoulli(logits=logits).log_prob(x)
    truth = per_pixel.sum(-1)
    return judge(
        attempt,
        (x, logits),
        truth,
        {
            "did you average over pixels? An image's log probability is the sum over them": per_pixel.mean(
                -1
            ),
            "the sign: this is the cross-entropy; the log probability is minus that": -truth,
            "keep one value per image: sum over pixels only": truth.sum(),
            "one value per image, please: you averaged over the batch": truth.mean(),
            "sum over the pixels of each image": per_pixel,
        },
    )


def gaussian_kl(attempt: Callable) -> str:
    """attempt(mu, log_var), each (B, L) -> KL(N(mu, exp(log_var)) || N(0, I)) (B,), in nats per image."""
    mu, log_var = torch.randn(2, 6, 5)
    std = (0.5 * log_var).exp()
    per_latent = kl_divergence(Normal(mu, std), Normal(0.0, 1.0))
    truth = per_latent.sum(-1)
    reverse = kl_divergence(Normal(0.0, 1.0), Normal(mu, std)).sum(-1)
    as_log_sigma = kl_divergence(Normal(mu, log_var.exp()), Normal(0.0, 1.0)).sum(-1)
    mixed_up = (0.5 * (mu**2 + log_var.exp() - 1) - log_var).sum(-1)
    return judge(
        attempt,
        (mu, log_var),
        truth,
        {
            "did you average over latents? The KL is the sum over them": per_latent.mean(-1),
            "the sign: a KL divergence is never negative": -truth,
            "the direction: you computed KL(prior || q), asked is KL(q || prior)": reverse,
            "you took log_var for log sigma: sigma is exp(log_var / 2)": as_log_sigma,
            "log_var is already the log of sigma squared: subtract it once, inside the half": mixed_up,
            "you left out the factor 1/2": 2 * truth,
            "one value per image, please: you summed over the batch": truth.sum(),
            "sum over the latents of each image": per_latent,
        },
    )


def conv_size(attempt: Callable) -> str:
    """attempt(size, kernel, stride, padding) -> width of the output of a convolution, in pixels."""
    cases = (14, 2, 2, 0), (27, 5, 3, 0), (28, 3, 1, 1), (28, 4, 2, 1), (9, 3, 2, 1)
    for size, kernel, stride, padding in cases:
        layer = torch.nn.Conv2d(1, 1, kernel, stride, padding)
        truth = layer(torch.zeros(1, 1, size, size)).shape[-1]
        verdict = judge(
            attempt,
            (size, kernel, stride, padding),
            torch.tensor(truth),
            {
                "the padding stands on both sides: count it twice": torch.tensor(
                    (size + padding - kernel) // stride + 1
                ),
                "one position too few: the kernel at the left edge counts, so add 1": torch.tensor(truth - 1),
                "a position that does not fit is dropped: divide with // and not with /": torch.tensor(
                    (size + 2 * padding - kernel) / stride + 1
                ),
            },
        )
        if verdict != CORRECT:
            return verdict
    return CORRECT


def conv_parameters(attempt: Callable) -> str:
    """attempt(channels_in, channels_out, kernel) -> parameters of a convolution, bias included."""
    c_in, c_out, kernel = (int(n) for n in torch.randint(2, 9, (3,)))
    weights = c_in * c_out * kernel**2
    truth = sum(p.numel() for p in torch.nn.Conv2d(c_in, c_out, kernel).parameters())
    return judge(
        attempt,
        (c_in, c_out, kernel),
        torch.tensor(truth),
        {
            "you left out the bias: one number for each output channel": torch.tensor(weights),
            "the kernel is kernel x kernel pixels": torch.tensor(c_in * c_out * kernel + c_out),
            "the weights are shared by all positions: the picture's size does not enter": torch.tensor(
                weights * 784
            ),
            "every output channel looks at every input channel: multiply by channels_in": torch.tensor(
                c_out * kernel**2 + c_out
            ),
        },
    )


def log_mean_exp(attempt: Callable) -> str:
    """attempt(log_w (K, B)) -> log of the mean weight of each image (B,): importance-sampled log p(x)."""
    log_w = torch.randn(50, 4, dtype=torch.float64) * 3 - 5
    truth = log_w.exp().mean(0).log()
    verdict = judge(
        attempt,
        (log_w,),
        truth,
        {
            "the mean of the logs estimates the ELBO; asked is the log of the mean": log_w.mean(0),
            "you left out - log K: a mean is the sum divided by K": torch.logsumexp(log_w, 0),
            "average over the K samples (dimension 0), keep one value per image": log_w.exp().mean(1).log(),
            "one value per image, please: average over dimension 0 only": log_w.exp().mean().log(),
        },
    )
    if verdict != CORRECT:
        return verdict
    far = log_w - 2000  # exp(-2000) is 0 in floating point, and log(0) is -inf
    return judge(
        attempt,
        (far,),
        truth - 2000,
        {"exp() underflows for weights this small: use torch.logsumexp": far.exp().mean(0).log()},
    )


def active_units(attempt: Callable) -> str:
    """attempt(mu (N, L)) -> which latents are active, bool (L,): their mean varies by more than 0.01."""
    order = torch.randperm(6)  # two silent latents stand far from 0, one is silent only by its variance
    scale = torch.tensor([1.0, 0.05, 0.15, 0.02, 0.7, 0.09])[order]
    offset = torch.tensor([0.0, 2.0, 0.0, -3.0, 0.5, 0.0])[order]
    mu = torch.randn(500, 6)
    mu = (mu - mu.mean(0)) / mu.std(0) * scale + offset
    truth = scale**2 > 0.01
    return judge(
        attempt,
        (mu,),
        truth,
        {
            "the limit 0.01 is for the variance; you took the standard deviation": scale > 0.01,
            "a mean far from 0 that never moves tells nothing of the image: subtract it (use the variance)": (
                (mu**2).mean(0) > 0.01
            ),
            "the variance over the images (dimension 0), not over the latents": mu.var(1) > 0.01,
            "asked is which latents are active, not how many": truth.sum(),
            "asked is the comparison with 0.01, not the variance itself": mu.var(0),
        },
    )


def free_bits(attempt: Callable) -> str:
    """attempt(kl (L,), free) -> KL term of the objective: no latent is charged less than `free` nats."""
    free = 0.25
    kl = torch.cat([torch.rand(4) * 0.2, 0.3 + torch.rand(4)])[torch.randperm(8)]  # on both sides of it
    truth = sum(max(value, free) for value in kl.tolist())
    return judge(
        attempt,
        (kl, free),
        torch.tensor(truth),
        {
            "the floor is for each latent: take the maximum first, then the sum": kl.sum().clamp(min=free),
            "minimum and maximum are exchanged: the charge is at least `free`": kl.clamp(max=free).sum(),
            "sum over the latents, not the mean": torch.tensor(truth / 8),
            "one number, please: sum over the latents": kl.clamp(min=free),
            "free bits are a floor, not a discount": (kl - free).clamp(min=0).sum(),
        },
    )
