"""pyproject, environment.yml, the wheel's content, README's commands and the stamped address agree."""

import importlib.machinery
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from vae_lesson.__main__ import RECIPES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
README = (ROOT / "README.md").read_text()
CONDA_NAMES = {"torch": "pytorch"}  # where conda-forge calls a package otherwise


def test_environment_yml_asks_for_what_pyproject_asks_for():
    project = PROJECT["project"]
    wanted = {
        CONDA_NAMES.get(name, name) + bound
        for name, bound in (
            re.fullmatch(r"([\w-]+)(.*)", line).groups()
            for line in project["dependencies"] + project["optional-dependencies"]["lab"]
        )
    }
    text = (ROOT / "environment.yml").read_text()
    listed = set(re.findall(r"^  - ([^:\n]+)$", text, re.MULTILINE))
    python = {line for line in listed if line.startswith("python=")}
    assert listed - python - {"pip", "conda-forge", "nodefaults"} == wanted
    assert python == {"python=" + project["requires-python"].removeprefix(">=")}
    assert "- pip:\n      - -e .\n" in text


def test_package_data_holds_mnist_weights_and_licence():
    data = PROJECT["tool"]["setuptools"]["package-data"]
    assert data == {"vae_lesson": ["assets/*", "widgets/*.js", "page.html"]}
    names = {path.name for path in (ROOT / "vae_lesson" / "assets").iterdir()}
    weights = {f"{name}.safetensors" for name in RECIPES}
    assert names == {"mnist.npz", "LICENSE.md"} | weights


def test_address_is_stamped_everywhere():
    result = subprocess.run(
        [sys.executable, ROOT / ".ci" / "stamp", "--check"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout


def test_readme_gives_the_two_commands_alone_on_their_lines():
    lines = README.splitlines()
    assert 'pip install -e ".[lab]" && jupyter lab notebooks/00_start_here.ipynb' in lines
    assert 'pip install -e ".[test]" && pytest' in lines


def test_readme_pictures_exist_and_are_described():
    pictures = re.findall(r"!\[([^\]]*)\]\((figures/[^)]+)\)", README)
    assert {path for _, path in pictures} == {f"figures/{p.name}" for p in (ROOT / "figures").iterdir()}
    assert all(len(alt) > 40 for alt, _ in pictures)


def test_readme_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?://|#)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
    for anchor in re.findall(r"\]\(#([^)]+)\)", README):
        headings = [
            re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-")
            for h in re.findall(r"^#+ (.*)$", README, re.M)
        ]
        assert anchor in headings


def test_modules_import_only_along_the_arrows():
    arrows = {
        "data": set(), "information": set(), "models": set(), "plots": {"plots"},
        "training": {"data", "objectives", "checkpoints"}, "objectives": {"information"},
        "checkpoints": {"models"}, "widgets": {"plots", "objectives", "data", "widgets"},
        "exact": set(), "page": {"checkpoints", "data", "models", "objectives"},
        "checks": {"information", "objectives", "checks"},
    }  # fmt: skip
    for name, allowed in arrows.items():
        path = ROOT / "vae_lesson" / f"{name}.py"
        files = [path] if path.exists() else sorted((ROOT / "vae_lesson" / name).glob("*.py"))
        source = "\n".join(file.read_text() for file in files)
        imported = set(re.findall(r"^\s*from vae_lesson\.(\w+)[\w.]* import", source, re.M))
        for names in re.findall(r"^\s*from vae_lesson import (.*)$", source, re.M):
            imported |= set(re.split(r",\s*", names))
        assert imported <= allowed, name


@pytest.fixture
def stamp():
    """The script .ci/stamp as a module."""
    loader = importlib.machinery.SourceFileLoader("stamp", str(ROOT / ".ci" / "stamp"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("stamp", loader))
    loader.exec_module(module)
    return module


def test_a_public_address_reaches_badge_setup_cell_and_readme(stamp):
    address = "https://github.com/someone/course"
    assert f"%pip install --quiet git+{address}" in stamp.setup(address)
    link = "https://colab.research.google.com/github/someone/course/blob/main/notebooks/00_start_here.ipynb"
    assert link in stamp.badge(address, "00_start_here.ipynb")
    assert link in stamp.stamped_readme(README, address)
    text = (ROOT / "notebooks" / "06_feedforward_vae.ipynb").read_text()
    stamped = json.loads(stamp.stamped_notebook(text, "06_feedforward_vae.ipynb", address))
    assert sum(address in "".join(cell["source"]) for cell in stamped["cells"]) == 1  # badges name Colab's
    assert stamp.stamped_notebook(json.dumps(stamped), "06_feedforward_vae.ipynb", "") == text


def test_without_an_address_the_setup_cell_says_so_on_colab_alone(stamp, monkeypatch):
    exec(stamp.setup(""), {})
    monkeypatch.setitem(sys.modules, "google.colab", object())
    with pytest.raises(RuntimeError, match="no public address"):
        exec(stamp.setup(""), {})
