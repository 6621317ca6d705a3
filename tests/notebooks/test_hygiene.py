"""The notebooks as they lie in the repository: one clean run each, with numbers that a test compares."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
CHECK = "nbval-check-output"
HIDE = "hide-input"
WIDGET = "application/vnd.jupyter.widget-view+json"

#: Least number of cells whose output is compared, and of asserts; a new notebook must enter itself here.
FLOORS = {
    "00_quickstart": (1, 4),
    "01_existence": (6, 6),
    "02_growth": (6, 7),
    "03_size": (4, 6),
    "04_polytopes": (6, 8),
    "05_words": (7, 6),
    "06_sentences": (4, 4),
    "07_classes": (5, 5),
    "08_predictions": (2, 4),
    "09_explorer": (5, 10),
    "10_directions": (3, 6),
    "11_boundaries": (2, 5),
    "12_text": (1, 4),
    "13_mechanism": (4, 7),
    "14_regions": (2, 7),
    "15_gemma": (2, 5),
    "16_ground_truth": (6, 8),
    "17_chat": (3, 5),
    "18_numerals": (2, 4),
    "19_corpus": (2, 4),
}


def test_every_notebook_has_a_floor():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(FLOORS)


@pytest.fixture(params=sorted(FLOORS))
def notebook(request):
    path = FOLDER / f"{request.param}.ipynb"
    assert path.stat().st_size < 1_000_000
    found = nbformat.read(path, as_version=4)
    nbformat.validate(found)
    found.stem = request.param
    return found


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_stored_from_one_clean_run(notebook):
    """nbval compares nothing in a cell without an execution count."""
    assert [cell.execution_count for cell in code_of(notebook)] == list(range(1, len(code_of(notebook)) + 1))
    for cell in code_of(notebook):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            assert WIDGET not in output.get("data", {}) or "image/png" in output.data
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"


def test_checked_cells_hold_numbers(notebook):
    checked = [cell for cell in code_of(notebook) if CHECK in cell.metadata.get("tags", [])]
    assert all(set(cell.metadata.get("tags", [])) <= {CHECK, HIDE} for cell in code_of(notebook))
    assert "NBVAL" not in "".join(cell.source for cell in code_of(notebook))
    for cell in checked:
        assert any(re.search(r"\d", output.get("text", "")) for output in cell.outputs), cell.source
    assert len(checked) >= FLOORS[notebook.stem][0]


def test_asserts_are_about_something(notebook):
    trees = [ast.parse(cell.source) for cell in code_of(notebook)]
    asserts = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert not [node for node in asserts if isinstance(node.test, ast.Constant)]
    assert len(asserts) >= FLOORS[notebook.stem][1]


def test_reads_like_a_paper(notebook):
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    prose = sum(len(cell.source.split()) for cell in notebook.cells if cell.cell_type == "markdown")
    assert prose > 150
    assert max(len(cell.source.splitlines()) for cell in code_of(notebook)) <= 45
