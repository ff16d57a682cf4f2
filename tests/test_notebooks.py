"""The rules of every notebook, its exercises, and that it trains what the command line trains."""

import ast
import re
import runpy
from collections import defaultdict
from pathlib import Path
from statistics import median
from unittest.mock import MagicMock, call

import nbformat
import pytest
import torch

from vae_lesson import checks
from vae_lesson.recipes import RECIPES

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = {path.stem: path for path in sorted(FOLDER.rglob("[!.]*.ipynb"))}
NOTEBOOKS = {name: nbformat.read(path, as_version=4) for name, path in PATHS.items()}
STAMP = runpy.run_path(str(FOLDER.parent / ".ci" / "stamp"))
each = pytest.mark.parametrize("name", NOTEBOOKS)


def cells(name, kind=None, tag=None):
    return [
        cell
        for cell in NOTEBOOKS[name].cells
        if (kind is None or cell.cell_type == kind) and (tag is None or tag in cell.metadata.get("tags", []))
    ]


def test_the_lessons_are_there():
    theory = {"01_information", "02_entropy", "03_kl_divergence", "04_intractable_marginal", "05_elbo"}
    practice = {"00_start_here", "06_feedforward_vae", "07_cnn_vae", "08_latent_space", "09_clinic"}
    assert practice | theory == {name for name, path in PATHS.items() if path.parent == FOLDER}
    assert {path.parent.name for path in PATHS.values()} <= {"notebooks", "deeper"}


@each
def test_outputs_are_those_of_one_run_from_top_to_bottom(name):
    code = cells(name, "code")
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert "error" not in kinds
    assert not [o.text for cell in code for o in cell.outputs if o.get("name") == "stderr"]


@each
def test_notebook_is_valid_and_small(name):
    nbformat.validate(NOTEBOOKS[name])
    assert not [cell for cell in NOTEBOOKS[name].cells if "execution" in cell.metadata]  # times of each run
    assert PATHS[name].stat().st_size < 1_500_000


def test_the_path_takes_as_long_as_it_says():
    """The lessons say what .ci/stamp computes (tests/test_packaging.py); here: how long they may be."""
    times = {name: STAMP["minutes"](notebook)["minutes"] for name, notebook in NOTEBOOKS.items()}
    path = {name: time for name, time in times.items() if name[:2].isdigit()}
    assert max(times.values()) <= 60 and sum(path.values()) <= 480, times
    assert sum(time for name, time in path.items() if name < "06") <= 300, times


@each
def test_new_words_reach_the_glossary_and_training_counts(name):
    glossary = (FOLDER / "glossary.md").read_text(encoding="utf-8")
    words = STAMP["tables"](NOTEBOOKS[name], "New words")
    assert len(words) >= 2 and all(f"| {word} | {meaning} |" in glossary for word, meaning in words)
    assert bool(STAMP["minutes"](NOTEBOOKS[name])["training"]) == (name[:2] in ("06", "07"))


@each
def test_cells_are_short(name):
    written = [cell for cell in cells(name, "code") if "setup" not in cell.metadata.get("tags", [])]
    lengths = [len(cell.source.splitlines()) for cell in written]
    assert max(lengths) <= 25
    assert median(lengths) <= 8


@each
@pytest.mark.parametrize("kind", [r"^## (\d+)\.", r"^\*Figure (\d+)\."], ids=["sections", "figures"])
def test_none_is_lost(name, kind):
    text = "\n".join(cell.source for cell in cells(name, "markdown"))
    numbers = [int(number) for number in re.findall(kind, text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1)) != []


@each
def test_pictures_in_the_text_travel_with_the_notebook(name):
    """JupyterLab opens the folder notebooks, Colab a single file: neither finds a picture beside them."""
    for cell in cells(name, "markdown"):
        for target in re.findall(r"!\[[^\]]*\]\(([^)]*)\)", cell.source):
            here = target.removeprefix("attachment:") in cell.get("attachments", {})
            assert here or target.startswith("https://"), target  # as a badge


@each
def test_one_title_then_badge_then_setup(name):
    text = "\n".join(cell.source for cell in cells(name, "markdown"))
    outside_code = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert len(re.findall(r"^# ", outside_code, re.M)) == 1
    assert NOTEBOOKS[name].cells[0].source.startswith("# ")
    assert len(cells(name, "markdown", "badge")) == 1
    assert cells(name, "code", "setup") == cells(name, "code")[:1]
    assert re.search(r"\b\d+ minutes\b", text)


@each
def test_nothing_is_imported_with_a_star_and_no_cell_stands_in_two_notebooks(name):
    for cell in cells(name, "code"):
        assert "import *" not in cell.source
        if "setup" in cell.metadata.get("tags", []) or len(cell.source.splitlines()) < 5:
            continue
        for other in set(NOTEBOOKS) - {name}:
            assert cell.source not in [c.source for c in cells(other, "code")]


@each
def test_cells_not_compared_assert_what_they_claim(name):
    """A cell whose numbers depend on training skips nbval's comparison and asserts their range instead."""
    for cell in cells(name, "code", "nbval-ignore-output"):
        asserts = [node.test for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Assert)]
        assert "assert_close(" in cell.source or any(map(looks_at_values, asserts)), cell.source


def looks_at_values(node: ast.expr) -> bool:
    """Whether an assert depends on more than shapes, lengths, constants and `history.interrupted`."""
    if isinstance(node, ast.Attribute) and node.attr in ("shape", "ndim", "dtype", "interrupted"):
        return False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):  # len(...): its own name is no value
        return node.func.id != "len" and any(map(looks_at_values, node.args))
    return isinstance(node, ast.Name) or any(map(looks_at_values, ast.iter_child_nodes(node)))


@each
def test_figures_have_a_description(name):
    for cell in cells(name, "code"):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.metadata.get("image/png", {}).get("alt", "")) > 40, cell.source


@each
def test_stubs_say_not_attempted_and_solutions_are_correct(name, mnist):
    few = {"": (), ", train.images, validation.images": (mnist[0].images[:1500], mnist[0].images[-200:])}
    stubs = cells(name, "code", "exercise")
    solutions = cells(name, "markdown", "solution")
    assert len(stubs) == len(solutions) >= (1 if name.startswith("00") else 3)
    for stub, solution in zip(stubs, solutions, strict=True):
        assert "".join(o.text for o in stub.outputs) == "not attempted yet\n"
        judge, function, data = re.search(r"print\(checks\.(\w+)\((\w+)(.*)\)\)", stub.source).groups()
        assert solution.source.startswith("<details>")
        code = re.search(r"```python\n(.*?)```", solution.source, re.DOTALL).group(1)
        names = {"torch": torch, "math": __import__("math"), "F": torch.nn.functional}
        exec(code, names)
        assert re.match(r"correct(:|$)", getattr(checks, judge)(names[function], *few[data])), stub.source


@pytest.mark.parametrize(
    "name, recipe, shorter", [("06_feedforward_vae", "feedforward", {}), ("07_cnn_vae", "cnn", {"epochs": 4})]
)
def test_notebook_trains_what_the_command_line_trains(name, recipe, shorter):
    recipe, names = RECIPES[recipe], defaultdict(MagicMock)
    lines = "\n".join(cell.source for cell in cells(name, "code")).splitlines()
    exec("\n".join(line for line in lines if line.startswith(("model = ", "history = fit("))), {}, names)
    assert names[recipe.kind].call_args == call(recipe.config["latent_dim"])
    settings = names["fit"].call_args.kwargs
    assert {key: settings.pop(key) for key in recipe.settings} == recipe.settings | shorter
    assert set(settings) == {"validation", "on_epoch"} and recipe.objective == ("elbo", {})
