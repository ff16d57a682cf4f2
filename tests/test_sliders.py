"""Each slider of lessons 01 to 05 moves through its whole range; its sentence must say the true numbers."""

import math

import lessons
import numpy as np
import pytest
from torch.distributions import Bernoulli

GRID = np.linspace(-40, 40, 80_001)  # the judge's own quadrature: numpy, another grid than the lessons'


def normal(x, mean, sd):
    return np.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def integral(values):
    return float(values.sum() * (GRID[1] - GRID[0]))


def surprise(names, p):
    return [f"Probability {p:.2f}:", f"{-math.log(p):.3f} nats", f"{-math.log2(p):.3f} bits"]


def picture(names, image):
    nats = -Bernoulli(names["p_white"]).log_prob(names["x_test"][image]).sum()
    return [f"Test image {image}, a {names['test'].labels[image]}:", f"{nats:.1f} nats"]


def coin(names, p):
    h = sum(-x * math.log(x) for x in (p, 1 - p) if x > 0)
    return [f"{p:.2f}: entropy {h:.3f} nats", f"{h / math.log(2):.3f} bits"]


def belief(names, q):
    cost = -0.3 * math.log(q) - 0.7 * math.log(1 - q)
    return [f"belief {q:.2f}", f"{cost:.3f} nats"]


def jensen(names, weight):
    logs, mean = weight * math.log(0.2) + (1 - weight) * math.log(3), weight * 0.2 + (1 - weight) * 3
    return [f"mean of logs {logs:.3f} <= log of mean {math.log(mean):.3f}"]


def bumps(names, mu, sigma):
    p = 0.6 * normal(GRID, -2, 0.6) + 0.4 * normal(GRID, 2, 0.6)
    p_log_p = p * np.log(np.maximum(p, 1e-300))
    # cross-entropy of p under a Gaussian, from p's moments alone: mean -0.4, variance 0.36 + 3.84
    cross = 0.5 * math.log(2 * math.pi * sigma**2) + (4.2 + (mu + 0.4) ** 2) / (2 * sigma**2)
    return [f"KL(p||q) = {integral(p_log_p) + cross:.3f}", f"mu {mu:.1f}, sigma {sigma:.1f}"]


def worm(names, white):
    length = 6 + 2.5 * GRID[:, None] - np.arange(12) - 0.5
    log_odds = np.where(np.arange(12) < white, 1.5 * length, -1.5 * length)
    joint = normal(GRID, 0, 1) * np.exp(-np.logaddexp(0, -log_odds).sum(1))
    mean = integral(joint * GRID) / integral(joint)
    return [f"p(x) = {integral(joint):.4f}", f"mean {mean + 0.0:+.2f}" if abs(mean) > 0.005 else "0.00"]


def grid_cost(names, L):
    seconds = 20.0**L / 100_000
    waiting = f"{seconds / 31_557_600:.1e} years" if L >= 10 else f"{seconds:,.4f} seconds"
    return [f"20^{L} = {20.0**L:.1e} points", waiting]


def mixture(names, position):
    likelihood, power = names["log_px_given_z"][0].numpy(), position**4
    weights = np.exp(power * likelihood - (power * likelihood).max()) / 1024
    log_Z = math.log(weights.sum()) + (power * likelihood).max()
    # log q = log p(z) + power log p(x|z) - log Z, so the ELBO is (1 - power) E_q[log p(x|z)] + log Z
    bound = (1 - power) * (weights @ likelihood) / weights.sum() + log_Z
    return [f"ELBO {bound:.2f} (diamond)", f"= {names['log_px'][0]:.2f} nats"]


def oracle(names, mu_q, sigma_q):
    q = normal(GRID, mu_q, sigma_q)
    fit = integral(q * (-0.5 * math.log(2 * math.pi * 0.64) - (1.2 - 1.5 * GRID) ** 2 / 1.28))
    kl = 0.5 * (mu_q**2 + sigma_q**2 - 1) - math.log(sigma_q)
    exact = -0.5 * math.log(2 * math.pi * 2.89) - 1.44 / 5.78
    return [f"ELBO {fit - kl:.3f};", f"ELBO + gap = {exact:.3f} nats"]


SENTENCES = {
    "01_information": [surprise, picture],
    "02_entropy": [coin, belief],
    "03_kl_divergence": [jensen, bumps],
    "04_intractable_marginal": [worm, grid_cost],
    "05_elbo": [mixture, oracle],
}


@pytest.mark.parametrize("name", lessons.THEORY)
def test_every_slider_answers_over_its_whole_range_with_the_right_sentence(name):
    names, boxes = lessons.run(name)
    assert len(boxes) == len(SENTENCES[name])
    for box, expected in zip(boxes, SENTENCES[name], strict=True):
        start = {key: slider.value for key, slider in box.sliders.items()}
        for moved, slider in box.sliders.items():
            pictures = set()
            for value in lessons.positions(slider):
                slider.value = value
                values = start | {moved: value}
                missing = [part for part in expected(names, **values) if not says(box.text, part)]
                assert not missing, f"{values}: {box.text!r} lacks {missing}"
                pictures.add(box.image.value)
            assert len(pictures) > 0.5 * len(lessons.positions(slider))  # the picture follows
            slider.value = start[moved]


def says(text: str, part: str) -> bool:
    """The part stands in the text, up to one unit in the last digit of its numbers."""
    if part in text:
        return True
    words, wanted = text.replace(";", "").split(), part.replace(";", "").split()
    return any(
        all(close(word, want) for word, want in zip(words[i:], wanted, strict=False))
        for i in range(len(words) - len(wanted) + 1)
    )


def close(word: str, want: str) -> bool:
    try:
        digits = len(want.split(".")[1]) if "." in want else 0
        return abs(float(word.rstrip(".,")) - float(want.rstrip(".,"))) < 1.5 * 10.0**-digits
    except (ValueError, IndexError):
        return word.rstrip(".,") == want.rstrip(".,")
