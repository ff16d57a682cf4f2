"""MNIST byte for byte, binarisation's statistics, and downloads that go wrong, over a real local server."""

import gzip
import hashlib
import http.server
import struct
import subprocess
import sys
import threading

import pytest
import torch
from torchvision import datasets

from vae_lesson import data

MD5 = {  # of the original uncompressed files
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def idx(array) -> bytes:
    """A uint8 tensor in the IDX format."""
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + shape + array.to(torch.uint8).numpy().tobytes()


def test_mnist_is_the_original_byte_for_byte(mnist):
    for part, dataset in zip(("train", "t10k"), mnist, strict=True):
        assert hashlib.md5(idx(dataset.images)).hexdigest() == MD5[f"{part}-images-idx3-ubyte"]
        assert hashlib.md5(idx(dataset.labels)).hexdigest() == MD5[f"{part}-labels-idx1-ubyte"]
        assert (dataset.images.dtype, dataset.labels.dtype) == (torch.uint8, torch.int64)


def test_damaged_embedded_file_is_named(tmp_path, monkeypatch):
    damaged = tmp_path / "mnist.npz"
    damaged.write_bytes(data.MNIST_FILE.read_bytes()[:-100])
    monkeypatch.setattr(data, "MNIST_FILE", damaged)
    with pytest.raises(ValueError, match=r"mnist.npz is damaged .* install the course again"):
        data.load_dataset("mnist")


def test_validation_is_the_last_ten_thousand_training_images(mnist):
    train, validation = mnist[0].split()
    assert (len(train), len(validation)) == (50_000, 10_000)
    assert torch.equal(torch.cat([train.images, validation.images]), mnist[0].images)
    assert torch.equal(validation.labels, mnist[0].labels[50_000:])
    for size in (0, 60_000, -1):
        with pytest.raises(ValueError, match=rf"between 1 and 59999 images; got {size}"):
            mnist[0].split(size)


def test_unknown_names_list_the_known_ones(mnist):
    with pytest.raises(
        ValueError, match="unknown data set 'cifar': choose one of mnist, fashion-mnist, kmnist"
    ):
        data.load_dataset("cifar")
    with pytest.raises(ValueError, match="unknown binarisation 'random': choose one of dynamic, static"):
        data.binarize(mnist[1].images[:2], "random")


@pytest.mark.parametrize("fast", [False, True])
def test_dynamic_pixels_are_white_as_often_as_they_are_bright(generator, fast):
    images = torch.arange(256, dtype=torch.uint8).repeat(28 * 28, 1).T.reshape(256, 28, 28)  # one grey each
    x = torch.stack([data.binarize(images, generator=generator, fast=fast) for _ in range(50)])
    x = x.transpose(0, 1)
    p = torch.arange(256) / 255
    error = x.reshape(256, -1).mean(1) - p
    assert (error.abs() <= 5 * (p * (1 - p) / (50 * 784)).sqrt()).all()  # black and white: exactly
    assert set(x.unique().tolist()) == {0.0, 1.0}


def test_dynamic_differs_each_time_and_static_does_not(mnist):
    images = mnist[1].images[:10]
    assert not torch.equal(data.binarize(images), data.binarize(images))
    assert torch.equal(data.binarize(images, "static"), data.binarize(images, "static"))
    assert not torch.equal(data.binarize(images, "static"), data.binarize(images, "static", seed=1))
    seeded = [data.binarize(images, generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*seeded)


def test_threshold_and_none():
    images = torch.tensor([0, 127, 128, 255], dtype=torch.uint8).repeat(196).reshape(1, 28, 28)
    assert data.binarize(images, "threshold").flatten()[:4].tolist() == [0, 0, 1, 1]
    expected = torch.tensor([0, 127 / 255, 128 / 255, 1])
    torch.testing.assert_close(data.binarize(images, "none").flatten()[:4], expected)


def test_float_images_are_treated_as_their_bytes(mnist):
    images = mnist[1].images[:5]
    for how in ("static", "threshold", "none"):
        grey = images.float() / 255
        torch.testing.assert_close(data.binarize(grey, how), data.binarize(images, how))
        torch.testing.assert_close(data.binarize(grey.unsqueeze(1), how), data.binarize(images, how))


@pytest.mark.parametrize(
    "images, message",
    [
        (
            torch.full((2, 28, 28), 255.0),
            r"float in \[0, 1\]; got torch.float32 from 255 to 255: divide by 255\?",
        ),
        (torch.full((2, 28, 28), float("nan")), "NaN pixels: remove or repair"),
        (torch.zeros(2, 32, 32), r"shape \(N, 28, 28\) or \(N, 1, 28, 28\); got \(2, 32, 32\)"),
        (torch.zeros(28, 28), r"got \(28, 28\)"),
        (
            torch.zeros(2, 28, 28, dtype=torch.int64),
            r"uint8 \(0 to 255\) or float in \[0, 1\]; got torch.int64",
        ),
    ],
)
def test_bad_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        data.binarize(images)


def test_import_is_light():
    """No matplotlib, no torchvision, and 0.1 s at most of modules over torch (counted by what is loaded)."""
    program = (
        "import torch, sys; before = set(sys.modules); import vae_lesson, vae_lesson.data;"
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torchvision", "matplotlib", "ipywidgets", "PIL", "safetensors"} & set(result.stdout.split())


# --- the relatives of MNIST, from a small server on this machine ---


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves four small archives the way the public mirror does; `.files` may be changed to break it."""
    generator = torch.Generator().manual_seed(0)
    files = {}
    for part, count in (("train", 60), ("t10k", 10)):
        images = torch.randint(0, 256, (count, 28, 28), generator=generator)
        labels = torch.randint(0, 10, (count,), generator=generator)
        files[f"{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(images))
        files[f"{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append(self.path[1:])
            content = self.server.files.get(self.path[1:])
            self.send_response(200 if content else 503)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.files, httpd.requests = dict(files), []
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [f"http://127.0.0.1:{httpd.server_port}/"])
    resources = [(name, hashlib.md5(content).hexdigest()) for name, content in files.items()]
    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    yield httpd
    httpd.shutdown()
    httpd.server_close()


def test_relative_is_downloaded_once_and_read_again_from_its_folder(server, tmp_path):
    train, test = data.load_dataset("fashion-mnist", root=tmp_path)
    assert (len(train), len(test)) == (60, 10)
    assert (train.images.dtype, train.labels.dtype) == (torch.uint8, torch.int64)
    assert idx(train.images) == gzip.decompress(server.files["train-images-idx3-ubyte.gz"])
    server.requests.clear()
    again, _ = data.load_dataset("fashion-mnist", root=tmp_path)
    assert torch.equal(train.images, again.images)
    assert server.requests == []


@pytest.mark.parametrize("archive_kept", [True, False])
def test_truncated_extracted_file_is_repaired(server, tmp_path, archive_kept):
    train, _ = data.load_dataset("fashion-mnist", root=tmp_path)
    raw = tmp_path / "FashionMNIST" / "raw"
    damaged = raw / "train-images-idx3-ubyte"
    damaged.write_bytes(damaged.read_bytes()[:-500])
    if not archive_kept:
        damaged.with_suffix(".gz").unlink()
    again, _ = data.load_dataset("fashion-mnist", root=tmp_path)
    assert torch.equal(train.images, again.images)


def test_altered_archive_and_file_are_repaired(server, tmp_path):
    train, _ = data.load_dataset("fashion-mnist", root=tmp_path)
    raw = tmp_path / "FashionMNIST" / "raw"
    extracted = raw / "train-labels-idx1-ubyte"
    extracted.write_bytes(extracted.read_bytes()[:-1] + b"\xff")
    again, _ = data.load_dataset("fashion-mnist", root=tmp_path)
    assert torch.equal(train.labels, again.labels)
    archive = raw / "t10k-labels-idx1-ubyte.gz"
    archive.write_bytes(archive.read_bytes()[:20])
    archive.with_suffix("").unlink()
    data.load_dataset("fashion-mnist", root=tmp_path)
    assert archive.read_bytes() == server.files[archive.name]


def test_truncated_download_is_told(server, tmp_path):
    whole = server.files["t10k-images-idx3-ubyte.gz"]
    server.files["t10k-images-idx3-ubyte.gz"] = whole[: len(whole) // 2]
    with pytest.raises(OSError, match=r"could not be read or downloaded .*t10k-images-idx3-ubyte.*root="):
        data.load_dataset("fashion-mnist", root=tmp_path)
    server.files["t10k-images-idx3-ubyte.gz"] = whole
    assert len(data.load_dataset("fashion-mnist", root=tmp_path)[1]) == 10


def test_offline_download_names_file_folder_and_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.KMNIST, "mirrors", ["http://127.0.0.1:9/"])  # nobody listens on port 9
    with pytest.raises(OSError) as caught:
        data.load_dataset("kmnist", root=tmp_path)
    message = str(caught.value)
    assert "train-images-idx3-ubyte.gz" in message
    assert str(tmp_path / "KMNIST" / "raw") in message
    assert 'load_dataset("mnist"), which needs none' in message
