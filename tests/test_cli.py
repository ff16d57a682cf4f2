"""python -m vae_lesson: trains, scores, draws and diagnoses, and says what is wrong in one line."""

import json
import subprocess
import sys

import pytest
import torch

from vae_lesson import __main__ as cli
from vae_lesson import checkpoints, data, recipes, scoring
from vae_lesson.course import commands, doctor
from vae_lesson.models import FeedforwardVAE


@pytest.fixture
def small_mnist(mnist, monkeypatch):
    """400 training, 10,000 validation and 40 test images, and a small network: the real path, in seconds."""
    train = data.Dataset("mnist", mnist[0].images[:10_400], mnist[0].labels[:10_400])
    test = data.Dataset("mnist", mnist[1].images[:40], mnist[1].labels[:40])
    monkeypatch.setattr(data, "load_dataset", lambda name: (train, test))
    small = recipes.Recipe("FeedforwardVAE", {"latent_dim": 2, "hidden": 16}, {"epochs": 2})
    monkeypatch.setitem(recipes.RECIPES, "feedforward", small)


@pytest.fixture
def trained(small_mnist, tmp_path, capsys):
    out = tmp_path / "m.safetensors"
    assert cli.main(["train", "feedforward", "--out", str(out), "--samples", "3"]) == 0
    assert "-log p(x)" in capsys.readouterr().out
    return out


def interrupt_after(monkeypatch, owner, name, calls):
    """Ctrl-C after `owner.name` has been called so many times."""
    function, seen = getattr(owner, name), []

    def watched(*args, **kwargs):
        result = function(*args, **kwargs)
        seen.append(1)
        if len(seen) == calls:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(owner, name, watched)


def test_train_then_evaluate(trained, capsys):
    notes = checkpoints.describe(trained)
    assert notes["command"] == "python -m vae_lesson train feedforward"
    assert len(notes["history"]["elbo"]) == 2 and notes["scores"]["samples"] == 3
    assert [p.name for p in trained.parent.iterdir()] == ["m.safetensors"]  # the unfinished file is gone
    assert cli.main(["evaluate", str(trained), "--samples", "7", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["samples"], scores["images"]) == (7, 40)
    assert scores["binarization"].startswith("dynamic")
    assert scores["negative_elbo"] == notes["scores"]["negative_elbo"]
    assert cli.main(["evaluate", str(trained), "--samples", "7", "--save"]) == 0
    assert checkpoints.describe(trained)["scores"]["samples"] == 7
    assert checkpoints.describe(trained)["history"] == notes["history"]


def test_training_learns_from_training_images_alone(trained, mnist):
    """The run names its images: the first 400, and the next 10,000 for validation; never the test set."""
    import zlib

    run = checkpoints.describe(trained)["training"]
    assert (run["images"], run["validation"]) == (400, 10_000)
    assert run["images_crc32"] == f"{zlib.crc32(mnist[0].images[:400].numpy()):08x}"
    assert run["validation_crc32"] == f"{zlib.crc32(mnist[0].images[400:10_400].numpy()):08x}"


def test_all_images_leave_none_for_validation(small_mnist, tmp_path):
    out = tmp_path / "m.safetensors"
    assert cli.main(["train", "feedforward", "--all", "--out", str(out), "--samples", "1"]) == 0
    notes = checkpoints.describe(out)
    assert (notes["training"]["images"], notes["training"]["validation"]) == (10_400, 0)
    assert notes["command"] == "python -m vae_lesson train feedforward --all"
    assert notes["history"]["validation_elbo"] == []


def test_existing_and_unfinished_files_are_not_overwritten(small_mnist, tmp_path, capsys):
    out = tmp_path / "m.safetensors"
    out.write_text("precious", encoding="utf-8")
    assert cli.main(["train", "feedforward", "--out", str(out)]) == 1
    assert "exists: move it, or name another file with --out" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "precious"
    out.rename(tmp_path / "m.unfinished.pt")
    assert cli.main(["train", "feedforward", "--out", str(out)]) == 1
    assert "continue it with --resume" in capsys.readouterr().err


def test_interrupted_training_is_continued(small_mnist, tmp_path, capsys, monkeypatch):
    from vae_lesson import training

    whole, out = tmp_path / "whole.safetensors", tmp_path / "m.safetensors"
    assert cli.main(["train", "feedforward", "--out", str(whole), "--samples", "1"]) == 0
    with monkeypatch.context() as patch:
        interrupt_after(patch, training.runs, "store", 1)
        assert cli.main(["train", "feedforward", "--out", str(out), "--samples", "1"]) == 130
    assert "repeat the command with --resume" in capsys.readouterr().out
    assert not out.exists()
    assert cli.main(["train", "feedforward", "--out", str(out), "--samples", "1", "--resume"]) == 0
    torch.testing.assert_close(
        checkpoints.load(out).state_dict(), checkpoints.load(whole).state_dict(), rtol=0, atol=0
    )


def test_interrupted_scoring_keeps_the_model_and_says_how_to_go_on(
    small_mnist, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "m.safetensors"
    with monkeypatch.context() as patch:
        interrupt_after(patch, scoring, "log_likelihood", 1)
        assert cli.main(["train", "feedforward", "--out", str(out)]) == 130
    assert f"python -m vae_lesson evaluate {out} --save" in capsys.readouterr().out
    assert len(checkpoints.describe(out)["history"]["elbo"]) == 2
    with monkeypatch.context() as patch:
        interrupt_after(patch, scoring, "log_likelihood", 1)
        assert cli.main(["evaluate", str(out), "--save"]) == 130
    assert "scores" not in checkpoints.describe(out)
    assert cli.main(["evaluate", str(out), "--samples", "2", "--save"]) == 0
    assert checkpoints.describe(out)["scores"]["samples"] == 2


def test_two_names_never_share_an_unfinished_file(small_mnist, tmp_path, capsys, monkeypatch):
    from vae_lesson import training

    for name in ("run.v1", "run.v2", "beta-0.1", "beta-0.25"):
        with monkeypatch.context() as patch:
            interrupt_after(patch, training.runs, "store", 1)
            assert cli.main(["train", "feedforward", "--out", str(tmp_path / f"{name}.safetensors")]) == 130
    assert len(list(tmp_path.iterdir())) == 4
    assert cli.main(["train", "feedforward", "--out", str(tmp_path / "run.v3")]) == 1
    assert "a model is a .safetensors file; got" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["evaluate", "resnet"],
            f"no checkpoint at resnet; shipped models are {', '.join(checkpoints.shipped_names())}",
        ),
        (["train", "feedforward", "--epochs", "-1"], "epochs must be 0 or more; got -1"),
        (
            ["train", "feedforward", "--resume"],
            "there is nothing to resume at feedforward.unfinished.pt: leave resume out to begin a new run",
        ),
    ],
)
def test_errors_are_one_line_and_status_1(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err.strip() == f"error: {message}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("samples", ["0", "-3", "many"])
@pytest.mark.parametrize("command", [["train", "feedforward"], ["evaluate", "feedforward"]])
def test_a_wrong_number_of_samples_is_told_before_anything_is_trained(command, samples, capsys, tmp_path):
    with pytest.raises(SystemExit) as exit:
        cli.main([*command, "--samples", samples])
    assert exit.value.code == 2
    assert f"must be a whole number, 1 or more; got {samples}" in capsys.readouterr().err


def test_figures_are_rebuilt_from_the_shipped_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the default is figures/ right here, wherever the package is installed
    assert cli.main(["figures"]) == 0
    made = {path.name for path in (tmp_path / "figures").iterdir()}
    by_benchmark = {"cost.png", "page.gif", "page.png", "time_to_score.png"}  # made in tests/benchmarks/
    shown = cli.Path(__file__).parents[1] / "figures"
    assert made | by_benchmark == {path.name for path in shown.iterdir()}
    assert all(path.stat().st_size < 700_000 for path in shown.iterdir())


def test_doctor_finds_everything_in_order():
    result = subprocess.run([sys.executable, "-m", "vae_lesson", "doctor"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("ok  ") == 6 and "Everything works." in result.stdout
    assert result.stderr == ""


def test_doctor_names_what_is_broken(monkeypatch, capsys, tmp_path):
    damaged = tmp_path / "mnist.npz"
    damaged.write_bytes(b"")
    monkeypatch.setattr(data, "MNIST_FILE", damaged)
    monkeypatch.setattr(doctor, "LESSON_GB", 1e6)
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "PROBLEM  memory:" in shown and "a lesson needs 1000000.0" in shown
    assert "PROBLEM  data:" in shown and "is damaged" in shown and "ok       weights" in shown
    assert "Run the first command of README.md again" in shown


def test_summary_tells_what_the_header_holds_and_computes_nothing(trained, capsys, monkeypatch):
    monkeypatch.setattr(commands, "score", lambda *_: pytest.fail("summary must not score"))
    assert cli.main(["summary", str(trained)]) == 0
    shown = capsys.readouterr().out
    bf16 = checkpoints.describe(trained)["training"]["bf16"]
    for words in (
        "K = 3", "binarization dynamic", "2 epochs in", "images 400", "of 2 latents", "-ELBO",
        f"bf16 {'yes' if bf16 else 'no'}",
    ):  # fmt: skip
        assert words in shown
    assert cli.main(["summary", "cnn"]) == 0
    assert "ConvVAE(" in capsys.readouterr().out
    assert cli.main(["summary"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("model  ") == len(checkpoints.shipped_names()) and "bf16 not recorded" in shown


def test_summary_tells_what_users_save(tmp_path, capsys, digits):
    model, path = FeedforwardVAE(2, hidden=8), tmp_path / "m.safetensors"
    from vae_lesson.training import History

    history = History(elbo=[-200.0], log_px_given_z=[-190.0], kl=[10.0], seconds=[3.0])
    for notes, told in (
        ({}, "none yet: python -m vae_lesson evaluate"),
        ({"scores": {"negative_elbo": 99.5}}, "-ELBO           99.50 nats"),
        ({"scores": scoring.evaluate(model, digits, samples=5)}, "importance sampling, K = 5"),
        ({"history": vars(history)}, "1 epochs in 3 s"),
        ({"history": history}, "1 epochs in 3 s"),
    ):
        checkpoints.save(model, path, **notes)
        assert cli.main(["summary", str(path)]) == 0
        assert told in capsys.readouterr().out


def test_gaussian_models_are_scored_on_grey_pixels(small_mnist, tmp_path, capsys, mnist):
    torch.manual_seed(0)
    path, model = tmp_path / "m.safetensors", FeedforwardVAE(2, hidden=8, likelihood="gaussian").eval()
    checkpoints.save(model, path)
    assert cli.main(["evaluate", str(path), "--samples", "2", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    grey = data.binarize(mnist[1].images[:40], "none")
    assert scores["binarization"].startswith("none")
    assert scores["negative_elbo"] == pytest.approx(scoring.evaluate(model, grey, samples=2)["negative_elbo"])
    with pytest.raises(
        ValueError, match="gaussian pixels is scored on grey images; these are black and white"
    ):
        scoring.evaluate(model, grey.round(), samples=2)
    with pytest.raises(
        ValueError, match="bernoulli pixels is scored on black and white images; these are grey"
    ):
        scoring.evaluate(FeedforwardVAE(2, hidden=8), grey, samples=2)


def test_scores_are_never_written_into_the_installation(capsys, monkeypatch):
    monkeypatch.setattr(commands, "score", lambda *_: pytest.fail("refuse before scoring"))
    assert cli.main(["evaluate", "cnn", "--save"]) == 1
    assert "belongs to the installation" in capsys.readouterr().err
