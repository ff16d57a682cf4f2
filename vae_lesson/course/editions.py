"""What a lecturer hands out: the course packed for the place where students work."""

import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from vae_lesson import checkpoints

ROOT = Path(__file__).parents[2]  # the course's folder, if the module was not installed elsewhere
COLAB = """\
A hands-on course on variational autoencoders, in Google Colab

This folder has the lessons, NN_name.ipynb (begin with 00_start_here.ipynb), and one file with all the rest:
the program, the data and the trained models. That file is {wheel}.
You need a browser and a Google account. There are two ways.

Either upload
1. Unpack the ZIP.
2. Open https://colab.research.google.com, choose "File > Upload notebook", and take a lesson.
3. Run its first code cell. When it asks for a file, choose the one named above, and wait for 100 %.
4. Run the other cells from top to bottom. Do the same for each lesson.

Or use Google Drive, where your work is kept
1. Unpack the ZIP, and put the whole folder into "My Drive" on https://drive.google.com (not deeper).
2. In that folder, open a lesson with "Open with > Google Colaboratory".
3. In Colab, click the folder on the left, then "Mount Drive", and allow it.
4. Run the cells from top to bottom. The first one finds the file named above in your Drive.

After a long break Colab starts anew and has forgotten the course: begin again with the first cell.
"""


def colab(out: str | Path) -> Path:
    """Write a ZIP for Google Colab: the notebooks, a wheel of the course, and README.txt for the student.

    out: a new .zip file; it appears whole or not at all.  Returns it.
    Raises ValueError for another kind of name or outside the course's folder, FileExistsError, OSError.
    """
    out, notebooks = Path(out), sorted((ROOT / "notebooks").rglob("[!.]*.ipynb"))
    if out.suffix.lower() != ".zip":
        raise ValueError(f"an edition is a .zip file; got {out}: name it {out.with_suffix('.zip').name}")
    if out.exists():
        raise FileExistsError(f"{out} exists: move it, or name another file")
    if not notebooks or not (ROOT / "pyproject.toml").is_file():
        raise ValueError(f"no notebooks beside the module in {ROOT}: run this in the course's own folder")
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        wheel = _build_wheel(Path(folder))
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("README.txt", COLAB.format(wheel=wheel.name))
            for path in (*notebooks, wheel):
                archive.write(path, path.name)
    checkpoints.write_whole(out, content.getvalue())
    return out


def _build_wheel(folder: Path) -> Path:
    """Build the course's wheel in an empty folder.  Raises OSError with pip's words when that fails."""
    source = folder / "source"  # a copy: what older builds left in ROOT/build would be packed too
    shutil.copytree(ROOT / "vae_lesson", source / "vae_lesson", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source]
    offline = ["--no-build-isolation", "--check-build-dependencies"]  # with the setuptools that is installed
    for options in (offline, []):  # [] fetches setuptools
        built = subprocess.run([*pip, *options], capture_output=True, text=True)
        if built.returncode == 0:
            return next(folder.glob("*.whl"))
    raise OSError(f"pip could not build the wheel of {ROOT}: {built.stderr.strip()}")
