"""Exercises of lessons 04 and 05: posterior, marginal, importance sampling, ELBO, gradients."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae_lesson.checks.judge import CORRECT, AnyOf, Case
from vae_lesson.checks.shared import far_down, normal, probabilities, uniform

GRID = torch.linspace(-4, 4, 257, dtype=torch.float64)  # of the worm's z: 99.99 % of its prior; step 1/32


def worm_log_px_given_z(white: int, z: Tensor) -> Tensor:
    """log p(x|z) of lesson 04's worm, whose first `white` of 12 pixels are white.  z: (...)."""
    pixels = torch.arange(12)
    logits = 1.5 * (6 + 2.5 * z[..., None] - pixels - 0.5)
    return F.logsigmoid(torch.where(pixels < white, logits, -logits)).sum(-1)


def two_drawings(rng: Generator) -> Case:
    """attempt(z, prior, first, second), all (N,) on a grid -> posterior density after both drawings (N,)."""
    white = int(torch.randint(3, 9, (), generator=rng))
    prior = Normal(0.0, 1.0).log_prob(GRID).exp()
    first, second = (worm_log_px_given_z(count, GRID).exp() for count in (white, white + 1))
    density = lambda values: values / (values.sum() / 32)  # noqa: E731
    alone, other, joint = density(prior * first), density(prior * second), prior * first * second
    return (GRID, prior, first, second), {
        CORRECT: density(joint),
        "that is the joint: divide it by its area over z": joint,
        "these values add up to 1; asked is a density, whose area is 1": joint / joint.sum(),
        "the prior is missing: multiply the likelihoods by it": density(first * second),
        "a product of two posteriors has the prior twice": AnyOf([density(alone * other), alone * other]),
        "that is the posterior after one drawing: multiply both likelihoods": AnyOf([alone, other]),
        "both drawings are of one worm: multiply their likelihoods, take no average": AnyOf(
            [(alone + other) / 2, density(prior * (first + second))]
        ),
    }


def proposal(rng: Generator) -> Case:
    """attempt(log_joint) -> (mean, sd) of a Gaussian q whose ESS is above 0.9 K; log_joint: z -> nats."""
    white = int(torch.randint(3, 10, (), generator=rng))

    def log_joint(z: Tensor) -> Tensor:
        z = torch.as_tensor(z)
        return Normal(0.0, 1.0).log_prob(z) + worm_log_px_given_z(white, z)

    log_p = log_joint(GRID)
    p = log_p.softmax(0)
    mean = p @ GRID
    var = p @ (GRID - mean) ** 2

    def share(q: Tensor) -> Tensor:  # ESS / K = (E_q[w])^2 / E_q[w^2], both integrals as sums
        log_q = -0.5 * ((GRID - q[0]) / q[1]) ** 2 - q[1].log() - 0.5 * math.log(2 * math.pi)
        return (2 * log_p.logsumexp(0) - (2 * log_p - log_q).logsumexp(0)).exp() / 32

    beside = lambda q: not abs(q[0] - mean) < 0.25 * var.sqrt()  # noqa: E731
    return (log_joint,), {
        "expected two numbers: the mean and the standard deviation of q": lambda q: q.shape != (2,),
        CORRECT: lambda q: share(q) > 0.9,
        "that is the prior, which does not look at x": torch.tensor([0.0, 1.0]),
        "a standard deviation is above 0": lambda q: not q[1] > 0,
        "the mean of q lies beside the posterior: too few samples count": beside,
        "asked is the standard deviation, not the variance": lambda q: abs(q[1] / var - 1) < 0.1,
        "q is too narrow: it rarely visits the outer parts of the posterior": lambda q: q[1] < var.sqrt(),
        "q is too wide: too few samples land where the posterior is": lambda q: True,
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


def raise_the_elbo(rng: Generator) -> Case:
    """attempt(elbo) -> logits (4,) of a q, softmax(logits), whose ELBO is within 0.01 nats of the best.

    elbo: logits (4,) -> the ELBO in nats, which can be differentiated.
    """
    log_joint = torch.tensor([0, -1, -2, -4]) * uniform(rng, 0.9, 1.1, 4) - 90
    log_joint = log_joint[torch.randperm(4, generator=rng)]

    def elbo(logits: Tensor) -> Tensor:
        log_q = torch.log_softmax(torch.as_tensor(logits).to(log_joint), -1)
        return (log_q.exp() * (log_joint - log_q)).sum(-1)

    low = log_joint.logsumexp(0) - 0.01
    return (elbo,), {
        CORRECT: lambda v: v.shape == (4,) and elbo(v) > low,
        "asked are four logits: shape (4,)": lambda v: v.shape != (4,),
        "these are probabilities; asked are the logits": lambda v: (v >= 0).all() and elbo(v.log()) > low,
        "this q is the one you began with: it gives each state the same": lambda v: v.std() < 1e-3,
        "the ELBO fell: go up (an optimizer goes down: give it -elbo)": lambda v: elbo(v) < elbo(0 * v),
        "the ELBO is more than 0.01 nats too low: take more steps, or larger ones": lambda v: True,
    }


def repaired_elbo(rng: Generator) -> Case:
    """attempt(x (B,), mu (B,), log_sigma (B,), eps (B,), noise) -> one-sample ELBO of each x (B,), in nats.

    z ~ N(0, 1) and x | z ~ N(z, noise^2); q = N(mu, sigma^2).
    """
    (mu, log_sigma, eps), noise = normal(rng, 3, 6), 0.7
    q, narrow, prior = Normal(mu, log_sigma.exp()), Normal(mu, (log_sigma / 2).exp()), Normal(0.0, 1.0)
    z, kl, wrong = mu + q.scale * eps, kl_divergence(q, prior), kl_divergence(narrow, prior)
    x, half = z + 0.5 * normal(rng, 6), kl + log_sigma / 2
    fit, other = (Normal(place, noise).log_prob(x) for place in (z, mu + narrow.scale * eps))
    return (x, mu, log_sigma, eps, noise), {
        CORRECT: AnyOf([fit - kl, fit + prior.log_prob(z) - q.log_prob(z)]),
        "the line that was wrong is still wrong": fit - wrong,
        "half repaired: sigma^2 is right in the KL, its logarithm is not": fit - half,
        "half repaired: the logarithm is right in the KL, sigma^2 is not": fit - (wrong + kl - half),
        "z was right: sigma = exp(log_sigma)": AnyOf([other - kl, other - wrong, other - half]),
        "the sign: subtract the KL": fit + kl,
        "the KL belongs to the ELBO: do not leave it out": fit,
    }


def bit_gradient(rng: Generator) -> Case:
    """attempt(f (K,), z (K,), p) -> estimate of d/da E[f(z)]; a bit z is 1 with p = sigmoid(a)."""
    ones = int(torch.randint(4, 8, (), generator=rng))  # of 20: exactly the share p, no luck
    z = (torch.arange(20) < ones)[torch.randperm(20, generator=rng)].double()
    p, (low, high) = ones / 20, uniform(rng, 1, 2, 2) * torch.tensor([1, 3])
    a = torch.tensor(p, dtype=torch.float64).logit().requires_grad_()
    (truth,) = torch.autograd.grad(a.sigmoid() * high + (1 - a.sigmoid()) * low, a)
    f, log_q = low + (high - low) * z, Bernoulli(p).log_prob(z)
    return (f, z, p), {
        CORRECT: AnyOf([truth, truth * 20 / 19]),  # a baseline may be the mean of the other samples
        "that is the slope in p; in the logit a it is p (1 - p) times as large": truth / (p * (1 - p)),
        "an estimate is a mean over the K samples, not a sum": truth * 20,
        "the sign: d log q / da = z - p": -truth,
        "multiply f by the derivative of log q, not by log q itself": (f * log_q).mean(),
        "the score of a 0 is -p, not 0": AnyOf([(f * z).mean(), (1 - p) * (f * z).mean()]),
    }


def best_baseline(rng: Generator) -> Case:
    """attempt(f (K,), eps (K,)) -> the number b for which (f - b) * eps has the smallest variance."""
    eps = normal(rng, 4000)
    f = uniform(rng, 4, 6) + uniform(rng, 0.5, 1.5) * eps + 2 * eps**2
    least = torch.cov(torch.stack([f * eps, eps]))  # the variance is a parabola in b
    least = least[0, 0] - least[0, 1] ** 2 / least[1, 1]
    return (f, eps), {
        "asked is one number, the baseline b": lambda v: v.shape != (),
        CORRECT: lambda v: ((f - v) * eps).var() < 1.01 * least,
        "the mean of f is good, but not best: see where eps is large": lambda v: (v - f.mean()).abs() < 0.05,
        "(f - b) * eps varies more than it must: where is the slope of its variance in b 0?": lambda v: True,
    }


def hard_for_slopes(rng: Generator) -> Case:
    """attempt(z (N,)) -> f(z) (N,), smooth, in [-1, 1], with noisy slopes; z is from N(0, 1)."""
    z = torch.linspace(-4, 4, 80_001, dtype=torch.float64)  # the same for all: rng is not needed
    share = torch.softmax(-(z**2) / 2, 0)

    def variance(g: Tensor) -> Tensor:
        return share @ (g - share @ g) ** 2

    return (z,), {
        "f gives one number for each z: shape (80001,)": lambda f: f.shape != z.shape,
        "f must stay between -1 and 1": lambda f: not (f.abs() <= 1 + 1e-6).all(),
        "f must be smooth: here it jumps between two neighbours": lambda f: f.diff().abs().max() > 0.05,
        CORRECT: lambda f: variance(torch.gradient(f, spacing=1e-4)[0]) > 10 * variance(f * z),
        "not ten times: the slopes of f must be steep, though its values stay small": lambda f: True,
    }


def two_sample_bound(rng: Generator) -> Case:
    """attempt(q (S,), log_w (S,)) -> the bound L_2 in nats, exactly, by a sum over all pairs of states."""
    # Fixed up to 5 %: a slip could be right by luck in this one number.
    q, log_w = torch.tensor([[4, 1, 5, 6, 1, 2], [2, 3, 1, -3, 5, -2]]) * uniform(rng, 0.95, 1.05, 2, 6)
    q = q / q.sum()
    w, state = log_w.exp(), torch.cartesian_prod(torch.arange(6), torch.arange(6)).T
    truth = q[state].prod(0) @ w[state].mean(0).log()
    return (q, log_w), {
        CORRECT: truth,
        "the mean of two weights: subtract log 2": truth + math.log(2),
        "that is the ELBO: the mean goes inside the logarithm": q @ log_w,
        "that is log p(x): the logarithm goes inside the mean over pairs": (q @ w).log(),
        "weight each pair by q of the one times q of the other": w[state].mean(0).log().mean(),
    }


def loose_then_tight(rng: Generator) -> Case:
    """attempt(mean, sd), of a Gaussian posterior -> (mu, sigma) of q: L_1 2 nats too low, L_20 not 0.1."""
    mean, sd = uniform(rng, -2, 2), uniform(rng, 0.3, 0.9)
    p, eps = Normal(mean, sd), normal(torch.Generator().manual_seed(0), 20, 4000)

    def gap_of_20(v: Tensor) -> Tensor:
        z = v[0] + v[1] * eps
        return math.log(20) - (p.log_prob(z) - Normal(*v).log_prob(z)).logsumexp(0).mean()

    return (mean, sd), {
        "asked are two numbers: mu and sigma": lambda v: v.shape != (2,),
        "sigma must be positive": lambda v: not (v[1] > 0 and v.isfinite().all()),
        "the ELBO is too good: its gap must be above 2 nats": lambda v: kl_divergence(Normal(*v), p) <= 2,
        CORRECT: lambda v: gap_of_20(v) < 0.1,
        "too narrow: 20 samples still miss most of the posterior": lambda v: v[1] < 0.9 * sd,
        "beside the posterior, or much too wide: too few of 20 samples meet it": lambda v: True,
    }


def sample_weights(rng: Generator) -> list[Case]:
    """attempt(log_w (K, B)) -> how much each sample counts in the gradient of the bound L_K (K, B)."""
    log_w = 2 * normal(rng, 5, 3) - 3
    (truth,) = torch.autograd.grad(log_w.requires_grad_().exp().mean(0).log().sum(), log_w)
    log_w = log_w.detach()
    answers = {
        CORRECT: truth,
        "over the K samples (dimension 0): each picture has its own": torch.softmax(log_w, 1),
        "the derivative of a logarithm divides the weights by their sum": log_w.exp(),
        "divide by the sum of the weights, not by their mean": truth * 5,
        "all alike: that is the gradient of the average of K ELBOs": torch.full_like(log_w, 1 / 5),
    }
    far = (log_w - 200).float().double()  # rounded as the student gets it
    return [((log_w,), answers), far_down((far,), torch.softmax(far, 0))]
