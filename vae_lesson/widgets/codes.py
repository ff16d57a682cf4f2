"""What the explorers know about a model: the codes of test digits, and pictures and words for any code."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from vae_lesson import scoring
from vae_lesson.data import Dataset, binarize, load_dataset

NEIGHBOURS = 50
NEEDS = ("latent_dim", "likelihood", "encode", "decode", "pixels")


def measure(pictures: Tensor) -> dict[str, Tensor]:
    """Four attributes of pictures (..., S, S) in [0, 1], each (...).

    ink: the sum of the pixels.  thickness: the share that is left without the outer layer of each stroke.
    width: the standard deviation of the ink from left to right, in pixels.
    slant: how many pixels the ink moves to the right for each pixel upwards.
    """
    p = pictures.detach().float().cpu().clamp(1e-9, 1)  # a black one has nearly no ink
    side = p.shape[-1]
    core = -F.max_pool2d(-p.reshape(-1, 1, side, side), 3, stride=1, padding=1)  # the darkest neighbour
    middle = torch.arange(side) - (side - 1) / 2
    y, x = torch.meshgrid(-middle, middle, indexing="ij")
    ink, *means = ((p * v).sum((-1, -2)) for v in (torch.ones_like(x), x, y, x * x, x * y, y * y))
    x, y, xx, xy, yy = (mean / ink for mean in means)
    slant = (xy - x * y) / (yy - y * y)
    thickness = core.view_as(p).sum((-1, -2)) / ink
    return {"ink": ink, "thickness": thickness, "width": (xx - x * x).sqrt(), "slant": slant}


def in_words(picture: Tensor) -> str:
    """The attributes of one picture (S, S) for the sentence below it."""
    words = "ink {ink:.0f} pixels, thickness {thickness:.2f}, width {width:.1f} pixels, slant {slant:+.2f}"
    return words.format(**measure(picture))


class Codes:
    """The codes of about `count` test digits, and pictures and words for any other code.

    `.mu` (N, L) and `.labels` (N,) of those digits; `.kl` (L,), the nats of each latent; `.order`, the
    latents from the most used to the least.  The model may be on any device; what is returned is on the CPU.
    It is put into eval mode: with dropout or BatchNorm in training mode, no picture would repeat.
    Raises TypeError for what is no VAE, ValueError when encoder and latent_dim do not agree.
    """

    def __init__(self, model, test: Dataset | None = None, *, count: int = 2000):
        if missing := [name for name in NEEDS if not hasattr(model, name)]:
            raise TypeError(
                f"expected a VAE such as checkpoints.pretrained('cnn'); got {type(model).__name__}, "
                f"which has no {', '.join(missing)}"
            )
        self.model = model.eval()
        self.device = next(model.parameters()).device
        self.test = load_dataset("mnist")[1] if test is None else test
        self.every = max(1, len(self.test) // count)  # spread out: MNIST's first digits are the easier half
        self.labels = self.test.labels[:: self.every]
        x = self.prepared(self.test.images[:: self.every])
        self.mu, log_var = (part.float().cpu() for part in scoring.encode_in_chunks(model, x))
        self._squares = self.mu.square().sum(-1)
        if self.mu.shape[1] != model.latent_dim:
            raise ValueError(f"latent_dim is {model.latent_dim}, but encode gives {self.mu.shape[1]} latents")
        self.kl = kl_divergence(Normal(self.mu, (0.5 * log_var).exp()), Normal(0.0, 1.0)).mean(0)
        self.order = self.kl.argsort(descending=True).tolist()

    def prepared(self, images: Tensor) -> Tensor:
        """Grey images (N, 28, 28) as the model is fed them, on its device: (N, 1, 28, 28)."""
        return binarize(images, self.model.likelihood.binarization).to(self.device)

    def image(self, number: int) -> Tensor:
        """A test digit, uint8 (28, 28).  Raises ValueError when there is none of that number."""
        if not 0 <= number < len(self.test):
            raise ValueError(f"test digits have numbers from 0 to {len(self.test) - 1}; got {number}")
        return self.test.images[number]

    @torch.no_grad()
    def encode(self, number: int) -> Tensor:
        """The mean of q(z|x) of a test digit: (L,)."""
        return self.model.encode(self.prepared(self.image(number)[None]))[0][0].float().cpu()

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """What the decoder makes of codes z (..., L), on the model's device: (..., 1, 28, 28)."""
        return self.model.decode(z.detach().float().to(self.device))

    @torch.no_grad()
    def draw(self, z: Tensor) -> Tensor:
        """The expected pixels of codes z (..., L): (..., 28, 28)."""
        return self.model.pixels(self.decode(z)).squeeze(-3).cpu()

    def neighbours(self, z: Tensor) -> Tensor:
        """Which of the encoded digits have the codes nearest to z (L,), nearest first: (NEIGHBOURS,)."""
        # |mu - z|^2 without |z|^2, which changes no order
        distance = torch.addmv(self._squares, self.mu, z.detach().float().cpu(), alpha=-2)
        return distance.topk(min(NEIGHBOURS, len(distance)), largest=False).indices

    def vote(self, z: Tensor) -> str:
        """In words: which digits have the codes nearest to z (L,)."""
        nearest = self.labels[self.neighbours(z)]
        count, kind = nearest.bincount().max(0)
        return f"Of the {len(nearest)} test digits with the nearest codes, {int(count)} are {int(kind)}s."
