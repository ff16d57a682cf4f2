"""MNIST (embedded) and its relatives, the validation split, and binarisation."""

import functools
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

MNIST_FILE = Path(__file__).parent / "assets" / "mnist.npz"
MNIST_SHA256 = "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"
DATASETS = ("mnist", "fashion-mnist", "kmnist")
BINARIZATIONS = ("dynamic", "static", "threshold", "none")
DEFAULT_ROOT = Path.home() / ".cache" / "vae_lesson"


@dataclass(frozen=True)
class Dataset:
    """Grey images and their classes.  images: uint8 (N, 28, 28), 0 black to 255 white; labels: int64 (N,)."""

    name: str
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self):,} images of 28 x 28)"

    def split(self, validation: int = 10_000) -> tuple["Dataset", "Dataset"]:
        """All but the last `validation` images, and those: choose with them, and keep the test set unseen.

        Raises ValueError unless both parts hold at least one image.
        """
        if not 0 < validation < len(self):
            raise ValueError(f"validation must be between 1 and {len(self) - 1} images; got {validation}")
        cut = len(self) - validation
        return (
            Dataset(f"{self.name} (training)", self.images[:cut], self.labels[:cut]),
            Dataset(f"{self.name} (validation)", self.images[cut:], self.labels[cut:]),
        )


def load_dataset(name: str = "mnist", root: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """The training set (60,000 images) and the test set (10,000) of a data set.

    name: "mnist" (embedded, never touches the network), "fashion-mnist" or "kmnist" (downloaded once
    through torchvision, 30 and 20 MB).  root: folder of those two, laid out as torchvision does.
    Raises ValueError for another name or a damaged embedded file, OSError when a download fails.
    Sources: LeCun, Cortes & Burges 1998; Xiao et al. 2017; Clanuwat et al. 2018.
    """
    if name == "mnist":
        return _embedded_mnist()
    if name in DATASETS:
        return _from_torchvision(name, Path(root or DEFAULT_ROOT))
    raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(DATASETS)}")


def binarize(
    images: Tensor,
    how: str = "dynamic",
    *,
    generator: torch.Generator | None = None,
    seed: int = 0,
    fast: bool = False,
) -> Tensor:
    """Images as float32 (N, 1, 28, 28), black and white unless how = "none".

    images: uint8 (N, 28, 28) or float in [0, 1] of that shape or (N, 1, 28, 28).
    A score belongs to its binarisation; compare only like with like:

    "dynamic": a fresh Bernoulli sample, white with probability grey / 255 (from `generator`).  For
        training.  Compare with Burda et al. 2015, Kingma et al. 2016 and most papers since.
    "static": the same, drawn from `seed`, so the same images give the same sample in every run.  For
        scoring the whole test set of a model trained on dynamic data: same comparisons.  It is not
        Larochelle's fixed sample ("static MNIST" in papers): training on one sample scores worse.
    "threshold": white where grey > 127.  Easier data, lower -log p(x): compare with nothing above.
    "none": grey / 255.  For the Gaussian likelihood (a density, which may exceed 1); the Bernoulli
        formula still gives a number on grey pixels, but no log probability.

    fast: "dynamic" from 16 random bits a pixel instead of 24, for training: three times as many a second,
    and the probability of white is right to 1 / 65536 (exactly 0 for black pixels, exactly 1 for white ones).
    Raises ValueError for another `how` or for images of another kind.
    """
    if how not in BINARIZATIONS:
        raise ValueError(f"unknown binarisation {how!r}: choose one of {', '.join(BINARIZATIONS)}")
    grey = _to_unit_interval(images)
    if how == "none":
        return grey
    if how == "threshold":
        return (grey > 127 / 255).float()
    if how == "static":
        noise = torch.rand(grey.shape, generator=torch.Generator().manual_seed(seed)).to(grey.device)
    elif fast:
        bits = torch.empty(grey.numel() // 4, dtype=torch.int64, device=grey.device)  # each for four pixels
        noise = bits.random_(-(2**63), None, generator=generator).view(torch.int16).view(grey.shape)
        grey = grey * 65536 - 32768  # noise is in [-32768, 32767]
    else:
        noise = torch.rand(grey.shape, generator=generator, device=grey.device)
    return (noise < grey).float()  # noise is in [0, 1): 0 stays black, 1 stays white


def _to_unit_interval(images: Tensor) -> Tensor:
    if images.shape[-2:] != (28, 28) or images.ndim not in (3, 4) or images.shape[1:-2] not in ((), (1,)):
        raise ValueError(f"images must be of shape (N, 28, 28) or (N, 1, 28, 28); got {tuple(images.shape)}")
    images = images.reshape(-1, 1, 28, 28)
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise ValueError(f"images must be uint8 (0 to 255) or float in [0, 1]; got {images.dtype}")
    low, high = images.aminmax() if images.numel() else (torch.zeros(()), torch.zeros(()))
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"images must be uint8 (N, 28, 28) or float in [0, 1]; got {images.dtype} "
            + (
                "with NaN pixels: remove or repair these images first"
                if low != low
                else f"from {low:.4g} to {high:.4g}" + (": divide by 255?" if 1 < high <= 255 else "")
            )
        )
    return images.float()


def _embedded_mnist() -> tuple[Dataset, Dataset]:
    import numpy as np

    _verify_embedded(MNIST_FILE)
    with np.load(MNIST_FILE) as arrays:
        train, test = (
            Dataset(
                "mnist", torch.from_numpy(arrays[f"x_{part}"]), torch.from_numpy(arrays[f"y_{part}"]).long()
            )
            for part in ("train", "test")
        )
    return train, test


@functools.cache
def _verify_embedded(path: Path) -> None:
    """Once a process: 10 ms for 11.5 MB."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != MNIST_SHA256:
        raise ValueError(
            f"{path} is damaged (SHA-256 {found[:12]}..., expected {MNIST_SHA256[:12]}...): "
            "install the course again, or restore the file from its repository"
        )


def _from_torchvision(name: str, root: Path) -> tuple[Dataset, Dataset]:
    from torchvision import datasets

    source = {"fashion-mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}[name]
    folder = root / source.__name__ / "raw"
    try:
        _remove_damaged(source, folder)
        parts = [source(root, train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError) as error:  # torchvision raises both for a failed download
        missing = [file for file, _ in source.resources if not (folder / file.removesuffix(".gz")).exists()]
        reason = " ".join(str(error).split())
        raise OSError(
            f"{name} could not be read or downloaded ({reason}). Missing in {folder}: "
            f"{', '.join(missing) or 'nothing'}. Without a network: copy these files there from a machine "
            'that has them, name another folder with root=, or use load_dataset("mnist"), which needs none.'
        ) from error
    train, test = (Dataset(name, part.data, part.targets.long()) for part in parts)
    return train, test


def _remove_damaged(source, folder: Path) -> None:
    """Delete truncated or altered files, so that torchvision fetches them again (it never does so itself).

    An archive is held to torchvision's MD5; an extracted file to its archive's CRC-32 and length, or,
    where the archive is gone, to the size that its own header gives.
    """
    for file, md5 in source.resources:
        archive, extracted = folder / file, folder / file.removesuffix(".gz")
        if archive.exists() and hashlib.md5(archive.read_bytes()).hexdigest() != md5:
            archive.unlink()
        if not extracted.exists():
            continue
        content = extracted.read_bytes()
        if archive.exists():
            whole = struct.pack("<II", zlib.crc32(content), len(content)) == archive.read_bytes()[-8:]
        else:
            dims = content[3] if len(content) > 3 else 0  # IDX: two zeros, type, number of dimensions
            header = content[4 : 4 + 4 * dims].ljust(4 * dims, b"\0")
            whole = len(content) == 4 + 4 * dims + math.prod(struct.unpack(f">{dims}I", header))
        if not whole:
            extracted.unlink()
