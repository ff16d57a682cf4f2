"""The model of ten binary latents: a distribution, exact, and better than independent pixels."""

import itertools

import numpy
import pytest
import torch
from torch.distributions import Bernoulli

from vae_lesson.data import binarize
from vae_lesson.exact import BinaryLatents, LatentGrid, fit_binary_latents
from vae_lesson.models import ConvVAE, FeedforwardVAE


@pytest.fixture
def small():
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return BinaryLatents(draw(3, 5), draw(5))


def test_probabilities_of_all_images_sum_to_one(small):
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=5)))
    torch.testing.assert_close(small.log_px(x).exp().sum(), torch.tensor(1.0, dtype=torch.float64))


def test_likelihood_agrees_with_torch_distributions(small):
    x = torch.tensor([[1.0, 0, 0, 1, 1], [0, 0, 0, 0, 0]], dtype=torch.float64)
    for s, state in enumerate(itertools.product([0.0, 1.0], repeat=3)):
        z = torch.tensor(state[::-1], dtype=torch.float64)  # the first latent counts fastest
        assert (small.states[s] == z).all()
        truth = Bernoulli(logits=z @ small.W + small.b).log_prob(x).sum(-1)
        torch.testing.assert_close(small.log_px_given_z(x)[:, s], truth)


def test_prior_and_posterior_are_distributions_and_follow_bayes(small):
    x = torch.tensor([[1.0, 0, 1, 1, 0]])
    one = torch.tensor(1.0, dtype=torch.float64)
    torch.testing.assert_close(small.log_pz.exp().sum(), one)
    torch.testing.assert_close(small.log_posterior(x).exp().sum(), one)
    joint = small.log_pz + small.log_px_given_z(x)
    torch.testing.assert_close(small.log_posterior(x) + small.log_px(x)[:, None], joint)


def test_fit_beats_independent_pixels_on_images_it_has_not_seen(mnist):
    generator = torch.Generator().manual_seed(0)
    train = binarize(mnist[0].images[:1500], generator=generator).flatten(1)
    test = binarize(mnist[1].images[::50], generator=generator).flatten(1).double()
    before = fit_binary_latents(train, epochs=0)
    before.W *= 0  # one Bernoulli a pixel
    model = fit_binary_latents(train, epochs=3)
    assert model.log_px(test).mean() > before.log_px(test).mean() + 30
    again = fit_binary_latents(train, epochs=3)
    torch.testing.assert_close(again.W, model.W, rtol=1e-6, atol=1e-6)


def test_bad_input_is_told():
    with pytest.raises(
        ValueError, match=r"images must be \(N, D\) in \{0, 1\}; got \(2, 784\) from 0 to 255"
    ):
        fit_binary_latents(torch.tensor([0.0, 255.0]).repeat_interleave(784).reshape(2, 784))
    with pytest.raises(ValueError, match="2\\^40 states are too many"):
        BinaryLatents(torch.zeros(40, 4), torch.zeros(4))


def test_grid_agrees_with_gauss_hermite_quadrature(digits):
    """60 x 60 nodes of another rule: exact for smooth functions under the prior's weight."""
    torch.manual_seed(0)
    model = FeedforwardVAE(2, hidden=20).eval()
    nodes, weights = (torch.from_numpy(part) for part in numpy.polynomial.hermite_e.hermegauss(60))
    z = torch.cartesian_prod(nodes, nodes).float()
    log_weight = (torch.outer(weights, weights) / weights.sum() ** 2).log().flatten()[:, None]
    with torch.no_grad():
        logits = model.decode(z)  # (3600, 1, 28, 28)
    x = digits[:4]
    log_px_given_z = Bernoulli(logits=logits[:, None].double()).log_prob(x.double()).sum((-1, -2, -3))
    judge = (log_px_given_z + log_weight).logsumexp(0)
    torch.testing.assert_close(LatentGrid(model, spacing=0.1, reach=6).log_px(x), judge, rtol=0, atol=1e-4)


def test_grid_of_a_decoder_that_ignores_z_gives_the_probability_of_coins(digits):
    model = FeedforwardVAE(2, hidden=4).eval()
    with torch.no_grad():
        model.decoder[-1].weight.zero_()
        model.decoder[-1].bias.copy_(torch.linspace(-2, 2, 784))
    judge = Bernoulli(logits=torch.linspace(-2, 2, 784).double()).log_prob(digits[:3].flatten(1).double())
    grid = LatentGrid(model, spacing=0.2)
    torch.testing.assert_close(grid.log_px(digits[:3]), judge.sum(-1), rtol=0, atol=1e-3)
    posterior = grid.posterior(digits[:3])  # is the prior
    torch.testing.assert_close(posterior.sum(1), torch.ones(3).double())
    torch.testing.assert_close(
        posterior @ (grid.z.double() ** 2), torch.ones(3, 2).double(), rtol=0, atol=1e-3
    )


def test_grid_refuses_other_models():
    with pytest.raises(ValueError, match="two latents and Bernoulli pixels; got 3 latents"):
        LatentGrid(ConvVAE(3))
