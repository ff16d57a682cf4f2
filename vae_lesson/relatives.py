"""MNIST's relatives through torchvision, and your own pictures.  What is in a folder is never changed."""

import gzip
import itertools
import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor


def read(name: str, root: str | Path | None = None) -> list[Tensor]:
    """Images and labels for training, then for the test: uint8 (N, 28, 28) and (N,) each.

    name: "fashion-mnist" or "kmnist".  root: a folder as torchvision lays it out.
    The first folder in it that is whole is read: `raw`, where torchvision has it, or raw-2 ... beside that,
    where a download goes when something in `raw` is missing or damaged.
    Raises OSError when nothing can be read and the download fails.
    """
    from torchvision import datasets

    source = {"fashion-mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}[name]
    root = Path("~/.cache/vae_lesson" if root is None else root).expanduser()
    place, damage = root / source.__name__, ""
    for number in itertools.count(1):
        folder = place / ("raw" if number == 1 else f"raw-{number}")
        if not folder.exists():
            _download(name, source, folder, damage)
        try:
            return [_read_idx(folder, archive) for archive, _ in source.resources]
        except OSError as error:
            damage += f"{error} "


def read_folder(root: Path, side: int) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Images, labels and names of the labels, for `data.load_folder`.  What is hidden is left out."""
    from torchvision.datasets.folder import IMG_EXTENSIONS

    if not isinstance(side, int) or side < 1:
        raise ValueError(f"side must be a whole number of pixels, 1 or more; got {side!r}")
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root.absolute()}: name the one with your pictures")
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))
    names = [name for name in names if name.lower().endswith(IMG_EXTENSIONS) and "/." not in f"/{name}"]
    if not names:
        raise ValueError(f"{root} holds no picture: put some there ({', '.join(IMG_EXTENSIONS)})")
    folders = [name.rpartition("/")[0].partition("/")[0] for name in names]  # "" for none
    classes = sorted(set(folders))
    images = torch.stack([_read_picture(root / name, side) for name in names])
    return images, torch.tensor([classes.index(name) for name in folders]), tuple(classes)


def _read_picture(path: Path, side: int) -> Tensor:
    """The middle square in grey, upright as the camera was held, and white where it is transparent."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file).convert("RGBA")
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        raise ValueError(f"{path} cannot be read ({error}): repair it, or take it away") from error
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("L")
    pixels = ImageOps.fit(picture, (side, side)).tobytes()
    return torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(side, side)


def _read_idx(folder: Path, archive: str) -> Tensor:
    """Images or labels from a file, or else from its .gz archive.  Raises OSError with what is wrong."""
    from torchvision.datasets.mnist import read_image_file, read_label_file

    read, reasons = read_image_file if "images" in archive else read_label_file, []
    with tempfile.TemporaryDirectory() as temporary:
        copy, packed = Path(temporary, "idx"), folder / archive
        for path, unpack in ((packed.with_suffix(""), bytes), (packed, gzip.decompress)):
            try:
                copy.write_bytes(unpack(path.read_bytes()))
                return read(str(copy))
            except FileNotFoundError:
                reasons.append(f"no {path.name}")
            except Exception as error:  # whatever a damaged file makes gzip or torchvision say
                reasons.append(f"{path.name} cannot be read ({error or type(error).__name__})")
    raise OSError(f"{folder}: {', '.join(reasons)}; nothing there was changed.")


def _download(name: str, source, folder: Path, damage: str) -> None:
    """Through torchvision, which checks MD5 sums, into a temporary folder; then rename it."""
    if damage:
        warnings.warn(f"{damage}Downloading {name} into {folder}.", stacklevel=4)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            raw = Path(source(temporary, download=True).raw_folder)
            raw.rename(folder)
    except (OSError, RuntimeError) as error:  # torchvision raises both for a failed download
        wanted = ", ".join(archive for archive, _ in source.resources)
        raise OSError(
            f"{name} could not be downloaded ({' '.join(str(error).split())}). {damage}Without a network: "
            f"copy {wanted} to {folder.parent / 'raw'} from a machine that has them, name another "
            'folder with root=, or use load_dataset("mnist"), which needs none.'
        ) from error
