"""ELBO, IWAE bound and log p(x) against a linear-Gaussian model whose log p(x) is exact, and quadrature."""

import math
import os
import subprocess
import sys
import textwrap

import pytest
import torch

from vae_lesson import objectives, scoring
from vae_lesson.models import ConvVAE, FeedforwardVAE

EXACT = {"rtol": 1e-5, "atol": 0}


def test_the_oracle_knows_its_posterior(linear_gaussian):
    """log p(x) = log p(x, z) - log p(z|x) for every z: holds the oracle's two closed forms to each other."""
    model = linear_gaussian()
    x = model.images(4)
    mu, log_var = model.encode(x)
    z = mu + 0.7
    posterior = torch.distributions.Normal(mu, (0.5 * log_var).exp()).log_prob(z).sum(-1)
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    px_given_z = torch.distributions.Normal(model.decode(z), (0.5 * model.log_var_x).exp()).log_prob(x)
    torch.testing.assert_close(
        px_given_z.sum((-1, -2, -3)) + prior - posterior, model.log_px(x), rtol=1e-9, atol=0
    )


def test_elbo_at_the_exact_posterior_is_log_px_on_average(linear_gaussian, generator):
    model = linear_gaussian()
    x = model.images(4)
    samples = torch.stack([objectives.elbo(model, x, generator=generator).elbo for _ in range(4000)])
    error = samples.mean(0) - model.log_px(x)
    assert (error.abs() < 4 * samples.std(0) / math.sqrt(len(samples))).all()


def test_elbo_never_exceeds_exact_log_likelihood_and_the_gap_is_the_kl(linear_gaussian, generator):
    model, exact = linear_gaussian(spoil=0.8), linear_gaussian()
    x = model.images(4)
    samples = torch.stack([objectives.elbo(model, x, generator=generator).elbo for _ in range(4000)]).double()
    gap = torch.distributions.kl_divergence(
        *(torch.distributions.Normal(mu, (0.5 * v).exp()) for mu, v in (model.encode(x), exact.encode(x)))
    ).sum(-1)
    error = samples.mean(0) - (model.log_px(x) - gap)
    assert (gap > 0.5).all()
    assert (error.abs() < 4 * samples.std(0) / math.sqrt(len(samples))).all()


def test_importance_weights_at_the_exact_posterior_are_log_px_for_every_sample(linear_gaussian, generator):
    model = linear_gaussian()
    x = model.images(6)
    torch.testing.assert_close(
        objectives.iwae_bound(model, x, 3, generator=generator).double(), model.log_px(x), **EXACT
    )
    torch.testing.assert_close(
        scoring.log_likelihood(model, x, 100, generator=generator).double(), model.log_px(x), **EXACT
    )


def test_log_likelihood_with_a_wrong_q_finds_the_exact_value(linear_gaussian, generator):
    model = linear_gaussian(spoil=0.8)
    x = model.images(6)
    ours = scoring.log_likelihood(model, x, 200_000, generator=generator).double()
    torch.testing.assert_close(ours, model.log_px(x), rtol=1e-5, atol=0)


def test_bounds_grow_with_samples_towards_log_px(linear_gaussian, generator):
    """Each step is more than five standard errors."""
    model = linear_gaussian(spoil=1.5)
    x = model.images(4)
    draws = [
        torch.stack([objectives.iwae_bound(model, x, k, generator=generator).mean() for _ in range(500)])
        for k in (1, 3, 50)
    ]
    error = 5 * max(values.std() for values in draws) / math.sqrt(500)
    means = [values.mean() for values in draws]
    assert means[0] + error < means[1] and means[1] + error < means[2] < model.log_px(x).mean() + error


def test_log_likelihood_of_a_bernoulli_model_equals_quadrature(digits, generator):
    """One latent: the integral over z is a sum over a fine grid."""
    torch.manual_seed(0)
    model = FeedforwardVAE(1, hidden=30).eval()
    x = digits[:5]
    z = torch.linspace(-8, 8, 4001).unsqueeze(-1)  # (4001, 1)
    with torch.no_grad():
        log_px_given_z = objectives.log_likelihood_given_z(
            model, x, z.unsqueeze(1).expand(-1, 5, 1)
        )  # (4001, 5)
    log_prior = torch.distributions.Normal(0.0, 1.0).log_prob(z)
    judge = (log_px_given_z + log_prior).double().logsumexp(0) + math.log(16 / 4000)
    ours = scoring.log_likelihood(model, x, 100_000, generator=generator)
    torch.testing.assert_close(ours.double(), judge, rtol=5e-5, atol=0)  # the rest is Monte Carlo noise


def test_terms_stand_per_image_and_add_up(digits):
    model = FeedforwardVAE(3, hidden=10)
    terms = objectives.elbo(model, digits[:7], beta=2.5)
    assert terms.elbo.shape == terms.log_px_given_z.shape == terms.kl.shape == (7,)
    torch.testing.assert_close(terms.objective, terms.log_px_given_z - 2.5 * terms.kl)
    torch.testing.assert_close(terms.elbo, terms.log_px_given_z - terms.kl)  # the ELBO, whatever is maximised


def test_one_importance_sample_is_the_elbo_with_a_sampled_kl(digits):
    """Same z: the IWAE bound with K = 1 equals log p(x|z) + log p(z) - log q(z|x)."""
    model = FeedforwardVAE(3, hidden=10)
    seeded = lambda: torch.Generator().manual_seed(5)  # noqa: E731
    mu, log_var = model.encode(digits)
    z = model.reparameterize(mu, log_var, generator=seeded())
    q, prior = torch.distributions.Normal(mu, (0.5 * log_var).exp()), torch.distributions.Normal(0.0, 1.0)
    judge = objectives.elbo(model, digits, generator=seeded()).log_px_given_z
    judge = judge + (prior.log_prob(z) - q.log_prob(z)).sum(-1)
    torch.testing.assert_close(objectives.iwae_bound(model, digits, 1, generator=seeded()), judge)


def test_result_does_not_depend_on_the_chunks(digits, monkeypatch, linear_gaussian):
    model = linear_gaussian()  # exact q: every sample gives log p(x), whatever the chunks
    x = model.images(13)
    whole = scoring.log_likelihood(model, x, 70)
    monkeypatch.setattr(scoring, "ROWS", 8)
    torch.testing.assert_close(scoring.log_likelihood(model, x, 70), whole)
    assert scoring.log_likelihood(model, x, 70).shape == (13,)


@pytest.mark.parametrize("images, samples", [(1, 20_000), (3000, 3)])
def test_memory_stays_under_512_mb(images, samples):
    """In a process of its own: the largest resident size grows by less than 512 MB, whatever K and B."""
    program = f"""
        import resource, torch
        from vae_lesson.models import ConvVAE
        from vae_lesson.scoring import log_likelihood
        model, x = ConvVAE(8).eval(), torch.zeros({images}, 1, 28, 28)
        log_likelihood(model, x[:1], 1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        log_likelihood(model, x, {samples})
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    assert int(result.stdout) / 1024 < 512  # ru_maxrss is in KiB on Linux


def test_evaluate_gives_means_and_standard_errors(linear_gaussian):
    model = linear_gaussian()
    x = model.images(50)
    scores = scoring.evaluate(model, x, samples=10)
    exact = model.log_px(x)
    assert scores["negative_log_likelihood"] == pytest.approx(-exact.mean().item(), rel=1e-5)
    expected = (exact.std() / math.sqrt(50)).item()
    assert scores["negative_log_likelihood_standard_error"] == pytest.approx(expected, rel=1e-3)
    assert scores["negative_elbo"] == pytest.approx(
        scores["negative_log_px_given_z"] + scores["kl"], rel=1e-5
    )
    assert (scores["samples"], scores["images"]) == (10, 50)


def test_bad_numbers_of_samples_and_images_are_refused(digits):
    model = ConvVAE(2, channels=4)
    with pytest.raises(ValueError, match=r"samples \(K\) must be 1 or more; got 0"):
        scoring.log_likelihood(model, digits, 0)
    with pytest.raises(ValueError, match="need 2 images or more; got 1"):
        scoring.evaluate(model, digits[:1], samples=1)


def test_iwae_terms_are_the_bound_and_the_terms_of_the_elbo(digits):
    torch.manual_seed(0)
    model = FeedforwardVAE(3, hidden=10)
    seeded = lambda: torch.Generator().manual_seed(5)  # noqa: E731
    terms = objectives.iwae_terms(model, digits, 4, generator=seeded())
    torch.testing.assert_close(terms.objective, objectives.iwae_bound(model, digits, 4, generator=seeded()))
    mu, log_var = model.encode(digits)
    q, prior = torch.distributions.Normal(mu, (0.5 * log_var).exp()), torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(terms.kl, torch.distributions.kl_divergence(q, prior).sum(-1))
    z = model.reparameterize(mu.expand(4, -1, -1), log_var.expand(4, -1, -1), generator=seeded())
    pixels = torch.distributions.Bernoulli(logits=model.decode(z))
    torch.testing.assert_close(terms.log_px_given_z, pixels.log_prob(digits).sum((2, 3, 4)).mean(0))
    with pytest.raises(ValueError, match=r"no beta; got 0\.5"):
        objectives.iwae_terms(model, digits, 4, beta=0.5)


def test_usage_of_latents(digits):
    """The first latent follows the ink, the second is far from the prior, the third hardly moves."""

    class Made:
        latent_dim = 3

        def encode(self, x):
            ink = x.mean((1, 2, 3))
            return torch.stack([10 * ink, 0 * ink + 2, ink], -1), torch.zeros(len(x), 3)

    assert scoring.active_units(Made(), digits).tolist() == [True, False, False]
    ink = digits.mean((1, 2, 3))
    assert 0.01 < ink.std() < 0.1  # the third: its deviation is above the threshold, its variance below
    expected = torch.stack([50 * (ink**2).mean(), torch.tensor(2.0), 0.5 * (ink**2).mean()])
    torch.testing.assert_close(scoring.kl_per_latent(Made(), digits), expected)


def test_kl_per_latent_adds_up_to_the_kl_and_chunks_do_not_matter(digits, monkeypatch):
    model = FeedforwardVAE(3, hidden=10)
    whole = scoring.kl_per_latent(model, digits)
    torch.testing.assert_close(whole.sum(), objectives.elbo(model, digits).kl.mean())
    assert scoring.evaluate(model, digits, samples=2)["latents"] == 3
    monkeypatch.setattr(scoring, "ROWS", 7)
    torch.testing.assert_close(scoring.kl_per_latent(model, digits), whole)


def test_free_bits_charge_each_latent_at_least_the_floor(digits):
    torch.manual_seed(0)
    model = FeedforwardVAE(3, hidden=10)
    seeded = lambda: torch.Generator().manual_seed(5)  # noqa: E731
    plain = objectives.elbo(model, digits, beta=0.5, generator=seeded())
    free = objectives.free_bits_elbo(model, digits, 0.0, beta=0.5, generator=seeded())
    torch.testing.assert_close(free.objective.mean(), plain.objective.mean())  # a floor of 0 changes nothing
    torch.testing.assert_close(free.kl, plain.kl)
    torch.testing.assert_close(free.log_px_given_z, plain.log_px_given_z)
    per_latent = scoring.kl_per_latent(model, digits)
    floor = per_latent.median().item()
    charged = sum(max(value, floor) for value in per_latent.tolist())
    free = objectives.free_bits_elbo(model, digits, floor, generator=seeded())
    torch.testing.assert_close(free.objective, plain.log_px_given_z - charged)
    assert charged > per_latent.sum()
