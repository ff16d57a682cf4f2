"""The judges accept what is right however it is written, refuse what is wrong, and name the slip."""

import functools
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal

from vae_lesson import checks
from vae_lesson.checks import judge

JUDGES = {name: value for name, value in vars(checks).items() if hasattr(value, "draw")}
LOG_2 = math.log(2)


def rng(seed):
    return torch.Generator().manual_seed(seed)


def huffman(p, arrange=sorted):
    weights, bits = sorted(p.tolist()), 0.0
    while len(weights) > 1:
        bits += weights[0] + weights[1]
        weights = arrange([weights[0] + weights[1], *weights[2:]])
    return bits


def fano(p):
    """Shannon-Fano: split the sorted list where the halves are most alike; not always the shortest code."""
    if len(p) == 1:
        return 0.0
    cut = min(range(1, len(p)), key=lambda i: abs(sum(p[:i]) - sum(p[i:])))
    return sum(p) + fano(p[:cut]) + fano(p[cut:])


def search(decode, x, steps=201):
    z = torch.cartesian_prod(*[torch.linspace(-2, 2, steps)] * 2)
    return z[(decode(z) - x).square().sum(1).argsort()]


def turn(a, b):
    """The rotation's generator in the plane of a and b, from a towards b."""
    u, v = F.normalize(a, dim=0), F.normalize(b - (b @ a) / (a @ a) * a, dim=0)
    return torch.outer(v, u) - torch.outer(u, v)


def two_sines(a, b, t, omega):
    return torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b


def direction(mu, high, low):
    return F.normalize(mu[high].mean(0) - mu[low].mean(0), dim=0)


def coins_of(p):
    return torch.special.entr(p).sum()


def coins(p):
    return torch.special.entr(p) + torch.special.entr(1 - p)


def cost(p, x):
    return F.binary_cross_entropy(p.expand_as(x), x, reduction="none")


def kl_of(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)


def fit(x, logits):
    return (x * logits - F.softplus(logits)).sum(-1)


RIGHT = {
    "nats_to_bits": lambda nats: nats / LOG_2,
    "surprise_in_bits": lambda p: torch.log2(1 / p),
    "image_information": lambda x, p: cost(p, x).sum(1),
    "shannon_lengths": lambda p: torch.ceil(-torch.log2(p)),
    "huffman_mean_length": lambda p: torch.tensor(huffman(p)),
    "entropy": lambda p: torch.special.entr(p).sum(-1),
    "mutual_information": lambda p: torch.xlogy(p, p / torch.outer(p.sum(1), p.sum(0))).sum(),
    "pixel_score": lambda train, test: cost((train.sum(0) + 1) / (len(train) + 2), test).sum(1).mean(),
    "gaussian_entropy": lambda log_var: 0.5 * (math.log(2 * math.pi * math.e) + log_var).sum(-1),
    "kl": lambda p, q: torch.xlogy(p, p / q).sum(-1),
    "gaussians_kl": lambda m, v, n, w: 0.5 * ((v - w).exp() + (m - n) ** 2 / w.exp() - 1 + w - v),
    "kl_from_samples": lambda p, q: torch.stack([(p - q).mean(), (p - q).std() / len(p) ** 0.5]),
    "best_gaussian": lambda x, p: torch.stack([p @ x, ((p @ x**2) - (p @ x) ** 2).sqrt()]),
    "posterior": lambda prior, like: prior * like / (like @ prior)[:, None],
    "log_marginal": lambda log_pz, log_px: torch.logsumexp(log_pz + log_px, 1),
    "effective_sample_size": lambda log_w: torch.softmax(log_w, 0).square().sum() ** -1,
    "log_mean_exp": lambda log_w: torch.logsumexp(log_w, 0) - math.log(len(log_w)),
    "importance_sampled_log_px": lambda px, pz, q: torch.logsumexp(px + pz - q, 0) - math.log(len(q)),
    "elbo_by_enumeration": lambda q, log_pz, log_px: (q * (log_px + log_pz - q.log())).sum(),
    "linear_gaussian_posterior": lambda x, w, v: torch.stack([w * x, v]) / (v + w**2),
    "score_function_gradient": lambda f, eps, sigma, baseline: ((f - baseline) * eps).mean() / sigma,
    "vae_elbo": lambda x, logits, mu, log_var: fit(x, logits) - kl_of(mu, log_var),
    "reparameterize": lambda mu, log_var, eps: mu + torch.sqrt(torch.exp(log_var)) * eps,
    "log_px_given_z": fit,
    "gaussian_kl": kl_of,
    "active_units": lambda mu: ((mu - mu.mean(0)) ** 2).mean(0) > 0.01,
    "free_bits": lambda kl, free: torch.where(kl > free, kl, torch.tensor(free).to(kl)).sum(),
    "conv_size": lambda size, kernel, stride, padding: (size + 2 * padding - kernel) // stride + 1,
    "conv_parameters": lambda c_in, c_out, kernel: c_out * (c_in * kernel * kernel + 1),
    "decoded_entropy": lambda p: coins(p).sum(1) / LOG_2,
    "find_code": lambda decode, x: search(decode, x)[0],
    "slerp": lambda a, b, t: torch.linalg.matrix_exp(t * torch.arccos(a @ b / (a @ a)) * turn(a, b)) @ a,
    "attribute_direction": lambda mu, a: direction(mu, a > a.median(), a <= a.median()),
}
STYLES = {
    "tensor": lambda answer: answer,
    "float32": lambda answer: answer.float(),
    "with a gradient": lambda answer: answer.double() + torch.zeros((), requires_grad=True),
    "numpy": lambda answer: answer.numpy(),
    "numpy, read-only and backwards": lambda answer: np.broadcast_to(answer.numpy().T.copy().T, answer.shape),
    "list": lambda answer: answer.tolist(),
    "tuple": lambda answer: tuple(answer) if answer.dim() else answer.item(),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_pass_in_every_style_with_a_tenth_of_the_tolerance(name, monkeypatch):
    monkeypatch.setattr(judge, "TOLERANCE", judge.TOLERANCE / 10)
    for seed, style in enumerate(STYLES):

        def attempt(*inputs, dtype=torch.float64 if seed % 2 else torch.float32, style=style):
            inputs = [value.to(dtype) if torch.is_tensor(value) else value for value in inputs]
            return STYLES[style](torch.as_tensor(RIGHT[name](*inputs)))

        assert JUDGES[name](attempt, rng(seed)) == "correct", style
    assert JUDGES[name](RIGHT[name]) == "correct"  # and with inputs of its own


def test_every_judge_is_tried_with_a_right_answer():
    assert list(RIGHT) and set(RIGHT) == set(JUDGES) and len(RIGHT) == 33


@pytest.mark.parametrize("name", sorted(set(RIGHT) - {"find_code"}))
@pytest.mark.parametrize("draws", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_each_slip_is_refused_and_named_even_with_ten_times_the_tolerance(name, draws, monkeypatch):
    monkeypatch.setattr(judge, "TOLERANCE", judge.TOLERANCE * 10)
    for seed in range(draws):
        cases = JUDGES[name].draw(rng(seed))
        cases = cases if isinstance(cases, list) else [cases]
        answers = [{verdict: options(answer) for verdict, answer in case.items()} for _, case in cases]
        for hint in dict.fromkeys(hint for case in answers for hint in case if hint != "correct"):
            for choice in range(max(len(case.get(hint, [])) for case in answers)):
                replies = iter([case.get(hint, case["correct"]) for case in answers])
                slip = lambda *_: at(next(replies), choice)  # noqa: B023, E731
                assert judge.judge_of(lambda _: cases)(slip) == f"not yet: {hint}", (seed, choice)  # noqa: B023


def options(answer):
    return list(answer) if isinstance(answer, judge.AnyOf) else [answer]


def at(answers, choice):
    return answers[choice % len(answers)]


# As students write them: near misses, slips that no hint knows or that give nan, and hints easily exchanged.
WRONG = [
    ("best_gaussian", lambda x, p: (p @ x, (p @ x**2).sqrt()), "subtract the mean"),
    ("slerp", lambda a, b, t: two_sines(a, b, t, torch.arccos(a @ b / (a @ a))), "division by sin"),
    ("score_function_gradient", lambda f, eps, s, b: ((f - b) * eps).mean(), "divide by sigma"),
    ("kl_from_samples", lambda p, q: ((p - q).mean(), (p - q).var() / len(p)), "take the root"),
    ("kl_from_samples", lambda p, q: ((p - q).mean(), ((p - q) ** 2).mean().sqrt() / 10), ""),
    ("huffman_mean_length", lambda p: huffman(p, list), "sort again"),
    ("huffman_mean_length", lambda p: huffman(p, lambda w: w[1:] + w[:1]), ""),
    ("huffman_mean_length", lambda p: p.sort(descending=True).values @ torch.tensor([1.0, 2, 3, 4, 4]), ""),
    ("huffman_mean_length", lambda p: fano(sorted(p.tolist(), reverse=True)), ""),
    ("conv_parameters", lambda c_in, c_out, k: c_in * (c_out * k**2 + 1), "the bias"),
    ("conv_parameters", lambda c_in, c_out, k: c_in * c_out * k**2 + k, ""),
    ("conv_parameters", lambda c_in, c_out, k: c_in * c_out * 2 * k + c_out, ""),
    (
        "conv_size",
        lambda size, k, stride, padding: math.ceil((size + 2 * padding - k) / stride) + 1,
        "with //",
    ),
    ("linear_gaussian_posterior", lambda x, w, v: (w * x / (v**2 + w**2), v**2 / (v**2 + w**2)), ""),
    ("log_marginal", lambda log_pz, log_px: (log_pz + log_px).exp().sum(1).log(), "underflows"),
    ("log_mean_exp", lambda log_w: log_w.exp().mean(0).log(), "underflows"),
    ("importance_sampled_log_px", lambda px, pz, q: (px + pz - q).exp().mean(0).log(), "underflows"),
    ("effective_sample_size", lambda log_w: log_w.exp().sum() ** 2 / (log_w.exp() ** 2).sum(), "underflows"),
    ("entropy", lambda p: -(p * p.log()).sum(-1), "gave nan"),
    ("decoded_entropy", lambda p: -(p * p.log2() + (1 - p) * (1 - p).log2()).sum(1), "gave nan"),
    ("kl", lambda p, q: (p * (p / q).log()).sum(-1), "gave nan"),
    ("kl", lambda p, q: (q * (q / p).log()).sum(-1), "the direction"),
    ("kl", lambda p, q: (p / q).log().sum(-1), "weight each log ratio"),
    ("pixel_score", lambda a, b: -torch.xlogy(b, a.mean(0)).sum(1).mean(), "never white"),
    ("image_information", lambda x, p: F.binary_cross_entropy(p.expand_as(x), x), "3 values are asked"),
    ("slerp", lambda a, b, t: two_sines(a, b, t, torch.arccos(a @ b)), "both lengths"),
    ("vae_elbo", lambda x, y, m, v: fit(x, y) - 0.5 * (m**2 + (2 * v).exp() - 1 - v).sum(-1), ""),
    ("vae_elbo", lambda x, y, m, v: fit(x, y) / 784 - kl_of(m, v) / 6, ""),
    ("active_units", lambda mu: mu.var(1) > 0.01, "over the images"),
    ("active_units", lambda mu: (mu.var(0) > 0.01).sum(), "6 values are asked"),
    ("image_information", lambda x, p: -torch.xlogy(x, p).sum(1), "a black pixel"),
    ("image_information", lambda x, p: cost(1 - p, x).sum(1), "the probability of white"),
    ("shannon_lengths", lambda p: (-p.log2()).floor(), "rounded down"),
    ("shannon_lengths", lambda p: (-p.log2()).round(), "round up, always"),
    ("huffman_mean_length", lambda p: -(p * p.log2()).sum(), "the entropy"),
    ("huffman_mean_length", lambda p: (p * (-p.log2()).ceil()).sum(), "Shannon's lengths"),
    ("mutual_information", lambda p: coins_of(p) - coins_of(p.sum(0)), "H(X|Y)"),
    ("mutual_information", lambda p: coins_of(p) - coins_of(p.sum(1)), "H(Y|X)"),
    ("pixel_score", lambda a, b: RIGHT["pixel_score"](b, b), "no test"),
    ("pixel_score", lambda a, b: RIGHT["pixel_score"](torch.cat([a, b]), b), "the test images too"),
    (
        "gaussian_entropy",
        lambda v: (0.5 * math.log(2 * math.pi * math.e) + v).sum(-1),
        "log_var for log sigma",
    ),
    ("gaussian_entropy", lambda v: 0.5 * (math.log(2 * math.pi) + v).sum(-1), "the e is missing"),
    ("kl", lambda p, q: -(p * q.log()).sum(-1), "the cross-entropy"),
    ("gaussians_kl", lambda m, v, n, w: RIGHT["gaussians_kl"](n, w, m, v), "the direction"),
    ("gaussians_kl", lambda m, v, n, w: RIGHT["gaussians_kl"](m, 2 * v, n, 2 * w), "log_var for log sigma"),
    ("gaussians_kl", lambda m, v, n, w: RIGHT["gaussians_kl"](m, v, n, w) + (w - v) / 2, "inside the half"),
    ("kl_from_samples", lambda p, q: ((p - q).mean(), (p - q).std()), "divided by the root"),
    ("kl_from_samples", lambda p, q: ((p - q).mean(), (p - q).std() / 100), "not by K"),
    ("best_gaussian", lambda x, p: (x[p.argmax()], (p @ x**2 - (p @ x) ** 2).sqrt()), "its peak"),
    ("posterior", lambda prior, like: prior * like, "the joint"),
    ("posterior", lambda prior, like: like / like.sum(1, keepdim=True), "the prior is missing"),
    ("posterior", lambda prior, like: F.normalize(prior * like, p=1, dim=0), "not over the images"),
    ("log_marginal", lambda log_pz, log_px: log_px @ log_pz.exp(), "outside the sum"),
    ("log_marginal", lambda log_pz, log_px: log_px.logsumexp(1), "the prior is missing"),
    ("effective_sample_size", lambda log_w: (log_w.exp() ** 2).sum() / log_w.exp().sum() ** 2, "upside down"),
    ("effective_sample_size", lambda log_w: log_w.exp().sum() / (log_w.exp() ** 2).sum(), "square the sum"),
    ("log_mean_exp", lambda log_w: log_w.mean(0), "the mean of the logs"),
    ("log_mean_exp", lambda log_w: log_w.logsumexp(0), "- log K"),
    ("importance_sampled_log_px", lambda px, pz, q: (px + pz).exp().mean(0).log(), "divide by q"),
    ("elbo_by_enumeration", lambda q, pz, px: (q * (px - pz + q.log())).sum(), "subtract it"),
    (
        "elbo_by_enumeration",
        lambda q, pz, px: (q * px).sum() - (pz.exp() * (pz - q.log())).sum(),
        "direction",
    ),
    ("elbo_by_enumeration", lambda q, pz, px: (pz + px).logsumexp(0), "that is log p(x)"),
    ("elbo_by_enumeration", lambda q, pz, px: (q * (px + pz)).sum(), "you left out"),
    ("linear_gaussian_posterior", lambda x, w, v: (x / w, v / w**2), "its precision 1"),
    ("linear_gaussian_posterior", lambda x, w, v: (w * x / (v + w**2), (v + w**2) / v), "the precision;"),
    ("score_function_gradient", lambda f, eps, s, b: (f * eps / s).mean(), "subtract the baseline"),
    ("score_function_gradient", lambda f, eps, s, b: ((f - b) * eps / s**2).mean(), "not by its square"),
    ("vae_elbo", lambda x, y, m, v: fit(x, y) + kl_of(m, v), "subtract the KL"),
    ("vae_elbo", lambda x, y, m, v: kl_of(m, v) - fit(x, y), "that is -ELBO"),
    ("vae_elbo", lambda x, y, m, v: fit(x, y) - kl_of(m, 2 * v), "log_var for log sigma"),
    ("vae_elbo", lambda x, y, m, v: fit(x, y) - kl_of(m, v) + v.sum(-1) / 2, "inside the half"),
    ("vae_elbo", lambda x, y, m, v: fit(x, y) - 2 * kl_of(m, v), "the factor 1/2"),
    ("gaussian_kl", lambda m, v: 0.5 * ((m**2 + 1) / v.exp() - 1 + v).sum(-1), "the direction"),
    ("reparameterize", lambda mu, log_var, eps: mu + log_var.exp() * eps, "the log of the variance"),
    ("reparameterize", lambda mu, log_var, eps: mu + log_var * eps, "not log_var itself"),
    ("active_units", lambda mu: mu.std(0) > 0.01, "the standard deviation"),
    ("active_units", lambda mu: (mu**2).mean(0) > 0.01, "far from 0"),
    ("free_bits", lambda kl, free: kl.sum().clamp(min=free), "for each latent"),
    ("free_bits", lambda kl, free: kl.clamp(max=free).sum(), "are exchanged"),
    ("free_bits", lambda kl, free: (kl - free).clamp(min=0).sum(), "not a discount"),
    ("conv_size", lambda size, k, stride, padding: (size + padding - k) // stride + 1, "both sides"),
    ("conv_parameters", lambda c_in, c_out, k: c_in * c_out * k**2, "left out the bias"),
    ("conv_parameters", lambda c_in, c_out, k: c_out * (c_in * k + 1), "kernel x kernel"),
    ("conv_parameters", lambda c_in, c_out, k: c_out * (k**2 + 1), "every input channel"),
    ("decoded_entropy", lambda p: torch.special.entr(p).sum(1) / LOG_2, "two outcomes"),
    ("slerp", lambda a, b, t: (1 - t) * a + t * b, "the straight line:"),
    ("slerp", lambda a, b, t: RIGHT["slerp"](b, a, t), "exchanged"),
    ("attribute_direction", lambda mu, a: direction(mu, a > a.mean(), a <= a.mean()), "not at the mean"),
    (
        "attribute_direction",
        lambda mu, a: F.normalize(mu[a > a.median()].mean(0), dim=0),
        "subtract the mean",
    ),
    ("find_code", lambda decode, x: search(decode, x, 81)[0].flip(0), "exchanged"),
    ("find_code", lambda decode, x: search(decode, x, 81)[-1], "most different"),
    ("find_code", lambda decode, x: torch.zeros(2), "the whole square, finer"),
    ("find_code", lambda decode, x: search(decode, x, 5)[:1], "shape (2,)"),
]


@pytest.mark.parametrize("draws", [50, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name, wrong, hint", WRONG)
def test_wrong_answers_are_refused_each_time(name, wrong, hint, draws):
    for seed in range(draws if name != "find_code" else draws // 10):  # its judge decodes a whole square
        verdict = JUDGES[name](wrong, rng(seed))
        assert verdict.startswith("not yet: ") and hint in verdict, seed


@pytest.mark.parametrize("name", sorted(set(RIGHT) - {"find_code"}))
def test_a_slip_that_is_a_multiple_of_the_truth_has_the_hint_that_says_so(name):
    says = {-1: "sign|minus|-ELBO", LOG_2: "nats", 1 / LOG_2: "bits", LOG_2 / math.log(10): "digits"}
    says |= {LOG_2**2: "multiplied by log 2", 1 / 784: "average over pixels", 2: "factor 1/2"}
    case = JUDGES[name].draw(rng(0))
    answers = (case[0] if isinstance(case, list) else case)[1]
    truth, *slips = [judge.numbers(options(answer)[0]) for answer in answers.values()]
    for hint, slip in zip(list(answers)[1:], slips, strict=True):
        for factor, words in says.items():
            if truth.shape == slip.shape and torch.allclose(slip, factor * truth):
                assert re.search(words, hint), (hint, factor)


def test_other_conventions_are_right_too():
    for seed in range(20):
        for high, low in ("ge", "lt"), ("gt", "lt"), ("gt", "le"):
            split = functools.partial(lambda a, how: getattr(torch, how)(a, a.median()))
            attempt = lambda mu, a: direction(mu, split(a, high), split(a, low))  # noqa: B023, E731
            assert checks.attribute_direction(attempt, rng(seed)) == "correct"
        for ddof in (0, 1):
            deviation = lambda p, q: np.std((p - q).numpy(), ddof=ddof)  # noqa: B023, E731
            pair = lambda p, q: ((p - q).mean(), deviation(p, q) / 10)  # noqa: B023, E731
            assert checks.kl_from_samples(pair, rng(seed)) == "correct"
            assert checks.active_units(lambda mu: np.var(mu.numpy(), 0, ddof=ddof) > 0.01) == "correct"  # noqa: B023


def test_the_best_gaussian_is_where_the_slope_of_the_cross_entropy_is_0():
    (x, p), answers = checks.best_gaussian.draw(rng(0))
    mu, sigma = (value.clone().requires_grad_() for value in answers["correct"])
    cross_entropy = -(p * Normal(mu, sigma).log_prob(x)).sum()
    assert torch.autograd.grad(cross_entropy, [mu, sigma]) == pytest.approx((0, 0), abs=1e-9)


def stub(*_):
    """What an exercise begins with."""
    ...  # replace this line


def passes(*_):
    pass
    pass


def raises(*_):
    raise NotImplementedError


def forgets_return(*inputs):
    inputs == 0  # noqa: B015


def forgets_return_of_a_name(*inputs):
    """The last line names the result."""
    doubled = 2 * inputs  # noqa: F841


def lacks_an_operation(*_):
    raise NotImplementedError("'log' not implemented for 'Long'")  # as PyTorch does


@pytest.mark.parametrize("name", RIGHT)
def test_an_empty_function_is_not_attempted_and_a_forgotten_return_is_named(name):
    for attempt in (stub, passes, raises, lambda *_: None, lambda *_: ...):
        assert JUDGES[name](attempt) == "not attempted yet"
    for attempt in (forgets_return, forgets_return_of_a_name, functools.partial(forgets_return)):
        assert JUDGES[name](attempt) == "not yet: your function returns nothing: is the last line a `return`?"
    assert JUDGES[name](lacks_an_operation).endswith("NotImplementedError: 'log' not implemented for 'Long'")


class Broken:
    def __array__(self, *_, **__):
        raise RuntimeError("no array")


class Silent(Exception):
    def __str__(self):
        raise ValueError


def fails(*_):
    raise Silent


def many_lines(*_):
    raise ValueError("one\ntwo")


ODD = [
    "text",
    "1.5",
    b"1",
    10**400,
    1j,
    torch.ones(3, dtype=torch.cfloat),
    math.nan,
    math.inf,
    -1e308,
    Broken(),
]
ODD += [
    [],
    (),
    {},
    {1},
    [None],
    [[1], [1, 2]],
    object(),
    torch.empty(0),
    np.array(["a"]),
    np.array(None),
    [Broken()],
]
ODD += [
    torch.full((99,), 1e6),
    torch.ones(3).to_sparse(),
    torch.ones(3, device="meta"),
    True,
    range(3),
    print,
]


@pytest.mark.filterwarnings("ignore")  # as in a notebook
@pytest.mark.parametrize("name", RIGHT)
def test_whatever_comes_back_is_answered_in_one_line(name):
    attempts = [lambda *_, odd=odd: odd for odd in ODD]
    attempts += [lambda *inputs: torch.as_tensor(RIGHT[name](*inputs)).to(torch.cfloat)]
    attempts += [lambda *inputs: str(torch.as_tensor(RIGHT[name](*inputs)).tolist())]
    attempts += [lambda *_: 1 / 0, lambda: None, fails, many_lines, None, torch.ones(3)]
    for attempt in attempts:
        verdict = JUDGES[name](attempt, rng(0))
        assert verdict.startswith("not yet: ") and "\n" not in verdict and len(verdict) < 200
    assert "ValueError: one two" in JUDGES[name](many_lines)


@pytest.mark.parametrize("name", RIGHT)
def test_a_judge_leaves_the_global_random_numbers_alone_and_works_on_copies(name):
    def spoils_its_inputs(*inputs):
        answer = RIGHT[name](*inputs)
        for value in filter(torch.is_tensor, inputs):
            value.zero_()
        return answer

    state = torch.get_rng_state()
    assert JUDGES[name](spoils_its_inputs) == "correct"
    assert torch.equal(torch.get_rng_state(), state)
