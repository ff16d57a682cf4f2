"""MNIST (embedded) and its relatives, the validation split, and binarisation."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vae_lesson import relatives

MNIST_FILE = Path(__file__).parent / "assets" / "mnist.npz"
DATASETS = ("mnist", "fashion-mnist", "kmnist")
BINARIZATIONS = ("dynamic", "static", "threshold", "none")


@dataclass(frozen=True)
class Dataset:
    """Images, uint8 (N, side, side), 0 black to 255 white; labels, int64 (N,), and their names, if any."""

    name: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        height, width = self.images.shape[1:]
        return f"Dataset({self.name!r}, {len(self):,} images of {height} x {width})"

    def split(self, validation: int = 10_000) -> tuple["Dataset", "Dataset"]:
        """All but the last `validation` images, and those: choose with them, and keep the test set unseen.

        Raises ValueError unless both parts hold at least one image.
        """
        if not 0 < validation < len(self):
            raise ValueError(f"validation must be between 1 and {len(self) - 1} images; got {validation}")
        cut = len(self) - validation
        return (
            Dataset(f"{self.name} (training)", self.images[:cut], self.labels[:cut], self.classes),
            Dataset(f"{self.name} (validation)", self.images[cut:], self.labels[cut:], self.classes),
        )


def load_dataset(name: str = "mnist", root: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """The training set (60,000 images) and the test set (10,000) of a data set.

    name: "mnist" (embedded, never touches the network), "fashion-mnist" or "kmnist" (downloaded once
    through torchvision, 30 and 20 MB).  root: folder of those two, laid out as torchvision does; files that
    are there are read, compressed or not, and never changed.
    Raises ValueError for another name or a damaged embedded file, OSError when a download fails.
    Sources: LeCun, Cortes & Burges 1998; Xiao et al. 2017; Clanuwat et al. 2018.
    """
    if name == "mnist":
        return _embedded_mnist()
    if name in DATASETS:
        x_train, y_train, x_test, y_test = relatives.read(name, root)
        return Dataset(name, x_train, y_train.long()), Dataset(name, x_test, y_test.long())
    raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(DATASETS)}")


def load_folder(path: str | Path, side: int = 28) -> Dataset:
    """All pictures below a folder, in grey, the middle square of each as (side, side); classes: subfolders.

    Raises FileNotFoundError for no folder, ValueError for no picture, an unreadable one, or a bad side.
    """
    return Dataset(Path(path).name, *relatives.read_folder(Path(path).expanduser(), side))


def binarize(
    images: Tensor, how: str = "dynamic", *, generator: torch.Generator | None = None, seed: int = 0
) -> Tensor:
    """Images as float32 (N, 1, side, side), black and white unless how = "none".

    images: uint8 (N, side, side) or float in [0, 1] of that shape or (N, 1, side, side).
    A score belongs to its binarisation; compare only like with like:

    "dynamic": a fresh Bernoulli sample, white with probability grey / 255 (from `generator`).  For
        training.  Compare with Burda et al. 2015, Kingma et al. 2016 and most papers since.
    "static": the same, but one sample for good: it depends on `seed` and on the image's own pixels alone,
        so an image looks the same in every run and wherever it stands.  For scoring models trained on
        dynamic data.  It is not Larochelle's fixed sample ("static MNIST" in papers): training on one
        sample scores worse.
    "threshold": white where grey > 127.  Easier data, lower -log p(x): compare with nothing above.
    "none": grey / 255.  For the Gaussian likelihood (a density, which may exceed 1); the Bernoulli
        formula still gives a number on grey pixels, but no log probability.

    Raises ValueError for another `how` or for images of another kind.
    """
    if how not in BINARIZATIONS:
        raise ValueError(f"unknown binarisation {how!r}: choose one of {', '.join(BINARIZATIONS)}")
    check_images(images)
    grey = images.reshape(-1, 1, *images.shape[-2:]).float()
    if images.dtype == torch.uint8:
        grey /= 255  # in place: float() has made a copy
    if how == "none":
        return grey
    if how == "threshold":
        return (grey > 127 / 255).float()
    if how == "static":
        noise = _noise_of_each_image(grey, seed)
    else:
        noise = torch.rand(grey.shape, generator=generator, device=grey.device)
    return torch.lt(noise, grey, out=noise)  # noise is in [0, 1): 0 stays black, 1 stays white


def check_images(images: Tensor) -> None:
    """Raises ValueError unless images are uint8 or float in [0, 1], (N, side, side) or (N, 1, side, side)."""
    shape = tuple(images.shape)
    if len(shape) not in (3, 4) or shape[-2] != shape[-1] or shape[1:-2] not in ((), (1,)):
        raise ValueError(f"images must be squares, as (N, 28, 28) or (N, 1, 28, 28); got {shape}")
    if images.dtype == torch.uint8 or not images.numel():
        return
    if not images.is_floating_point():
        raise ValueError(f"images must be uint8 (0 to 255) or float in [0, 1]; got {images.dtype}")
    low, high = (value.item() for value in images.aminmax())
    if not 0 <= low <= high <= 1:  # false for NaN too
        advice = ": divide by 255?" if 1 < high <= 255 else ": remove or repair these images first"
        raise ValueError(
            f"images must be uint8 (N, 28, 28) or float in [0, 1]; got {images.dtype} "
            f"from {low:.4g} to {high:.4g}{advice}"
        )


def mnist_style(ink: Tensor) -> Tensor:
    """A drawing as MNIST has its digits: 20 pixels high or wide, centre of mass at pixel (14, 14).

    ink: uint8 (H, W), white on black, not empty.  Returns uint8 (28, 28).  Source: LeCun et al. 1998.
    """
    from PIL import Image

    rows, columns = ink.amax(1).nonzero()[:, 0], ink.amax(0).nonzero()[:, 0]
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(side * 20 / max(ink.shape))) for side in ink.shape)
    small = Image.fromarray(ink.numpy()).resize((width, height), Image.Resampling.BOX)
    small = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(height, width)
    mass = small.double() / small.double().sum()
    y, x = mass.sum(1) @ torch.arange(height).double(), mass.sum(0) @ torch.arange(width).double()
    top = min(max(round(14 - y.item()), 0), 28 - height)
    left = min(max(round(14 - x.item()), 0), 28 - width)
    return torch.nn.functional.pad(small, (left, 28 - width - left, top, 28 - height - top))


def _noise_of_each_image(grey: Tensor, seed: int) -> Tensor:
    """Uniform noise from a generator that is seeded with the image's own bytes: (N, 1, 28, 28)."""
    generator, noise = torch.Generator(), torch.empty(grey.shape)
    for row, image in zip(noise, (grey * 255).round().byte().cpu().numpy(), strict=True):
        torch.rand(row.shape, generator=generator.manual_seed(zlib.crc32(image, seed)), out=row)
    return noise.to(grey.device)


def _embedded_mnist() -> tuple[Dataset, Dataset]:
    import numpy as np

    try:
        with MNIST_FILE.open("rb") as content, np.load(content) as file:
            arrays = {name: torch.from_numpy(file[name]) for name in file.files}  # verified by their CRC-32
        return tuple(
            Dataset("mnist", arrays[f"x_{part}"], arrays[f"y_{part}"].long()) for part in ("train", "test")
        )
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{MNIST_FILE} is damaged ({error}): install the course again, or restore the file from its "
            "repository"
        ) from error
