"""Weights survive the way to disk and back; damage, full disks and read-only folders are told."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vae_lesson import checkpoints
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
    ],
)
def test_round_trip_is_exact(make, tmp_path, digits):
    model = make().eval()
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
        {"latent_dim": 2, "hidden": 8, "blocks": 2, "likelihood": "bernoulli"},
    ]


def test_annotating_keeps_the_weights_and_the_other_notes(saved):
    before = checkpoints.read(saved[1])
    checkpoints.annotate(saved[1], comment="seen")
    tensors, notes = checkpoints.read(saved[1])
    assert notes == before[1] | {"comment": "seen"}
    assert all(torch.equal(tensors[name], before[0][name]) for name in before[0])
    assert all(tensors[name].dtype == torch.float32 for name in tensors)


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


def test_every_altered_byte_of_the_weights_is_noticed(saved):
    content = bytearray(saved[1].read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    for position in (start, (start + len(content)) // 2, len(content) - 1):
        content[position] ^= 1
        saved[1].write_bytes(content)
        with pytest.raises(ValueError, match="was altered after it was saved"):
            checkpoints.load(saved[1])
        content[position] ^= 1
    saved[1].write_bytes(content)
    checkpoints.load(saved[1])


def test_altered_scores_are_noticed(saved):
    saved[1].write_bytes(saved[1].read_bytes().replace(b"99.5", b"79.5"))
    with pytest.raises(ValueError, match="was altered after it was saved"):
        checkpoints.describe(saved[1])


def test_foreign_and_ill_fitting_files_are_refused(tmp_path):
    foreign = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(2)}, foreign)
    with pytest.raises(ValueError, match="was not written by vae_lesson"):
        checkpoints.load(foreign)
    checkpoints.write(foreign, {"w": torch.zeros(2)}, {"architecture": ["ResNet", {}]})
    with pytest.raises(ValueError, match="holds a 'ResNet'; this version knows FeedforwardVAE, ConvVAE"):
        checkpoints.load(foreign)
    checkpoints.write(foreign, {"w": torch.zeros(2)}, {"architecture": None})  # a student's own model
    with pytest.raises(ValueError, match="holds a None; this version knows"):
        checkpoints.load(foreign)
    checkpoints.write(foreign, {"w": torch.zeros(2)}, {"architecture": ["ConvVAE", {"latent_dim": 2}]})
    with pytest.raises(ValueError, match=r"(?s)do not fit ConvVAE\(.*Missing key"):
        checkpoints.load(foreign)


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
    (tmp_path / "file").write_text("")
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
    from vae_lesson import data, objectives

    x = data.binarize(mnist[1].images, "static")[::100]
    terms = objectives.elbo_in_chunks(
        checkpoints.pretrained(name), x, generator=torch.Generator().manual_seed(1)
    )
    error = (
        -terms.elbo.mean().item() - checkpoints.describe(checkpoints.shipped(name))["scores"]["negative_elbo"]
    )
    assert abs(error) < 4 * (terms.elbo.std() / 10).item()
