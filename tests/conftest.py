"""What several test files use: small models, a linear-Gaussian oracle, real digits."""

import os

import hypothesis
import pytest
import torch

from vae_lesson.data import binarize, load_dataset
from vae_lesson.likelihoods import Gaussian

# The same examples every time, and no limit of time: a slow machine is no defect.
hypothesis.settings.register_profile("course", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("course")

# Two processes run the tests: one thread each, for the kernels and servers that they start too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


TRAINING = ("06_feedforward_vae.ipynb", "07_cnn_vae.ipynb")  # these train for minutes


def pytest_collection_modifyitems(items):
    """A cell of a notebook needs all the cells above it, so a notebook is slow as a whole."""
    for item in items:
        if item.path.name in TRAINING:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def mnist():
    return load_dataset("mnist")


@pytest.fixture(scope="session")
def digits(mnist):
    """64 binarised test digits, float (64, 1, 28, 28)."""
    return binarize(mnist[1].images[:64], "static")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


class LinearGaussian:
    """x = W z + b + noise, z ~ N(0, I): the exact log p(x) and p(z|x) are known (Bishop 2006, section 12.2).

    It offers what objectives ask of a model; q(z|x) is the exact posterior's diagonal, made wider by `spoil`.
    """

    def __init__(self, latent_dim: int = 3, spoil: float = 0.0):
        generator = torch.Generator().manual_seed(1)
        draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
        # Orthogonal columns make the exact posterior diagonal, so that q can be exact.
        basis, _ = torch.linalg.qr(draw(784, latent_dim))
        self.W = basis * torch.tensor([9.0, 5.0, 2.0], dtype=torch.float64)[:latent_dim]
        self.b = 0.1 * draw(784)
        self.log_var_x = torch.tensor(-1.3, dtype=torch.float64)
        self.likelihood = Gaussian()
        self.likelihood.log_var_x.data.fill_(self.log_var_x)
        self.spoil, self.latent_dim = spoil, latent_dim

    def encode(self, x):
        x = x.flatten(1).double()
        precision = 1 + (self.W**2).sum(0) / self.log_var_x.exp()
        mu = (x - self.b) @ self.W / self.log_var_x.exp() / precision
        log_var = (-precision.log() + self.spoil).expand_as(mu)
        return mu, log_var

    def decode(self, z):
        return (z.double() @ self.W.T + self.b).unflatten(-1, (1, 28, 28))

    def reparameterize(self, mu, log_var, generator=None):
        return mu + (0.5 * log_var).exp() * torch.randn(mu.shape, generator=generator, dtype=mu.dtype)

    def log_px(self, x):
        covariance = self.W @ self.W.T + self.log_var_x.exp() * torch.eye(784, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(self.b, covariance).log_prob(x.flatten(1).double())

    def images(self, count: int):
        z = torch.randn(
            count, self.W.shape[1], generator=torch.Generator().manual_seed(2), dtype=torch.float64
        )
        noise = torch.randn(count, 784, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        return (z @ self.W.T + self.b + (0.5 * self.log_var_x).exp() * noise).unflatten(-1, (1, 28, 28))


@pytest.fixture(scope="session")
def linear_gaussian():
    return LinearGaussian
