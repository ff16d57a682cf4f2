"""The rules of every notebook, its exercises, and that it trains what the command line trains."""

import ast
import re
from pathlib import Path
from statistics import median

import nbformat
import pytest
import torch

from vae_lesson import __main__ as cli
from vae_lesson import checks

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in sorted(FOLDER.glob("*.ipynb"))}
each = pytest.mark.parametrize("name", NOTEBOOKS)


def cells(name, kind=None, tag=None):
    return [
        cell
        for cell in NOTEBOOKS[name].cells
        if (kind is None or cell.cell_type == kind) and (tag is None or tag in cell.metadata.get("tags", []))
    ]


def test_the_lessons_are_there():
    theory = {"01_information", "02_entropy", "03_kl_divergence", "04_intractable_marginal", "05_elbo"}
    practice = {"00_start_here", "06_feedforward_vae", "07_cnn_vae", "08_latent_space"}
    assert practice | theory == set(NOTEBOOKS)


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
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 1_500_000


@each
def test_cells_are_short(name):
    lengths = [len(cell.source.splitlines()) for cell in cells(name, "code")]
    assert max(lengths) <= 25
    assert median(lengths) <= 8


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
def test_cells_not_compared_hold_an_assert(name):
    """A cell whose numbers depend on training skips nbval's comparison and asserts their range instead."""
    for cell in cells(name, "code", "nbval-ignore-output"):
        assert re.search(r"^\s*assert |assert_close", cell.source, re.M), cell.source


@each
def test_figures_have_a_description(name):
    for cell in cells(name, "code"):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.metadata.get("image/png", {}).get("alt", "")) > 40, cell.source


@each
def test_stubs_say_not_attempted_and_solutions_are_correct(name):
    stubs = cells(name, "code", "exercise")
    solutions = cells(name, "markdown", "solution")
    assert len(stubs) == len(solutions) >= (1 if name.startswith("00") else 3)
    for stub, solution in zip(stubs, solutions, strict=True):
        assert "".join(o.text for o in stub.outputs) == "not attempted yet\n"
        judge, function = re.search(r"print\(checks\.(\w+)\((\w+)\)\)", stub.source).groups()
        assert solution.source.startswith("<details>")
        code = re.search(r"```python\n(.*?)```", solution.source, re.DOTALL).group(1)
        names = {"torch": torch, "math": __import__("math"), "F": torch.nn.functional}
        exec(code, names)
        assert getattr(checks, judge)(names[function]) == "correct"


@pytest.mark.parametrize("name, recipe", [("06_feedforward_vae", "feedforward"), ("07_cnn_vae", "cnn")])
def test_notebook_trains_what_the_command_line_trains(name, recipe):
    kind, config, settings = cli.RECIPES[recipe]
    tree = ast.parse(
        "\n".join(c.source for c in cells(name, "code")[1:] if not c.source.startswith(("%", "!")))
    )
    calls = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):  # the first call of each function: later ones train other models
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name not in calls or node.lineno < calls[name].lineno:
                calls[name] = node
    arguments = {k.arg: k.value for k in calls["fit"].keywords}
    assert {key: ast.literal_eval(arguments.pop(key)) for key in settings} == settings
    assert ast.literal_eval(calls[kind].args[0]) == config["latent_dim"]
    assert set(arguments) == {"validation", "on_epoch"}
