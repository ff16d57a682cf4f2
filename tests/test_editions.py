"""The set-up cell on Colab and elsewhere, and what a lecturer hands out."""

import importlib.metadata
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from vae_lesson import __version__
from vae_lesson.course import editions

ROOT = Path(__file__).parents[1]
STAMP = runpy.run_path(str(ROOT / ".ci" / "stamp"))
ADDRESS = "https://github.com/someone/course"
WHEEL = f"vae_lesson-{__version__}-py3-none-any.whl"
either = pytest.mark.parametrize("address", ["", ADDRESS], ids=["unpublished", "published"])


class Colab:
    """A stand-in for Colab: an empty working folder, an upload dialog, and pip that only says what it got."""

    def __init__(self, folder: Path, monkeypatch):
        self.folder, self.installed, self.uploads, self.asked = folder, [], [], 0
        files = SimpleNamespace(upload=self.upload)
        for name, module in {
            "google": SimpleNamespace(),
            "google.colab": SimpleNamespace(files=files),
        }.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(subprocess, "run", self.pip)
        monkeypatch.chdir(folder)
        self.have = lambda *versions: monkeypatch.setattr(
            importlib.metadata,
            "distributions",
            lambda name: [SimpleNamespace(version=version) for version in versions],
        )
        self.have()

    def upload(self) -> dict:
        self.asked += 1
        for name in self.uploads:
            self.put(name)
        return dict.fromkeys(self.uploads, b"content")

    def put(self, name: str, age: int = 0) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
        os.utime(path, (1e9 - age, 1e9 - age))
        return path

    def pip(self, command, *, check):
        assert check
        assert command[:-1] == [sys.executable, "-m", "pip", "install", "--quiet"]
        self.installed.append(command[-1])

    def run(self, address: str) -> None:
        """Run the stamped set-up cell; this folder is its /content."""
        exec(STAMP["setup"](address, __version__).replace("/content", self.folder.as_posix()), {})


@pytest.fixture
def colab(tmp_path, monkeypatch):
    return Colab(tmp_path, monkeypatch)


@either
def test_elsewhere_the_setup_cell_does_nothing(colab, monkeypatch, address):
    colab.put(WHEEL)
    monkeypatch.delitem(sys.modules, "google.colab")
    colab.run(address)
    assert (colab.installed, colab.asked) == ([], 0)


@either
@pytest.mark.parametrize("folder", [".", "drive/MyDrive", "drive/MyDrive/Colab Notebooks"])
def test_a_wheel_at_hand_comes_first(colab, address, folder):
    wheel = colab.put(f"{folder}/{WHEEL}")
    colab.put("drive/MyDrive/a/b/vae_lesson-9.0-py3-none-any.whl")  # too deep
    colab.put("drive/MyDrive/other-1.0-py3-none-any.whl")
    colab.run(address)
    (installed,) = colab.installed
    assert os.path.samefile(installed, wheel)
    assert not colab.asked


@either
def test_the_nearest_folder_counts_and_in_it_the_newest_wheel(colab, address):
    old = colab.put("vae_lesson-0.9-py3-none-any.whl", age=1000)
    new = colab.put("vae_lesson-0.10-py3-none-any.whl", age=10)
    colab.put(f"drive/MyDrive/{WHEEL}")
    colab.run(address)
    new.unlink()
    colab.run(address)
    old.unlink()
    colab.run(address)
    names = [Path(path).name for path in colab.installed]
    assert names == [new.name, old.name, WHEEL]


def test_without_a_wheel_the_public_tag_is_fetched_unless_it_is_installed(colab):
    for versions in [(), ("0.0.1",), (__version__,)]:
        colab.have(*versions)
        colab.run(ADDRESS)
    assert colab.installed == [f"git+{ADDRESS}@v{__version__}"] * 2
    assert not colab.asked


def test_without_an_address_a_dialog_asks_for_the_wheel_by_its_name(colab, capsys):
    colab.uploads = [WHEEL]
    colab.run("")
    assert colab.asked == 1
    assert [Path(path).name for path in colab.installed] == [WHEEL]
    assert len(capsys.readouterr().out.splitlines()) == 1
    colab.have(__version__)
    (colab.folder / WHEEL).unlink()
    colab.run("")
    assert colab.asked == len(colab.installed) == 1


@pytest.mark.parametrize(
    "name", ["00_start_here.ipynb", "numpy-2.0-py3-none-any.whl", f"{WHEEL[:-4]} (1).whl", ""]
)
def test_a_wrong_upload_is_told_and_not_installed(colab, capsys, name):
    colab.uploads = [name] if name else []
    with pytest.raises(AssertionError, match=f"run this cell again, choose {WHEEL}"):
        colab.run("")
    assert WHEEL in capsys.readouterr().out
    assert not colab.installed


@either
def test_the_setup_cell_is_short_and_plain_python(address):
    lines = STAMP["setup"](address, __version__).splitlines()
    assert len(lines) <= 22
    assert max(map(len, lines)) <= 110


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    """The edition for Colab, unpacked."""
    folder = tmp_path_factory.mktemp("edition")
    out = editions.colab(folder / "colab.zip")
    with zipfile.ZipFile(out) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_edition_for_colab_holds_notebooks_wheel_and_what_to_do(edition):
    notebooks = {path.name: path.read_bytes() for path in (ROOT / "notebooks").rglob("[!.]*.ipynb")}
    found = {path.name: path.read_bytes() for path in edition.iterdir()}
    assert found.keys() - notebooks.keys() == {WHEEL, "README.txt"}
    assert {name: found[name] for name in notebooks} == notebooks
    readme = found["README.txt"].decode("utf-8")
    assert WHEEL in readme
    assert "{" not in readme
    assert max(map(len, readme.splitlines())) <= 110


def test_the_wheel_holds_every_file_of_the_module(edition):
    with zipfile.ZipFile(edition / WHEEL) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    module = [path for path in (ROOT / "vae_lesson").rglob("*") if path.is_file()]
    assert packed == {
        path.relative_to(ROOT).as_posix() for path in module if path.parent.name != "__pycache__"
    }


def test_an_edition_never_replaces_a_file_and_is_a_zip(tmp_path):
    mine = tmp_path / "mine.zip"
    mine.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="move it, or name another file"):
        editions.colab(mine)
    assert mine.read_bytes() == b"mine"
    with pytest.raises(ValueError, match=r"name it model\.zip"):
        editions.colab(tmp_path / "model.safetensors")


def test_outside_its_folder_the_course_has_no_edition(tmp_path, monkeypatch):
    monkeypatch.setattr(editions, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="run this in the course's own folder"):
        editions.colab(tmp_path / "a.zip")


def test_when_no_wheel_can_be_built_pip_is_quoted_and_nothing_is_written(tmp_path, monkeypatch):
    tried = []

    def no_pip(command, **options):
        tried.append("--no-build-isolation" in command)
        return SimpleNamespace(returncode=1, stderr="No module named pip\n")

    monkeypatch.setattr(subprocess, "run", no_pip)
    with pytest.raises(OSError, match="No module named pip"):
        editions.colab(tmp_path / "a.zip")
    assert tried == [True, False]  # first without the network
    assert not list(tmp_path.iterdir())
