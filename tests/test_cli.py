"""python -m vae_lesson: trains, scores, draws and diagnoses, and says what is wrong in one line."""

import json
import subprocess
import sys

import pytest
import torch

from vae_lesson import __main__ as cli
from vae_lesson import checkpoints, data


@pytest.fixture
def small_mnist(mnist, monkeypatch):
    """400 training, 10,000 validation and 40 test images, and a small network: the real path, in seconds."""
    train = data.Dataset("mnist", mnist[0].images[:10_400], mnist[0].labels[:10_400])
    test = data.Dataset("mnist", mnist[1].images[:40], mnist[1].labels[:40])
    monkeypatch.setattr(data, "load_dataset", lambda name: (train, test))
    monkeypatch.setitem(
        cli.RECIPES, "feedforward", ("FeedforwardVAE", {"latent_dim": 2, "hidden": 16}, {"epochs": 2})
    )


def test_train_then_evaluate(small_mnist, tmp_path, capsys):
    out = tmp_path / "m.safetensors"
    assert cli.main(["train", "feedforward", "--out", str(out), "--samples", "3"]) == 0
    assert "-log p(x)" in capsys.readouterr().out
    notes = checkpoints.describe(out)
    assert notes["command"] == "python -m vae_lesson train feedforward"
    assert len(notes["history"]["elbo"]) == 2 and notes["scores"]["samples"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]  # the unfinished file is gone
    assert cli.main(["evaluate", str(out), "--samples", "7", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["samples"], scores["images"]) == (7, 40)
    assert scores["binarization"].startswith("dynamic")
    assert scores["negative_elbo"] == notes["scores"]["negative_elbo"]
    assert cli.main(["evaluate", str(out), "--samples", "7", "--save"]) == 0
    assert checkpoints.describe(out)["scores"]["samples"] == 7
    assert checkpoints.describe(out)["history"] == notes["history"]


def test_existing_and_unfinished_files_are_not_overwritten(small_mnist, tmp_path, capsys):
    out = tmp_path / "m.safetensors"
    out.write_text("precious")
    assert cli.main(["train", "feedforward", "--out", str(out)]) == 1
    assert "exists: move it, or name another file with --out" in capsys.readouterr().err
    assert out.read_text() == "precious"
    out.rename(tmp_path / "m.unfinished.safetensors")
    assert cli.main(["train", "feedforward", "--out", str(out)]) == 1
    assert "continue it with --resume" in capsys.readouterr().err


def test_interrupted_training_is_continued(small_mnist, tmp_path, capsys, monkeypatch):
    from vae_lesson import training

    whole, out = tmp_path / "whole.safetensors", tmp_path / "m.safetensors"
    assert cli.main(["train", "feedforward", "--out", str(whole), "--samples", "1"]) == 0
    show = training._show

    def interrupt(*args):
        show(*args)
        monkeypatch.setattr(training, "_store", stop)

    store = training._store

    def stop(*args):
        store(*args)
        monkeypatch.setattr(training, "_store", store)
        monkeypatch.setattr(training, "_show", show)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_show", interrupt)
    assert cli.main(["train", "feedforward", "--out", str(out), "--samples", "1"]) == 130
    assert "repeat the command with --resume" in capsys.readouterr().out
    assert not out.exists()
    assert cli.main(["train", "feedforward", "--out", str(out), "--samples", "1", "--resume"]) == 0
    torch.testing.assert_close(
        checkpoints.load(out).state_dict(), checkpoints.load(whole).state_dict(), rtol=0, atol=0
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["evaluate", "resnet"],
            f"no checkpoint at resnet; shipped models are {', '.join(checkpoints.shipped_names())}",
        ),
        (["train", "feedforward", "--epochs", "-1"], "epochs must be 0 or more; got -1"),
        (["evaluate", "feedforward", "--samples", "0"], "samples (K) must be 1 or more; got 0"),
    ],
)
def test_errors_are_one_line_and_status_1(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err.strip() == f"error: {message}"


def test_figures_are_rebuilt_from_the_shipped_weights(tmp_path, capsys):
    assert cli.main(["figures", "--folder", str(tmp_path)]) == 0
    made = {path.name for path in tmp_path.iterdir()}
    by_benchmark = {"cost.png", "page.png"}  # tests/benchmarks/cost.py and page.py make them
    assert made | by_benchmark == {path.name for path in cli.FIGURES.iterdir()}
    assert all(path.stat().st_size < 400_000 for path in cli.FIGURES.iterdir())


def test_doctor_finds_everything_in_order():
    result = subprocess.run([sys.executable, "-m", "vae_lesson", "doctor"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("ok  ") == 5 and "Everything works." in result.stdout
    assert result.stderr == ""


def test_doctor_names_what_is_broken(monkeypatch, capsys, tmp_path):
    damaged = tmp_path / "mnist.npz"
    damaged.write_bytes(b"")
    monkeypatch.setattr(data, "MNIST_FILE", damaged)
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "PROBLEM  data:" in shown and "is damaged" in shown and "ok       weights" in shown
    assert "Run the first command of README.md again" in shown


def test_fine_tuning_starts_from_a_file_and_remembers_both_commands(small_mnist, tmp_path, capsys):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    assert cli.main(["train", "feedforward", "--out", str(first), "--samples", "2"]) == 0
    tune = [
        "train",
        "feedforward",
        "--start",
        str(first),
        "--iwae",
        "3",
        "--epochs",
        "1",
        "--peak-lr",
        "1e-4",
    ]
    assert cli.main([*tune, "--out", str(second), "--samples", "2"]) == 0
    notes = checkpoints.describe(second)
    assert notes["command"] == (
        "python -m vae_lesson train feedforward; then python -m vae_lesson train feedforward "
        f"--epochs 1 --peak-lr 0.0001 --iwae 3 --start {first}"
    )
    assert len(notes["history"]["elbo"]) == 3 and notes["training"]["objective"] == "iwae_terms(samples=3)"
    before, after = (checkpoints.load(path).state_dict() for path in (first, second))
    change = max((after[name] - before[name]).abs().max().item() for name in before)
    assert 0 < change < 1e-2  # a few steps of 1e-4 away from where it started


def test_summary_tells_what_the_header_holds_and_computes_nothing(small_mnist, tmp_path, capsys, monkeypatch):
    out = tmp_path / "m.safetensors"
    cli.main(["train", "feedforward", "--out", str(out), "--samples", "2"])
    monkeypatch.setattr(cli, "_evaluate", lambda *_: pytest.fail("summary must not score"))
    capsys.readouterr()
    assert cli.main(["summary", str(out)]) == 0
    shown = capsys.readouterr().out
    for word in (
        "K = 2",
        "binarisation dynamic",
        "2 epochs of 400 images",
        "active units",
        "of 2 latents",
        "-ELBO",
    ):
        assert word in shown
    checkpoints.save(checkpoints.load(out), tmp_path / "bare.safetensors")
    assert cli.main(["summary", str(tmp_path / "bare.safetensors")]) == 0
    assert "none yet" in capsys.readouterr().out
    assert cli.main(["summary"]) == 0
    assert capsys.readouterr().out.count("model  ") == len(checkpoints.shipped_names())


def test_fine_tuning_refuses_another_model_and_no_samples(small_mnist, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "feedforward", "--start", str(checkpoints.shipped("cnn"))]) == 1
    assert "holds no feedforward that `train` made" in capsys.readouterr().err
    assert cli.main(["train", "feedforward", "--iwae", "0"]) == 1
    assert "samples (K) must be 1 or more; got 0" in capsys.readouterr().err
