"""Lesson 09: a small VAE with its own training step, healthy or with one of nine cases."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Patient(nn.Module):
    """A VAE and its program: case 0 is healthy, cases 1 to 9 are those of the lesson.

    pixels: D.  latents: L, 10 by default, and 40 in case 9.  Batches x are float (B, D), made by `prepare`.
    """

    def __init__(self, case: int = 0, *, pixels: int = 784, hidden: int = 200, latents: int | None = None):
        super().__init__()
        latents = latents or (40 if case == 9 else 10)
        after = [nn.ReLU(), nn.Dropout(0.2)] if case == 8 else [nn.ReLU()]
        self.case = case
        self.encoder = nn.Sequential(nn.Linear(pixels, hidden), *after, nn.Linear(hidden, 2 * latents))
        self.decoder = nn.Sequential(nn.Linear(latents, hidden), *after, nn.Linear(hidden, pixels))
        self.optimizer = torch.optim.Adam(self.parameters(), lr=2e-3)

    def prepare(self, images: Tensor) -> Tensor:
        """Images as a batch for this program.  images: uint8 (B, 28, 28).  Returns (B, 784)."""
        grey = images.flatten(1) / 255
        return grey if self.case == 7 else torch.bernoulli(grey)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x): (B, L) each."""
        return self.encoder(x.float()).chunk(2, -1)

    def sample(self, mu: Tensor, log_var: Tensor) -> Tensor:
        """Codes z for means and log variances (B, L), from the global random numbers: (B, L)."""
        eps = torch.randn(mu.shape[-1:] if self.case == 6 else mu.shape)
        return mu + torch.exp(log_var if self.case == 4 else 0.5 * log_var) * eps

    def decode(self, z: Tensor) -> Tensor:
        """Logits of p(x|z).  z: (..., L).  Returns (..., D)."""
        logits = self.decoder(z)
        return torch.sigmoid(logits) if self.case == 2 else logits

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The program's log p(x|z) and KL, in nats per image: (B,) each."""
        mu, log_var = self.encode(x)
        logits = self.decode(self.sample(mu, log_var))
        pixels = -F.binary_cross_entropy_with_logits(logits, x.float(), reduction="none")
        kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
        return (pixels.mean(-1) if self.case == 1 else pixels.sum(-1)), kl

    def train_step(self, x: Tensor) -> float:
        """One step of the optimiser; returns the loss before it, as the program says, in nats per image."""
        self.train()
        log_px_given_z, kl = self.terms(x)
        loss = -(log_px_given_z + kl if self.case == 3 else log_px_given_z - kl).mean()
        if self.case != 5:
            self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def score(self, x: Tensor) -> float:
        """The -ELBO that the program reports, in nats per image."""
        self.train(self.case == 8)
        log_px_given_z, kl = self.terms(x)
        return (kl - log_px_given_z).mean().item()
