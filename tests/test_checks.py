"""The judges accept what is right however it is written, and name the classic slips."""

import math

import pytest
import torch
import torch.nn.functional as F

from vae_lesson import checks

RIGHT = {
    "nats_to_bits": lambda nats: nats / math.log(2),
    "reparameterize": lambda mu, log_var, eps: mu + torch.sqrt(torch.exp(log_var)) * eps,
    "log_px_given_z": lambda x, logits: (x * logits - F.softplus(logits)).sum(1),
    "gaussian_kl": lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1),
    "conv_size": lambda size, kernel, stride, padding: (size + 2 * padding - kernel) // stride + 1,
    "conv_parameters": lambda c_in, c_out, kernel: c_out * (c_in * kernel * kernel + 1),
    "log_mean_exp": lambda log_w: torch.logsumexp(log_w, 0) - math.log(len(log_w)),
}

WRONG = [
    ("nats_to_bits", lambda nats: nats * math.log(2), "multiplied by log 2"),
    ("reparameterize", lambda mu, log_var, eps: mu + log_var.exp() * eps, "log of the variance"),
    ("reparameterize", lambda mu, log_var, eps: mu + log_var * eps, "not log_var itself"),
    ("log_px_given_z", lambda x, logits: (x * logits - F.softplus(logits)).mean(1), "average over pixels"),
    (
        "log_px_given_z",
        lambda x, logits: F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1),
        "the sign",
    ),
    ("log_px_given_z", lambda x, logits: (x * logits - F.softplus(logits)).sum(), "one value per image"),
    ("gaussian_kl", lambda m, v: -0.5 * (m**2 + v.exp() - 1 - v).sum(-1), "the sign"),
    ("gaussian_kl", lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v).mean(-1), "average over latents"),
    ("gaussian_kl", lambda m, v: 0.5 * (m**2 + (2 * v).exp() - 1 - 2 * v).sum(-1), "log_var for log sigma"),
    ("gaussian_kl", lambda m, v: 0.5 * ((m**2 + 1) * (-v).exp() - 1 + v).sum(-1), "the direction"),
    (
        "conv_size",
        lambda size, kernel, stride, padding: (size + padding - kernel) // stride + 1,
        "both sides",
    ),
    ("conv_size", lambda size, kernel, stride, padding: (size + 2 * padding - kernel) // stride, "add 1"),
    ("conv_parameters", lambda c_in, c_out, kernel: c_in * c_out * kernel**2, "the bias"),
    ("log_mean_exp", lambda log_w: log_w.mean(0), "estimates the ELBO"),
    ("log_mean_exp", lambda log_w: torch.logsumexp(log_w, 0), "- log K"),
    ("log_mean_exp", lambda log_w: log_w.exp().mean(0).log(), "underflows"),
]


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_pass_and_stubs_are_not_attempted(name):
    judge = getattr(checks, name)
    for _ in range(5):
        assert judge(RIGHT[name]) == "correct"
    assert judge(lambda *_: None) == "not attempted yet"
    assert judge(lambda *_: ...) == "not attempted yet"


@pytest.mark.parametrize("name, slip, hint", WRONG)
def test_classic_slips_get_their_hint(name, slip, hint):
    for _ in range(5):
        verdict = getattr(checks, name)(slip)
        assert verdict.startswith("not yet: ") and hint in verdict


@pytest.mark.parametrize("name", RIGHT)
def test_any_other_answer_is_one_line_and_no_error(name):
    judge = getattr(checks, name)
    for attempt in (lambda *_: "text", lambda *_: 1 / 0, lambda *_: torch.tensor([1e6] * 99), lambda: None):
        verdict = judge(attempt)
        assert verdict.startswith("not yet: ") and "\n" not in verdict
