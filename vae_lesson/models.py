"""The two VAEs: encode(x) -> mu, log_var of q(z|x) and decode(z) -> logits (or means) of p(x|z)."""

import torch
from torch import Tensor, nn

from vae_lesson.likelihoods import LIKELIHOODS


class VAE(nn.Module):
    """What both VAEs share.  A subclass gives the networks `encoder` and `decoder`.

    likelihood: "bernoulli" for black and white pixels or "gaussian" for grey ones.
    sizes: latent_dim and what else the subclass has; with the likelihood they are `.config`.
    With another side than 28, all shapes below have it in place of 28.
    """

    def __init__(self, likelihood: str, **sizes: int):
        super().__init__()
        for name, size in sizes.items():
            least = 0 if name == "blocks" else 1
            if size < least:
                raise ValueError(f"{name} must be {least} or more; got {size}")
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {', '.join(LIKELIHOODS)}; got {likelihood!r}")
        self.config = {**sizes, "likelihood": likelihood}
        self.latent_dim, self.side = sizes["latent_dim"], sizes.get("side", 28)
        self.likelihood = LIKELIHOODS[likelihood]()

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x) for images x.

        x: float (B, 1, 28, 28), in [0, 1].  Returns mu (B, L), log_var (B, L).
        Raises ValueError for another type or shape and, except in training, where images come from
        `data.binarize`, which has looked at them, for NaN or values outside [0, 1].
        """
        _check_images(x, self.side, values=not self.training)
        h = self.encoder(x.to(next(self.parameters())))  # (B, 2 L), on the weights' device, of their type
        mu, log_var = h.chunk(2, dim=-1)  # (B, L), (B, L)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        """Logits (Bernoulli) or means (Gaussian) of p(x|z) for latents z.

        z: (..., L).  Returns (..., 1, 28, 28).  Raises ValueError when the last dimension is not L.
        """
        if z.shape[-1:] != (self.latent_dim,):
            raise ValueError(f"z must have shape (..., {self.latent_dim}): latent_dim; got {tuple(z.shape)}")
        h = self.decoder(z.reshape(-1, self.latent_dim).to(next(self.parameters())))
        return h.reshape(*z.shape[:-1], 1, self.side, self.side)

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
        z = torch.randn(count, self.latent_dim, generator=generator, device=next(self.parameters()).device)
        return self.pixels(self.decode(z), show=show, generator=generator)

    @torch.no_grad()
    def reconstruct(
        self, x: Tensor, *, show: str = "mean", generator: torch.Generator | None = None
    ) -> Tensor:
        """Images decoded from the mean of q(z|x), of x's shape.  x: see `encode`; show: see `pixels`."""
        mu, _ = self.encode(x)
        return self.pixels(self.decode(mu), show=show, generator=generator)

    def pixels(
        self, decoded: Tensor, *, show: str = "mean", generator: torch.Generator | None = None
    ) -> Tensor:
        """What `decode` returned, as pixels to look at: their "mean" or one "sample"; same shape, float32."""
        if show not in ("mean", "sample"):
            raise ValueError(f"show must be 'mean' or 'sample'; got {show!r}")
        return self.likelihood.mean(decoded) if show == "mean" else self.likelihood.sample(decoded, generator)


class FeedforwardVAE(VAE):
    """VAE of fully connected layers with residual blocks; the decoder mirrors the encoder.

    hidden: width of the hidden layer.  blocks: residual blocks on each side, 0 for a plain 784-hidden-L net.
    """

    def __init__(
        self, latent_dim: int = 40, *, hidden: int = 400, blocks: int = 2, likelihood: str = "bernoulli",
        side: int = 28,
    ):  # fmt: skip
        super().__init__(likelihood, latent_dim=latent_dim, hidden=hidden, blocks=blocks, side=side)
        self.encoder = nn.Sequential(
            nn.Flatten(),  # (B, 784)
            nn.Linear(side * side, hidden),
            *[Residual(nn.SiLU(), nn.Linear(hidden, hidden)) for _ in range(blocks)],
            nn.SiLU(),
            nn.Linear(hidden, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            *[Residual(nn.SiLU(), nn.Linear(hidden, hidden)) for _ in range(blocks)],
            nn.SiLU(),
            nn.Linear(hidden, side * side),
        )


class ConvVAE(VAE):
    """Convolutional VAE: 28x28 pixels -> 14x14 places -> 7x7 places -> latent, and back.

    channels: features of a place at 14x14; twice as many at 7x7.  blocks: residual blocks at each size.
    hidden: width of the linear layer.  side: of the images, in pixels, a multiple of 4.
    """

    def __init__(
        self, latent_dim: int = 32, *, channels: int = 16, blocks: int = 1, hidden: int = 256,
        likelihood: str = "bernoulli", side: int = 28,
    ):  # fmt: skip
        sizes = {"channels": channels, "blocks": blocks, "hidden": hidden, "side": side}
        super().__init__(likelihood, latent_dim=latent_dim, **sizes)
        if side % 4:
            raise ValueError(f"side must be a multiple of 4, since it is halved twice; got {side}")
        C, S = channels, side // 4  # S = 7
        self.encoder = nn.Sequential(
            nn.Conv2d(1, C, 4, stride=2, padding=1),  # (B, C, 14, 14)
            *[_conv_block(C) for _ in range(blocks)],
            nn.SiLU(),
            nn.Conv2d(C, 2 * C, 4, stride=2, padding=1),  # (B, 2 C, 7, 7)
            *[_conv_block(2 * C) for _ in range(blocks)],
            nn.SiLU(),
            nn.Flatten(),  # (B, 2 C * 49)
            nn.Linear(2 * C * S * S, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * C * S * S),
            nn.Unflatten(1, (2 * C, S, S)),
            *[_conv_block(2 * C) for _ in range(blocks)],
            nn.SiLU(),
            nn.ConvTranspose2d(2 * C, C, 4, stride=2, padding=1),  # (B, C, 14, 14)
            *[_conv_block(C) for _ in range(blocks)],
            nn.SiLU(),
            nn.ConvTranspose2d(C, 1, 4, stride=2, padding=1),  # (B, 1, 28, 28)
        )
        self.to(memory_format=torch.channels_last)  # faster convolutions on a CPU


class Residual(nn.Module):
    """x + f(x), where f runs the given layers and keeps the shape.  Source: He et al. 2016."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation of codes: the direction turns evenly from a to b, the norm changes evenly.

    a, b: (L,); t: (...) in [0, 1].  Returns (..., L).  Along one line, or from 0, it is the straight path.
    Source: White 2016 (after Shoemake 1985), here with the norm apart.
    """
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device)[..., None]
    norm_a, norm_b = a.norm(), b.norm()
    omega = torch.arccos(((a @ b) / (norm_a * norm_b).clamp(min=1e-12)).clamp(-1, 1))
    if torch.sin(omega) < 1e-4 or min(norm_a, norm_b) < 1e-12:
        return (1 - t) * a + t * b
    direction = torch.sin((1 - t) * omega) * a / norm_a + torch.sin(t * omega) * b / norm_b
    return ((1 - t) * norm_a + t * norm_b) * direction / torch.sin(omega)


def _conv_block(C: int) -> Residual:
    """A residual block of two convolutions, 3x3 then 1x1; keeps the shape (B, C, H, W)."""
    return Residual(nn.SiLU(), nn.Conv2d(C, C, 3, padding=1), nn.SiLU(), nn.Conv2d(C, C, 1))


def _check_images(x: Tensor, side: int, values: bool) -> None:
    wrong = ""
    if not x.is_floating_point() or x.ndim != 4 or x.shape[1:] != (1, side, side):
        wrong = f"got {x.dtype} of shape {tuple(x.shape)}"
    elif values and x.numel() and not ((x >= 0) & (x <= 1)).all():  # NaN fails too
        wrong = f"got values from {x.min():.4g} to {x.max():.4g}"
    if wrong:
        raise ValueError(
            f"images must be float of shape (B, 1, {side}, {side}) in [0, 1], without NaN; "
            f"{wrong}: data.binarize makes them from uint8 (N, {side}, {side})"
        )
