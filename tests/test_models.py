"""Both VAEs: shapes, likelihoods, what is shown, precision, and bad input."""

import math

import pytest
import torch

from vae_lesson.likelihoods import Bernoulli, Gaussian
from vae_lesson.models import ConvVAE, FeedforwardVAE, slerp

MODELS = [
    pytest.param(lambda **kw: FeedforwardVAE(3, hidden=20, **kw), id="feedforward"),
    pytest.param(lambda **kw: ConvVAE(3, channels=8, **kw), id="cnn"),
]


@pytest.mark.parametrize("make", MODELS)
def test_shapes(make, digits):
    model = make()
    mu, log_var = model.encode(digits)
    assert mu.shape == log_var.shape == (64, 3)
    for batch in ((), (5,), (2, 5), (0,)):
        assert model.decode(torch.zeros(*batch, 3)).shape == (*batch, 1, 28, 28)
    assert model.sample(4).shape == (4, 1, 28, 28)
    assert model.reconstruct(digits).shape == digits.shape


@pytest.mark.parametrize("make", MODELS)
def test_another_side(make):
    model, x = make(side=20).eval(), torch.rand(6, 1, 20, 20)
    assert model.reconstruct(x).shape == x.shape and model.sample(2).shape == (2, 1, 20, 20)
    assert model.config["side"] == 20
    with pytest.raises(ValueError, match=r"shape \(B, 1, 20, 20\) .* of shape \(6, 1, 28, 28\)"):
        model.encode(torch.rand(6, 1, 28, 28))
    with pytest.raises(ValueError, match="side must be 1 or more; got 0"):
        make(side=0)


def test_only_convolutions_need_a_multiple_of_four():
    assert FeedforwardVAE(2, hidden=5, side=17).sample(1).shape == (1, 1, 17, 17)
    with pytest.raises(ValueError, match="side must be a multiple of 4, since it is halved twice; got 30"):
        ConvVAE(2, side=30)


@pytest.mark.parametrize("make", MODELS)
def test_decoding_in_any_batch_shape_gives_the_same_pictures(make):
    model, z = make().eval(), torch.randn(2, 5, 3)
    one_by_one = torch.stack([torch.stack([model.decode(v) for v in row]) for row in z])
    torch.testing.assert_close(model.decode(z), one_by_one)


def test_reparameterized_samples_have_the_mean_and_variance_asked_for(generator):
    mu, log_var = torch.tensor([1.0, -2.0]), torch.tensor([-1.0, 0.7])
    z = FeedforwardVAE(2).reparameterize(
        mu.expand(100_000, 2), log_var.expand(100_000, 2), generator=generator
    )
    error = (z.mean(0) - mu).abs() / (z.std(0) / math.sqrt(len(z)))
    assert (error < 4).all()
    torch.testing.assert_close(z.var(0), log_var.exp(), rtol=0.02, atol=0)


@pytest.mark.parametrize("make", MODELS)
def test_gradients_reach_every_parameter(make, digits):
    for likelihood in ("bernoulli", "gaussian"):
        from vae_lesson.objectives import elbo

        model = make(likelihood=likelihood)
        elbo(model, digits).elbo.mean().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_mean_is_grey_and_sample_is_black_and_white(digits):
    model = FeedforwardVAE(3)
    mean, sample = model.reconstruct(digits), model.reconstruct(digits, show="sample")
    assert ((mean > 0) & (mean < 1)).all()
    assert set(sample.unique().tolist()) == {0.0, 1.0}
    many = torch.stack([model.pixels(torch.tensor([0.3]), show="sample") for _ in range(4000)]).mean()
    assert many.item() == pytest.approx(torch.tensor(0.3).sigmoid().item(), abs=0.04)
    with pytest.raises(ValueError, match="show must be 'mean' or 'sample'; got 'grey'"):
        model.sample(1, show="grey")


def test_gaussian_density_is_normalised():
    """log p(x|z) of a one-pixel change, integrated over that pixel, equals that of the other 783."""
    from vae_lesson.objectives import log_likelihood_given_z

    model = FeedforwardVAE(2, hidden=5, likelihood="gaussian").eval()
    with torch.no_grad():
        model.likelihood.log_var_x.fill_(-0.8)
    values = torch.linspace(-12, 12, 4001)
    x = torch.zeros(4001, 1, 28, 28)
    x[:, 0, 3, 4] = values
    with torch.no_grad():
        z = torch.zeros(4001, 2)
        log_density = log_likelihood_given_z(model, x, z).double()
        mean = model.decode(z[0])
        others = torch.distributions.Normal(mean, math.exp(-0.4)).log_prob(torch.tensor(0.0))
    judge = others.sum() - others[0, 3, 4]
    integral = torch.trapezoid((log_density - judge).exp(), values.double())
    assert integral.item() == pytest.approx(1, abs=1e-3)


def test_gaussian_samples_have_the_learned_variance(generator):
    model = FeedforwardVAE(2, likelihood="gaussian")
    with torch.no_grad():
        model.likelihood.log_var_x.fill_(-2.0)
        noise = model.pixels(torch.zeros(200_000), show="sample", generator=generator)
    assert noise.var().item() == pytest.approx(math.exp(-2), rel=0.02)


def test_likelihoods_equal_torch_distributions(generator):
    x = (torch.rand(5, 1, 28, 28, generator=generator) < 0.3).float()
    decoded = 4 * torch.randn(3, 5, 1, 28, 28, generator=generator)  # three codes for each image
    judge = torch.distributions.Bernoulli(logits=decoded.double()).log_prob(x.double()).sum((-1, -2, -3))
    torch.testing.assert_close(Bernoulli().log_prob(x, decoded).double(), judge, rtol=1e-5, atol=1e-4)
    gaussian = Gaussian()
    gaussian.log_var_x.data.fill_(0.7)
    judge = torch.distributions.Normal(decoded.double(), math.exp(0.35)).log_prob(x.double())
    ours = gaussian.log_prob(x, decoded).double()
    torch.testing.assert_close(ours, judge.sum((-1, -2, -3)), rtol=1e-5, atol=1e-3)


def test_logits_far_from_zero_stay_finite():
    x, logits = torch.zeros(1, 1, 28, 28), torch.full((1, 1, 28, 28), -500.0)
    x[..., 0, 0], logits[..., 0, 1] = 1, 500
    torch.testing.assert_close(Bernoulli().log_prob(x, logits), torch.tensor([-1000.0]))


def test_slerp_turns_evenly_and_changes_the_length_evenly(generator):
    for _ in range(50):
        a, b = torch.randn(2, 12, generator=generator, dtype=torch.float64)
        b = 3 * b
        omega = torch.arccos(torch.cosine_similarity(a, b, dim=0))
        for t in (0.0, 0.2, 0.7, 1.0):
            z = slerp(a, b, t)
            torch.testing.assert_close(z.norm(), (1 - t) * a.norm() + t * b.norm())
            angle = torch.arccos(torch.cosine_similarity(a, z, dim=0).clamp(-1, 1))
            torch.testing.assert_close(angle, t * omega, atol=1e-6, rtol=0)
            assert torch.linalg.matrix_rank(torch.stack([a, b, z]), atol=1e-9) == 2  # in the plane of a and b


def test_slerp_of_one_direction_or_from_the_centre_is_straight():
    a, t = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.5, 1.0])
    torch.testing.assert_close(slerp(a, 3 * a, t), torch.outer(1 + 2 * t, a))
    torch.testing.assert_close(slerp(torch.zeros(2), a, t), torch.outer(t, a))


@pytest.mark.parametrize("make", MODELS)
def test_bfloat16_gives_nearly_the_same(make, digits):
    model = make().eval()
    with torch.no_grad():
        exact = model.reconstruct(digits[:8])
        rounded = model.bfloat16().reconstruct(digits[:8])
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.02)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("make", MODELS)
def test_gpu_gives_nearly_the_same(make, digits):
    model = make().eval()
    on_cpu = model.reconstruct(digits)
    torch.testing.assert_close(model.cuda().reconstruct(digits.cuda()).cpu(), on_cpu, rtol=0, atol=1e-3)


def test_default_models_fit_the_shipped_size():
    """4 MB at two bytes a weight, with room for the header."""
    for model in (FeedforwardVAE(), FeedforwardVAE(2), ConvVAE()):
        assert sum(p.numel() for p in model.parameters()) * 2 < 3_980_000


@pytest.mark.parametrize(
    "x, message",
    [
        (torch.zeros(2, 28, 28), r"shape \(B, 1, 28, 28\) .* got torch.float32 of shape \(2, 28, 28\)"),
        (torch.zeros(2, 1, 32, 32), r"got torch.float32 of shape \(2, 1, 32, 32\)"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), r"must be float .* got torch.uint8"),
        (torch.full((2, 1, 28, 28), 255.0), r"in \[0, 1\], without NaN; got values from 255 to 255"),
        (torch.full((2, 1, 28, 28), -0.5), r"in \[0, 1\], without NaN; got values from -0.5 to -0.5"),
        (torch.full((2, 1, 28, 28), math.inf), "got values from inf to inf"),
    ],
)
def test_bad_images_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        FeedforwardVAE(2).eval().encode(x)


def test_one_nan_pixel_is_enough():
    x = torch.zeros(3, 1, 28, 28)
    x[1, 0, 5, 5] = math.nan
    for likelihood in ("bernoulli", "gaussian"):
        with pytest.raises(ValueError, match="without NaN"):
            ConvVAE(2, channels=4, likelihood=likelihood).eval().encode(x)


@pytest.mark.parametrize("kind", [FeedforwardVAE, ConvVAE])
def test_bad_architectures_are_refused(kind):
    with pytest.raises(ValueError, match="latent_dim must be 1 or more; got 0"):
        kind(0)
    with pytest.raises(ValueError, match="likelihood must be one of bernoulli, gaussian; got 'poisson'"):
        kind(2, likelihood="poisson")
    with pytest.raises(ValueError, match=r"z must have shape \(..., 2\).* got \(5, 3\)"):
        kind(2).decode(torch.zeros(5, 3))


def test_layers_of_width_zero_are_refused():
    with pytest.raises(ValueError, match="hidden must be 1 or more; got 0"):
        FeedforwardVAE(2, hidden=0)
    with pytest.raises(ValueError, match="channels must be 1 or more; got 0"):
        ConvVAE(2, channels=0)
