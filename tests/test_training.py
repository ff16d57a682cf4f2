"""The loop learns, repeats itself, survives interruption and kill -9, and stops when numbers break."""

import copy
import functools
import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch

from vae_lesson import checkpoints, objectives, training
from vae_lesson.data import binarize
from vae_lesson.models import ConvVAE, FeedforwardVAE


def small_model():
    torch.manual_seed(0)
    return FeedforwardVAE(2, hidden=16)


def fit(model, images, **settings):
    return training.fit(model, images, **{"epochs": 2, "batch_size": 50, "progress": False, **settings})


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.fixture(scope="session")
def images(mnist):
    return mnist[0].images[:330]  # not a multiple of the batch size: the last batch is smaller


def test_training_raises_the_elbo_and_the_history_adds_up(images, mnist):
    model = small_model()
    history = fit(model, images, epochs=8, validation=mnist[0].images[-100:])
    assert history.elbo[-1] > history.elbo[0] + 50
    assert history.validation_elbo[-1] > history.validation_elbo[0] + 50
    for lists in (history.elbo, history.kl, history.validation_kl, history.seconds):
        assert len(lists) == 8
    assert history.elbo == pytest.approx(
        [a - b for a, b in zip(history.log_px_given_z, history.kl, strict=True)]
    )
    assert not model.training and not history.interrupted


@pytest.mark.parametrize("likelihood, binarization", [("bernoulli", "threshold"), ("gaussian", "none")])
def test_other_likelihoods_and_data_train_too(images, likelihood, binarization):
    torch.manual_seed(0)
    model = ConvVAE(2, channels=4, likelihood=likelihood)
    history = fit(model, images, epochs=4, binarization=binarization, validation=images[:50])
    assert history.elbo[-1] > history.elbo[0]


def test_history_means_weigh_every_image_once(images):
    """With a learning rate of almost 0 the epoch's KL is the mean of all images, small last batch too."""
    model = small_model()
    history = fit(model, images, epochs=1, peak_lr=1e-30, binarization="threshold")
    with torch.no_grad():
        mu, log_var = model.encode(binarize(images, "threshold"))
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    judge = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(-1).mean()
    assert history.kl[0] == pytest.approx(judge.item(), rel=1e-5)


def test_same_seed_same_curve_and_another_seed_another(images):
    runs = []
    for seed in (0, 0, 1):
        model = small_model()
        runs.append((fit(model, images, seed=seed, validation=images[:50]), weights(model)))
    (a, wa), (b, wb), (c, wc) = runs
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
        return training.elbo(*args, beta=beta, **kwargs)

    fit(small_model(), images, epochs=3, warmup_epochs=2, beta=0.5, objective=objective)  # 7 steps an epoch
    assert prices == pytest.approx([0.5 * k / 14 for k in range(1, 15)] + [0.5] * 7)


def test_resume_equals_the_unbroken_run(images, tmp_path):
    whole = small_model()
    expected = fit(whole, images, epochs=4, validation=images[:50])
    path, part = tmp_path / "c.safetensors", small_model()
    stop = KeyboardInterruptAfter(2)
    history = fit(stop.watch(part), images, epochs=4, validation=images[:50], checkpoint=path)
    assert history.interrupted and len(history.elbo) == 2
    again = small_model()
    history = fit(again, images, epochs=4, validation=images[:50], checkpoint=path, resume=True)
    assert torch.equal(weights(again), weights(whole))
    assert history.elbo == expected.elbo and history.validation_elbo == expected.validation_elbo
    assert not history.interrupted
    torch.testing.assert_close(weights(checkpoints.load(path)), weights(whole))


class KeyboardInterruptAfter:
    """Presses Ctrl-C in the first step after so many epochs of 7 steps and one validation."""

    def __init__(self, epochs):
        self.left = epochs * 7

    def watch(self, model):
        encode = model.encode

        def counted(x):
            if model.training:
                if self.left == 0:
                    raise KeyboardInterrupt
                self.left -= 1
            return encode(x)

        model.encode = counted
        return model


def test_interruption_while_validating_leaves_lists_of_equal_length(images, monkeypatch):
    calls, score = [], training.elbo_in_chunks

    def stop_at_the_second(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(*args, **kwargs)

    monkeypatch.setattr(training, "elbo_in_chunks", stop_at_the_second)
    history = fit(small_model(), images, epochs=3, validation=images[:50])
    assert history.interrupted
    assert {len(values) for values in vars(history).values() if isinstance(values, list)} == {1}


def test_interrupted_model_is_usable(images, digits, capsys):
    model = KeyboardInterruptAfter(1).watch(small_model())
    history = fit(model, images, epochs=3)
    assert history.interrupted and len(history.elbo) == 1
    assert "Interrupted in epoch 2 of 3: the model is usable" in capsys.readouterr().out
    del model.encode
    assert model.reconstruct(digits).isfinite().all() and not model.training


PROGRAM = """
    import sys, torch
    from vae_lesson.data import load_dataset
    from vae_lesson.models import ConvVAE
    from vae_lesson.training import fit
    torch.manual_seed(0)
    images = load_dataset("mnist")[0].images[:1500]
    fit(ConvVAE(4, channels=8), images, epochs=6, checkpoint=sys.argv[1], resume=True, progress=False)
"""


def test_kill_9_then_resume_gives_the_same_weights_bit_for_bit(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    subprocess.run([*command, str(tmp_path / "whole.safetensors")], check=True)
    path = tmp_path / "killed.safetensors"
    process = subprocess.Popen([*command, str(path)])
    while not path.exists():  # after the first epoch
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.05)  # into the next epoch
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = len(checkpoints.describe(path)["history"]["elbo"])
    assert 1 <= done < 6
    subprocess.run([*command, str(path)], check=True)
    (a, notes_a), (b, notes_b) = checkpoints.read(path), checkpoints.read(tmp_path / "whole.safetensors")
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert notes_a["history"]["elbo"] == notes_b["history"]["elbo"]


def test_a_model_with_a_frozen_weight_resumes_too(images, tmp_path):
    path, runs = tmp_path / "c.safetensors", []
    for model in (small_model(), KeyboardInterruptAfter(1).watch(small_model()), small_model()):
        model.decoder[0].weight.requires_grad_(False)
        checkpoint = {"checkpoint": path, "resume": True} if runs else {}
        fit(model, images, **checkpoint)
        runs.append(weights(model))
    assert torch.equal(runs[0], runs[2])


def test_resume_with_other_settings_or_model_is_refused(images, tmp_path):
    path = tmp_path / "c.safetensors"
    fit(small_model(), images, checkpoint=path)
    with pytest.raises(ValueError, match=r"other settings \(epochs 2 there, 3 here\): repeat those"):
        fit(small_model(), images, epochs=3, checkpoint=path, resume=True)
    with pytest.raises(ValueError, match="do not fit this model"):
        fit(FeedforwardVAE(2, hidden=5), images, checkpoint=path, resume=True)
    checkpoints.save(small_model(), path)
    with pytest.raises(ValueError, match="there is no training to resume"):
        fit(small_model(), images, checkpoint=path, resume=True)


def test_failed_checkpoint_keeps_model_and_message(images, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="could not save"):
        fit(small_model(), images, checkpoint=tmp_path / "file" / "c.safetensors")


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
    assert "stopped at step 0 (epoch 1)" in message and term in message and "lower peak_lr" in message


def test_bf16_reaches_a_similar_elbo(images):
    exact = fit(small_model(), images, epochs=6, bf16=False)
    rounded = fit(small_model(), images, epochs=6, bf16=True)
    assert rounded.elbo != exact.elbo
    assert rounded.elbo[-1] == pytest.approx(exact.elbo[-1], rel=0.02)


def test_progress_bar_tells_epoch_speed_time_left_and_both_terms(images, capsys):
    fit(small_model(), images, progress=True, validation=images[:50])
    shown = capsys.readouterr().err
    for part in ("epoch 2/2", "images/s", "<", "ELBO -", " nats, validation -"):
        assert part in shown


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"epochs": -1}, "epochs must be 0 or more; got -1"),
        ({"batch_size": 331}, r"batch_size 331 is larger than the data set \(330 images\)"),
        ({"batch_size": 0}, "batch_size must be 1 or more; got 0"),
        ({"peak_lr": 0.0}, "peak_lr must be above 0; got 0.0"),
        ({"beta": -1.0}, "beta must be 0 or more; got -1.0"),
        ({"warmup_epochs": -1}, "warmup_epochs must be 0 or more; got -1"),
        ({"binarization": "grey"}, "unknown binarisation 'grey'"),
    ],
)
def test_bad_settings_are_refused_before_anything_changes(images, settings, message):
    model = small_model()
    before = weights(model)
    with pytest.raises(ValueError, match=message):
        fit(model, images, **settings)
    assert torch.equal(before, weights(model))


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


def test_another_objective_is_maximised_and_told_in_the_checkpoint(images, tmp_path):
    iwae = functools.partial(objectives.iwae_terms, samples=8)
    path, start = tmp_path / "c.safetensors", small_model()
    fit(start, images, epochs=10)
    tuned = {"elbo": copy.deepcopy(start), "iwae": copy.deepcopy(start)}
    fit(tuned["elbo"], images, epochs=10, peak_lr=1e-3)
    history = fit(tuned["iwae"], images, epochs=10, peak_lr=1e-3, objective=iwae, checkpoint=path)
    assert checkpoints.describe(path)["training"]["objective"] == "iwae_terms(samples=8)"
    assert history.elbo[-1] == pytest.approx(history.log_px_given_z[-1] - history.kl[-1])
    x, generator = binarize(images, "static"), torch.Generator().manual_seed(0)
    bound = {k: objectives.log_likelihood(m, x, 8, generator=generator).mean() for k, m in tuned.items()}
    elbo = {k: objectives.elbo_in_chunks(m, x, generator=generator).elbo.mean() for k, m in tuned.items()}
    assert bound["iwae"] > bound["elbo"] and elbo["iwae"] < elbo["elbo"]  # each wins by its own measure
    with pytest.raises(ValueError, match="objective 'iwae_terms\\(samples=8\\)' there, 'elbo' here"):
        fit(small_model(), images, epochs=10, peak_lr=1e-3, checkpoint=path, resume=True)


def test_on_epoch_sees_the_history_grow(images):
    seen = []
    fit(small_model(), images, epochs=3, on_epoch=lambda history: seen.append(len(history.elbo)))
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("steps", range(1, 12))
def test_very_short_trainings_run_too(images, steps):
    history = fit(small_model(), images[: 3 * steps], epochs=1, batch_size=3)
    assert len(history.elbo) == 1
