"""Information, entropy, cross-entropy and KL, discrete and Gaussian, in nats.

Discrete distributions are tensors of probabilities that sum to 1 over the last dimension.
"""

import math

import torch
from torch import Tensor


def information(p: Tensor) -> Tensor:
    """Surprise -log p of events of probability p, in nats: 0 for p = 1, infinite for p = 0.

    p: any shape, in [0, 1].  Returns the same shape.
    Raises ValueError when p leaves [0, 1].  Source: Shannon 1948, section 6.
    """
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"probabilities lie in [0, 1]; got {p.min():.4g} to {p.max():.4g}")
    return -p.log()


def entropy(p: Tensor) -> Tensor:
    """H(p) = -sum p log p in nats, between 0 and log n.

    p: (..., n).  Returns (...,).
    Raises ValueError when p is no distribution.  Source: Shannon 1948, section 6.
    """
    return cross_entropy(p, p)


def cross_entropy(p: Tensor, q: Tensor) -> Tensor:
    """H(p, q) = -sum p log q in nats: the mean code length when q's code is used for p's events.

    p, q: (..., n).  Returns (...,), at least H(p), infinite where q = 0 < p.
    Raises ValueError when p or q is no distribution.  Source: Cover & Thomas 2006, section 5.4.
    """
    _check_distribution(p, "p")
    _check_distribution(q, "q")
    return -torch.xlogy(p, q).sum(-1)  # xlogy(0, 0) = 0: impossible events cost nothing


def kl_divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) = sum p log(p / q) in nats: the extra code length paid for believing q.

    p, q: (..., n).  Returns (...,), never negative up to rounding, infinite where q = 0 < p.
    Raises ValueError when p or q is no distribution.  Source: Cover & Thomas 2006, section 2.3.
    """
    _check_distribution(p, "p")
    _check_distribution(q, "q")
    ratio = p / torch.where(p > 0, q, torch.ones_like(q))  # 0 / 0 would be nan; where p = 0 the term is 0
    return torch.xlogy(p, ratio).sum(-1)


def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, diag exp(log_var)) || N(0, I)) in nats, one value per row.

    mu, log_var: (..., L), log_var the log of the variance (not of the standard deviation).
    Returns (...,), never negative up to rounding.
    Source: Kingma & Welling 2014, appendix B.
    """
    return gaussian_kl_per_latent(mu, log_var).sum(-1)


def gaussian_kl_per_latent(mu: Tensor, log_var: Tensor) -> Tensor:
    """The terms of `gaussian_kl`, one for each latent, in nats.  mu, log_var: (..., L).  Returns (..., L)."""
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


def gaussian_log_density(x: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """log N(x; mu, diag exp(log_var)) in nats, one value per row; a density, so it may exceed 0.

    x, mu, log_var: (..., D), or shapes that broadcast to it.  Returns (...,).
    """
    return -0.5 * ((x - mu) ** 2 * (-log_var).exp() + log_var + math.log(2 * math.pi)).sum(-1)


def _check_distribution(p: Tensor, name: str) -> None:
    total = p.sum(-1)
    if (p < 0).any() or not torch.allclose(total, torch.ones_like(total), atol=1e-4):
        raise ValueError(
            f"{name} must be probabilities that sum to 1 over the last dimension; "
            f"got a minimum of {p.min():.4g} and sums from {total.min():.4g} to {total.max():.4g}"
        )
