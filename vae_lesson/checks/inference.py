"""Exercises of lessons 04, 05 and 07: posterior, marginal, importance sampling, ELBO, gradients."""

import torch
from torch import Generator, Tensor
from torch.distributions import Categorical, Normal, kl_divergence

from vae_lesson.checks.judge import CORRECT, AnyOf, Case
from vae_lesson.checks.shared import far_down, normal, probabilities, uniform


def posterior(rng: Generator) -> Case:
    """attempt(prior (S,), likelihood (B, S)) -> posterior probabilities p(z|x) (B, S)."""
    prior, likelihood = probabilities(rng, 5), uniform(rng, 0.02, 0.3, 3, 5)
    joint = prior * likelihood
    return (prior, likelihood), {
        CORRECT: Categorical(logits=joint.log()).probs,
        "that is the joint p(z) p(x|z): divide by its sum over z": joint,
        "the prior is missing: multiply the likelihood by it": likelihood / likelihood.sum(-1, keepdim=True),
        "normalise over z (the last dimension), not over the images x": joint / joint.sum(0),
        "normalise each image by itself: the sum over z, not over everything": joint / joint.sum(),
    }


def log_marginal(rng: Generator) -> list[Case]:
    """attempt(log_pz (S,), log_px_given_z (B, S)) -> log p(x) (B,), in nats per image."""
    prior, like = probabilities(rng, 8), uniform(rng, -12, -2, 3, 8)
    log_pz, truth = prior.log(), (like.exp() @ prior).log()
    answers = {
        CORRECT: truth,
        "the log goes outside the sum: that is the mean of log p(x|z), not the log of the mean": like @ prior,
        "the prior is missing: add log p(z) before the logsumexp": like.logsumexp(-1),
        "the prior is p(z) = exp(log_pz), and not the same for every z": like.exp().mean(-1).log(),
        "sum over the latents z (the last dimension), not over the images x": (log_pz + like).logsumexp(0),
        "the sign: log p(x) of a picture is negative, and so is what you should return": -truth,
    }
    return [((log_pz, like), answers), far_down((log_pz, like - 2000), truth - 2000)]


def effective_sample_size(rng: Generator) -> list[Case]:
    """attempt(log_w (K,)) -> effective sample size, between 1 and K; the weights may be tiny."""
    share = torch.softmax(0.7 * normal(rng, 50), 0)
    log_w = (0.1 * share).log()  # the weights sum to 0.1: whoever takes them for shares is far off
    truth = 1 / (share @ share)
    answers = {
        CORRECT: truth,
        "upside down: it is the square of the sum over the sum of squares": 1 / truth,
        "square the sum of the weights too: (sum w)^2 / sum w^2": AnyOf([truth / 0.1, truth / 0.1**2]),
        "that is the share of all K; asked is the number (multiply by K)": truth / 50,
        "square each weight before the sum, not after": 1.0,
    }
    far = (log_w - 2000).float().double()  # rounded as the student gets it
    return [((log_w,), answers), far_down((far,), 1 / torch.softmax(far, 0).square().sum())]


def log_mean_weight(w: Tensor) -> dict[str, object]:
    """Log of the mean over K weights (K, B) of each image, and its slips."""
    return {
        CORRECT: w.mean(0).log(),
        "the mean of the logs estimates the ELBO; asked is the log of the mean weight": w.log().mean(0),
        "you left out - log K: a mean is the sum divided by K": w.sum(0).log(),
        "average over the K samples (dimension 0), keep one value per image": w.mean(1).log(),
        "the sign: return log p(x), not minus it": -w.mean(0).log(),
    }


def log_mean_exp(rng: Generator) -> list[Case]:
    """attempt(log_w (K, B)) -> log of the mean weight of each image (B,): importance-sampled log p(x)."""
    log_w = 3 * normal(rng, 50, 4) - 5
    answers = log_mean_weight(log_w.exp())
    return [((log_w,), answers), far_down((log_w - 2000,), answers[CORRECT] - 2000)]


def importance_sampled_log_px(rng: Generator) -> list[Case]:
    """attempt(log_px_given_z, log_pz, log_qz), each (K, B), z drawn from q -> estimate of log p(x) (B,)."""
    like, prior, q = 2 * normal(rng, 3, 30, 4) - 3
    answers = log_mean_weight((like + prior - q).exp()) | {
        "divide by q(z): z was drawn from q, not from the prior": (like + prior).exp().mean(0).log(),
        "the weight is p(x|z) p(z) / q(z): mind the prior, and the sign of log q": AnyOf(
            log_w.exp().mean(0).log() for log_w in (like, like - q, like + prior + q)
        ),
    }
    return [((like, prior, q), answers), far_down((like - 2000, prior, q), answers[CORRECT] - 2000)]


def elbo_by_enumeration(rng: Generator) -> Case:
    """attempt(q (S,), log_pz (S,), log_px_given_z (S,)) -> the ELBO in nats, by the sum over z."""
    # Fixed up to 5 %: a slip could be right by luck in this one number.
    table = torch.tensor([[6, 8, 5, 1, 1, 6], [3, 3, 2, 2, 7, 4], [-4, -9, -9, -7, -2, -4]])
    q, prior, like = table * uniform(rng, 0.95, 1.05, 3, 6)
    q, prior, p_x = q / q.sum(), prior / prior.sum(), prior / prior.sum() @ like.exp()
    of_q, of_prior, of_posterior = (Categorical(p) for p in (q, prior, prior * like.exp() / p_x))
    fit, price = q @ like, kl_divergence(of_q, of_prior)
    return (q, prior.log(), like), {
        CORRECT: fit - price,
        "the KL is to the prior p(z), not to the posterior p(z|x)": fit - kl_divergence(of_q, of_posterior),
        "the sign: the KL is a price, subtract it": fit + price,
        "the direction: KL(q || p(z)), with q first": fit - kl_divergence(of_prior, of_q),
        "you left out - log q(z): it is the mean of log p(x|z) + log p(z) - log q(z)": fit + q @ prior.log(),
        "that is the first term alone: subtract KL(q || p(z))": fit,
        "that is log p(x): the ELBO lies below it": p_x.log(),
        "that is minus the ELBO: keep the sign": price - fit,
        "the average is over q, not over the prior": prior @ (like + prior.log() - q.log()),
    }


def linear_gaussian_posterior(rng: Generator) -> Case:
    """attempt(x, w, var_x) -> (mean, variance) of p(z|x), for z ~ N(0, 1), x | z ~ N(w z, var_x)."""
    (x, w), var_x = uniform(rng, 1, 3, 2), uniform(rng, 0.3, 0.8)
    z = torch.linspace(-8, 8, 8001, dtype=torch.float64)  # the truth: quadrature over z at this x
    p = torch.softmax(Normal(0.0, 1.0).log_prob(z) + Normal(w * z, var_x.sqrt()).log_prob(x), 0)
    mean, var = p @ z, torch.cov(z, aweights=p, correction=0)
    return (x, w, var_x), {
        CORRECT: (mean, var),
        "the prior is missing: its precision 1 adds to w^2 / var_x": (x / w, var_x / w**2),
        "the prior is missing in the mean: w x / var_x times the posterior variance": (x / w, var),
        "asked is the variance, not its root": (mean, var.sqrt()),
        "that is the precision; the variance is 1 over it": (mean, 1 / var),
    }


def score_function_gradient(rng: Generator) -> Case:
    """attempt(f (K,), eps (K,), sigma, baseline) -> estimate of d/dmu E[f(z)] for z = mu + sigma eps."""
    eps = normal(rng, 50)
    eps = eps - eps.mean() + 0.5  # around 0 the baseline would hardly matter
    f = 4 + 2 * eps + normal(rng, 50)
    sigma, baseline = uniform(rng, 0.3, 0.5), uniform(rng, 0.5, 1.5)
    mu = torch.zeros(50, dtype=torch.float64, requires_grad=True)
    (score,) = torch.autograd.grad(Normal(mu, sigma).log_prob(sigma * eps).sum(), mu)  # of each sample
    truth = ((f - baseline) * score).mean()
    return (f, eps, sigma, baseline), {
        CORRECT: truth,
        "subtract the baseline from f": AnyOf([(f * score).mean(), ((f + baseline) * score).mean()]),
        "divide by sigma: d log q / d mu = (z - mu) / sigma^2 = eps / sigma": truth * sigma,
        "eps is (z - mu) / sigma already: divide by sigma once more, not by its square": truth / sigma,
        "an estimate is a mean over the K samples, not a sum": truth * 50,
        "the sign: d log q / d mu = + eps / sigma": -truth,
    }
