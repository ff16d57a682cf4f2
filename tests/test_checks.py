"""The judges accept what is right however it is written, refuse what is wrong, and name the slip."""

import functools
import itertools
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


def packed(lengths):
    order = lengths.argsort()
    width = 0.5 ** lengths[order]
    return (width.cumsum(0) - width)[order.argsort()]


def search(decode, x, steps=201):
    z = torch.cartesian_prod(*[torch.linspace(-2, 2, steps)] * 2)
    return z[(decode(z) - x).square().sum(1).argsort()]


def turned(a, b, steps):
    """By the rotation in the plane of a and b, from a towards b."""
    u, v = F.normalize(a, dim=0), F.normalize(b - (b @ a) / (a @ a) * a, dim=0)
    generator, omega = torch.outer(v, u) - torch.outer(u, v), torch.arccos(a @ b / (a @ a))
    return torch.stack([torch.linalg.matrix_exp(t * omega * generator) @ a for t in ways(steps)])


def ways(steps):
    return torch.linspace(0, 1, steps).tolist()


def straight(a, b, steps):
    return torch.stack([(1 - t) * a + t * b for t in ways(steps)])


def two_sines(a, b, steps, omega):
    return torch.stack(
        [torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b for t in ways(steps)]
    )  # without the division by sin(omega)


def difference(mu, attribute, middle):
    return mu[attribute > middle].mean(0) - mu[attribute <= middle].mean(0)


def within(mu, attribute, labels):
    classes = [(mu[labels == k], attribute[labels == k]) for k in labels.unique()]
    return torch.stack([difference(codes, values, values.median()) for codes, values in classes]).mean(0)


def regression(mu, attribute, labels):
    """The slopes of each latent on the attribute, with a constant for each class."""
    design = torch.cat([attribute[:, None], (labels[:, None] == labels.unique()).to(mu)], 1)
    return F.normalize(torch.linalg.lstsq(design, mu).solution[0], dim=0)


def entropy_of(*columns):
    counts = torch.stack(columns, 1).unique(dim=0, return_counts=True)[1]
    return torch.special.entr(counts / len(columns[0])).sum()


def uncertainty(x, y, *known):
    """H(Y | known, pixel) for each pixel."""
    known = [x[:, i] for i in known]
    return torch.stack([entropy_of(y, *known, pixel) - entropy_of(*known, pixel) for pixel in x.T])


def joint_only(x, y, first):
    return torch.stack([entropy_of(y, x[:, first], pixel) for pixel in x.T])


def bits(z, p=0.25):
    """Two coins and what z makes of them; p: of each pair."""
    table = torch.zeros(2, 2, 2)
    for x, y in itertools.product((0, 1), repeat=2):
        table[x, y, int(z(x, y))] = p
    return table


def coins(p):
    return torch.special.entr(p) + torch.special.entr(1 - p)


def of_area(values, z):
    """Values whose area over z is 1."""
    return values / torch.trapezoid(values, z)


def moments(log_joint):
    z = torch.linspace(-5, 5, 1001)
    p = torch.softmax(log_joint(z), 0)
    return torch.stack([p @ z, ((p @ z**2) - (p @ z) ** 2).sqrt()])


def laplace(log_joint):
    """The peak by Newton's steps, and the width by the curvature there."""
    z = torch.zeros((), dtype=torch.float64)
    for _ in range(20):
        z = z.detach().requires_grad_()
        (slope,) = torch.autograd.grad(log_joint(z), z, create_graph=True)
        (bend,) = torch.autograd.grad(slope, z)
        z = z - slope / bend
    return z, (-1 / bend) ** 0.5


def cost(p, x):
    return F.binary_cross_entropy(p.expand_as(x), x, reduction="none")


def kl_of(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)


def mended(m, v, n, w, ratio, divisor):
    """The KL of two Gaussians with a student's ratio of variances and divisor of the distance."""
    return 0.5 * (ratio + (m - n) ** 2 / divisor - 1 + w - v)


def fit(x, logits):
    return (x * logits - F.softplus(logits)).sum(-1)


def needed(log_w, limit):
    w = torch.exp(log_w - log_w.max())
    return w.var() / w.mean() ** 2 / (2 * limit)


def out_of_bounds(means, errors):
    """How far each row is above the exact value or below the ELBO, in standard errors of the difference."""
    above = (means - means[4]) / torch.hypot(errors, errors[4])
    below = (means[0] - means) / torch.hypot(errors, errors[0])
    return torch.maximum(above, below)[1:4]


def climb(elbo, rate, steps, start=0.0):
    logits = (torch.zeros(4) + start).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        (-elbo(logits)).backward()
        optimizer.step()
    return logits.detach()


def broken(x, mu, log_sigma, eps, noise, fixed=0.0):
    fit = Normal(mu + log_sigma.exp() * eps, noise).log_prob(x)
    return fit - kl_of(mu[:, None], log_sigma[:, None]) + fixed


def step(vae, optimizer, x, *, of=None, z=None, clear=True, backward=True, move=True, returns=1):
    """One step of training, right or with one slip; of: the loss, of log p(x|z) (B, D) and the KL (B, L)."""
    x = x.float()
    mu, log_var = vae.encoder(x).chunk(2, -1)
    eps = torch.randn(mu.shape)
    z = mu + torch.exp(0.5 * log_var) * eps if z is None else z(mu, log_var, eps)
    fit = -F.binary_cross_entropy_with_logits(vae.decoder(z), x, reduction="none")
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var)
    loss = (kl.sum(-1) - fit.sum(-1)).mean() if of is None else of(fit, kl)
    if clear:
        optimizer.zero_grad()
    if backward:
        loss.backward()
    if move:
        optimizer.step()
    return returns * loss.detach()


def step_cleared_too_late(vae, optimizer, x):
    step(vae, optimizer, x, move=False)
    optimizer.zero_grad()
    optimizer.step()
    return 20.0


def step_of_log_sigma(vae, optimizer, x):
    """The KL takes log_var for log sigma."""
    mu, log_var = vae.encoder(x).chunk(2, -1)
    z = mu + torch.exp(0.5 * log_var) * torch.randn(mu.shape)
    loss = (kl_of(mu, 2 * log_var) - fit(x, vae.decoder(z))).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def report(log_w):
    log_px = log_w.logsumexp(0) - math.log(len(log_w))
    return torch.stack([-log_px.mean(), log_px.std() / math.sqrt(len(log_px))])


def vae_slip(x, mu, log_var, eps, decode, z=None, kl=None, sign=1):
    z = mu + torch.exp(log_var / 2) * eps if z is None else z
    return fit(x, decode(z)) - sign * (kl_of(mu, log_var) if kl is None else kl)


def shares_of(grey, more):
    counts = torch.bincount(grey.long(), minlength=256) + more
    return counts / counts.sum()


def safe_log_mass(x, m, s):
    low, high = F.logsigmoid((x + 0.5 - m) / s), F.logsigmoid((m - x + 0.5) / s)
    inside = low + high + (-(-1 / s).expm1()).log()
    return torch.where(x == 0, low, torch.where(x == 255, high, inside))


def plain_log_mass(x, m, s, half=0.5, eps=0.0, ends=(0, 255)):
    above, below = torch.sigmoid((x + half - m) / s), torch.sigmoid((x - 1 + half - m) / s)
    return (torch.where(x == ends[1], 1, above) - torch.where(x == ends[0], 0, below) + eps).log()


def keeps_old(model, x, planted=1e6, limit=1e5):
    for p in model.parameters():
        p.grad = torch.full_like(p, planted)
    model.train_step(x)
    return max(p.grad.abs().max() for p in model.parameters()) > limit


def diagnosis(first, last, pixels, expected=LOG_2):
    if last < 0:
        return 3
    return 1 if first < 2 else 2 if first > 1.1 * pixels * expected else 0


def mended_step(model, optimizer, x, eps, cut=False, mean=0, clear="before"):
    mu, log_var = model.encode(x)
    z = (mu.detach() if cut else mu) + torch.exp(0.5 * log_var) * eps.float()
    loss = (kl_of(mu, log_var) - fit(x.float(), model.decode(z))).sum() / x.shape[mean]
    if clear == "before":
        optimizer.zero_grad()
    loss.backward()
    if clear == "after":
        model.zero_grad()
    optimizer.step()
    return loss.detach()


RIGHT = {
    "rows_shifted": lambda x, shift: (x.T - shift).T,
    "mean_picture": lambda images: images.sum(0) / len(images),
    "uniform_density": lambda width: width**-1.0,
    "area_under": lambda y, step: torch.trapezoid(y, dx=step),
    "slope": lambda x: torch.func.vmap(torch.func.grad(lambda u: u**3 - 2 * u))(x),
    "linear_layer": lambda x, W, b: torch.einsum("bi,oi->bo", x, W) + b,
    "three_steps": lambda w, target, rate: torch.tensor(target + (w - target) * (1 - 2 * rate) ** 3),
    "best_question": lambda p, yes: (coins(yes @ p)).argmax(),
    "can_be_a_code": lambda lengths: sum(2.0**-length for length in lengths) <= 1,
    "image_information": lambda x, p: cost(p, x).sum(1),
    "code_lengths": lambda p: torch.ceil(-torch.log2(p)),
    "pack_boxes": lambda lengths: packed(lengths),
    "huffman_mean_length": lambda p: torch.tensor(huffman(p)),
    "entropy": lambda p: torch.special.entr(p).sum(-1),
    "lopsided": lambda: [[0.5, 0.4999999, 1e-7], [0.455, 0.455, 0.09]],
    "three_bits": lambda: bits(lambda x, y: x ^ y),
    "second_pixel": lambda x, y, first: uncertainty(x, y, first).argmin(),
    "gaussians_kl": lambda m, v, n, w: 0.5 * ((v - w).exp() + (m - n) ** 2 / w.exp() - 1 + w - v),
    "best_gaussian": lambda x, p: torch.stack([p @ x, ((p @ x**2) - (p @ x) ** 2).sqrt()]),
    "two_drawings": lambda z, prior, a, b: of_area(prior * a * b, z),
    "proposal": moments,
    "log_marginal": lambda log_pz, log_px: torch.logsumexp(log_pz + log_px, 1),
    "vae_elbo": lambda x, mu, log_var, eps, decode: (
        fit(x, decode(mu + torch.exp(log_var / 2) * eps)) - kl_of(mu, log_var)
    ),
    "raise_the_elbo": lambda elbo: climb(elbo, 0.3, 60),
    "repaired_elbo": lambda x, mu, log_sigma, eps, noise: (
        Normal(mu + log_sigma.exp() * eps, noise).log_prob(x) - kl_of(mu[:, None], 2 * log_sigma[:, None])
    ),
    "bit_gradient": lambda f, z, p: ((f - f.mean()) * (z - p)).mean(),
    "best_baseline": lambda f, eps: (f * eps**2).mean() / (eps**2).mean(),
    "hard_for_slopes": lambda z: torch.cos(20 * z),
    "two_sample_bound": lambda q, log_w: q @ (torch.logaddexp(log_w[:, None], log_w) - LOG_2) @ q,
    "loose_then_tight": lambda mean, sd: torch.stack([mean, 3 * sd]),
    "sample_weights": lambda log_w: torch.exp(log_w - log_w.logsumexp(0)),
    "enough_samples": lambda log_w, limit: math.ceil(needed(log_w.double(), limit)),
    "tilted_gaussian": torch.linalg.cholesky,
    "mistake_in_a_report": lambda means, errors: 1 + out_of_bounds(means, errors).argmax(),
    "count_grey": lambda grey: shares_of(grey, 1),
    "hidden_variance": lambda weight, pixels, beta: torch.tensor(beta / weight * pixels / 2),
    "log_mass": lambda x, m, s: safe_log_mass(x, m, s),
    "equal_price": lambda a, b: (a[1] - b[1]) / (b[0] - a[0]),
    "exactly_k": lambda v, noise, k: 0.99 * v.sort(descending=True).values[k - 1] / noise,
    "repaired_charge": lambda kl, free: sum(max(float(column.mean()), free) for column in kl.T),
    "stroke_kernel": lambda: torch.tensor([[-1.0, 2, -1]] * 3),
    "even_layer": lambda factor: torch.tensor([2 * factor, factor, (factor + 1) // 2]),
    "enlarge": lambda h, w: F.conv2d(F.interpolate(h, scale_factor=2), w, padding=1),
    "train_step": step,
    "honest_score": report,
    "find_code": lambda decode, x: search(decode, x)[0],
    "even_walk": turned,
    "within_classes": lambda mu, a, labels: F.normalize(within(mu, a, labels), dim=0),
    "old_gradients": keeps_old,
    "name_the_case": diagnosis,
    "mended_step": mended_step,
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


def has_numbers(name):
    """Whether the answers that a judge knows are numbers, not tests of a property."""
    cases = JUDGES[name].draw(rng(0))
    cases = cases if isinstance(cases, list) else [cases]
    return not any(callable(answer) for _, answers in cases for answer in answers.values())


NUMERIC = sorted(filter(has_numbers, RIGHT))


def test_every_judge_is_tried_with_a_right_answer():
    assert set(RIGHT) == set(JUDGES) != set()


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.parametrize("draws", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_each_slip_is_refused_and_named_even_with_ten_times_the_tolerance(name, draws, monkeypatch):
    monkeypatch.setattr(judge, "TOLERANCE", judge.TOLERANCE * 10)
    for seed in range(draws):
        cases = JUDGES[name].draw(rng(seed))
        cases = cases if isinstance(cases, list) else [cases]
        answers = [{hint: options(a) for hint, a in case.items() if not callable(a)} for _, case in cases]
        for hint in dict.fromkeys(hint for case in answers for hint in case if hint != "correct"):
            for choice in range(max(len(case.get(hint, [])) for case in answers)):  # none for a property
                replies = iter([case.get(hint, case.get("correct")) for case in answers])
                slip = lambda *_: at(next(replies), choice)  # noqa: B023, E731
                assert judge.judge_of(lambda _: cases)(slip) == f"not yet: {hint}", (seed, choice)  # noqa: B023


@pytest.mark.parametrize("draws", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_report_without_its_mistake_is_possible(draws):
    for seed in range(draws):
        for (means, errors), answers in JUDGES["mistake_in_a_report"].draw(rng(seed)):
            rows = [row for row in range(5) if row != answers["correct"]]
            noise = torch.hypot(errors[rows][1:], errors[rows][:-1])
            assert (means[rows].diff() > -noise).all(), seed  # the mean of L_K rises with K
            assert out_of_bounds(means, errors)[answers["correct"] - 1] > 4


def test_any_good_proposal_is_right():
    for seed in range(200):
        for attempt in (laplace, lambda log_joint: moments(log_joint) * torch.tensor([1, 1.2])):
            assert checks.proposal(attempt, rng(seed)) == "correct", seed


def test_any_way_to_enlarge_evenly_is_right():
    smooth = lambda h, w: F.conv2d(F.interpolate(h, scale_factor=2, mode="bilinear"), w, padding=1)  # noqa: E731
    loop = lambda h, w: F.conv2d(h.repeat_interleave(2, 2).repeat_interleave(2, 3), w, padding=1)  # noqa: E731
    for seed in range(50):
        assert checks.enlarge(smooth, rng(seed)) == checks.enlarge(loop, rng(seed)) == "correct"
        assert checks.even_layer(lambda factor: (2 * factor, factor, factor - 1), rng(seed)) == "correct"
        assert checks.stroke_kernel(lambda: [[-0.5, 1, -0.5]] * 3, rng(seed)) == "correct"


def options(answer):
    """The answers that earn a verdict; of a property, which is a test of the answer, none can be listed."""
    return [] if callable(answer) else list(answer) if isinstance(answer, judge.AnyOf) else [answer]


def at(answers, choice):
    return answers[choice % len(answers)]


# As students write them: near misses, slips that no hint knows or that give nan, and hints easily exchanged.
WRONG = [
    ("count_grey", lambda grey: shares_of(grey, 0), "infinitely many bits"),
    ("count_grey", lambda grey: shares_of(grey, 1e-9), "0.7 bits more"),
    ("count_grey", lambda grey: torch.full((256,), 1 / 256), "0.7 bits more"),
    ("count_grey", lambda grey: torch.bincount(grey.long(), minlength=256) + 1, "with sum 1"),
    ("count_grey", lambda grey: grey.long().unique(return_counts=True)[1] / 2000, "expected 256"),
    ("count_grey", lambda grey: shares_of(grey, 1).log2(), "with sum 1"),
    ("count_grey", lambda grey: shares_of(grey, 1).flip(0), "0.7 bits more"),
    ("hidden_variance", lambda weight, pixels, beta: beta * pixels / weight, "the factor 1/2"),
    ("hidden_variance", lambda weight, pixels, beta: beta / (2 * weight), "divided by the number of pixels"),
    ("hidden_variance", lambda weight, pixels, beta: pixels / (2 * weight), "divide the whole loss"),
    ("hidden_variance", lambda weight, pixels, beta: 2 * weight / beta / pixels, "turn it over"),
    ("hidden_variance", lambda weight, pixels, beta: (beta * pixels / 2 / weight) ** 0.5, "not sigma^2"),
    ("hidden_variance", lambda weight, pixels, beta: beta * pixels * weight / 2, ""),
    (
        "log_mass",
        lambda x, m, s: (((x + 0.5 - m) / s).sigmoid() - ((x - 0.5 - m) / s).sigmoid()).log(),
        "edge",
    ),
    ("log_mass", plain_log_mass, "use logsigmoid"),
    ("log_mass", lambda x, m, s: plain_log_mass(x.double(), m, s), ""),
    ("log_mass", lambda x, m, s: plain_log_mass(x, m, s, eps=1e-12), ""),
    ("log_mass", lambda x, m, s: plain_log_mass(x, m, s, half=1.0), ""),
    ("log_mass", lambda x, m, s: F.logsigmoid((x - m) / s) + F.logsigmoid((m - x) / s) - s.log(), ""),
    ("log_mass", lambda x, m, s: safe_log_mass(x, m, s).sum(), "8 values are asked"),
    ("rows_shifted", lambda x, shift: x - shift, "from each column"),
    ("rows_shifted", lambda x, shift: x + shift[:, None], "don't add"),
    ("rows_shifted", lambda x, shift: (x - shift).T, ""),
    ("rows_shifted", lambda x, shift: x - shift.mean(), ""),
    ("mean_picture", lambda images: images.mean(), "one number"),
    ("mean_picture", lambda images: images.mean((1, 2)), "of each image"),
    ("mean_picture", lambda images: images.sum(0), "the sum"),
    ("mean_picture", lambda images: images.mean(1), ""),
    ("uniform_density", lambda width: torch.ones(5), "it may exceed 1"),
    ("uniform_density", lambda width: width, "divide"),
    ("uniform_density", lambda width: width / width.sum(), ""),
    ("uniform_density", lambda width: -width.log(), ""),
    ("area_under", lambda y, step: y.sum(), "multiply by step"),
    ("area_under", lambda y, step: y.mean(), "mean height"),
    ("area_under", lambda y, step: y.sum() / step, ""),
    ("area_under", lambda y, step: y.cumsum(0) * step, ""),
    ("slope", lambda x: x**3 - 2 * x, "the function's value"),
    ("slope", lambda x: (3 * x**2 - 2).sum(), "for each x"),
    ("slope", lambda x: 3 * x**2, ""),
    ("slope", lambda x: 3 * x - 2, ""),
    ("linear_layer", lambda x, W, b: x @ W.T, "add the bias"),
    ("linear_layer", lambda x, W, b: x @ W.T - b, "not subtracted"),
    ("linear_layer", lambda x, W, b: x @ W, "stopped with"),
    ("linear_layer", lambda x, W, b: W @ x.T + b[:, None], "shape (4, 2)"),
    ("three_steps", lambda w, target, rate: w - rate * 2 * (w - target), "one step"),
    ("three_steps", lambda w, target, rate: target + (w - target) * (1 - rate) ** 3, "is 2 (w - target)"),
    ("three_steps", lambda w, target, rate: target + (w - target) * (1 + 2 * rate) ** 3, "downhill"),
    ("three_steps", lambda w, target, rate: 2 * (w - target), "the gradient"),
    ("best_gaussian", lambda x, p: (p @ x, (p @ x**2).sqrt()), "subtract the mean"),
    ("best_gaussian", lambda x, p: (x.mean(), x.std()), "weight the outcomes"),
    ("best_gaussian", lambda x, p: (p @ x, p @ x**2 - (p @ x) ** 2), "the root of the variance"),
    ("best_gaussian", lambda x, p: (p @ x, ((x - p @ x) ** 2).mean().sqrt()), "weight the squares"),
    ("lopsided", lambda: ([0.455, 0.455, 0.09], [0.5, 0.4999999, 1e-7]), "are exchanged"),
    ("lopsided", lambda: ([0.5, 0.5, 0.0], [0.455, 0.455, 0.09]), "a probability is 0"),
    ("lopsided", lambda: ([0.8, 0.1, 0.1], [0.1, 0.1, 0.8]), "KL(p || q) is too large"),
    ("lopsided", lambda: ([0.98, 0.01, 0.01], [0.7, 0.15, 0.15]), "KL(p || q) is too large"),
    ("lopsided", lambda: ([0.5, 0.49, 0.01], [0.455, 0.455, 0.09]), "KL(q || p) is too small"),
    ("lopsided", lambda: ([0.5, 0.3, 0.2], [0.5, 0.3, 0.2]), "KL(q || p) is too small"),
    ("lopsided", lambda: ([5, 4.999999, 1e-6], [4.55, 4.55, 0.9]), "with sum 1"),
    ("lopsided", lambda: ([0.9999999, 1e-7], [0.91, 0.09]), "three probabilities each"),
    ("lopsided", lambda: [0.5, 0.4999999, 1e-7], "two tables"),
    ("lopsided", lambda: ([0.6, 0.5, -0.1], [0.455, 0.455, 0.09]), "with sum 1"),
    ("huffman_mean_length", lambda p: huffman(p, list), "sort again"),
    ("huffman_mean_length", lambda p: huffman(p, lambda w: w[1:] + w[:1]), ""),
    ("huffman_mean_length", lambda p: p.sort(descending=True).values @ torch.tensor([1.0, 2, 3, 4, 4]), ""),
    ("huffman_mean_length", lambda p: fano(sorted(p.tolist(), reverse=True)), ""),
    ("log_marginal", lambda log_pz, log_px: (log_pz + log_px).exp().sum(1).log(), "underflows"),
    ("entropy", lambda p: -(p * p.log()).sum(-1), "gave nan"),
    ("image_information", lambda x, p: F.binary_cross_entropy(p.expand_as(x), x), "3 values are asked"),
    ("image_information", lambda x, p: -torch.xlogy(x, p).sum(1), "a black pixel"),
    ("image_information", lambda x, p: cost(1 - p, x).sum(1), "the probability of white"),
    ("image_information", lambda x, p: -(p**x).prod(-1).log(), "0 for the computer"),  # as in the lesson
    ("image_information", lambda x, p: -(p**x * (1 - p) ** (1 - x)).prod(-1).log(), "0 for the computer"),
    ("image_information", lambda x, p: -(x * p.log()).sum(-1), "a black pixel"),
    ("image_information", lambda x, p: cost(p, x).sum(), "3 values are asked"),
    ("image_information", lambda x, p: cost(p, x).mean(-1), "average over pixels"),
    ("best_question", lambda p, yes: (yes @ p).argmax(), "the surest"),
    ("best_question", lambda p, yes: (yes @ p).argmin(), "the rarest"),
    ("best_question", lambda p, yes: (yes.mean(1) - 0.5).abs().argmin(), "weigh each"),
    ("best_question", lambda p, yes: coins(yes @ p), "one number is asked"),
    ("best_question", lambda p, yes: yes @ p, "one number is asked"),
    ("best_question", lambda p, yes: coins(yes @ p).argmin(), ""),
    ("best_question", lambda p, yes: coins(yes @ p).argmax() + 1, ""),
    ("can_be_a_code", lambda lengths: True, "two words of length 1"),
    ("can_be_a_code", lambda lengths: False, "exactly"),
    ("can_be_a_code", lambda lengths: (0.5**lengths).sum() < 1, "exactly"),
    ("can_be_a_code", lambda lengths: (0.5**lengths).sum() == 1, "empty"),
    ("can_be_a_code", lambda lengths: (0.5**lengths).sum() <= 1.05, "just a little wider"),
    ("can_be_a_code", lambda lengths: (-lengths).exp().sum() <= 1, "two words of length 1"),
    ("can_be_a_code", lambda lengths: len(lengths) <= 2 ** lengths.max(), "two words of length 1"),
    ("can_be_a_code", lambda lengths: lengths.mean() >= math.log2(len(lengths)), "two words of length 1"),
    ("can_be_a_code", lambda lengths: (lengths.sort().values.diff() > 0).all(), ""),
    ("can_be_a_code", lambda lengths: (lengths == 1).sum() < 2, "all boxes together"),
    ("code_lengths", lambda p: -p.log2(), "a whole number"),
    ("code_lengths", lambda p: (-p.log2()).floor().clamp(min=1), "too short"),
    ("code_lengths", lambda p: (-p.log2()).round().clamp(min=1), "too short"),
    ("code_lengths", lambda p: (-p.log()).ceil().clamp(min=1), "too short"),
    ("code_lengths", lambda p: torch.full_like(p, 4), "a whole bit or more"),
    ("code_lengths", lambda p: (-p.log2()).ceil() + 1, "a whole bit or more"),
    ("code_lengths", lambda p: (p * (-p.log2()).ceil()).sum(), "one length for each"),
    ("pack_boxes", lambda lengths: (0.5**lengths).cumsum(0) - 0.5**lengths, "its own width"),
    ("pack_boxes", lambda lengths: packed(lengths.sort().values), ""),  # not put back in order
    ("pack_boxes", lambda lengths: packed(lengths) + 0.5**lengths, ""),  # the ends
    ("pack_boxes", lambda lengths: torch.zeros(6), "overlap"),
    ("pack_boxes", lambda lengths: 0.5**lengths, "overlap"),
    ("pack_boxes", lambda lengths: 1 - 0.5 ** (lengths - 1), ""),
    ("pack_boxes", lambda lengths: 0.5 ** lengths.sort().values, ""),
    ("pack_boxes", lambda lengths: lengths.cumsum(0), "leaves the unit interval"),
    ("pack_boxes", lambda lengths: (0.5**lengths).sum(), "one start for each"),
    ("huffman_mean_length", lambda p: -(p * p.log2()).sum(), "the entropy"),
    ("huffman_mean_length", lambda p: (p * (-p.log2()).ceil()).sum(), "Shannon's lengths"),
    ("entropy", lambda p: (p * p.log2()).sum(), "one value for each row"),
    ("entropy", lambda p: (p * p.log2()).sum(-1), "gave nan"),
    ("entropy", lambda p: torch.xlogy(p, p).sum(-1) / LOG_2, "the sign"),
    ("entropy", lambda p: torch.special.entr(p).sum(-1) / LOG_2, "these are bits"),
    ("entropy", lambda p: torch.special.entr(p).sum(), "one value for each row"),
    ("entropy", lambda p: torch.special.entr(p).sum(0), "expected shape (4,)"),
    ("entropy", lambda p: torch.special.entr(p).mean(-1), "so sum"),
    ("entropy", lambda p: -(p * (p + 1e-3).log()).sum(-1), ""),
    ("three_bits", lambda: torch.full((2, 2, 2), 1 / 8), "together do not tell all"),
    ("three_bits", lambda: bits(lambda x, y: x & y), "X alone tells about Z"),
    ("three_bits", lambda: bits(lambda x, y: y), "Y alone tells about Z"),
    ("three_bits", lambda: bits(lambda x, y: 1), "Z is always the same"),
    ("three_bits", lambda: torch.tensor([[[0.5, 0], [0, 0]], [[0, 0], [0, 0.5]]]), "X and Y tell"),
    ("three_bits", lambda: bits(lambda x, y: x ^ y, 1), "with sum 1"),
    ("three_bits", lambda: bits(lambda x, y: x ^ y).reshape(4, 2), "of shape (2, 2, 2)"),
    ("three_bits", lambda: 0.9 * bits(lambda x, y: x ^ y) + 0.1 / 8, "together do not tell all"),
    ("three_bits", lambda: torch.full((2, 2, 2), math.nan), "with sum 1"),
    ("three_bits", lambda: bits(lambda x, y: x ^ y) * torch.tensor([0.8, 1.2]), "X and Y tell"),
    ("second_pixel", lambda x, y, first: uncertainty(x, y).argmin(), "the first pixel itself"),
    ("second_pixel", lambda x, y, first: uncertainty(x, y).argsort()[1], ""),
    ("second_pixel", lambda x, y, first: uncertainty(x, y, first).argmax(), "the first pixel itself"),
    ("second_pixel", lambda x, y, first: uncertainty(x, x[:, first]).argmax(), ""),
    ("second_pixel", lambda x, y, first: uncertainty(x, x[:, first]).argsort()[1], ""),
    ("second_pixel", lambda x, y, first: joint_only(x, y, first).argmin(), ""),
    ("second_pixel", lambda x, y, first: uncertainty(x, y, first).min(), ""),
    ("second_pixel", lambda x, y, first: 0, ""),
    ("gaussians_kl", lambda m, v, n, w: RIGHT["gaussians_kl"](n, w, m, v), "the direction"),
    ("gaussians_kl", lambda m, v, n, w: RIGHT["gaussians_kl"](m, 2 * v, n, 2 * w), "log_var for log sigma"),
    ("gaussians_kl", lambda m, v, n, w: RIGHT["gaussians_kl"](m, v, n, w) + (w - v) / 2, "inside the half"),
    ("gaussians_kl", lambda m, v, n, w: mended(m, v, n, w, (v - w).exp(), v.exp()), "by q's variance"),
    ("gaussians_kl", lambda m, v, n, w: mended(m, v, n, w, (2 * (v - w)).exp(), (2 * w).exp()), "log sigma"),
    ("gaussians_kl", lambda m, v, n, w: mended(m, v, n, w, (2 * (v - w)).exp(), (2 * v).exp()), "two old"),
    ("gaussians_kl", lambda m, v, n, w: mended(m, v, n, w, (v - w).exp(), (w / 2).exp()), ""),
    (
        "gaussians_kl",
        lambda m, v, n, w: mended(m, v, n, w, (v - w).exp(), w.exp()) + 0.5,
        "the - 1 is missing",
    ),
    ("best_gaussian", lambda x, p: (x[p.argmax()], (p @ x**2 - (p @ x) ** 2).sqrt()), "its peak"),
    ("two_drawings", lambda z, prior, a, b: prior * a * b, "the joint"),
    ("two_drawings", lambda z, prior, a, b: F.normalize(prior * a * b, p=1, dim=0), "add up to 1"),
    ("two_drawings", lambda z, prior, a, b: of_area(a * b, z), "the prior is missing"),
    ("two_drawings", lambda z, prior, a, b: of_area(prior * a, z) * of_area(prior * b, z), "twice"),
    ("two_drawings", lambda z, prior, a, b: of_area(prior**2 * a * b, z), "twice"),
    ("two_drawings", lambda z, prior, a, b: of_area(prior * a, z), "after one drawing"),
    ("two_drawings", lambda z, prior, a, b: of_area(prior * a, z) / 2 + of_area(prior * b, z) / 2, "average"),
    ("two_drawings", lambda z, prior, a, b: of_area(prior * (a + b), z), "average"),
    ("two_drawings", lambda z, prior, a, b: torch.trapezoid(prior * a * b, z), "257 values are asked"),
    ("proposal", lambda log_joint: (0.0, 1.0), "that is the prior"),
    ("proposal", lambda log_joint: moments(log_joint)[0], "two numbers"),
    ("proposal", lambda log_joint: moments(log_joint) * torch.tensor([1, -1]), "above 0"),
    ("proposal", lambda log_joint: moments(log_joint) ** torch.tensor([1, 2]), "not the variance"),
    ("proposal", lambda log_joint: moments(log_joint) * torch.tensor([1, 0.6]), "too narrow"),
    ("proposal", lambda log_joint: moments(log_joint) * torch.tensor([1, 1.7]), "too wide"),
    ("proposal", lambda log_joint: moments(log_joint) + torch.tensor([0.15, 0]), "beside"),
    ("proposal", lambda log_joint: (math.nan, 0.3), "beside"),
    (
        "log_marginal",
        lambda log_pz, log_px: (log_pz.exp() * log_px.exp()).sum(0).log(),
        "not over the images",
    ),
    ("log_marginal", lambda log_pz, log_px: (log_pz.exp() * log_px.exp()).sum(1).log(), "underflows"),
    ("log_marginal", lambda log_pz, log_px: (log_pz + log_px).logsumexp(0), "not over the images"),
    ("log_marginal", lambda log_pz, log_px: log_px @ log_pz.exp(), "outside the sum"),
    ("log_marginal", lambda log_pz, log_px: log_px.logsumexp(1), "the prior is missing"),
    ("raise_the_elbo", lambda elbo: torch.zeros(4), "you began with"),
    ("raise_the_elbo", lambda elbo: climb(lambda v: -elbo(v), 0.3, 60, torch.arange(4.0)), "go up"),
    ("raise_the_elbo", lambda elbo: torch.softmax(climb(elbo, 0.3, 60), 0), "asked are the logits"),
    ("raise_the_elbo", lambda elbo: climb(elbo, 0.01, 10), "more steps"),
    ("raise_the_elbo", lambda elbo: elbo(climb(elbo, 0.3, 60)), "shape (4,)"),
    ("raise_the_elbo", lambda elbo: 40 * F.one_hot(climb(elbo, 0.3, 60).argmax(), 4), "0.01 nats too low"),
    ("repaired_elbo", broken, "still wrong"),
    (
        "repaired_elbo",
        lambda x, m, s, e, n: broken(x, m, s, e, n, -((2 * s).exp() - s.exp()) / 2),
        "logarithm is not",
    ),
    ("repaired_elbo", lambda x, m, s, e, n: broken(x, m, s, e, n, s / 2), "sigma^2 is not"),
    ("repaired_elbo", lambda x, m, s, e, n: broken(x, m, s / 2, e, n, 0), ""),
    ("repaired_elbo", lambda x, m, s, e, n: RIGHT["repaired_elbo"](x, m, s / 2, e, n), "z was right"),
    (
        "repaired_elbo",
        lambda x, m, s, e, n: RIGHT["repaired_elbo"](x, m, s, e, n).mean(),
        "6 values are asked",
    ),
    ("bit_gradient", lambda f, z, p: (f * z).mean(), "is -p, not 0"),
    ("bit_gradient", lambda f, z, p: (f * (z / p - (1 - z) / (1 - p))).mean(), "the slope in p"),
    ("bit_gradient", lambda f, z, p: (f * (p - z)).mean(), "the sign"),
    ("bit_gradient", lambda f, z, p: (f * (z - p)).sum(), "a mean over"),
    (
        "bit_gradient",
        lambda f, z, p: (f * (z * math.log(p) + (1 - z) * math.log(1 - p))).mean(),
        "not by log q",
    ),
    ("bit_gradient", lambda f, z, p: f * (z - p), "is a sum or a mean missing"),
    ("best_baseline", lambda f, eps: f.mean(), "the mean of f"),
    ("best_baseline", lambda f, eps: 0.0, "varies more"),
    ("best_baseline", lambda f, eps: f.median(), "varies more"),
    ("best_baseline", lambda f, eps: (f * eps**2).mean() / 3, "varies more"),
    ("best_baseline", lambda f, eps: f - f.mean(), "one number"),
    ("hard_for_slopes", lambda z: torch.sin(z), "not ten times"),
    ("hard_for_slopes", lambda z: 5 * torch.cos(20 * z), "between -1 and 1"),
    ("hard_for_slopes", lambda z: torch.sign(z), "jumps"),
    ("hard_for_slopes", lambda z: torch.zeros_like(z), "not ten times"),
    ("hard_for_slopes", lambda z: torch.cos(20 * z).mean(), "one number for each z"),
    ("two_sample_bound", lambda q, log_w: q @ torch.logaddexp(log_w[:, None], log_w) @ q, "log 2"),
    ("two_sample_bound", lambda q, log_w: q @ (log_w[:, None] + log_w) @ q / 2, "inside the logarithm"),
    ("two_sample_bound", lambda q, log_w: (q @ log_w.exp()).log(), "log p(x)"),
    (
        "two_sample_bound",
        lambda q, log_w: (torch.logaddexp(log_w[:, None], log_w) - LOG_2).mean(),
        "weight each",
    ),
    ("loose_then_tight", lambda mean, sd: (mean, sd), "too good"),
    ("loose_then_tight", lambda mean, sd: (mean, sd / 20), "too narrow"),
    ("loose_then_tight", lambda mean, sd: (mean + 4 * sd, sd), "beside"),
    ("loose_then_tight", lambda mean, sd: (mean, 30 * sd), "much too wide"),
    ("loose_then_tight", lambda mean, sd: (mean, -3 * sd), "positive"),
    ("loose_then_tight", lambda mean, sd: 3 * sd, "two numbers"),
    ("sample_weights", lambda log_w: torch.softmax(log_w, 1), "dimension 0"),
    ("sample_weights", lambda log_w: log_w.exp(), "by their sum"),
    ("sample_weights", lambda log_w: log_w.exp() / log_w.exp().mean(0), "not by their mean"),
    ("sample_weights", lambda log_w: torch.full_like(log_w, 1 / len(log_w)), "average of K ELBOs"),
    ("sample_weights", lambda log_w: log_w.exp() / log_w.exp().sum(0), "underflows"),
    ("enough_samples", lambda log_w, limit: 2 * needed(log_w, limit), "more than the smallest"),
    ("enough_samples", lambda log_w, limit: needed(log_w, limit) / 2, "too few"),
    ("enough_samples", lambda log_w, limit: math.ceil(needed(log_w, limit)) + 3, "more than"),
    ("enough_samples", lambda log_w, limit: needed(log_w, limit) * 0.97, "too few"),
    ("enough_samples", lambda log_w, limit: math.ceil(log_w.var() / (2 * limit)), "of their logarithms"),
    (
        "enough_samples",
        lambda log_w, limit: log_w.exp().var() / log_w.exp().mean() ** 2 / (2 * limit),
        "underflows",
    ),
    ("enough_samples", lambda log_w, limit: log_w, "one number"),
    ("tilted_gaussian", lambda cov: cov, "the covariance itself"),
    ("tilted_gaussian", lambda cov: cov.diagonal().sqrt().diag(), "no tilt"),
    ("tilted_gaussian", lambda cov: torch.linalg.cholesky(cov).T, "A transposed"),
    ("tilted_gaussian", lambda cov: cov.sqrt(), "A A^T must be cov"),
    ("tilted_gaussian", lambda cov: torch.linalg.inv(torch.linalg.cholesky(cov)), "A A^T must be cov"),
    ("tilted_gaussian", lambda cov: cov.diagonal().sqrt(), "shape (2, 2)"),
    ("mistake_in_a_report", lambda means, errors: means.argmax(), "asked is one index"),
    ("mistake_in_a_report", lambda means, errors: 2, ""),
    (
        "mistake_in_a_report",
        lambda means, errors: (out_of_bounds(means, errors) > 0).int().argmax() + 1,
        "less",
    ),
    ("mistake_in_a_report", lambda means, errors: out_of_bounds(means, errors).argmax(), ""),
    ("mistake_in_a_report", lambda means, errors: out_of_bounds(means, errors).sort().indices[1] + 1, "less"),
    ("mistake_in_a_report", lambda means, errors: means[1:4] > means[4], "asked is one index"),
    ("vae_elbo", lambda x, m, v, e, d: vae_slip(x, m, v, e, d, sign=-1), "subtract the KL"),
    ("vae_elbo", lambda x, m, v, e, d: -vae_slip(x, m, v, e, d), "that is -ELBO"),
    ("vae_elbo", lambda x, m, v, e, d: vae_slip(x, m, v, e, d, kl=kl_of(m, 2 * v)), "log_var for log sigma"),
    (
        "vae_elbo",
        lambda x, m, v, e, d: vae_slip(x, m, v, e, d, kl=kl_of(m, v) - v.sum(-1) / 2),
        "inside the half",
    ),
    ("vae_elbo", lambda x, m, v, e, d: vae_slip(x, m, v, e, d, kl=2 * kl_of(m, v)), "the factor 1/2"),
    ("vae_elbo", lambda x, m, v, e, d: vae_slip(x, m, v, e, d, z=m + v.exp() * e), "the root of exp"),
    ("vae_elbo", lambda x, m, v, e, d: vae_slip(x, m, v, e, d, z=m + v * e), "not log_var"),
    ("vae_elbo", lambda x, m, v, e, d: vae_slip(x, m, v, e, d, z=m), "not its mean"),
    ("vae_elbo", lambda x, m, v, e, d: vae_slip(x, m, v, e, d, kl=0), "the KL is missing"),
    ("vae_elbo", lambda x, m, v, e, d: vae_slip(x, m, v, e, d, z=e), ""),
    ("equal_price", lambda a, b: (a[0] - b[0]) / (b[1] - a[1]), "rate per distortion"),
    ("equal_price", lambda a, b: (b[1] - a[1]) / (b[0] - a[0]), "is positive"),
    ("equal_price", lambda a, b: b[0] + b[1] - a[0] - a[1], "not a price"),
    ("equal_price", lambda a, b: 1.0, "expected"),
    ("exactly_k", lambda v, noise, k: 0.1, "too many"),
    ("exactly_k", lambda v, noise, k: v.sort(descending=True).values[k - 1] / noise, "is silent too"),
    ("exactly_k", lambda v, noise, k: v.sort(descending=True).values[k - 1] * 0.99, "not beta alone"),
    ("exactly_k", lambda v, noise, k: v.sort().values[-k] * 0.99 / noise**0.5, "no square root"),
    ("exactly_k", lambda v, noise, k: v.max() / noise * 2, "too few"),
    ("exactly_k", lambda v, noise, k: -v.median() / noise, "must be positive"),
    ("exactly_k", lambda v, noise, k: v / noise, "one number"),
    ("repaired_charge", lambda kl, free: kl.sum(-1).mean().clamp(min=free), "one floor for all"),
    ("repaired_charge", lambda kl, free: kl.clamp(min=free).mean(0).sum(), "mean over the batch first"),
    ("repaired_charge", lambda kl, free: kl.mean(0).clamp(max=free).sum(), "are exchanged"),
    ("repaired_charge", lambda kl, free: kl.mean(0).clamp(min=free).mean(), "not the mean"),
    ("repaired_charge", lambda kl, free: kl.mean(1).clamp(min=free).sum(), "dimension 0"),
    ("repaired_charge", lambda kl, free: (kl.mean(0) - free).clamp(min=0).sum(), "not a discount"),
    ("stroke_kernel", lambda: [[-1, -1, -1], [2, 2, 2], [-1, -1, -1]], "horizontal strokes: turn it"),
    ("stroke_kernel", lambda: [[-1, 0, 1]] * 3, "finds an edge"),
    ("stroke_kernel", lambda: [[0, 1, 0]] * 3, "add up to 0"),
    ("stroke_kernel", lambda: [[1, -2, 1]] * 3, "the sign"),
    ("stroke_kernel", lambda: [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], "each row"),
    ("stroke_kernel", lambda: [[0, 0, 0], [-1, 2, -1], [0, 0, 0]], "use all three rows"),
    ("stroke_kernel", lambda: torch.zeros(3, 3), "never answers"),
    ("stroke_kernel", lambda: [-1, 2, -1], "3 x 3"),
    ("even_layer", lambda factor: (3, factor, 1), ""),
    ("even_layer", lambda factor: (factor, factor, 0), "share pixels"),
    ("even_layer", lambda factor: (factor + 1, factor, factor // 2), "more windows"),
    ("even_layer", lambda factor: (2 * factor, factor, 0), "another width"),
    ("even_layer", lambda factor: (2 * factor, 1, 1), "another width"),
    ("even_layer", lambda factor: (2 * factor, factor, -1), "padding at 0"),
    ("even_layer", lambda factor: (2 * factor, factor), "three whole numbers"),
    ("even_layer", lambda factor: (4, 2, 1), "another width"),
    ("enlarge", lambda h, w: F.conv_transpose2d(h, w.mT.transpose(0, 1), None, 2, 1, 1), "a checkerboard"),
    ("enlarge", lambda h, w: F.conv2d(F.interpolate(h, scale_factor=2), w), "expected shape"),
    ("enlarge", lambda h, w: F.conv2d(h, w, padding=1), "expected shape"),
    ("enlarge", lambda h, w: F.interpolate(F.conv2d(h, w, padding=1), scale_factor=2), "2 x 2 equal"),
    ("enlarge", lambda h, w: F.interpolate(h[:, :1].expand(-1, 3, -1, -1), scale_factor=2), "sum of the"),
    ("enlarge", lambda h, w: w.sum((1, 2, 3))[None, :, None, None].expand(3, 3, 20, 20), "2 x 2 equal"),
    ("enlarge", lambda h, w: RIGHT["enlarge"](h.flip(0), w), "checkerboard"),
    ("even_walk", straight, "too short in the middle"),
    ("even_walk", lambda a, b, n: F.normalize(straight(a, b, n), dim=1) * a.norm(), "by equal angles"),
    ("even_walk", lambda a, b, n: turned(b, a, n), "the first code must be a"),
    ("even_walk", lambda a, b, n: turned(a, b, n + 1)[:-1], "the last code must be b"),
    ("even_walk", lambda a, b, n: turned(a, b, n + 2)[1:-1], "the first code must be a"),
    ("even_walk", lambda a, b, n: two_sines(a, b, n, torch.arccos(a @ b / (a @ a))), "must be a"),
    ("even_walk", lambda a, b, n: two_sines(a, b, n, torch.arccos(a @ b)), "by both lengths"),
    ("even_walk", lambda a, b, n: turned(a, b, 3)[1], "shape (7, 8)"),
    ("within_classes", lambda mu, a, labels: difference(mu, a, a.median()), "from class to class"),
    ("within_classes", lambda mu, a, labels: within(mu, a, labels), "make its length 1"),
    ("within_classes", lambda mu, a, labels: -within(mu, a, labels), "the sign"),
    ("within_classes", lambda mu, a, labels: mu[a > a.median()].mean(0), ""),
    ("within_classes", lambda mu, a, labels: F.normalize(mu.std(0), dim=0), ""),
    ("train_step", lambda *a: step(*a, move=False), "call optimizer.step()"),
    ("train_step", lambda *a: step(*a, clear=False, move=False), "call optimizer.step()"),
    ("train_step", lambda *a: step(*a, backward=False), "then backward()"),
    ("train_step", step_cleared_too_late, "first zero_grad()"),
    ("train_step", lambda *a: step(*a, clear=False, backward=False), "where is backward()"),
    ("train_step", lambda *a: step(*a, clear=False), "an old gradient was added"),
    ("train_step", lambda *a: step(*a, clear=False, of=lambda f, k: -f.sum(-1).mean()), "an old gradient"),
    (
        "train_step",
        lambda *a: step(*a, of=lambda f, k: (k.sum(-1) - f.sum(-1)).sum()),
        "average over the batch",
    ),
    ("train_step", lambda *a: step(*a, of=lambda f, k: (f.sum(-1) - k.sum(-1)).mean()), "lowers the ELBO"),
    ("train_step", lambda *a: step(*a, of=lambda f, k: k.sum(-1).mean() - f.mean()), "average over pixels"),
    ("train_step", lambda *a: step(*a, of=lambda f, k: k.mean() - f.mean()), "same for the latents"),
    ("train_step", lambda *a: step(*a, of=lambda f, k: -f.sum(-1).mean()), "the KL is missing"),
    ("train_step", lambda *a: step(*a, of=lambda f, k: -(f.sum(-1) + k.sum(-1)).mean()), "sign of the KL"),
    (
        "train_step",
        lambda *a: step(*a, of=lambda f, k: 2 * k.sum(-1).mean() - f.sum(-1).mean()),
        "factor 1/2",
    ),
    ("train_step", step_of_log_sigma, "log_var for log sigma"),
    ("train_step", lambda *a: step(*a, z=lambda m, v, e: m), "not its mean"),
    ("train_step", lambda *a: step(*a, z=lambda m, v, e: m + v.exp() * e), "exp(0.5 * log_var)"),
    ("train_step", lambda *a: step(*a, z=lambda m, v, e: m + (v / 2).exp() * e[:1]), "an eps of its own"),
    ("train_step", lambda *a: step(*a, z=lambda m, v, e: m + 3 * v * e), "with eps from N(0, I)"),
    ("train_step", lambda *a: step(*a, z=lambda m, v, e: (m + (v / 2).exp() * e).detach()), "not down"),
    ("train_step", lambda *a: step(*a, returns=-1), "return the loss too"),
    ("train_step", lambda *a: step(*a).expand(3), "return the loss too"),
    ("honest_score", lambda w: [-w.amax(0).mean(), report(w)[1]], "the best of K"),
    ("honest_score", lambda w: [-w.amax(0).mean(), w.std() / math.sqrt(w.numel())], "the best of K"),
    ("honest_score", lambda w: [-w.mean(), report(w)[1]], "an ELBO"),
    ("honest_score", lambda w: [-w.logsumexp(0).mean(), report(w)[1]], "log K"),
    ("honest_score", lambda w: -report(w), "the sign"),
    ("honest_score", lambda w: report(w)[:1], "two numbers"),
    ("honest_score", lambda w: report(w) * torch.tensor([1, math.sqrt(w.shape[1])]), "the root of their"),
    ("honest_score", lambda w: [report(w)[0], report(w)[1] ** 2], "a variance"),
    ("honest_score", lambda w: [report(w)[0], w.std() / math.sqrt(w.numel())], "are no images"),
    ("honest_score", lambda w: [-w.exp().mean(0).log().mean(), report(w)[1]], "underflows"),
    (
        "within_classes",
        lambda mu, a, k: torch.stack([difference(mu[k == i], a[k == i], a.median()) for i in range(10)]).mean(
            0
        ),
        "the median of each class",
    ),
    ("find_code", lambda decode, x: search(decode, x, 81)[0].flip(0), "exchanged"),
    ("find_code", lambda decode, x: search(decode, x, 81)[-1], "most different"),
    ("find_code", lambda decode, x: torch.zeros(2), "the whole square, finer"),
    ("find_code", lambda decode, x: search(decode, x, 5)[:1], "shape (2,)"),
    ("old_gradients", lambda model, x: True, "the healthy program ill"),
    ("old_gradients", lambda model, x: False, "does not see"),
    ("old_gradients", lambda model, x: model.train_step(x) > 1, ""),
    ("old_gradients", functools.partial(keeps_old, limit=0), "the healthy program ill"),
    ("old_gradients", functools.partial(keeps_old, planted=0.0), "does not see"),
    ("name_the_case", lambda first, last, pixels: 0, ""),
    ("name_the_case", lambda first, last, pixels: diagnosis(first, last, 784), ""),
    ("name_the_case", functools.partial(diagnosis, expected=1), "D log 2"),
    ("name_the_case", lambda first, last, pixels: diagnosis(first, abs(last), pixels), "below 0"),
    ("name_the_case", lambda first, last, pixels: diagnosis(10, last, pixels), ""),
    ("mended_step", functools.partial(mended_step, mean=1), "counts pixels"),
    ("mended_step", functools.partial(mended_step, clear="after"), "no weight moved"),
    ("mended_step", functools.partial(mended_step, cut=True), "cuts it off"),
    ("mended_step", functools.partial(mended_step, clear="never"), "earlier step"),
    ("mended_step", functools.partial(mended_step, cut=True, clear="never"), "not that of its gradient"),
    ("mended_step", lambda *inputs: -mended_step(*inputs), "not -ELBO"),
]


@pytest.mark.parametrize("draws", [50, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name, wrong, hint", WRONG)
def test_wrong_answers_are_refused_each_time(name, wrong, hint, draws):
    for seed in range(
        draws // 10 if name in ("find_code", "raise_the_elbo", "train_step") else draws
    ):  # slow ones
        verdict = JUDGES[name](wrong, rng(seed))
        assert verdict.startswith("not yet: ") and hint in verdict, seed


@pytest.mark.parametrize("name", NUMERIC)
def test_a_slip_that_is_a_multiple_of_the_truth_has_the_hint_that_says_so(name):
    says = {-1: "sign|minus|-ELBO", LOG_2: "nats", 1 / LOG_2: "bits", LOG_2 / math.log(10): "digits"}
    says |= {LOG_2**2: "multiplied by log 2", 1 / 784: "average over pixels", 2: "factor 1/2"}
    case = JUDGES[name].draw(rng(0))
    answers = (case[0] if isinstance(case, list) else case)[1]
    answers = {hint: judge.numbers(options(answer)[0]) for hint, answer in answers.items() if options(answer)}
    truth = answers.pop("correct", torch.tensor(math.nan))  # a property: no multiple of it is known
    for hint, slip in answers.items():
        for factor, words in says.items():
            if truth.shape == slip.shape and torch.allclose(slip, factor * truth):
                assert re.search(words, hint), (hint, factor)


def test_any_root_of_the_covariance_is_a_right_tilt():
    for seed in range(200):
        cov = checks.tilted_gaussian.draw(rng(seed))[0][0]
        values, directions = torch.linalg.eigh(cov)
        for A in (directions * values.sqrt(), torch.linalg.cholesky(cov.flip(0, 1)).flip(0, 1)):
            assert checks.tilted_gaussian(lambda _, A=A: A, rng(seed)) == "correct"


def test_other_conventions_are_right_too():
    for seed in range(20):
        assert checks.within_classes(regression, rng(seed)) == "correct"


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
    attempts += [lambda *_: 1 / 0, lambda *, missing: 0, fails, many_lines, None, torch.ones(3)]
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


class SmallVAE(torch.nn.Module):
    """What a student may write, with dropout if asked."""

    def __init__(self, dropout=0.0):
        super().__init__()
        wide = [torch.nn.Linear(784, 100), torch.nn.SiLU(), torch.nn.Dropout(dropout)]
        self.encoder = torch.nn.Sequential(*wide, torch.nn.Linear(100, 20))
        self.decoder = torch.nn.Sequential(
            torch.nn.Linear(10, 100), torch.nn.SiLU(), torch.nn.Linear(100, 784)
        )

    def encode(self, x):
        return self.encoder(x).chunk(2, -1)


@pytest.fixture(scope="module")
def trained(mnist):
    """Small VAEs, each trained for 300 steps with a loss of log p(x|z) (B, D) and the KL (B, L)."""

    @functools.cache
    def train(of=None, dropout=0.0, steps=300):
        generator = torch.Generator().manual_seed(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            vae = SmallVAE(dropout)
            optimizer = torch.optim.Adam(vae.parameters(), lr=3e-3)
            for _ in range(steps):
                rows = torch.randint(2000, (100,), generator=generator)
                step(vae, optimizer, torch.bernoulli(mnist[0].images[rows].flatten(1) / 255), of=of)
        return vae

    return train


def empty_file(mnist, *pair, **settings):
    images = mnist[0].images
    state = torch.get_rng_state()
    reply = checks.from_an_empty_file(lambda images: pair, images[:100], images[-200:], **settings)
    assert torch.equal(torch.get_rng_state(), state) and "\n" not in reply and len(reply) < 300
    return reply


def test_a_vae_from_an_empty_file_is_scored_in_every_style(mnist, trained):
    vae = trained()
    reply = empty_file(mnist, vae.encode, vae.decoder)
    nelbo, nll = map(float, re.search(r"-ELBO ([\d.]+), -log p\(x\) ([\d.]+)", reply).groups())
    assert reply.startswith("correct: ") and 81 < nll < nelbo < 171 and "the 3 that" not in reply
    as_numpy = lambda x: [part.detach().numpy() for part in vae.encode(x)]  # noqa: E731
    shaped = lambda z: vae.decoder(z.reshape(-1, 10)).unflatten(-1, (1, 28, 28)).double()  # noqa: E731
    assert empty_file(mnist, as_numpy, shaped).split("Trained")[0] == reply.split("Trained")[0]
    assert "longer than the 0 that you had" in empty_file(mnist, vae.encode, vae.decoder, minutes=0)


def test_the_judge_of_an_empty_file_scores_as_the_module_does(mnist, trained):
    from vae_lesson import scoring
    from vae_lesson.models import FeedforwardVAE

    vae, model = trained(), FeedforwardVAE(10, hidden=100, blocks=0)
    model.encoder[1], model.encoder[3] = vae.encoder[0], vae.encoder[3]
    model.decoder[0], model.decoder[2] = vae.decoder[0], vae.decoder[2]
    x = torch.bernoulli(mnist[0].images[-200:].flatten(1) / 255, generator=rng(0)).view(-1, 1, 28, 28)
    scores = scoring.evaluate(model.eval(), x, samples=100)
    reply = empty_file(mnist, vae.encode, vae.decoder)
    found = re.search(r"-ELBO ([\d.]+), -log p\(x\) ([\d.]+) \(standard error ([\d.]+)\)", reply).groups()
    expected = [
        scores[f"negative_{name}"] for name in ("elbo", "log_likelihood", "log_likelihood_standard_error")
    ]
    assert [float(number) for number in found] == pytest.approx(expected, abs=1.2)


def test_slips_from_an_empty_file_are_named(mnist, trained):
    vae, dropped, short = trained(), trained(dropout=0.5), trained(steps=3)
    pixels = trained(of=lambda fit, kl: kl.sum(-1).mean() - fit.mean())
    free = trained(of=lambda fit, kl: -fit.sum(-1).mean())
    halved = lambda x: (vae.encode(x)[0], vae.encode(x)[1] / 2)  # noqa: E731
    for encode, decode, hint in (
        (vae.encode, lambda z: vae.decoder(z).sigmoid(), "leave the last sigmoid out"),
        (halved, vae.decoder, "encode gives log sigma"),
        (lambda x: (vae.encode(x)[0], halved(x)[1].exp()), vae.decoder, "encode gives sigma"),
        (lambda x: (vae.encode(x)[0], vae.encode(x)[1].exp()), vae.decoder, "encode gives a variance"),
        (pixels.encode, pixels.decoder, "a mean over pixels"),
        (free.encode, free.decoder, "is it in your loss"),
        (short.encode, short.decoder, "train longer"),
        (dropped.encode, dropped.decoder, "changes from call to call"),
        (lambda x: vae.encode(x)[0], vae.decoder, "returns two"),
        (lambda x: [part[0] for part in vae.encode(x)], vae.decoder, "of shape (200, L)"),
        (vae.encode, lambda z: vae.decoder(z)[:, :100], "784 logits"),
        (lambda x: vae.encode(x.view(-1, 28, 28)), vae.decoder, "stopped with RuntimeError"),
        (lambda x: [part / 0 for part in vae.encode(x)], vae.decoder, "not finite"),
        (vae, None, "two functions"),
    ):
        reply = empty_file(mnist, encode, decode)
        assert reply.startswith("not yet: ") and hint in reply, (hint, reply)
    assert checks.from_an_empty_file(stub, *[mnist[0].images[:100]] * 2) == "not attempted yet"
    assert "your function stopped with" in checks.from_an_empty_file(
        lambda _: 1 / 0, *[mnist[0].images[:9]] * 2
    )
