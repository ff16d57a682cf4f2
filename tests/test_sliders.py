"""The sliders of the lessons, moved through their range: each sentence must say the true numbers."""

import math
import re

import lessons
import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli

GRID = np.linspace(-40, 40, 80_001)  # the judge's own quadrature: numpy, another grid than the lessons'
NUMBER = re.compile(r"[-+]?\d+(?:,\d{3})*(?:\.(\d+))?(?:e([-+]\d+))?")


def normal(x, mean, sd):
    return np.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def integral(values):
    return float(values.sum() * (GRID[1] - GRID[0]))


# What each sentence must say first, number by number: ints exactly, floats to one unit of the last digit.


def surprise(names, p):
    return [p, -math.log(p), -math.log2(p)]


def picture(names, image):
    nats = -Bernoulli(names["p_white"]).log_prob(names["x_test"]).sum(1).double()
    less = float((nats < nats[image]).double().mean())
    return [image, int(names["test"].labels[image]), nats[image], nats[image] / math.log(2), 100 * less]


def coin(names, p):
    h = sum(-x * math.log(x) for x in (p, 1 - p) if x > 0)
    return [p, h, h / math.log(2)]


def belief(names, q):
    cost = -0.3 * math.log(q) - 0.7 * math.log(1 - q)
    return [0.3, q, cost, cost + 0.3 * math.log(0.3) + 0.7 * math.log(0.7)]


def jensen(names, weight):
    logs, mean = weight * math.log(0.2) + (1 - weight) * math.log(3), weight * 0.2 + (1 - weight) * 3
    return [weight, logs, math.log(mean)]


def bumps(names, mu, sigma):
    p, q = 0.6 * normal(GRID, -2, 0.6) + 0.4 * normal(GRID, 2, 0.6), normal(GRID, mu, sigma)
    p_log_p = p * np.log(np.maximum(p, 1e-300))
    # cross-entropy of p under a Gaussian, from p's moments alone: mean -0.4, variance 0.36 + 3.84
    cross = 0.5 * math.log(2 * math.pi * sigma**2) + (4.2 + (mu + 0.4) ** 2) / (2 * sigma**2)
    near = (GRID > -15) & (GRID < 15)  # elsewhere p is 0 in floating point
    entropy = 0.5 * math.log(2 * math.pi * math.e * sigma**2)
    return [mu, sigma, integral(p_log_p) + cross, -entropy - integral(q[near] * np.log(p[near]))]


def worm(names, white):
    length = 6 + 2.5 * GRID[:, None] - np.arange(12) - 0.5
    log_odds = np.where(np.arange(12) < white, 1.5 * length, -1.5 * length)
    joint = normal(GRID, 0, 1) * np.exp(-np.logaddexp(0, -log_odds).sum(1))
    return [white, integral(joint), integral(joint * GRID) / integral(joint)]


def grid_cost(names, L):
    seconds = 20.0**L / 100_000
    return [L, 20, L, 20.0**L, seconds / 31_557_600 if L >= 10 else seconds]


def mixture(names, position):
    likelihood, power = names["log_px_given_z"][0].numpy(), position**4
    weights = np.exp(power * likelihood - (power * likelihood).max()) / 1024
    log_Z = math.log(weights.sum()) + (power * likelihood).max()
    # log q = log p(z) + power log p(x|z) - log Z, so the ELBO is (1 - power) E_q[log p(x|z)] + log Z
    bound = (1 - power) * (weights @ likelihood) / weights.sum() + log_Z
    return [bound, names["log_px"][0] - bound, names["log_px"][0]]


def oracle(names, mu_q, sigma_q):
    q = normal(GRID, mu_q, sigma_q)
    fit = integral(q * (-0.5 * math.log(2 * math.pi * 0.64) - (1.2 - 1.5 * GRID) ** 2 / 1.28))
    kl = 0.5 * (mu_q**2 + sigma_q**2 - 1) - math.log(sigma_q)
    exact = -0.5 * math.log(2 * math.pi * 2.89) - 1.44 / 5.78
    return [fit, kl, fit - kl, exact - fit + kl, exact]


def traverse(names, number, reach):
    mu, order, decode = names["mu"][number], names["order"][:8].tolist(), names["model"].decode
    ends = [[torch.cat([mu[:i], torch.tensor([end]), mu[i + 1 :]]) for end in (-reach, reach)] for i in order]
    with torch.no_grad():
        low, high = decode(torch.stack([torch.stack(pair) for pair in ends])).sigmoid().unbind(1)
    changed = (abs(high - low) > 0.5).flatten(1).sum(1).tolist()
    ranked = sorted(range(8), key=changed.__getitem__)  # the one that changes least first
    said = [[order[row] + 1, changed[row]] for row in (ranked[-1], ranked[0])]
    return [int(names["labels"][number]), *(i + 1 for i in order), -reach, reach, *said[0], *said[1]]


def walk(names, start, end, t):
    mu, labels = names["mu"].double().numpy(), names["labels"].numpy()
    a, b = mu[start], mu[end]
    straight = (1 - t) * a + t * b
    nearest = labels[((mu - straight) ** 2).sum(1).argsort()[:50]]
    kind = int(np.bincount(nearest).argmax())
    votes = [int((nearest == kind).sum()), 50, kind]
    arc = (1 - t) * np.linalg.norm(a) + t * np.linalg.norm(b)  # its length, whatever its direction
    return [round(100 * t), int(labels[start]), int(labels[end]), np.linalg.norm(straight), *votes, arc]


SENTENCES = {
    "01_information": [surprise, picture],
    "02_entropy": [coin, belief],
    "03_kl_divergence": [jensen, bumps],
    "04_intractable_marginal": [worm, grid_cost],
    "05_elbo": [mixture, oracle],
    "08_latent_space": [traverse, walk],
}


@pytest.mark.parametrize("name", SENTENCES)
def test_every_slider_answers_over_its_range_with_the_right_numbers(name):
    names, boxes = lessons.run(name)
    for box, expected in zip(boxes, SENTENCES[name], strict=True):
        start = {key: slider.value for key, slider in box.sliders.items()}
        for moved, slider in box.sliders.items():
            every, pictures = lessons.positions(slider), []
            for value in [every[round(part * (len(every) - 1))] for part in (0, 0.2, 0.5, 0.7, 1)]:
                slider.value = value
                check(box.text, expected(names, **(start | {moved: value})))
                pictures.append(box.image.value)
            assert len(set(pictures)) == 5  # the picture follows
            slider.value = start[moved]


def check(text: str, expected: list) -> None:
    """The first numbers of the text are the expected ones."""
    found = list(NUMBER.finditer(text))
    assert len(found) >= len(expected), text
    for match, want in zip(found, expected, strict=False):
        decimals, exponent = len(match[1] or ""), int(match[2] or 0)
        unit = 0 if isinstance(want, int) else 1.001 * 10.0 ** (exponent - decimals)  # of the last digit
        assert float(match[0].replace(",", "")) == pytest.approx(float(want), rel=0, abs=unit), text
