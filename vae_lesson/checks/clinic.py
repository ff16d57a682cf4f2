"""Exercises of lesson 09: a test for a fault, a fault named by three numbers, a training step mended."""

import math

import torch
from torch import Generator, Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae_lesson.checks.judge import CORRECT, AnyOf, Case
from vae_lesson.checks.patients import Patient
from vae_lesson.checks.shared import normal, pictures, uniform

WHITE = torch.full((12,), 0.4)


def small(case: int, rng: Generator) -> Patient:
    """A patient with 12 pixels and 3 latents, whose weights depend on rng alone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=rng)))
        return Patient(case, pixels=12, hidden=8, latents=3)


def old_gradients(rng: Generator) -> list[Case]:
    """attempt(model, x (B, D)) -> whether the program keeps old gradients (case 5); model: a new Patient."""
    hints = {0: "your test calls the healthy program ill", 5: "your test does not see the old gradients"}
    cases = []
    for case in (5, 0, 1, 2, 3, 4, 6, 8):  # 7 and 9 have the healthy training step
        hint = hints.get(case, f"your test calls case {case} ill, which forgets its old gradients")
        cases.append(((small(case, rng), pictures(rng, 6, WHITE)), {CORRECT: case == 5, hint: case != 5}))
    return cases


def name_the_case(rng: Generator) -> list[Case]:
    """attempt(first, last, pixels) -> 1, 2, 3 or 0 (none), by the loss before and after training."""
    hints = {
        0: "a first loss of about D log 2 and a last one above 0: none of the three, however high it is",
        1: "a first loss of about log 2, whatever D is: which case was that?",
        2: "a first loss well above D log 2: the untrained logits are not around 0",
        3: "a first loss of about D log 2, and a last one below 0: which case was that?",
    }
    cases = []
    for number in torch.randperm(12, generator=rng).tolist():
        size, white, part, extra, power = uniform(rng, 0, 1, 5).tolist()
        case, pixels = number % 4, round((100, 600, 3000)[number // 4] * (1 + 0.5 * size))
        first = pixels * math.log(2) * (1 + 0.02 * extra)
        last = first * (0.1 + 0.85 * part)
        if case == 1:
            first, last = first / pixels, last / pixels
        elif case == 2:  # the logits are about sigmoid(0) = 1/2; white: the share of white pixels
            first = pixels * (math.log(1 + math.exp(0.5)) - 0.5 * (0.1 + 0.2 * white)) * (1 + 0.02 * extra)
            last = pixels * math.log(2) * (0.9 + 0.1 * part)
        elif case == 3:
            last = -(10 ** (1 + 25 * power))
        answers = {CORRECT: case, hints[case]: AnyOf(other for other in range(4) if other != case)}
        cases.append(((first, last, pixels), answers))
    return cases


def mended_step(rng: Generator) -> Case:
    """attempt(model, optimizer, x (B, D), eps (B, L)) -> the loss -ELBO, after a step of the optimiser."""
    model, x, eps = small(0, rng), pictures(rng, 6, WHITE), normal(rng, 6, 3).float()
    optimizer, weights = torch.optim.SGD(model.parameters(), lr=0.1), list(model.parameters())
    start = [weight.detach().clone() for weight in weights]
    for weight in weights:
        weight.grad = torch.ones_like(weight)  # of an earlier step

    def stepped(cut: bool, share: float = 1.0, old: float = 0.0) -> tuple[Tensor, list[Tensor]]:
        """The loss, and the weights after the step; cut: mu is detached in z."""
        mu, log_var = model.encode(x)
        q = Normal(mu, (0.5 * log_var).exp())
        z = (mu.detach() if cut else mu) + q.stddev * eps
        fit = share * Bernoulli(logits=model.decode(z)).log_prob(x.float()).sum(-1)
        loss = (kl_divergence(q, Normal(0.0, 1.0)).sum(-1) - fit).mean()
        slopes = torch.autograd.grad(loss, weights)
        moved = [w - 0.1 * (slope + old) for w, slope in zip(start, slopes, strict=True)]
        return loss.detach().double(), moved

    def at(moved: list[Tensor]) -> bool:
        return all(torch.allclose(*pair, atol=1e-5) for pair in zip(weights, moved, strict=True))

    right, target = stepped(False)
    cut, old, by_pixels = stepped(True)[1], stepped(False, old=1.0)[1], stepped(False, 6 / 12)[0]
    said = lambda value, loss: value.shape == () and bool(torch.isclose(value, loss, rtol=1e-3))  # noqa: E731
    too_small = lambda value: said(value, by_pixels) or said(value, right * 6 / 12)  # noqa: E731
    return (model, optimizer, x, eps), {
        CORRECT: lambda value: said(value, right) and at(target),
        "the loss is too small: x.shape[1] counts pixels, x.shape[0] images": too_small,
        "the loss is not -ELBO, averaged over the images": lambda value: not said(value, right),
        "the loss is right, but no weight moved: when are the gradients cleared?": lambda value: at(start),
        "mu gets no slope from the reconstruction: what cuts it off?": lambda value: at(cut),
        "the gradient of an earlier step was not cleared": lambda value: at(old),
        "the loss is right, but the step is not that of its gradient": lambda value: True,
    }
