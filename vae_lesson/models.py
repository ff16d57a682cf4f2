"""The two VAEs: encode(x) -> mu, log_var of q(z|x) and decode(z) -> logits (or means) of p(x|z)."""

import torch
from torch import Tensor, nn

PIXELS = 28 * 28
LIKELIHOODS = ("bernoulli", "gaussian")


class VAE(nn.Module):
    """What both VAEs share. A subclass gives the networks `encoder` and `decoder`.

    likelihood "bernoulli": pixels are 0 or 1, decode gives their logits.
    likelihood "gaussian": pixels are continuous, decode gives their means; one variance for all
    pixels is learned as the parameter `log_var_x` (Rybkin et al. 2021, "optimal sigma").
    """

    def __init__(self, latent_dim: int, likelihood: str):
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be 1 or more; got {latent_dim}")
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {', '.join(LIKELIHOODS)}; got {likelihood!r}")
        self.latent_dim = latent_dim
        self.likelihood = likelihood
        if likelihood == "gaussian":
            self.log_var_x = nn.Parameter(torch.zeros(()))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x) for images x.

        x: float (B, 1, 28, 28), in [0, 1] for the Bernoulli likelihood.  Returns mu (B, L), log_var (B, L).
        Raises ValueError for another shape, NaN, or values outside [0, 1].
        """
        _check_images(x, self.likelihood)
        h = self.encoder(x.to(self._dtype))  # (B, 2 L)
        mu, log_var = h.chunk(2, dim=-1)  # (B, L), (B, L)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        """Logits (Bernoulli) or means (Gaussian) of p(x|z) for latents z.

        z: (..., L).  Returns (..., 1, 28, 28).
        Raises ValueError when the last dimension is not L.
        """
        if z.shape[-1:] != (self.latent_dim,):
            raise ValueError(
                f"z must have shape (..., {self.latent_dim}), the latent size of this model; "
                f"got {tuple(z.shape)}"
            )
        h = self.decoder(z.reshape(-1, self.latent_dim).to(self._dtype))
        return h.reshape(*z.shape[:-1], 1, 28, 28)

    def reparameterize(self, mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A sample z = mu + sigma * eps of q(z|x), differentiable in mu and log_var.

        mu, log_var: (..., L).  Returns (..., L).  Source: Kingma & Welling 2014, section 2.4.
        """
        eps = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return mu + torch.exp(0.5 * log_var) * eps

    @torch.no_grad()
    def sample(self, count: int, *, show: str = "mean", generator: torch.Generator | None = None) -> Tensor:
        """New images: z from the prior N(0, I), decoded.

        show: see `pixels`.  generator: on the model's device.  Returns (count, 1, 28, 28).
        """
        z = torch.randn(count, self.latent_dim, generator=generator, device=self._device)
        return self.pixels(self.decode(z), show=show, generator=generator)

    @torch.no_grad()
    def reconstruct(
        self, x: Tensor, *, show: str = "mean", generator: torch.Generator | None = None
    ) -> Tensor:
        """Images decoded from the mean of q(z|x).

        x: as for `encode`.  show: see `pixels`.  Returns (B, 1, 28, 28).
        """
        mu, _ = self.encode(x)
        return self.pixels(self.decode(mu), show=show, generator=generator)

    def pixels(
        self, decoded: Tensor, *, show: str = "mean", generator: torch.Generator | None = None
    ) -> Tensor:
        """What `decode` returned, as pixels to look at; same shape, float32.

        show "mean": the expected pixel, grey (for Bernoulli: the probability of white).
        show "sample": one draw from p(x|z) (for Bernoulli: black and white).
        """
        if show not in ("mean", "sample"):
            raise ValueError(f"show must be 'mean' or 'sample'; got {show!r}")
        decoded = decoded.float()
        mean = decoded.sigmoid() if self.likelihood == "bernoulli" else decoded
        if show == "mean":
            return mean
        if self.likelihood == "bernoulli":
            return torch.bernoulli(mean, generator=generator)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return mean + torch.exp(0.5 * self.log_var_x.float()) * noise

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device


class FeedforwardVAE(VAE):
    """VAE of fully connected layers with residual blocks; the decoder mirrors the encoder.

    hidden: width of the hidden layer.  blocks: residual blocks on each side, 0 for a plain 784-hidden-L net.
    """

    def __init__(
        self, latent_dim: int = 40, *, hidden: int = 400, blocks: int = 2, likelihood: str = "bernoulli"
    ):
        super().__init__(latent_dim, likelihood)
        if hidden < 1 or blocks < 0:
            raise ValueError(f"hidden must be 1 or more, blocks 0 or more; got {hidden} and {blocks}")
        self.config = {
            "latent_dim": latent_dim,
            "hidden": hidden,
            "blocks": blocks,
            "likelihood": likelihood,
        }
        self.encoder = nn.Sequential(
            nn.Flatten(),  # (B, 784)
            nn.Linear(PIXELS, hidden),
            *[Residual(nn.SiLU(), nn.Linear(hidden, hidden)) for _ in range(blocks)],
            nn.SiLU(),
            nn.Linear(hidden, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            *[Residual(nn.SiLU(), nn.Linear(hidden, hidden)) for _ in range(blocks)],
            nn.SiLU(),
            nn.Linear(hidden, PIXELS),
        )


class ConvVAE(VAE):
    """Convolutional VAE: squares of 4x4 pixels -> 7x7 places with `channels` features -> latent, and back.

    channels: features of a place.  blocks: residual blocks on each side.  hidden: width of the linear layer.
    """

    def __init__(
        self,
        latent_dim: int = 32,
        *,
        channels: int = 32,
        blocks: int = 1,
        hidden: int = 256,
        likelihood: str = "bernoulli",
    ):
        super().__init__(latent_dim, likelihood)
        if min(channels, hidden) < 1 or blocks < 0:
            raise ValueError(
                "channels and hidden must be 1 or more, blocks 0 or more; "
                f"got {channels}, {hidden} and {blocks}"
            )
        self.config = {
            "latent_dim": latent_dim,
            "channels": channels,
            "blocks": blocks,
            "hidden": hidden,
            "likelihood": likelihood,
        }
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),  # (B, 16, 7, 7): each 4x4 square becomes sixteen channels
            nn.Conv2d(16, channels, 3, padding=1),  # (B, C, 7, 7)
            *[_conv_block(channels) for _ in range(blocks)],
            nn.SiLU(),
            nn.Flatten(),  # (B, C * 49)
            nn.Linear(channels * 49, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.SiLU(),
            nn.Linear(hidden, channels * 49),
            nn.Unflatten(1, (channels, 7, 7)),
            *[_conv_block(channels) for _ in range(blocks)],
            nn.SiLU(),
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.PixelShuffle(4),  # (B, 1, 28, 28): sixteen channels become 4x4 squares again
        )
        self.to(memory_format=torch.channels_last)  # faster convolutions on a CPU


class Residual(nn.Module):
    """x + f(x), where f runs the given layers and keeps the shape.  Source: He et al. 2016."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


def _conv_block(channels: int) -> Residual:
    """A residual block of two convolutions, 3x3 then 1x1; keeps the shape (B, C, H, W)."""
    return Residual(
        nn.SiLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(channels, channels, 1),
    )


def _check_images(x: Tensor, likelihood: str) -> None:
    if not x.is_floating_point() or x.ndim != 4 or x.shape[1:] != (1, 28, 28):
        raise ValueError(
            f"images must be float of shape (B, 1, 28, 28); got {x.dtype} of shape {tuple(x.shape)}: "
            "data.binarize makes them from uint8 (N, 28, 28)"
        )
    low, high = (v.item() for v in x.detach().aminmax()) if x.numel() else (0.0, 0.0)
    if low != low:  # NaN is the only number that differs from itself
        raise ValueError("images hold NaN pixels: remove or repair these images first")
    if likelihood == "bernoulli" and not (low >= 0 and high <= 1):
        raise ValueError(
            f"images must be in [0, 1]; got values from {low:.4g} to {high:.4g}"
            + (": divide by 255?" if 1 < high <= 255 else "")
        )
