"""pyproject, environment.yml, the wheel's content, README's commands and the stamped address agree."""

import ast
import importlib.machinery
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from vae_lesson.recipes import RECIPES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODEL_LINES, PACKAGE_LINES = 1527, 5484  # they may only shrink
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
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"^  - ([^:\n]+)$", text, re.MULTILINE))
    python = {line for line in listed if line.startswith("python=")}
    assert listed - python - {"pip", "conda-forge", "nodefaults"} == wanted
    assert python == {"python=" + project["requires-python"].removeprefix(">=")}
    assert "- pip:\n      - -e .\n" in text


def test_package_data_holds_mnist_weights_and_licence():
    data = PROJECT["tool"]["setuptools"]["package-data"]
    assert data == {"vae_lesson": ["assets/*", "widgets/*.js", "course/*.html"]}
    names = {path.name for path in (ROOT / "vae_lesson" / "assets").iterdir()}
    weights = {f"{name}.safetensors" for name in RECIPES}
    assert names == {"mnist.npz", "clinic.npz", "LICENSE.md"} | weights


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
    moving = re.findall(r'<img src="(figures/[^"]+)" alt="([^"]*)">', README)
    pictures += [(alt, path) for path, alt in moving]
    stills = re.findall(r'prefers-reduced-motion: reduce\)" srcset="(figures/[^"]+)">', README)
    shown = {path for _, path in pictures} | set(stills)
    assert shown == {f"figures/{p.name}" for p in (ROOT / "figures").iterdir()}
    assert all(len(alt) > 40 for alt, _ in pictures)
    assert len(moving) == len(stills) == 1 and moving[0][0].endswith(".gif")


def test_readme_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?://|#)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
    for anchor in re.findall(r"\]\(#([^)]+)\)", README):
        headings = [
            re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-")
            for h in re.findall(r"^#+ (.*)$", README, re.M)
        ]
        assert anchor in headings


ARROWS = {  # which rooms a room may look into; what is not listed is refused
    "training": {"runs", "data", "objectives", "scoring"}, "runs": {"checkpoints"},
    "scoring": {"objectives", "information"}, "objectives": {"information"},
    "checkpoints": {"models"}, "models": {"likelihoods"}, "data": {"relatives"},
    "widgets": {"plots", "data", "scoring"}, "__main__": {"recipes", "course"},
    "information": set(), "likelihoods": set(), "relatives": set(), "exact": set(), "recipes": set(),
    "plots": set(), "checks": set(), "__init__": set(),
}  # fmt: skip
FILES = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "vae_lesson").rglob("*.py"))}
CLASSROOM = {"checks", "plots", "widgets", "course"}


def room(path):
    return path.relative_to(ROOT / "vae_lesson").parts[0].removesuffix(".py")


def imports(source):
    """Every module or name that is imported from the package, wherever the import stands, as a.b.c."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "no relative imports"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_rooms_look_into_each_other_only_along_the_arrows():
    for path, source in FILES.items():
        names = [name.split(".") for name in imports(source) if name.split(".")[0] == "vae_lesson"]
        assert all(len(name) > 1 for name in names), path
        seen = {name[1] for name in names} - {room(path)}
        assert "__main__" not in seen and not {"tests", "notebooks"} & {
            n.split(".")[0] for n in imports(source)
        }
        if room(path) != "course":  # it may use all
            assert seen <= ARROWS[room(path)], path


def test_the_model_reads_in_one_sitting():
    """No file of the model is longer than 200 lines, and the whole package stays small."""
    model = {path: source.count("\n") for path, source in FILES.items() if room(path) not in CLASSROOM}
    assert max(model.values()) <= 200, max(model, key=model.get)
    assert sum(model.values()) <= MODEL_LINES
    pages = [
        p.read_text(encoding="utf-8") for e in ("js", "html") for p in (ROOT / "vae_lesson").rglob(f"*.{e}")
    ]
    assert sum(text.count("\n") for text in [*FILES.values(), *pages]) <= PACKAGE_LINES


def test_text_files_are_read_and_written_with_an_encoding():
    """Windows takes another one than UTF-8 by default."""
    paths = [*FILES, *(ROOT / "tests").rglob("*.py"), ROOT / ".ci" / "stamp", ROOT / ".ci" / "colab"]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("read_text", "write_text"):
                assert "encoding" in {keyword.arg for keyword in node.keywords}, f"{path}:{node.lineno}"


@pytest.fixture
def stamp():
    """The script .ci/stamp as a module."""
    loader = importlib.machinery.SourceFileLoader("stamp", str(ROOT / ".ci" / "stamp"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("stamp", loader))
    loader.exec_module(module)
    return module


def test_a_public_address_reaches_badge_setup_cell_and_readme(stamp):
    address = "https://github.com/someone/course"
    assert f"git+{address}@v1.2" in stamp.setup(address, "1.2")
    link = "https://colab.research.google.com/github/someone/course/blob/v1.2/notebooks/00_start_here.ipynb"
    assert link in stamp.badge(address, "1.2", "00_start_here.ipynb")
    assert link in stamp.stamped_readme(README, address, "1.2")
    name = "06_feedforward_vae.ipynb"
    text = stamp.stamped_notebook((ROOT / "notebooks" / name).read_text(encoding="utf-8"), name, "", "1.2")
    stamped = json.loads(stamp.stamped_notebook(text, name, address, "1.2"))
    assert sum(address in "".join(cell["source"]) for cell in stamped["cells"]) == 1  # badges name Colab's
    assert stamp.stamped_notebook(json.dumps(stamped), name, "", "1.2") == text
