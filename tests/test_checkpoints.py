"""Weights survive the way to disk and back; damage, full disks and read-only folders are told."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vae_lesson import checkpoints, data, scoring
from vae_lesson.models import ConvVAE, FeedforwardVAE


@pytest.fixture
def saved(tmp_path):
    model = FeedforwardVAE(2, hidden=8)
    checkpoints.save(model, tmp_path / "model.safetensors", scores={"negative_elbo": 99.5})
    return model, tmp_path / "model.safetensors"


@pytest.mark.parametrize(
    "make",
    [
        lambda: FeedforwardVAE(2, hidden=8, blocks=1),
        lambda: FeedforwardVAE(3, hidden=8, likelihood="gaussian"),
        lambda: ConvVAE(5, channels=8),
        lambda: ConvVAE(5, channels=8, side=20),
    ],
)
def test_round_trip_is_exact(make, tmp_path, digits):
    model = make().eval()
    digits = digits[..., : model.side, : model.side]
    checkpoints.save(model, tmp_path / "deep" / "m.safetensors")
    again = checkpoints.load(tmp_path / "deep" / "m.safetensors")
    assert type(again) is type(model) and not again.training
    assert torch.equal(again.encode(digits)[0], model.encode(digits)[0])
    assert torch.equal(again.decode(torch.ones(model.latent_dim)), model.decode(torch.ones(model.latent_dim)))


def test_half_precision_halves_the_file_and_loads_as_float32(saved, tmp_path):
    model, path = saved
    checkpoints.save(model, tmp_path / "half.safetensors", half=True)
    again = checkpoints.load(tmp_path / "half.safetensors")
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * path.stat().st_size
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor.half().float())


def test_notes_come_back(saved):
    notes = checkpoints.describe(saved[1])
    assert notes["scores"] == {"negative_elbo": 99.5}
    assert notes["architecture"] == [
        "FeedforwardVAE",
        {"latent_dim": 2, "hidden": 8, "blocks": 2, "side": 28, "likelihood": "bernoulli"},
    ]


def test_annotating_keeps_the_weights_and_the_other_notes(saved):
    notes, before = checkpoints.describe(saved[1]), load_file(saved[1])
    checkpoints.annotate(saved[1], comment="seen")
    assert checkpoints.describe(saved[1]) == notes | {"comment": "seen"}
    after = load_file(saved[1])
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(after[name].dtype == torch.float32 for name in before)


def test_missing_file_and_unknown_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*gone.safetensors; shipped models are"):
        checkpoints.load(tmp_path / "gone.safetensors")
    known = ", ".join(checkpoints.shipped_names())
    assert {"cnn", "feedforward", "feedforward-2d"} <= set(checkpoints.shipped_names())
    with pytest.raises(ValueError, match=f"unknown model 'resnet': choose one of {known}"):
        checkpoints.pretrained("resnet")


@pytest.mark.parametrize("keep", [0, 5, 100, 3000, -1])
def test_truncated_file_is_refused(saved, keep):
    content = saved[1].read_bytes()
    saved[1].write_bytes(content[:keep])
    with pytest.raises(ValueError, match=r"model.safetensors is truncated or no safetensors file"):
        checkpoints.load(saved[1])


def test_foreign_and_ill_fitting_files_are_refused(tmp_path):
    foreign = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(2)}, foreign)
    with pytest.raises(ValueError, match="was not written by vae_lesson"):
        checkpoints.load(foreign)
    for architecture, message in (
        (["ResNet", {}], r"does not know \(ResNet\); it knows FeedforwardVAE, ConvVAE"),
        (["ConvVAE", {"latent_dim": 2}], r"(?s)do not fit this model: .*Missing key"),
        (["ConvVAE", {"depth": 2}], "do not fit this model: .*depth"),
    ):
        save_file({"w": torch.zeros(2)}, foreign, {"notes": json.dumps({"architecture": architecture})})
        with pytest.raises(ValueError, match=message):
            checkpoints.load(foreign)


class Mine(FeedforwardVAE):
    """A student's own class."""


def test_a_model_of_ones_own_comes_back_into_a_model_that_one_makes(tmp_path, digits):
    path, model = tmp_path / "mine.safetensors", Mine(2, hidden=8)
    model.decoder[1].f[1].weight = model.decoder[2].f[1].weight  # tied
    checkpoints.save(model, path)
    with pytest.raises(ValueError, match=r"make your model and fill it by load\(path, model\)"):
        checkpoints.load(path)
    again = checkpoints.load(path, Mine(2, hidden=8))
    assert torch.equal(again.reconstruct(digits), model.eval().reconstruct(digits))
    with pytest.raises(ValueError, match="do not fit this model"):
        checkpoints.load(path, Mine(2, hidden=9))


def test_weights_beyond_float16_are_refused_and_nothing_is_written(tmp_path):
    model = FeedforwardVAE(2, hidden=8)
    model.decoder[0].weight.data[0, 0] = 70_000
    with pytest.raises(ValueError, match=r"decoder.0.weight is NaN or beyond 65504"):
        checkpoints.save(model, tmp_path / "m.safetensors", half=True)
    assert list(tmp_path.iterdir()) == []
    checkpoints.save(model, tmp_path / "m.safetensors")


def test_shipped_files_belong_to_the_installation():
    path = checkpoints.shipped("beta-1")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="belongs to the installation: copy it"):
        checkpoints.annotate(path, comment="seen")
    assert path.read_bytes() == before


def test_an_interrupted_write_leaves_nothing_behind(saved, monkeypatch):
    old = saved[1].read_bytes()

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(saved[0], saved[1])
    assert [p.name for p in saved[1].parent.iterdir()] == [saved[1].name] and saved[1].read_bytes() == old


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "file"
    parts = [bytes([k]) * 3_000_000 for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda part: checkpoints.write_whole(path, part), parts))
    assert path.read_bytes() in parts and [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_full_disk_keeps_the_old_checkpoint(saved):
    """A real failure of write(): a process whose files may not grow beyond 10 kB."""
    model, path = saved
    old = path.read_bytes()
    program = f"""
        import resource, signal, sys
        from vae_lesson.checkpoints import save
        from vae_lesson.models import FeedforwardVAE
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            save(FeedforwardVAE(2, hidden=50), {str(path)!r})
        except OSError as error:
            sys.exit(str(error))
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert result.returncode == 1
    assert "could not save" in result.stderr and "the older file there is unchanged" in result.stderr
    assert path.read_bytes() == old
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    torch.testing.assert_close(checkpoints.load(path).state_dict(), model.state_dict())


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not read-only on Windows")
def test_read_only_folder_is_told():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "read-only"
        folder.mkdir()
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        user = os.geteuid()
        try:
            if user == 0:  # root may write anywhere: become nobody for a moment
                os.seteuid(65534)
            with pytest.raises(OSError, match=r"could not save .*Permission denied.*nothing was written"):
                checkpoints.save(FeedforwardVAE(2, hidden=4), folder / "m.safetensors")
        finally:
            os.seteuid(user)
            folder.chmod(0o755)
        assert list(folder.iterdir()) == []


def test_a_path_through_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="could not save"):
        checkpoints.save(FeedforwardVAE(2, hidden=4), tmp_path / "file" / "m.safetensors")


@pytest.mark.parametrize("name", checkpoints.shipped_names())
def test_shipped_weights_are_small_and_say_where_they_come_from(name):
    path = checkpoints.shipped(name)
    notes = checkpoints.describe(path)
    assert path.stat().st_size <= 4_000_000
    assert notes["command"].startswith(f"python -m vae_lesson train {name}")
    assert {"epochs", "seed", "batch_size", "peak_lr", "binarization", "images"} <= set(notes["training"])
    assert notes["scores"]["images"] == 10_000
    assert notes["scores"]["negative_log_likelihood"] < notes["scores"]["negative_elbo"]
    assert json.loads(json.dumps(notes)) == notes


@pytest.mark.parametrize("name", checkpoints.shipped_names())
def test_shipped_scores_are_those_of_the_weights(name, mnist):
    """Every hundredth test image: the ELBO agrees with the header's within four standard errors."""
    x = data.binarize(mnist[1].images[::100], "static")
    generator = torch.Generator().manual_seed(1)
    terms = scoring.elbo_in_chunks(checkpoints.pretrained(name), x, generator=generator)
    told = checkpoints.describe(checkpoints.shipped(name))["scores"]["negative_elbo"]
    assert abs(-terms.elbo.mean().item() - told) < 4 * (terms.elbo.std() / 10).item()
