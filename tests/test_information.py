"""Information, entropy, KL and Gaussian densities against torch.distributions and quadrature."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, Normal, kl_divergence

from vae_lesson import information

TIGHT = {"rtol": 1e-5, "atol": 1e-6}
numbers = st.floats(-3, 3)


def distribution(n):
    return st.lists(st.floats(0.01, 1), min_size=n, max_size=n).map(
        lambda w: torch.tensor(w, dtype=torch.float64) / sum(w)
    )


@given(distribution(5), distribution(5))
def test_discrete_measures_equal_torch_distributions(p, q):
    torch.testing.assert_close(information.entropy(p), Categorical(p).entropy(), **TIGHT)
    judge = kl_divergence(Categorical(p), Categorical(q))
    torch.testing.assert_close(information.kl_divergence(p, q), judge, **TIGHT)
    assert information.kl_divergence(p, q) >= -1e-12
    assert 0 <= information.entropy(p) <= math.log(5) + 1e-9


def test_information_of_certain_and_impossible_events():
    torch.testing.assert_close(
        information.information(torch.tensor([1.0, 0.5, 0.0])), torch.tensor([0.0, math.log(2), math.inf])
    )
    with pytest.raises(ValueError, match=r"probabilities lie in \[0, 1\]; got .* to 1.5"):
        information.information(torch.tensor([0.5, 1.5]))


def test_kl_is_infinite_where_the_model_forbids_what_happens():
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])
    assert information.kl_divergence(p, q) == math.inf
    torch.testing.assert_close(information.kl_divergence(q, p), torch.tensor(math.log(2)))


def test_what_is_no_distribution_is_refused():
    with pytest.raises(ValueError, match="q must be probabilities that sum to 1"):
        information.kl_divergence(torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.6]))


@given(st.lists(numbers, min_size=4, max_size=4), st.lists(numbers, min_size=4, max_size=4))
def test_gaussian_kl_equals_torch_distributions(mu, log_var):
    mu, log_var = torch.tensor(mu), torch.tensor(log_var)
    judge = kl_divergence(Normal(mu, (0.5 * log_var).exp()), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(information.gaussian_kl(mu, log_var), judge, **TIGHT)


@pytest.mark.parametrize("mu, log_var", [(0.7, -1.2), (-2.0, 0.4), (0.0, 0.0)])
def test_gaussian_kl_equals_quadrature(mu, log_var):
    z = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    q, prior = Normal(torch.tensor(mu).double(), math.exp(0.5 * log_var)), Normal(0.0, 1.0)
    judge = torch.trapezoid(q.log_prob(z).exp() * (q.log_prob(z) - prior.log_prob(z)), z)
    ours = information.gaussian_kl(torch.tensor([mu]).double(), torch.tensor([log_var]).double())
    torch.testing.assert_close(ours, judge, **TIGHT)


def test_kl_of_nearly_equal_distributions_keeps_its_digits():
    """KL(p || p + d) is d^2 / p summed and halved, far below the rounding of the two entropies."""
    p, d = torch.tensor([0.25, 0.75], dtype=torch.float64), 1e-7
    q = p + torch.tensor([d, -d], dtype=torch.float64)
    judge = 0.5 * (d**2 / p).sum()
    torch.testing.assert_close(information.kl_divergence(p, q), judge, rtol=0.2, atol=0)


@settings(max_examples=30)
@given(st.integers(0, 2**31))
def test_gaussian_log_density_equals_torch_distributions(seed):
    g = torch.Generator().manual_seed(seed)
    mu, x, log_var = torch.randn(5, 784, generator=g) * 4, torch.rand(5, 784, generator=g), torch.randn(1)
    judge = Normal(mu, (0.5 * log_var).exp()).log_prob(x).sum(-1)
    ours = information.gaussian_log_density(x, mu, log_var.expand(784))
    torch.testing.assert_close(ours, judge, rtol=1e-5, atol=1e-3)
