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


def jensen(names, weight):
    logs, mean = weight * math.log(0.2) + (1 - weight) * math.log(3), weight * 0.2 + (1 - weight) * 3
    return [weight, logs, math.log(mean)]


def bumps(names, mu, sigma, distance):
    p = 0.6 * normal(GRID, -distance / 2, 0.6) + 0.4 * normal(GRID, distance / 2, 0.6)
    p_log_p, q = p * np.log(np.maximum(p, 1e-300)), normal(GRID, mu, sigma)
    # cross-entropy of p under a Gaussian, from p's moments alone: its mean is -0.1 times the distance
    squares = 0.36 + distance**2 / 4 + 0.2 * distance * mu + mu**2  # the mean of (x - mu)^2
    cross = 0.5 * math.log(2 * math.pi * sigma**2) + squares / (2 * sigma**2)
    near = (GRID > -17) & (GRID < 17)  # elsewhere p is 0 in floating point
    entropy = 0.5 * math.log(2 * math.pi * math.e * sigma**2)
    reverse = -entropy - integral(q[near] * np.log(p[near]))
    return [mu, sigma, distance, integral(p_log_p) + cross, reverse]


def worm(names, white):
    length = 6 + 2.5 * GRID[:, None] - np.arange(12) - 0.5
    log_odds = np.where(np.arange(12) < white, 1.5 * length, -1.5 * length)
    joint = normal(GRID, 0, 1) * np.exp(-np.logaddexp(0, -log_odds).sum(1))
    return [white, integral(joint), integral(joint * GRID) / integral(joint)]


def climbing(names, steps):
    p = names["path"][steps][0].sigmoid().numpy()
    q = np.where(names["model"].states.numpy() == 1, p, 1 - p).prod(1)
    rate = (p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p))).sum()  # bit by bit
    bound = q @ names["log_px_given_z"][0].numpy() - rate
    return [steps, bound, names["log_px"][0] - bound, names["log_px"][0]]


def rate(names, mu_q, sigma_q):
    of_a_step = 0.5 * math.log(2 * math.pi) + math.log(10)  # ten steps a unit
    written, carried = of_a_step + (mu_q**2 + sigma_q**2) / 2, of_a_step + 0.5 + math.log(sigma_q)
    return [written, carried, written - carried]


def window(names, row, column):
    pixels = names["digit"].int().numpy()[row : row + 3, column : column + 3]
    return [row, column, *pixels.flatten().tolist(), int(pixels[:, 2].sum() - pixels[:, 0].sum())]


def walk(names, start, end, t):
    mu, labels = names["mu"].double().numpy(), names["labels"].numpy()
    ends = mu[[start, end]]
    lengths = np.linalg.norm(ends, axis=1)
    u, v = ends / lengths[:, None]
    angle, parts = np.arccos(u @ v), np.array([1 - t, t])
    arc = parts @ lengths * (np.sin(parts * angle) @ np.stack([u, v])) / np.sin(angle)
    training, kinds = names["train"].images.flatten(1).numpy() / 255, names["train"].labels.numpy()
    expected = [round(100 * t), int(labels[start]), int(labels[end])]
    for code in (parts @ ends, arc):
        picture = names["draw"](torch.tensor(code).float()).numpy().flatten()
        kind = int(kinds[((training - picture) ** 2).sum(1).argmin()])
        expected += [np.linalg.norm(code), picture.sum(), kind]
    return expected


SENTENCES = {
    "01_information": [surprise, picture],
    "02_entropy": [coin],
    "03_kl_divergence": [jensen, bumps],
    "04_intractable_marginal": [worm],
    "05_elbo": [climbing, rate],
    "07_cnn_vae": [window],
    "08_latent_space": [walk],
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
