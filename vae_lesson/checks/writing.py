"""Exercises of lesson 06: a step of training, an honest score, and a whole VAE from an empty file."""

import copy
import functools
import math
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.distributions import Normal, kl_divergence

from vae_lesson.checks.judge import CORRECT, Case, close, numbers, tried
from vae_lesson.checks.shared import normal, pictures, uniform, unless

PRIOR = Normal(0.0, 1.0)
RATE = 0.1  # of the optimizer whose one step is looked at
DIGITS, MINUTES, SAMPLES = 10_000, 3.0, 100  # of the empty file: what is given; and K of the score
LADDER = {  # -log p(x) in nats per image, on binarised test digits: lessons 02 and 06, deeper/score
    "fair coins": 543.4,
    "one probability for each pixel": 205.8,
    "one for each pixel and kind of digit": 170.9,
    "a mixture of 100 such models": 138.0,
    "a VAE with two latents": 131.2,
    "this lesson's VAE, with 50,000 digits": 87.7,
    "a large convolutional VAE (Kingma et al. 2016)": 81.1,
}
ENOUGH = LADDER["one for each pixel and kind of digit"]  # what knows the kind, and no more


class LinearVAE(nn.Module):
    """Linear networks with random weights: encoder (B, D) -> (B, 2 L), decoder (B, L) -> logits (B, D)."""

    def __init__(self, rng: Generator, D: int = 20, L: int = 2):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(D, 2 * L), nn.Linear(L, D)
        for layer in (self.encoder, self.decoder):
            signs = normal(rng, *layer.weight.shape).sign()
            layer.weight.data = (signs * uniform(rng, 1, 2, *signs.shape) / len(signs.T)).float()
            layer.bias.data = 0.1 * normal(rng, len(signs)).float()
        self.encoder.bias.data += torch.tensor([0.5, -1.0]).repeat_interleave(L)  # of mu, of log_var

    def weights(self) -> Tensor:
        return nn.utils.parameters_to_vector(self.parameters()).detach()

    def slope(self, loss: Tensor) -> Tensor:
        slopes = torch.autograd.grad(loss, list(self.parameters()), retain_graph=True, materialize_grads=True)
        return nn.utils.parameters_to_vector(slopes)

    def losses(self, x: Tensor, eps: Tensor) -> dict[str, Tensor]:
        """What a step may go down: minus the mean ELBO, and by their hints what else it may be."""
        mu, log_var = self.encoder(x).chunk(2, -1)
        sigma = (0.5 * log_var).exp()
        logits = self.decoder(mu + sigma * eps)
        fit = F.logsigmoid(torch.where(x > 0, logits, -logits))  # (B, D)
        kl, wrong = (kl_divergence(Normal(mu, s), PRIOR).sum(-1) for s in (sigma, log_var.exp()))
        log_px_given_z = fit.sum(-1)
        pixels = "did you average over pixels? An image's log p(x|z) is their sum"
        return {
            CORRECT: (kl - log_px_given_z).mean(),
            "average over the batch: the sum makes a step that grows with it": (kl - log_px_given_z).sum(),
            "the sign: this step lowers the ELBO. The loss is minus the ELBO": (log_px_given_z - kl).mean(),
            pixels: (kl - fit.mean(-1)).mean(),
            f"{pixels} (the same for the latents)": (kl / mu.shape[-1] - fit.mean(-1)).mean(),
            "the KL is missing in your loss": -log_px_given_z.mean(),
            "the sign of the KL: the loss is -log p(x|z) + KL": -(log_px_given_z + kl).mean(),
            "KL: you took log_var for log sigma": (wrong - log_px_given_z).mean(),
            "KL: you left out the factor 1/2": (2 * kl - log_px_given_z).mean(),
        }


def train_step(rng: Generator) -> list[Case]:
    """attempt(vae, optimizer, x (B, D)) -> the loss, minus the mean ELBO; and one step down its slope.

    vae.encoder(x): mu and log_var side by side; vae.decoder(z): logits.  The old gradient is still there.
    """
    vae, x = LinearVAE(rng), pictures(rng, 400, torch.full((20,), 0.4)).float()
    before, codes = copy.deepcopy(vae), []
    old = 3 * normal(rng, len(vae.weights())).float()
    for weight, part in zip(vae.parameters(), old.split([p.numel() for p in vae.parameters()]), strict=True):
        weight.grad = part.view_as(weight).clone()
    vae.decoder.register_forward_pre_hook(lambda _, inputs: codes.append(inputs[0].detach()))
    mu, log_var = before.encoder(x).detach().chunk(2, -1)
    sigma = (0.5 * log_var).exp()

    def near(a: Tensor, b: Tensor) -> bool:
        return bool((a - b).norm() < 0.01 * b.norm())

    @functools.cache
    def used() -> Tensor:  # the slope that the step has followed
        return (before.weights() - vae.weights()) / RATE

    @functools.cache
    def losses() -> dict[str, Tensor]:
        return before.losses(x, (codes[-1] - mu) / sigma)

    def down(hint: str, added: float = 0) -> bool:
        slope = before.slope(losses()[hint])
        return near(used() - added, slope)

    def spread(scale: Tensor, dim: int | None = None) -> Tensor:  # of eps, if this is sigma
        return ((codes[-1] - mu) / scale).std(dim).max()

    slips = {
        "the weights did not move: call optimizer.step()": lambda v: (
            not used().any() and any(p.grad is not None and p.grad.any() for p in vae.parameters())
        ),
        "no gradient reached the step: first zero_grad(), then backward(), then step()": lambda v: (
            not used().any()
        ),
        "the step used an old gradient: where is backward()?": lambda v: near(used(), old),
        "give vae.decoder a z of shape (B, L)": lambda v: not codes or codes[-1].shape != mu.shape,
        "decode a sample z, not its mean mu": lambda v: (codes[-1] - mu).abs().max() < 1e-3,
        "each image needs an eps of its own": lambda v: spread(sigma, 0) < 0.01,
        "z: sigma is exp(0.5 * log_var)": lambda v: abs(spread(log_var.exp()) - 1) < 0.15,
        "z is mu + sigma * eps, with eps from N(0, I)": lambda v: abs(spread(sigma) - 1) > 0.15,
        "an old gradient was added: call optimizer.zero_grad() before backward()": lambda v: any(
            down(hint, old) and not down(hint) for hint in losses()
        ),
    }
    slips |= {hint: lambda v, hint=hint: down(hint) for hint in before.losses(x, mu) if hint != CORRECT}
    slips |= {
        "the weights moved, but not down the slope of minus the mean ELBO": lambda v: not down(CORRECT),
        "the step is right; return the loss too, minus the mean ELBO": lambda v: (
            v.shape != () or abs(v - losses()[CORRECT]) > 1e-3 * abs(v)
        ),
    }
    step = vae, torch.optim.SGD(vae.parameters(), lr=RATE), x

    learner, eps = LinearVAE(rng), normal(rng, *mu.shape).float()
    start = learner.losses(x, eps)[CORRECT].item()
    ten = learner, torch.optim.Adam(learner.parameters(), lr=0.1), x
    stuck = {"after ten steps the ELBO is no higher": lambda v: learner.losses(x, eps)[CORRECT] > start - 0.5}
    return [(step, unless(slips)), *[(ten, unless({}))] * 9, (ten, unless(stuck))]


def honest_score(rng: Generator) -> Case:
    """attempt(log_w (K, N)) -> -log p(x), mean over N images, and its standard error over images, in nats."""
    K, N = 20, 50
    log_w = 3 * normal(rng, K, N) + 20 * normal(rng, N) - 300
    log_px = log_w.logsumexp(0) - math.log(K)  # (N,)
    root, spreads = math.sqrt(N), (log_px.std(), log_px.std(correction=0))

    def score(*wrong: Tensor) -> Callable:
        return lambda v: any(close(v[0], w) for w in wrong)

    def error(*wrong: Tensor) -> Callable:
        return lambda v: any(close(v[1], w) for w in wrong)

    right = score(-log_px.mean()), error(*(s / root for s in spreads))
    best, elbo = log_w.amax(0), log_w.mean(0)
    return (log_w,), {
        CORRECT: lambda v: v.shape == (2,) and all(test(v) for test in right),
        "asked are two numbers: the score and its standard error": lambda v: v.shape != (2,),
        "exp() underflows for numbers this small: use torch.logsumexp": lambda v: not v.isfinite().all(),
        "that is the best of K weights: take their mean, inside the log": score(-best.mean()),
        "that is the mean of log w, an ELBO: take the log of the mean weight": score(-elbo.mean()),
        "you left out - log K: a mean is the sum divided by K": score(-log_px.mean() - math.log(K)),
        "first the log for each image, then the mean over images": score(
            math.log(K * N) - log_w.flatten().logsumexp(0)
        ),
        "the sign: report minus log p(x)": score(log_px.mean()),
        "that is the spread of the images: divide by the root of their number": error(*spreads),
        "that is a variance: take the root": error(*(s**2 / N for s in spreads), *(s**2 for s in spreads)),
        "the K weights of an image are no images: the error is that of N numbers": error(
            log_w.std() / math.sqrt(K * N), log_px.std() / math.sqrt(K * N), log_w.std() / root
        ),
        "the standard error is that of the N values log p(x)": lambda v: right[0](v),
        "-log p(x): for each image the log of the mean of its K weights": lambda v: True,
    }


class Slip(Exception):
    """What is wrong with a student's encode and decode, as a hint."""


def from_an_empty_file(
    attempt: Callable, images: Tensor, held_back: Tensor, *, minutes: float = MINUTES
) -> str:
    """Score the VAE that attempt(images) -> (encode, decode) trains with the first 10,000 images.

    images, held_back: uint8 (N, 28, 28).  encode: x (B, 784), 0 or 1 -> mu, log_var, (B, L) each; decode:
    z (B, L) -> logits, 784 for each z.  The score is that of at most 1,000 images held back, one Bernoulli
    sample of each, in nats per image; the answer names the models that stand above and below it.
    """
    with torch.random.fork_rng(devices=[]):
        started = time.perf_counter()
        pair, reply = tried(attempt, (images[:DIGITS].clone(),))
        took = (time.perf_counter() - started) / 60
        if reply:
            return reply
        try:
            reply = _placed(*_scores(pair, held_back[:: max(1, len(held_back) // 1000)]))
        except Slip as slip:
            return f"not yet: {slip}"
        except Exception as error:
            said = " ".join(str(error).split())[:120]
            return f"not yet: encode or decode stopped with {type(error).__name__}: {said}"
    late = f", longer than the {minutes:g} that you had" if took > minutes else ""
    return f"{reply} Trained in {took:.1f} minutes{late}."


@torch.no_grad()
def _scores(pair: object, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """ELBO, log p(x) and KL of each image (N,), in nats.  Raises Slip."""
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(map(callable, pair))):
        raise Slip("return two functions: encode, decode")
    encode, decode = pair
    rng = torch.Generator().manual_seed(0)
    x = torch.bernoulli(images.flatten(1) / 255, generator=rng)  # (N, 784)
    mu, log_var = _encoded(encode, x)
    if not torch.allclose(_encoded(encode, x[:20])[0], mu[:20], rtol=0.01, atol=0.01):
        raise Slip("encode(x) changes from call to call: return mu and log_var, no sample (dropout? .eval())")
    logits = _decoded(decode, mu)
    if logits.min() >= 0 and logits.max() <= 1:
        raise Slip("decode gives probabilities; asked are logits: leave the last sigmoid out")
    log = log_var.log()  # NaN, if one is negative
    meant = {"log_var": log_var, "log sigma": 2 * log_var, "sigma": 2 * log, "a variance": log}
    elbos = {name: _weighed(decode, x, mu, v, 1, rng)[0].mean() for name, v in meant.items()}
    elbos = {name: elbo.nan_to_num(-math.inf) for name, elbo in elbos.items()}
    best = max(elbos, key=elbos.get)
    if elbos[best] > elbos["log_var"] + 3:  # far more than the noise of one sample an image
        raise Slip(f"encode gives {best}; asked is log_var, the log of the variance")
    return _weighed(decode, x, mu, log_var, SAMPLES, rng)


def _encoded(encode: Callable, x: Tensor) -> tuple[Tensor, Tensor]:
    answer = encode(x.clone())
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        raise Slip("encode(x) returns two: mu and log_var, of shape (B, L) each")
    mu, log_var = (numbers(part).float() for part in answer)
    if mu.ndim != 2 or mu.shape != log_var.shape or len(mu) != len(x):
        shapes = f"{tuple(mu.shape)} and {tuple(log_var.shape)}"
        raise Slip(f"for {len(x)} images mu and log_var are of shape ({len(x)}, L); got {shapes}")
    if not (mu.isfinite().all() and log_var.isfinite().all()):
        raise Slip("mu or log_var is not finite: try a lower learning rate")
    return mu, log_var


def _decoded(decode: Callable, z: Tensor) -> Tensor:
    logits = numbers(decode(z.clone())).float()
    if logits.numel() != 784 * len(z):
        raise Slip(f"decode gives 784 logits for each z; for {len(z)} it gave shape {tuple(logits.shape)}")
    return logits.reshape(len(z), 784)


def _weighed(decode, x, mu, log_var, samples: int, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """ELBO, log p(x) by importance sampling, KL: (N,) each.  x: (N, 784); mu, log_var: (N, L)."""
    parts = []
    for x, mu, log_var in zip(*(values.split(20) for values in (x, mu, log_var)), strict=True):  # noqa: B020
        eps = torch.randn(samples, *mu.shape, generator=rng)
        z = mu + (0.5 * log_var).exp() * eps  # (K, 20, L)
        logits = _decoded(decode, z.flatten(0, 1)).view(samples, *x.shape)
        log_px_given_z = F.logsigmoid(torch.where(x > 0, logits, -logits)).sum(-1)  # (K, 20)
        log_w = log_px_given_z + 0.5 * (eps**2 - z**2 + log_var).sum(-1)
        kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
        parts.append((log_px_given_z.mean(0) - kl, log_w.logsumexp(0) - math.log(samples), kl))
    return tuple(map(torch.cat, zip(*parts, strict=True)))


def _placed(elbo: Tensor, log_px: Tensor, kl: Tensor) -> str:
    nelbo, nll, kl = -elbo.mean().item(), -log_px.mean().item(), kl.mean().item()
    if not nelbo < ENOUGH:
        why = "train longer, or with another learning rate"
        if kl < 1:
            why = f"the KL is {kl:.1f}, z tells nothing: is log p(x|z) in your loss a mean over pixels?"
        elif kl > 100:
            why = f"the KL is {kl:.0f}: is it in your loss?"
        return f"not yet: -ELBO {nelbo:.1f} nats per image, and counting by kind has {ENOUGH}: {why}."
    error = log_px.std().item() / math.sqrt(len(log_px))
    above = [name for name, value in LADDER.items() if nll < value]
    below = [f"; next: {name} ({value})" for name, value in LADDER.items() if nll >= value][:1]
    return (
        f"{CORRECT}: -ELBO {nelbo:.1f}, -log p(x) {nll:.1f} (standard error {error:.1f}) nats per image, of "
        f"{len(elbo):,} digits held back, K = {SAMPLES}. "
        f"Better than {above[-1]} ({LADDER[above[-1]]}){''.join(below)}."
    )
