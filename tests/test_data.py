"""MNIST byte for byte, binarisation's statistics, and downloads that go wrong, over a real local server."""

import gzip
import hashlib
import http.server
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image
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


def test_dynamic_pixels_are_white_as_often_as_they_are_bright(generator):
    images = torch.arange(256, dtype=torch.uint8).repeat(28 * 28, 1).T.reshape(256, 28, 28)  # one grey each
    x = torch.stack([data.binarize(images, generator=generator) for _ in range(50)])
    x = x.transpose(0, 1)
    p = torch.arange(256) / 255
    error = x.reshape(256, -1).mean(1) - p
    assert (error.abs() <= 5 * (p * (1 - p) / (50 * 784)).sqrt()).all()  # black and white: exactly
    assert set(x.unique().tolist()) == {0.0, 1.0}


def test_dynamic_differs_each_time_and_static_does_not(mnist):
    images = mnist[1].images[:10]
    assert not torch.equal(data.binarize(images), data.binarize(images))
    assert torch.equal(data.binarize(images, "static"), data.binarize(images, "static"))
    before = torch.get_rng_state()
    assert not torch.equal(data.binarize(images, "static"), data.binarize(images, "static", seed=1))
    seeded = [data.binarize(images, generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*seeded)
    assert torch.equal(before, torch.get_rng_state())


def test_a_static_sample_belongs_to_the_image_and_not_to_its_place(mnist):
    images = mnist[1].images[:500]
    x = data.binarize(images, "static")
    for rows in (slice(None, None, 10), slice(7, 9), torch.randperm(500)):
        assert torch.equal(x[rows], data.binarize(images[rows], "static"))
    # and it is a Bernoulli sample: right on average, and other images get other noise
    white, p = x.sum(), (images / 255).double()
    assert abs(white - p.sum()) < 5 * (p * (1 - p)).sum().sqrt()
    grey = torch.full((300, 28, 28), 127, dtype=torch.uint8)
    grey[:, 0, 0] = torch.arange(300) % 256
    different = (data.binarize(grey[:150], "static") != data.binarize(grey[150:], "static")).float().mean()
    assert abs(different - 0.5) < 0.01


@pytest.mark.parametrize("noise", [0.0, 1 - 2**-24])
def test_black_stays_black_and_white_stays_white_whatever_the_noise(monkeypatch, noise):
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, noise))  # the least, the largest
    images = torch.tensor([0, 255], dtype=torch.uint8).repeat(392).reshape(1, 28, 28)
    assert data.binarize(images).flatten()[:2].tolist() == [0, 1]


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
        (torch.full((2, 28, 28), float("nan")), "from nan to nan: remove or repair"),
        (torch.full((2, 28, 28), float("inf")), "from inf to inf: remove or repair"),
        (torch.zeros(2, 32, 28), r"squares, as \(N, 28, 28\) or \(N, 1, 28, 28\); got \(2, 32, 28\)"),
        (torch.zeros(2, 3, 28, 28), r"got \(2, 3, 28, 28\)"),
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


@pytest.mark.parametrize("how", data.BINARIZATIONS)
def test_squares_of_any_side_are_taken(how):
    images = torch.randint(256, (3, 20, 20), dtype=torch.uint8)
    assert data.binarize(images, how).shape == (3, 1, 20, 20)


# Your own pictures


@pytest.fixture
def folder(tmp_path):
    """Two classes and a picture outside of them; names sort as given here."""
    stripes = np.zeros((40, 90), np.uint8)
    stripes[:, 25:65] = 200  # the middle square
    wheel = Image.new("RGBA", (50, 50), (0, 0, 0, 0))  # black, and transparent
    wheel.paste((0, 0, 0, 255), (0, 0, 50, 25))
    turned, exif = Image.fromarray(np.tile(np.uint8([[0], [255]]), (1, 2))), Image.Exif()
    exif[274] = 6  # the camera was held sideways: its first row is the right column
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "a").mkdir()
    Image.fromarray(stripes).save(tmp_path / "a" / "1.png")
    Image.fromarray(stripes).convert("RGB").save(tmp_path / "b" / "deep" / "2.BMP")
    wheel.save(tmp_path / "b" / "wheel.png")
    turned.resize((64, 64), 0).save(tmp_path / "z.jpg", exif=exif)
    (tmp_path / "a" / "notes.txt").write_text("no picture", encoding="utf-8")
    (tmp_path / "._4.png").write_bytes(b"nothing")
    (tmp_path / ".checkpoints").mkdir()
    (tmp_path / ".checkpoints" / "5.png").write_bytes(b"nothing")
    return tmp_path


def test_a_folder_of_pictures_becomes_a_dataset(folder):
    made = data.load_folder(folder, side=20)
    assert (made.images.dtype, made.images.shape) == (torch.uint8, (4, 20, 20))
    assert made.classes == ("", "a", "b") and made.labels.tolist() == [1, 2, 2, 0]
    assert made.labels.dtype == torch.int64 and made.name == folder.name and "20 x 20" in repr(made)
    first, second, wheel, turned = made.images
    assert torch.equal(first, second) and (first[:, 2:-2].float() - 200).abs().max() < 5
    assert (wheel[:9] == 0).all() and (wheel[-9:] == 255).all()
    assert (turned[:, :9] > 245).all() and (turned[:, -9:] < 10).all()
    one, two = made.split(1)
    assert one.classes == two.classes == made.classes
    assert len(data.load_folder(str(folder / "a"))) == 1 and data.load_folder(folder / "a").classes == ("",)


def test_a_folder_that_does_not_serve_is_told(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: name the one with your pictures"):
        data.load_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no folder .*z.jpg"):
        data.load_folder(folder / "z.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no picture: put some there \(.jpg, .jpeg, .png"):
        data.load_folder(tmp_path / "empty")
    for side in (0, -4, 2.5, "28"):
        with pytest.raises(ValueError, match=f"a whole number of pixels, 1 or more; got {side!r}"):
            data.load_folder(folder, side)
    content = (folder / "a" / "1.png").read_bytes()
    for damaged in (content[:60], b"", b"no picture"):
        (folder / "b" / "bad.png").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"bad.png cannot be read .*: repair it, or take it away"):
            data.load_folder(folder)


def test_import_loads_no_heavy_package_and_asks_for_no_home():
    """Also for a user without HOME and without an entry in the list of users, as in some containers."""
    program = (
        "import os, torch, sys; before = set(sys.modules); os.environ.pop('HOME', 0);"
        "getattr(os, 'setuid', int)(54321); import vae_lesson, vae_lesson.data;"
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if "PermissionError" in result.stderr:
        pytest.skip("only root may become another user")
    assert result.returncode == 0, result.stderr
    assert not {"torchvision", "matplotlib", "ipywidgets", "PIL", "safetensors"} & set(result.stdout.split())


# Drawings


def enlarged(image):
    return image.repeat_interleave(4, 0).repeat_interleave(4, 1)


def test_mnist_digits_that_are_enlarged_and_moved_come_back(mnist):
    """As they were, or a pixel beside."""
    same = 0
    for image in mnist[1].images[:200]:
        back = data.mnist_style(torch.nn.functional.pad(enlarged(image), (20, 8, 3, 25)))
        assert back.shape == (28, 28) and back.dtype == torch.uint8
        same += torch.equal(back, image)
        shifts = [torch.roll(back, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        assert min((shifted.int() - image.int()).abs().max() for shifted in shifts) < 30
    assert same > 160


def test_thin_drawings_and_dots_do_not_fail():
    for top, left, height, width in ((0, 0, 112, 1), (50, 50, 1, 1), (111, 0, 1, 112), (0, 0, 112, 112)):
        ink = torch.zeros(112, 112, dtype=torch.uint8)
        ink[top : top + height, left : left + width] = 255
        assert data.mnist_style(ink).any()


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


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_archives_packed_in_another_way_are_read_and_stay(server, tmp_path):
    """As Debian's dataset-fashion-mnist has them: the same content, another compression, other MD5 sums."""
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in server.files.items():
        (raw / name).write_bytes(gzip.compress(gzip.decompress(content), compresslevel=1, mtime=1))
    before = contents(raw)
    train, _ = data.load_dataset("fashion-mnist", root=tmp_path)
    assert idx(train.images) == gzip.decompress(server.files["train-images-idx3-ubyte.gz"])
    assert contents(raw) == before and server.requests == []


@pytest.mark.parametrize("damage", ["truncated file", "truncated archive", "no archive", "other content"])
def test_a_damaged_folder_stays_as_it_is_and_a_whole_one_is_made_beside_it(server, tmp_path, damage):
    whole, _ = data.load_dataset("fashion-mnist", root=tmp_path)
    raw = tmp_path / "FashionMNIST" / "raw"
    for path in raw.iterdir():
        if not path.suffix:
            path.unlink()  # torchvision's unpacked copies
    file = raw / "train-images-idx3-ubyte.gz"
    content = file.read_bytes()
    file.unlink()
    if damage == "truncated file":
        file.with_suffix("").write_bytes(gzip.decompress(content)[:-500])
    elif damage != "no archive":
        file.write_bytes(content[:20] if damage == "truncated archive" else b"precious")
    before = contents(raw)
    with pytest.warns(UserWarning, match=r"train-images-idx3-ubyte.*nothing there was changed.*raw-2"):
        train, _ = data.load_dataset("fashion-mnist", root=tmp_path)
    assert torch.equal(train.images, whole.images) and contents(raw) == before
    server.requests.clear()
    again, _ = data.load_dataset("fashion-mnist", root=tmp_path)  # without a word, and without the network
    assert torch.equal(again.images, whole.images) and server.requests == []


def test_a_tilde_is_the_home_of_the_user(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    data.load_dataset("fashion-mnist", root="~/data")
    data.load_dataset("fashion-mnist")
    for folder in ("data", ".cache/vae_lesson"):
        assert (tmp_path / folder / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte").exists()


def test_truncated_download_is_told(server, tmp_path):
    whole = server.files["t10k-images-idx3-ubyte.gz"]
    server.files["t10k-images-idx3-ubyte.gz"] = whole[: len(whole) // 2]
    with pytest.raises(OSError, match=r"could not be downloaded .*t10k-images-idx3-ubyte.*root="):
        data.load_dataset("fashion-mnist", root=tmp_path)
    assert not list((tmp_path / "FashionMNIST").iterdir())  # nothing half-written
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
