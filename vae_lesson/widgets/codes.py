"""What the explorers know about a model: where it puts test digits, which latents it uses, how it draws."""

import contextlib
import math
import time

import torch
from torch import Tensor

from vae_lesson import objectives
from vae_lesson.data import Dataset, binarize, load_dataset

NEIGHBOURS = 50
ANSWER = 1.0  # seconds: by then the browser has answered that a handle was put somewhere
STEP = 0.05  # of the sliders, in prior standard deviations
NEEDS = ("latent_dim", "likelihood", "encode", "decode", "pixels")


class Codes:
    """The codes of about `count` test digits, and pictures and words for any other code.

    `.order` (L,) lists the latents, the one that is used most first; `.kl` (L,) the nats of each.
    The model is put into eval mode: with dropout or BatchNorm in training mode, no picture would repeat.
    Raises TypeError for what is no VAE, ValueError when encoder and latent_dim do not agree.
    """

    def __init__(self, model, test: Dataset | None = None, *, count: int = 2000):
        missing = [name for name in NEEDS if not hasattr(model, name)]
        if missing:
            raise TypeError(
                f"expected a VAE such as checkpoints.pretrained('cnn'); got {type(model).__name__}, "
                f"which has no {', '.join(missing)}"
            )
        self.model = model.eval()
        self.test = load_dataset("mnist")[1] if test is None else test
        self.every = max(1, len(self.test) // count)  # not the first ones, which are easier than the rest
        self.x = self.prepared(
            self.test.images
        )  # all at once: the noise belongs to a digit's place among all
        if model.likelihood == "bernoulli":
            self.x = self.x.bool()  # a byte a pixel
        self.labels = self.test.labels[:: self.every]
        x = self.x[:: self.every].float().to(self.device)
        self.mu = objectives.encode_in_chunks(model, x)[0].float().cpu()
        if self.mu.shape[1] != model.latent_dim:
            raise ValueError(f"latent_dim is {model.latent_dim}, but encode gives {self.mu.shape[1]} latents")
        self._mu_squared = self.mu.square().sum(-1)
        self.kl = objectives.kl_per_latent(model, x).cpu()
        self.order = self.kl.argsort(descending=True).tolist()

    @property
    def device(self) -> torch.device:
        """Where the model is now."""
        return next(self.model.parameters()).device

    def prepared(self, images: Tensor) -> Tensor:
        """Grey images as the model knows them: black and white for Bernoulli pixels, else grey in [0, 1]."""
        return binarize(images, "static" if self.model.likelihood == "bernoulli" else "none")

    def check_number(self, number: int) -> int:
        """The number of a test digit.  Raises ValueError when there is none."""
        if not 0 <= number < len(self.test):
            raise ValueError(f"test digits have numbers from 0 to {len(self.test) - 1}; got {number}")
        return number

    @torch.no_grad()
    def encode(self, number: int) -> Tensor:
        """The mean of q(z|x) of a test digit: (L,)."""
        x = self.x[self.check_number(number)][None].float()
        return self.model.encode(x.to(self.device))[0][0].float().cpu()

    @torch.no_grad()
    def draw(self, z: Tensor) -> Tensor:
        """The expected pixels of codes z (..., L): (..., 28, 28)."""
        return self.model.pixels(self.model.decode(z.to(self.device))).squeeze(-3).cpu()

    def neighbours(self, z: Tensor) -> Tensor:
        """Which of the encoded test digits have the nearest codes, nearest first: (NEIGHBOURS,)."""
        # |mu|^2 - 2 mu z, which leaves out |z|^2: the order is the same
        distance = torch.addmv(self._mu_squared, self.mu, z, alpha=-2)
        return distance.topk(min(NEIGHBOURS, len(distance)), largest=False).indices

    def vote(self, z: Tensor) -> str:
        """In words: what the digits are whose codes lie nearest to z (L,)."""
        nearest = self.labels[self.neighbours(z)]
        count, kind = nearest.bincount().max(0)
        return f"Of the {len(nearest)} test digits with the nearest codes, {int(count)} are {int(kind)}s."


@contextlib.contextmanager
def one_thread():
    """For one move of a handle, which is a few small products: threads that wait for each other cost more.

    With another process on one of two cores, a move takes 15 ms and more on two threads, 1 to 2 ms on one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_reach(reach: float) -> float:
    """How far a plane or a slider goes.  Raises ValueError unless it is a positive multiple of STEP."""
    if not (0 < reach < 100 and abs(reach / STEP - round(reach / STEP)) < 1e-6):
        raise ValueError(
            f"reach must be a positive multiple of {STEP} prior standard deviations; got {reach}"
        )
    return reach


def prior_percentile(z: float) -> float:
    """How many per cent of the prior N(0, 1) lie below z."""
    return 50 * math.erfc(-z / math.sqrt(2))


def pixel_entropy(mean: Tensor) -> Tensor:
    """Entropy of Bernoulli pixels in bits, 0 (sure) to 1 (a coin).  mean: probabilities, any shape."""
    return (torch.special.entr(mean) + torch.special.entr(1 - mean)) / math.log(2)


def put(slider, value: float) -> None:
    """Bring a handle to the place nearest to `value` where it can stand, if it is not there already.

    Elsewhere the browser would move it there by itself, and say so as if somebody had done it.  And one
    that is there may be under somebody's finger and already further: the browser would move it back.
    """
    place = round(round(value / STEP) * STEP, 2)
    if abs(slider.value - place) > 1e-6:
        slider.put_at = [*_answers_due(slider), (place, time.monotonic())]
        slider.value = place


def moved(change) -> bool:
    """Whether somebody moved a handle, and not the browser, which answers `put` with a rounded number.

    To 0.35 it answers 0.35000000000000003, and it may do so when the handle has already been put elsewhere.
    """
    slider = change.owner
    places = [place for place, _ in _answers_due(slider)]
    if abs(change.new - change.old) < 1e-6:
        return False
    if any(abs(change.new - place) < 1e-6 for place in places):
        slider.value = places[-1]
        return False
    slider.put_at = []
    return True


def _answers_due(slider) -> list[tuple[float, float]]:
    """Where a handle was put, and when, as far as the browser may still answer."""
    return [
        (place, when) for place, when in getattr(slider, "put_at", []) if time.monotonic() - when < ANSWER
    ]


def side_by_side(pictures: list[Tensor], gap: int = 2) -> Tensor:
    """Pictures (H, W) in a row, with grey stripes between them."""
    stripe = torch.full((pictures[0].shape[0], gap), 0.5)
    row = [part for picture in pictures for part in (stripe, picture)]
    return torch.cat(row[1:], 1)
