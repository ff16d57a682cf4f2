"""Judges of lesson 03: KL divergence, exact, Gaussian, from samples and as a fit."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Categorical, Normal, kl_divergence

from vae_lesson.checks.judge import judge


def kl(attempt: Callable) -> str:
    """attempt(p (B, n), q (B, n)) -> KL(p || q) of each row in nats (B,); some p are 0, no q is."""
    p, q = torch.rand(2, 4, 5) + 0.05
    p[:, 0] = 0.0
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    truth = kl_divergence(Categorical(p), Categorical(q))
    cross = -(p * q.log()).sum(-1)
    never = torch.full((4,), torch.inf)
    slips = {
        "the sign: sum p log(q / p) is minus the KL, and never positive": -truth,
        "0 * log(0) gave nan: use torch.xlogy, which is 0 there": (p * (p / q).log()).sum(-1),
        "the direction: you computed KL(q || p), infinite here because some p are 0": never,
        "weight the log ratios by p: you weighted them by q": -never,
        "that is the cross-entropy H(p, q): subtract the entropy H(p)": cross,
        "that is the entropy of p": Categorical(p).entropy(),
        "weight the log ratio of each outcome by p before you sum": (p / q).log().sum(-1),
        "you averaged over the outcomes: the weights p are the average already, so sum": truth / 5,
        "one value per row, please: sum over the last dimension only": truth.sum(),
    }
    return judge(attempt, (p, q), truth, slips)


def gaussians_kl(attempt: Callable) -> str:
    """attempt(mu_p, log_var_p, mu_q, log_var_q), each (N,) -> KL(N_p || N_q) of each pair in nats (N,)."""
    mu_p, log_var_p, mu_q, log_var_q = torch.randn(4, 6)
    p, q = Normal(mu_p, (0.5 * log_var_p).exp()), Normal(mu_q, (0.5 * log_var_q).exp())
    truth = kl_divergence(p, q)
    d2, ratio = (mu_p - mu_q) ** 2, (log_var_p - log_var_q).exp()
    slips = {
        "the direction: you computed KL(q || p)": kl_divergence(q, p),
        "you took log_var for log sigma: sigma is exp(log_var / 2)": kl_divergence(
            Normal(mu_p, log_var_p.exp()), Normal(mu_q, log_var_q.exp())
        ),
        "log_var is already the log of sigma squared: use log_var_q - log_var_p once, inside the half": (
            0.5 * (ratio + d2 * (-log_var_q).exp() - 1) + log_var_q - log_var_p
        ),
        "you left out the factor 1/2": 2 * truth,
        "the sign: a KL divergence is never negative": -truth,
        "the - 1 is missing: the KL of equal Gaussians must be 0": truth + 0.5,
        "divide the squared distance by q's variance, not by p's": (
            0.5 * (ratio + d2 * (-log_var_p).exp() - 1 + log_var_q - log_var_p)
        ),
        "that is KL(p || N(0, 1)): mu_q and log_var_q matter": kl_divergence(p, Normal(0.0, 1.0)),
        "one value per pair, please: do not sum": truth.sum(),
    }
    return judge(attempt, (mu_p, log_var_p, mu_q, log_var_q), truth, slips, tolerance=1e-3)


def kl_from_samples(attempt: Callable) -> str:
    """attempt(log_p (K,), log_q (K,)), at K samples of p -> (estimate of KL(p || q), its standard error)."""
    log_q = torch.randn(400)
    log_p = torch.randn(400) + 0.5  # an estimate of 0 would hide a wrong sign
    ratio = log_p - log_q
    mean, std, k = ratio.mean(), ratio.std(), len(ratio)
    weighted = (log_p.exp() * ratio).mean()
    truth = torch.stack([mean, std / k**0.5])

    def pairs(value: Tensor) -> Tensor:
        return torch.stack([value, std / k**0.5])

    slips = {
        "the samples come from p already: do not weight them by p again": pairs(weighted),
        "the samples come from p already: do not weight by p again": torch.stack(
            [weighted, (log_p.exp() * ratio).std() / k**0.5]
        ),
        "the sign or the direction: it is the mean of log p - log q": pairs(-mean),
        "the standard error of a mean is the standard deviation divided by the root of K": torch.stack(
            [mean, std]
        ),
        "divide the standard deviation by the root of K, not by K": torch.stack([mean, std / k]),
        "take the root: the variance divided by K is the square of the standard error": torch.stack(
            [mean, ratio.var() / k]
        ),
        "the estimate is a mean over the samples, not a sum": pairs(ratio.sum()),
        "return two numbers: the estimate and its standard error": mean,
    }
    # Dividing by K or by K - 1 inside the deviation are both fine: 0.1 % apart for 400 samples.
    return judge(attempt, (log_p, log_q), truth, slips, tolerance=3e-3)


def best_gaussian(attempt: Callable) -> str:
    """attempt(x (N,), p (N,)) -> (mu, sigma) of the Gaussian q that minimises -sum p log q(x).

    x: outcomes, p: their probabilities.
    """
    x, p = torch.randn(30) * 3, torch.rand(30) ** 3
    p = p / p.sum()
    mu = p @ x
    var = p @ (x - mu) ** 2
    truth = _minimise(x.double(), p.double()).float()
    slips = {
        "asked is sigma, the root of the variance": torch.stack([mu, var]),
        "weight the outcomes by p: a rare one counts little": torch.stack([x.mean(), x.std()]),
        "weight the squares by p too": torch.stack([mu, (x - mu).square().mean().sqrt()]),
        "weight the outcomes by p, which are not all equal": torch.stack([x.mean(), x.std(correction=0)]),
        "subtract the mean before you square": torch.stack([mu, (p @ x**2).sqrt()]),
        "KL(p || q) wants a q that covers all of p: its mean is p's mean, not p's peak": torch.stack(
            [x[p.argmax()], var.sqrt()]
        ),
        "return two numbers: mu and sigma": mu,
    }
    return judge(attempt, (x, p), truth, slips, tolerance=1e-3)


def _minimise(x: Tensor, p: Tensor) -> Tensor:
    """(mu, sigma) that minimise the cross-entropy of p under N(mu, sigma^2), found by L-BFGS."""
    theta = torch.zeros(2, dtype=x.dtype, requires_grad=True)  # mu, log sigma
    optimizer = torch.optim.LBFGS([theta], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = -(p * Normal(theta[0], theta[1].exp()).log_prob(x)).sum()
        value.backward()
        return value

    optimizer.step(loss)
    return torch.stack([theta[0], theta[1].exp()]).detach()
