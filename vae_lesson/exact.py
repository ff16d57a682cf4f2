"""Models small enough to be exact: ten binary latents (a sum over 1024 states), two latents (quadrature)."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor


class BinaryLatents:
    """z uniform over {0, 1}^L, pixel i of x | z ~ Bernoulli(sigmoid((z W + b)_i)); all in float64.

    W: (L, D); b: (D,).  `.states` (S, L) lists all S = 2^L codes, `.log_pz` (S,) their prior.
    Raises ValueError for more than 16 latents: the list of states doubles with each.
    """

    def __init__(self, W: Tensor, b: Tensor):
        latent_dim = len(W)
        if latent_dim > 16:
            raise ValueError(f"2^{latent_dim} states are too many to list: use 16 latents or fewer")
        self.W, self.b = W, b
        count = torch.arange(2**latent_dim)[:, None]
        self.states = ((count >> torch.arange(latent_dim)) & 1).to(W.dtype)  # (S, L)
        self.log_pz = torch.full((2**latent_dim,), -latent_dim * math.log(2), dtype=W.dtype)

    def log_px_given_z(self, x: Tensor) -> Tensor:
        """log p(x|z) of every image under every state, in nats.  x: (B, D) in {0, 1}.  Returns (B, S)."""
        logits = self.states @ self.W + self.b  # (S, D)
        return torch.addmm(-F.softplus(logits).sum(-1), x.to(logits), logits.T)  # never a (B, S, D) tensor

    def log_px(self, x: Tensor) -> Tensor:
        """Exact log p(x) = log sum_z p(z) p(x|z), in nats.  x: (B, D).  Returns (B,)."""
        return torch.logsumexp(self.log_pz + self.log_px_given_z(x), -1)

    def log_posterior(self, x: Tensor) -> Tensor:
        """Exact log p(z|x) by Bayes' rule.  x: (B, D).  Returns (B, S)."""
        return torch.log_softmax(self.log_pz + self.log_px_given_z(x), -1)


def fit_binary_latents(
    images: Tensor, *, latent_dim: int = 10, epochs: int = 4, batch_size: int = 125, seed: int = 0
) -> BinaryLatents:
    """Maximum likelihood by gradient ascent on the exact log p(x); 5,000 digits take 3 s on 2 cores.

    images: (N, D) in {0, 1}.  In float64 and with a seed, so that every machine prints the same digits.
    Raises ValueError for images of another shape or grey ones.
    """
    if images.ndim != 2 or not ((images == 0) | (images == 1)).all():
        raise ValueError(
            f"images must be (N, D) in {{0, 1}}; got {tuple(images.shape)} from {images.min():.3g} "
            f"to {images.max():.3g}: data.binarize(...).flatten(1)?"
        )
    images = images.double()
    generator = torch.Generator().manual_seed(seed)
    W = 0.5 * torch.randn(latent_dim, images.shape[1], generator=generator, dtype=torch.float64)
    b = torch.logit((images.sum(0) + 1) / (len(images) + 2))  # starts as one Bernoulli a pixel
    W.requires_grad_(), b.requires_grad_()
    optimizer = torch.optim.Adam([W, b], lr=0.15)
    batches = math.ceil(len(images) / batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, epochs * batches)
    model = BinaryLatents(W, b)
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
            loss = -model.log_px(images[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return BinaryLatents(W.detach(), b.detach())


class LatentGrid:
    """log p(x) and p(z|x) of a model with two latents and Bernoulli pixels, by quadrature over the plane.

    The rule is a plain sum over a square grid, [-reach, reach]^2 with `spacing` between neighbours: for
    smooth functions that vanish at the border its error falls faster than any power of the spacing.
    `.z` (S, 2) lists the S points, z2 rising slowest; `.steps` (n,) is one axis of it, n * n = S.
    The model may be on any device; the grid and all results are on the CPU.
    Raises ValueError for a model with another number of latents or another likelihood.
    """

    def __init__(self, model, spacing: float = 0.02, reach: float = 5.0):
        if model.latent_dim != 2 or not model.likelihood.binary:
            raise ValueError(
                "the grid needs two latents and Bernoulli pixels; "
                f"got {model.latent_dim} latents, {model.likelihood.name} pixels"
            )
        count = 2 * round(reach / spacing) + 1
        self.model, self.steps = model, torch.linspace(-reach, reach, count)
        z2, z1 = torch.meshgrid(self.steps, self.steps, indexing="ij")
        self.z = torch.stack([z1, z2], -1).reshape(-1, 2)  # (S, 2)
        self.log_area = 2 * math.log(2 * reach / (count - 1))

    @torch.no_grad()
    def log_joint(self, x: Tensor) -> Iterator[Tensor]:
        """log p(x, z), in nats, part by part of the grid.  x: (B, 1, 28, 28) in {0, 1}.  Yields (B, s)."""
        x, device = x.flatten(1).cpu(), next(self.model.parameters()).device
        for z in self.z.split(2048):
            logits = self.model.decode(z.to(device)).flatten(1).float().cpu()  # (s, D)
            log_px_given_z = x @ logits.T - F.softplus(logits).double().sum(-1)  # (B, s), float64
            yield log_px_given_z - 0.5 * (z**2).sum(-1).double() - math.log(2 * math.pi)

    def log_px(self, x: Tensor) -> Tensor:
        """log p(x) = log of the integral of p(x, z) over z, in nats.  x: (B, 1, 28, 28).  Returns (B,)."""
        total = torch.full((len(x),), -math.inf, dtype=torch.float64)
        for part in self.log_joint(x):
            total = torch.logaddexp(total, part.logsumexp(1))
        return total + self.log_area

    def posterior(self, x: Tensor) -> Tensor:
        """p(z|x) as probabilities of the grid's cells.  x: (B, 1, 28, 28).  Returns (B, S)."""
        return torch.softmax(torch.cat(list(self.log_joint(x)), 1), 1)
