"""The loop learns, repeats itself, survives interruption and kill -9, and stops when numbers break."""

import copy
import functools
import math
import os
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from vae_lesson import objectives, runs, scoring, training
from vae_lesson.data import binarize
from vae_lesson.models import ConvVAE, FeedforwardVAE


def small_model(**options):
    torch.manual_seed(0)
    return FeedforwardVAE(2, hidden=16, **options)


def fit(model, images, **settings):
    return training.fit(
        model, images, **{"epochs": 2, "batch_size": 50, "progress": False, "bf16": False, **settings}
    )


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.fixture(scope="session")
def images(mnist):
    return mnist[0].images[:330]  # not a multiple of the batch size: the last batch is smaller


# What an epoch does


def test_an_epoch_is_these_lines(images):
    """The loop written out once more, with torch.distributions for the objective: the same weights."""
    ours, judge = small_model(), small_model()
    means = training.train_epoch(
        ours, images, torch.optim.Adam(ours.parameters(), lr=1e-3), batch_size=50,
        generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    optimizer, generator = torch.optim.Adam(judge.parameters(), lr=1e-3), torch.Generator().manual_seed(3)
    order, kls = torch.randperm(330, generator=generator), []
    for start in range(0, 330, 50):
        grey = images[order[start : start + 50]].unsqueeze(1) / 255
        x = (torch.rand(grey.shape, generator=generator) < grey).float()
        mu, log_var = judge.encode(x)
        q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
        z = mu + q.stddev * torch.randn(mu.shape, generator=generator)
        kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
        pixels = torch.distributions.Bernoulli(logits=judge.decode(z))
        optimizer.zero_grad()
        (kl - pixels.log_prob(x).sum((1, 2, 3))).mean().backward()
        optimizer.step()
        kls.append(kl.detach())
    torch.testing.assert_close(weights(ours), weights(judge), rtol=1e-4, atol=1e-5)
    assert means[1].item() == pytest.approx(torch.cat(kls).mean().item(), rel=1e-4)


def test_fit_is_its_epochs_one_after_the_other(images):
    """With the rate held still, `fit` is `train_epoch` with Adam and a generator seeded by the epoch."""
    ours, judge = small_model(), small_model()
    history = fit(ours, images, epochs=2, seed=5, peak_lr=1e-30)
    optimizer = torch.optim.Adam(judge.parameters(), lr=1e-30)
    for epoch in range(2):
        generator = torch.Generator().manual_seed(5 * 1_000_003 + epoch)
        means = training.train_epoch(judge, images, optimizer, batch_size=50, generator=generator)
        assert history.log_px_given_z[epoch] == pytest.approx(means[0].item(), rel=1e-6)
        assert history.kl[epoch] == pytest.approx(means[1].item(), rel=1e-6)
        assert history.elbo[epoch] == pytest.approx((means[0] - means[1]).item(), rel=1e-6)


def test_training_raises_the_elbo_and_tells_both_parts(images, mnist):
    model, held_back = small_model(), mnist[0].images[-100:]
    history = fit(model, images, epochs=8, validation=held_back)
    assert history.elbo[-1] > history.elbo[0] + 50
    assert history.validation_elbo[-1] > history.validation_elbo[0] + 50
    assert {len(values) for values in vars(history).values() if isinstance(values, list)} == {8}
    assert not model.training and not history.interrupted
    x, generator = binarize(held_back, "static"), torch.Generator().manual_seed(0)
    judge = scoring.elbo_in_chunks(model, x, generator=generator)
    assert history.validation_elbo[-1] == pytest.approx(judge.elbo.mean().item(), rel=1e-5)
    assert history.validation_kl[-1] == pytest.approx(judge.kl.mean().item(), rel=1e-5)


def test_history_means_weigh_every_image_once(images):
    """With a learning rate of almost 0 the epoch's KL is the mean of all images, small last batch too."""
    model = small_model()
    history = fit(model, images, epochs=1, peak_lr=1e-30, binarization="threshold")
    with torch.no_grad():
        mu, log_var = model.encode(binarize(images, "threshold"))
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    judge = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(-1).mean()
    assert history.kl[0] == pytest.approx(judge.item(), rel=1e-5)


def test_validation_images_teach_nothing(images, mnist):
    models = [small_model(), small_model()]
    for model, validation in zip(models, (None, mnist[0].images[-50:]), strict=True):
        fit(model, images, validation=validation)
    assert torch.equal(weights(models[0]), weights(models[1]))


def test_same_seed_same_curve_and_another_seed_another(images):
    results = []
    for seed in (0, 0, 1):
        model = small_model()
        results.append((fit(model, images, seed=seed, validation=images[:50]), weights(model)))
    (a, wa), (b, wb), (c, wc) = results
    assert a.elbo == b.elbo and a.validation_elbo == b.validation_elbo and torch.equal(wa, wb)
    assert a.elbo != c.elbo and not torch.equal(wa, wc)


def test_training_leaves_the_global_random_state_alone(images):
    model = small_model()
    before = torch.get_rng_state()
    fit(model, images)
    assert torch.equal(before, torch.get_rng_state())


def test_warm_up_raises_the_price_of_the_kl_from_nothing_to_beta(images):
    prices = []

    def objective(*args, beta, **kwargs):
        prices.append(beta)
        return objectives.elbo(*args, beta=beta, **kwargs)

    fit(small_model(), images, epochs=3, warmup_epochs=2, beta=0.5, objective=objective)  # 7 steps an epoch
    assert prices == pytest.approx([0.5 * k / 14 for k in range(1, 15)] + [0.5] * 7)


def test_the_rate_rises_to_its_peak_in_a_fifth_of_the_steps_and_falls_to_nothing(images):
    rates = []
    watch = register_optimizer_step_pre_hook(
        lambda optimizer, *_: rates.append(
            (optimizer.param_groups[0]["lr"], *optimizer.param_groups[0]["betas"])
        )
    )
    fit(small_model(), images, epochs=10, peak_lr=2e-3)  # 70 steps
    watch.remove()
    lr, first, second = zip(*rates, strict=True)
    assert len(lr) == 70 and max(lr) == pytest.approx(2e-3, rel=0.02) and 12 <= lr.index(max(lr)) <= 14
    assert lr[0] < 1e-4 and lr[-1] < 1e-5
    assert (first[0], min(first)) == pytest.approx((0.95, 0.85), abs=2e-3) and set(second) == {0.99}


def test_another_objective_is_maximised_and_told(images):
    iwae = functools.partial(objectives.iwae_terms, samples=8)
    start = small_model()
    fit(start, images, epochs=10)
    tuned = {"elbo": copy.deepcopy(start), "iwae": copy.deepcopy(start)}
    fit(tuned["elbo"], images, epochs=10, peak_lr=1e-3)
    history = fit(tuned["iwae"], images, epochs=10, peak_lr=1e-3, objective=iwae)
    assert history.run["objective"] == "iwae_terms(samples=8)"
    x, generator = binarize(images, "static"), torch.Generator().manual_seed(0)
    bound = {k: scoring.log_likelihood(m, x, 8, generator=generator).mean() for k, m in tuned.items()}
    elbo = {k: scoring.elbo_in_chunks(m, x, generator=generator).elbo.mean() for k, m in tuned.items()}
    assert bound["iwae"] > bound["elbo"] and elbo["iwae"] < elbo["elbo"]  # each wins by its own measure


def test_pixels_and_likelihood_fit_or_it_is_told(images):
    seen = []

    def objective(model, x, **kwargs):
        seen.append(x)
        return objectives.elbo(model, x, **kwargs)

    for likelihood, binary in (("bernoulli", True), ("gaussian", False)):
        torch.manual_seed(0)
        model = ConvVAE(2, channels=4, likelihood=likelihood)
        history = fit(model, images, epochs=4, validation=images[:50], objective=objective)
        assert history.elbo[-1] > history.elbo[0]
        assert bool(((seen[-1] == 0) | (seen[-1] == 1)).all()) == binary
    for how in ("dynamic", "static", "threshold"):
        with pytest.raises(ValueError, match=f"gaussian pixels learns from grey.*'{how}' gives others"):
            fit(small_model(likelihood="gaussian"), images, binarization=how)
    with pytest.raises(ValueError, match=r"bernoulli pixels learns from black and white.*'none' gives"):
        fit(small_model(), images, binarization="none")


# bfloat16


def test_bf16_is_used_where_the_hardware_has_it_and_is_recorded(images, monkeypatch):
    exact = fit(small_model(), images, epochs=6, bf16=False)
    rounded = fit(small_model(), images, epochs=6, bf16=True)
    assert rounded.elbo != exact.elbo
    assert rounded.elbo[-1] == pytest.approx(exact.elbo[-1], rel=0.02)
    for hardware, same in ((False, exact), (True, rounded)):
        monkeypatch.setenv("VAE_LESSON_BF16", str(int(hardware)))
        chosen = fit(small_model(), images, epochs=6, bf16=None)
        assert chosen.elbo == same.elbo and chosen.run["bf16"] is same.run["bf16"] is hardware
    monkeypatch.delenv("VAE_LESSON_BF16")
    probe = training.has_bf16(torch.device("cpu"))
    assert fit(small_model(), images, bf16=None).run["bf16"] is probe
    assert training.has_bf16(torch.device("mps")) is False


# Resume


class PressCtrlC:
    """An `on_epoch` that presses Ctrl-C after so many epochs; the checkpoint is written by then."""

    def __init__(self, after):
        self.after = after

    def __call__(self, history):
        if len(history.elbo) == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("bf16", [False, True])
def test_resume_equals_the_unbroken_run(images, tmp_path, bf16):
    same = {"epochs": 4, "validation": images[:50], "warmup_epochs": 3, "bf16": bf16}
    whole, part, again = small_model(), small_model(), small_model()
    expected = fit(whole, images, **same)
    path = tmp_path / "run.pt"
    history = fit(part, images, **same, checkpoint=path, on_epoch=PressCtrlC(2))
    assert history.interrupted and len(history.elbo) == 2
    history = fit(again, images, **same, checkpoint=path, resume=True)
    assert torch.equal(weights(again), weights(whole)) and not history.interrupted
    for name in ("elbo", "kl", "validation_elbo"):
        assert getattr(history, name) == getattr(expected, name)
    finished = small_model()  # resuming a finished run trains nothing and gives its weights
    assert fit(finished, images, **same, checkpoint=path, resume=True).elbo == expected.elbo
    assert torch.equal(weights(finished), weights(whole))


PROGRAM = """
    import sys, torch
    from pathlib import Path
    from vae_lesson.data import load_dataset
    from vae_lesson.models import ConvVAE
    from vae_lesson.training import fit
    torch.manual_seed(0)
    images, path = load_dataset("mnist")[0].images[:1500], Path(sys.argv[1])
    fit(ConvVAE(4, channels=8), images, epochs=4, checkpoint=path, resume=path.exists(), progress=False)
"""


def test_kill_then_resume_gives_the_same_weights_bit_for_bit(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    environment = os.environ | {"VAE_LESSON_BF16": "0"}
    subprocess.run([*command, str(tmp_path / "whole.pt")], check=True, env=environment)
    path = tmp_path / "killed.pt"
    process = subprocess.Popen([*command, str(path)], env=environment)
    while not path.exists():  # after the first epoch
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert 1 <= len(runs.read(path)["history"]["elbo"]) < 4
    subprocess.run([*command, str(path)], check=True, env=environment)
    a, b = runs.read(path), runs.read(tmp_path / "whole.pt")
    assert a["model"].keys() == b["model"].keys()
    assert all(torch.equal(a["model"][name], b["model"][name]) for name in a["model"])
    assert a["history"]["elbo"] == b["history"]["elbo"]


def test_frozen_and_shared_weights_resume_too(images, tmp_path):
    for spoil in (
        lambda model: model.decoder[0].weight.requires_grad_(False),
        lambda model: setattr(model.encoder[2].f[1], "weight", model.encoder[3].f[1].weight),  # tied
    ):
        path, seen = tmp_path / "run.pt", []
        path.unlink(missing_ok=True)
        for options in (
            {},
            {"checkpoint": path, "on_epoch": PressCtrlC(1)},
            {"checkpoint": path, "resume": True},
        ):
            model = small_model()
            spoil(model)
            fit(model, images, **options)
            seen.append(weights(model))
        assert torch.equal(seen[0], seen[2])


@pytest.mark.parametrize(
    "other, told",
    [
        ({"epochs": 3}, "epochs: 2 there, 3 here"),
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"beta": 0.5}, r"beta: 1.0 there, 0.5 here"),
        ({"bf16": True}, "bf16: False there, True here"),
        ({"binarization": "threshold"}, "binarization: 'dynamic' there, 'threshold' here"),
        (
            {"objective": functools.partial(objectives.iwae_terms, samples=2)},
            r"'elbo' there, 'iwae_terms\(samp",
        ),
        ({"validation": torch.zeros(9, 28, 28)}, "validation: 0 there, 9 here"),
    ],
)
def test_resume_refuses_what_would_not_repeat_the_run(images, tmp_path, other, told):
    path, model = tmp_path / "run.pt", small_model()
    fit(small_model(), images, checkpoint=path)
    before, content = weights(model), path.read_bytes()
    with pytest.raises(ValueError, match=f"holds another run .*{told}"):
        fit(model, images, checkpoint=path, resume=True, **other)
    assert torch.equal(before, weights(model)) and path.read_bytes() == content


def test_resume_refuses_other_images_and_other_models(images, tmp_path, mnist):
    path = tmp_path / "run.pt"
    fit(small_model(), images, checkpoint=path, validation=images[:9])
    with pytest.raises(ValueError, match="images_crc32"):
        fit(small_model(), mnist[0].images[330:660], checkpoint=path, resume=True, validation=images[:9])
    with pytest.raises(ValueError, match="validation_crc32"):
        fit(small_model(), images, checkpoint=path, resume=True, validation=images[9:18])
    with pytest.raises(ValueError, match="do not fit this model"):
        fit(FeedforwardVAE(2, hidden=5), images, checkpoint=path, resume=True, validation=images[:9])


def test_a_run_that_is_there_is_not_lost(images, tmp_path):
    path = tmp_path / "run.pt"
    with pytest.raises(FileNotFoundError, match=r"nothing to resume at .*run.pt"):
        fit(small_model(), images, checkpoint=path, resume=True)
    with pytest.raises(FileNotFoundError, match="nothing to resume at None"):
        fit(small_model(), images, resume=True)
    fit(small_model(), images, epochs=1, checkpoint=path)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=r"run.pt exists: continue it with resume=True"):
        fit(small_model(), images, checkpoint=path)
    assert path.read_bytes() == content
    for foreign in (b"precious", content[:500], b""):
        path.write_bytes(foreign)
        with pytest.raises(ValueError, match=r"holds no unfinished run .*: there is no training to resume"):
            fit(small_model(), images, checkpoint=path, resume=True)
        assert path.read_bytes() == foreign
    with pytest.raises(ValueError, match=r"is no .safetensors file: name it .pt"):
        fit(small_model(), images, checkpoint=tmp_path / "m.safetensors")


def test_a_file_with_code_is_refused_and_the_code_does_not_run(images, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"history": Evil(), "model": {}, "optimizer": {}, "schedule": {}}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="holds no unfinished run"):
        fit(small_model(), images, checkpoint=tmp_path / "run.pt", resume=True)
    assert not (tmp_path / "ran").exists()


def test_objectives_have_names_that_tell_them_apart(images, tmp_path):
    class Objective:
        def __call__(self, model, x, **kwargs):
            return objectives.elbo(model, x, **kwargs)

    assert (
        runs.name_of(functools.partial(objectives.free_bits_elbo, floor=0.2)) == "free_bits_elbo(floor=0.2)"
    )
    assert runs.name_of(functools.partial(objectives.iwae_terms, samples=3)) == "iwae_terms(samples=3)"
    assert "Objective(" in runs.name_of(functools.partial(Objective(), floor=1))
    anonymous = lambda *args, **kwargs: objectives.elbo(*args, **kwargs)  # noqa: E731
    fit(small_model(), images, epochs=1, objective=anonymous)  # as long as nothing is to be resumed
    with pytest.raises(ValueError, match=r"name of its own; got .*<lambda>"):
        fit(small_model(), images, checkpoint=tmp_path / "run.pt", objective=anonymous)


# Interruption and failure


def test_interruption_inside_an_epoch_leaves_a_usable_model_and_whole_epochs(images, digits, capsys):
    calls = []

    def objective(model, x, **kwargs):
        calls.append(1)
        if len(calls) == 7 + 3:  # 7 steps an epoch
            raise KeyboardInterrupt
        return objectives.elbo(model, x, **kwargs)

    model = small_model()
    history = fit(model, images, epochs=3, objective=objective, validation=images[:50])
    assert history.interrupted and {len(v) for v in vars(history).values() if isinstance(v, list)} == {1}
    assert "Interrupted after 1 of 3 epochs: the model is usable" in capsys.readouterr().out
    assert model.reconstruct(digits).isfinite().all() and not model.training


def test_interruption_while_validating_leaves_lists_of_equal_length(images, capsys):
    class Stop(torch.nn.Module):  # in the place of the likelihood: the second validation is interrupted
        binary, name, seen = True, "bernoulli", 0

        def log_prob(self, x, decoded):
            if not torch.is_grad_enabled():
                self.seen += 1
                if self.seen == 2:
                    raise KeyboardInterrupt
            return likelihood.log_prob(x, decoded)

    model = small_model()
    likelihood, model.likelihood = model.likelihood, Stop()
    history = fit(model, images, epochs=3, validation=images[:50])
    assert history.interrupted and {len(v) for v in vars(history).values() if isinstance(v, list)} == {1}


def test_interruption_after_the_last_epoch_counts_the_epochs_right(images, capsys):
    fit(small_model(), images, epochs=2, on_epoch=PressCtrlC(2))
    assert "after 2 of 2 epochs" in capsys.readouterr().out


def test_failed_checkpoint_is_told(images, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="could not save"):
        fit(small_model(), images, checkpoint=tmp_path / "file" / "run.pt")


@pytest.mark.parametrize(
    "term, spoil",
    [
        ("log p(x|z)", lambda model: model.decoder[-1].bias.data.fill_(math.nan)),
        ("the KL", lambda model: model.encoder[-1].bias.data[2:].fill_(200.0)),
    ],
)
def test_broken_numbers_stop_at_once_and_name_the_term(images, term, spoil):
    model = small_model()
    spoil(model)
    with pytest.raises(training.Diverged) as caught:
        fit(model, images)
    message = str(caught.value)
    assert "epoch 1: training stopped at step 0" in message and term in message and "lower peak_lr" in message


def test_progress_bar_tells_epochs_speed_time_left_and_both_terms(images, capsys):
    fit(small_model(), images, progress=True, validation=images[:50])
    shown = capsys.readouterr().err
    for part in ("2 of 2 epochs", "images/s", "<", "ELBO -", " nats, validation -"):
        assert part in shown


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"epochs": -1}, "epochs must be 0 or more; got -1"),
        ({"batch_size": 331}, r"batch_size 331 is larger than the data set \(330 images\)"),
        ({"batch_size": 0}, "batch_size must be 1 or more; got 0"),
        ({"peak_lr": 0.0}, "peak_lr must be above 0; got 0.0"),
        ({"beta": -1.0}, "beta must be 0 or more; got -1.0"),
        ({"beta": math.nan}, "beta must be 0 or more; got nan"),
        ({"warmup_epochs": -1}, "warmup_epochs must be 0 or more; got -1"),
        ({"binarization": "grey"}, "unknown binarisation 'grey'"),
        ({"validation": torch.zeros(0, 28, 28)}, "at least one image; got none"),
        ({"validation": torch.full((3, 28, 28), 9.0)}, "images must be .* from 9 to 9"),
    ],
)
def test_bad_settings_are_refused_before_anything_changes(images, settings, message):
    model = small_model()
    before = weights(model)
    with pytest.raises(ValueError, match=message):
        fit(model, images, **settings)
    assert torch.equal(before, weights(model))


def test_an_unknown_setting_is_named(images):
    with pytest.raises(TypeError, match="learning_rate"):
        fit(small_model(), images, learning_rate=1e-3)


def test_bad_images_are_refused_before_anything_changes(images):
    for wrong in (images.float(), images.float().fill_(math.nan), torch.zeros(100, 32, 32)):
        model = small_model()
        before = weights(model)
        with pytest.raises(ValueError, match="images must be"):
            fit(model, wrong)
        assert torch.equal(before, weights(model))


def test_zero_epochs_change_nothing(images):
    model = small_model()
    before = weights(model)
    assert fit(model, images, epochs=0).elbo == []
    assert torch.equal(before, weights(model))


def test_on_epoch_sees_the_history_grow(images):
    seen = []
    fit(small_model(), images, epochs=3, on_epoch=lambda history: seen.append(len(history.elbo)))
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("steps", range(1, 12))
def test_very_short_trainings_run_too(images, steps):
    history = fit(small_model(), images[: 3 * steps], epochs=1, batch_size=3)
    assert len(history.elbo) == 1


# Other devices


def test_nothing_on_the_device_needs_what_apple_gpus_lack(images, digits):
    """They have no float64, and draw no random 64-bit integers over the whole range."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class AsOnAnAppleGpu(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            assert "aten.random_" not in str(function)
            assert getattr(result, "dtype", None) != torch.float64, function
            return result

    model = small_model()
    with AsOnAnAppleGpu():
        fit(model, images, validation=images[:50])
        objectives.iwae_bound(model, digits, 5)
    assert "mps" in torch.utils._foreach_utils._get_fused_kernels_supported_devices()  # `fused=True`
