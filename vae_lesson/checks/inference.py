"""Judges of lessons 04 and 05: posterior, marginal, importance sampling, ELBO, gradients."""

import math
from collections.abc import Callable

import torch
from torch.distributions import Bernoulli, Categorical, MultivariateNormal, Normal, kl_divergence

from vae_lesson.checks.judge import CORRECT, judge


def posterior(attempt: Callable) -> str:
    """attempt(prior (S,), likelihood (B, S)) -> posterior probabilities p(z|x) (B, S)."""
    prior = torch.distributions.Dirichlet(torch.ones(5)).sample()
    likelihood = torch.rand(3, 5) + 0.02
    joint = prior * likelihood
    truth = Categorical(logits=prior.log() + likelihood.log()).probs
    slips = {
        "that is the joint p(z) p(x|z): divide by its sum over z": joint,
        "the prior is missing: multiply the likelihood by it": likelihood / likelihood.sum(-1, keepdim=True),
        "normalise over z (the last dimension), not over the images x": joint / joint.sum(0),
        "normalise each image by itself: the sum over z, not over everything": joint / joint.sum(),
        "that is p(x); asked is the posterior p(z|x)": joint.sum(-1),
    }
    return judge(attempt, (prior, likelihood), truth, slips)


def log_marginal(attempt: Callable) -> str:
    """attempt(log_pz (S,), log_px_given_z (B, S)) -> log p(x) (B,), in nats per image."""
    log_pz = torch.distributions.Dirichlet(torch.ones(8)).sample().double().log()
    log_like = torch.randn(3, 8, dtype=torch.float64) * 3 - 5
    joint = log_pz + log_like
    truth = joint.exp().sum(-1).log()
    without_prior = torch.logsumexp(log_like, -1)
    slips = {
        "the log goes outside the sum: this is the mean of log p(x|z), not the log of the mean": (
            (log_pz.exp() * log_like).sum(-1)
        ),
        "the prior is missing: sum p(z) p(x|z), so add log p(z) before the logsumexp": without_prior,
        "the prior is p(z) = exp(log_pz), and not the same for every z": without_prior - math.log(8),
        "sum over the latents z (the last dimension), not over the images x": torch.logsumexp(joint, 0),
        "one value per image, please: sum over z only": torch.logsumexp(joint.flatten(), 0),
        "the sign: log p(x) of a picture is negative, and so is what you should return": -truth,
        "that is p(x); asked is its logarithm": truth.exp(),
        "log of a product is a sum: log p(z) + log p(x|z)": torch.logsumexp(log_pz * log_like, -1),
    }
    verdict = judge(attempt, (log_pz, log_like), truth, slips)
    if verdict != CORRECT:
        return verdict
    far = {"exp() underflows for numbers this small: use torch.logsumexp": torch.full_like(truth, -torch.inf)}
    return judge(attempt, (log_pz, log_like - 2000), truth - 2000, far)


def effective_sample_size(attempt: Callable) -> str:
    """attempt(log_w (K,)) -> effective sample size, between 1 and K; the weights may be tiny."""
    log_w = torch.randn(50, dtype=torch.float64)
    w = torch.softmax(log_w, 0)
    truth = 1 / (w**2).sum()
    raw = log_w.exp()
    slips = {
        "upside down: it is the square of the sum over the sum of squares": 1 / truth,
        "square the sum of the weights: (sum w)^2 / sum w^2": raw.sum() / (raw**2).sum(),
        "normalise the weights first: (sum w)^2 / sum w^2": 1 / (raw**2).sum(),
        "that is the share of all K; asked is the number (multiply by K)": truth / 50,
        "square each weight before the sum, not after": torch.tensor(1.0).double(),
    }
    verdict = judge(attempt, (log_w,), truth, slips)
    if verdict != CORRECT:
        return verdict
    far = {
        "exp() underflows for weights this small: subtract the largest log weight first": truth * torch.nan
    }
    return judge(attempt, (log_w - 2000,), truth, far)


def importance_sampled_log_px(attempt: Callable) -> str:
    """attempt(log_px_given_z, log_pz, log_qz), each (K, B), z drawn from q -> estimate of log p(x) (B,)."""
    like, prior, q = torch.randn(3, 30, 4, dtype=torch.float64) * 2 - 3
    log_w = like + prior - q
    estimate = lambda w: w.exp().mean(0).log()  # noqa: E731
    slips = {
        "the mean of the logs estimates the ELBO, not log p(x): take the log of the mean weight": log_w.mean(
            0
        ),
        "you left out - log K: a mean is the sum divided by K": torch.logsumexp(log_w, 0),
        "divide by q(z): z was drawn from q, not from the prior": estimate(like + prior),
        "the sign of log q: the weight is p(x|z) p(z) / q(z)": estimate(like + prior + q),
        "the prior is missing in the weight: p(x|z) p(z) / q(z)": estimate(like - q),
        "with z from q the weight is p(x|z) p(z) / q(z), not p(x|z) alone": estimate(like),
        "the sign: return log p(x), not minus it": -estimate(log_w),
        "average over the K samples (dimension 0), keep one value per image": estimate(log_w.T),
    }
    inputs = (like, prior, q)
    verdict = judge(attempt, inputs, estimate(log_w), slips)
    if verdict != CORRECT:
        return verdict
    far = {"exp() underflows for weights this small: use torch.logsumexp": torch.full((4,), -torch.inf)}
    return judge(attempt, (like - 2000, prior, q), estimate(log_w) - 2000, far)


def elbo_by_enumeration(attempt: Callable) -> str:
    """attempt(q (S,), log_pz (S,), log_px_given_z (S,)) -> the ELBO in nats, by the sum over z."""
    divergence = lambda a, b: kl_divergence(Categorical(a), Categorical(b))  # noqa: E731
    q = prior = torch.ones(6, dtype=torch.float64)
    while abs(divergence(q, prior) - divergence(prior, q)) < 0.05:  # else the wrong direction would be right
        q, prior = torch.distributions.Dirichlet(torch.ones(2, 6)).sample().double() + 0.02
        q, prior = q / q.sum(), prior / prior.sum()
    like = torch.randn(6, dtype=torch.float64) * 2 - 4
    post = torch.softmax(prior.log() + like, 0)
    fit = q @ like
    truth = fit - divergence(q, prior)
    log_px = torch.logsumexp(prior.log() + like, 0)
    slips = {
        "the KL of the ELBO is to the prior p(z), not to the posterior p(z|x)": fit - divergence(q, post),
        "the sign: the KL is a price, subtract it": fit + divergence(q, prior),
        "the direction: KL(q || p(z)), with q first": fit - divergence(prior, q),
        "you left out - log q(z): the ELBO is the mean of log p(x|z) + log p(z) - log q(z)": (
            fit + q @ prior.log()
        ),
        "that is the first term alone: subtract KL(q || p(z))": fit,
        "that is log p(x): the ELBO lies below it": log_px,
        "that is minus the ELBO: keep the sign": -truth,
        "the average is over q, not over the prior": prior @ (like + prior.log() - q.log()),
    }
    return judge(attempt, (q, prior.log(), like), truth, slips)


def linear_gaussian_posterior(attempt: Callable) -> str:
    """attempt(x, w, var_x) -> (mean, variance) of p(z|x), for z ~ N(0, 1), x | z ~ N(w z, var_x)."""
    x, w = (2 * torch.rand(2, dtype=torch.float64) + 1).unbind()  # near w = 0 slips would be right
    var_x = 0.5 * torch.rand(1, dtype=torch.float64)[0] + 0.3
    one = torch.ones_like(w)
    joint = MultivariateNormal(
        torch.zeros(2, dtype=torch.float64),
        torch.stack([torch.stack([one, w]), torch.stack([w, w**2 + var_x])]),
    )  # of (z, x); the truth: quadrature over z at this x
    z = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    p = torch.softmax(joint.log_prob(torch.stack([z, x.expand_as(z)], -1)), 0)
    mean = p @ z
    var = p @ (z - mean) ** 2
    truth = torch.stack([mean, var])
    slips = {
        "the prior is missing: its precision 1 adds to w^2 / var_x": torch.stack([x / w, var_x / w**2]),
        "the prior is missing in the mean: multiply w x / var_x by the posterior variance": torch.stack(
            [x / w, var]
        ),
        "asked is the variance, not its root": torch.stack([mean, var.sqrt()]),
        "that is the precision; the variance is 1 over it": torch.stack([mean, 1 / var]),
        "divide by var_x, a variance, and not by its square": torch.stack(
            [w * x / var_x**2 / (1 + w**2 / var_x**2), 1 / (1 + w**2 / var_x**2)]
        ),
        "return two numbers: mean and variance": mean,
    }
    return judge(attempt, (x, w, var_x), truth, slips)


def score_function_gradient(attempt: Callable) -> str:
    """attempt(f (K,), eps (K,), sigma, baseline) -> estimate of d/dmu E[f(z)] for z = mu + sigma eps."""
    f, eps = torch.randn(2, 50, dtype=torch.float64) + 1
    sigma, baseline = torch.rand(2, dtype=torch.float64) + 0.3
    mu = torch.zeros(50, dtype=torch.float64, requires_grad=True)
    log_q = Normal(mu, sigma).log_prob(sigma * eps)
    (score,) = torch.autograd.grad(log_q.sum(), mu)  # of each sample, by autograd
    truth = ((f - baseline) * score).mean()
    slips = {
        "subtract the baseline from f": (f * score).mean(),
        "subtract the baseline, do not add it": ((f + baseline) * score).mean(),
        "divide by sigma: d log q / d mu = (z - mu) / sigma^2 = eps / sigma": ((f - baseline) * eps).mean(),
        "eps is (z - mu) / sigma already: divide by sigma once more, not by its square": (
            (f - baseline) * eps / sigma**2
        ).mean(),
        "an estimate is a mean over the K samples, not a sum": ((f - baseline) * score).sum(),
        "average over the K samples": (f - baseline) * score,
        "the sign: d log q / d mu = + eps / sigma": -truth,
    }
    return judge(attempt, (f, eps, sigma, baseline), truth, slips)


def vae_elbo(attempt: Callable) -> str:
    """attempt(x (B, D), logits (B, D), mu (B, L), log_var (B, L)) -> ELBO of each image in nats (B,)."""
    x, logits = torch.bernoulli(torch.full((4, 784), 0.2)), torch.randn(4, 784)
    mu, log_var = torch.randn(2, 4, 6)
    pixels, prior = Bernoulli(logits=logits).log_prob(x), Normal(0.0, 1.0)
    kl_of = lambda std: kl_divergence(Normal(mu, std), prior)  # noqa: E731
    latents, as_log_sigma = kl_of((0.5 * log_var).exp()), kl_of(log_var.exp()).sum(-1)
    fit, kl = pixels.sum(-1), latents.sum(-1)
    mixed_up = (0.5 * (mu**2 + log_var.exp() - 1) - log_var).sum(-1)
    half = (0.5 * (mu**2 + (2 * log_var).exp() - 1 - log_var)).sum(-1)
    log_sigma = "log_var is log sigma squared: you treated it as log sigma in the KL"
    slips = {
        "did you average over pixels? That is a silent beta of 784": pixels.mean(-1) - kl,
        "did you average over latents? The KL is the sum over them": fit - latents.mean(-1),
        "averages over pixels and latents weigh the two terms wrongly: sum": pixels.mean(-1)
        - latents.mean(-1),
        log_sigma: fit - as_log_sigma,
        log_sigma + " (subtract log_var once, inside the half)": fit - mixed_up,
        log_sigma + " (its exponential is the variance)": fit - half,
        "the sign: subtract the KL": fit + kl,
        "that is -ELBO, the loss: asked is the ELBO": kl - fit,
        "the KL is missing": fit,
        "you left out the factor 1/2 of the KL": fit - 2 * kl,
        "the direction: KL(q || prior), not KL(prior || q)": (
            fit - kl_divergence(prior, Normal(mu, (0.5 * log_var).exp())).sum(-1)
        ),
        "one value per image, please: you averaged over the batch": (fit - kl).mean(),
        "one value per image, please: you summed over the batch": (fit - kl).sum(),
    }
    return judge(attempt, (x, logits, mu, log_var), fit - kl, slips)
