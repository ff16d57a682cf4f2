"""p(x|z), the distribution of pixels given a code: Bernoulli for black and white, Gaussian for grey."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Bernoulli(nn.Module):
    """p(x|z) of black and white pixels: `decode` gives logits, white has the probability sigmoid(logit)."""

    name, binary, binarization = "bernoulli", True, "static"  # as `data.binarize` prepares images to score

    def log_prob(self, x: Tensor, logits: Tensor) -> Tensor:
        """log p(x|z) in nats.  x: (B, 1, 28, 28), 0 or 1; logits: (..., B, 1, 28, 28).  Returns (..., B)."""
        logits, x = logits.float(), x.float().expand_as(logits)
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((-1, -2, -3))

    def mean(self, logits: Tensor) -> Tensor:
        """The expected pixels: the probability of white, grey in [0, 1]; same shape."""
        return logits.float().sigmoid()

    def sample(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One draw of the pixels, black (0) and white (1); same shape."""
        return torch.bernoulli(self.mean(logits), generator=generator)


class Gaussian(nn.Module):
    """p(x|z) of grey pixels: `decode` gives means; one log variance `log_var_x` for all pixels is learned.

    log p(x|z) is a density and may exceed 0.  Source: Rybkin et al. 2021, "optimal sigma".
    """

    name, binary, binarization = "gaussian", False, "none"

    def __init__(self):
        super().__init__()
        self.log_var_x = nn.Parameter(torch.zeros(()))

    def log_prob(self, x: Tensor, means: Tensor) -> Tensor:
        """log p(x|z) in nats.  x: (B, 1, 28, 28); means: (..., B, 1, 28, 28).  Returns (..., B)."""
        pixel = torch.distributions.Normal(means.float(), self.sigma(), validate_args=False)
        return pixel.log_prob(x.float()).sum((-1, -2, -3))

    def mean(self, means: Tensor) -> Tensor:
        """The expected pixels; same shape."""
        return means.float()

    def sample(self, means: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One draw of the pixels; same shape."""
        noise = torch.randn(means.shape, generator=generator, device=means.device)
        return means.float() + self.sigma() * noise

    def sigma(self) -> Tensor:
        """The standard deviation of a pixel."""
        return torch.exp(0.5 * self.log_var_x.float())


LIKELIHOODS = {kind.name: kind for kind in (Bernoulli, Gaussian)}
