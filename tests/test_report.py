"""The report runs every notebook, collects what they claim, and names the one that fails."""

from __future__ import annotations

import dataclasses
import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from srtoolkit import report
from srtoolkit.analysis.verdicts import Verdict

CLAIM = """
import srtoolkit.analysis.verdicts as v
v.verdict("It holds", model="m", statistic="slope", value=4.2, low=4, high=5, null=1.1, paper=5.1, holds=True)
"""


def notebook(folder, name, *cells):
    folder.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell(f"# {name}"), *map(new_code_cell, cells)]), folder / name)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_claims_are_collected_and_pages_need_no_network(here, capsys):
    notebook(here / "notebooks", "00_first.ipynb", "import matplotlib.pyplot as plt\nplt.plot([1, 2])", CLAIM)
    notebook(here / "notebooks", "01_second.ipynb", "print(6 * 7)")
    assert report.main(["run"]) == 0
    (claim,) = json.loads((here / "build/claims.json").read_text())
    assert set(claim) == {field.name for field in dataclasses.fields(Verdict)} | {"notebook"}
    assert (claim["value"], claim["holds"], claim["notebook"]) == (4.2, True, "00_first.ipynb")
    pages = {path.name: path.read_text() for path in (here / "build/report").glob("*.html")}
    assert set(pages) == {"index.html", "00_first.html", "01_second.html"}
    assert "data:image/png" in pages["00_first.html"] and "42" in pages["01_second.html"]
    assert "It holds" in pages["index.html"]
    for page in pages.values():
        assert 'src="http' not in page and 'src="//' not in page
    said = capsys.readouterr().out
    assert "holds: It holds: slope 4.2 [4, 5] (null 1.1, paper 5.1)" in said and "index.html" in said


@pytest.mark.slow
def test_a_notebook_that_fails_is_named_and_the_others_still_run(here, capsys):
    notebook(here / "notebooks", "00_broken.ipynb", "1 / 0")
    notebook(here / "notebooks", "01_fine.ipynb", CLAIM)
    assert report.main(["run"]) == 1
    said = capsys.readouterr()
    assert "00_broken.ipynb" in said.err and "ZeroDivisionError" in said.err
    assert [claim["notebook"] for claim in json.loads((here / "build/claims.json").read_text())] == ["01_fine.ipynb"]


def test_saving_stores_a_clean_run_and_is_stable(here):
    notebook(here / "notebooks", "00_first.ipynb", "import ipywidgets\nipywidgets.IntSlider()", "print('seen')")
    assert report.main(["save"]) == 0
    path = here / "notebooks/00_first.ipynb"
    first = path.read_text()
    stored = nbformat.reads(first, 4)
    assert "widgets" not in stored.metadata
    assert [cell.execution_count for cell in stored.cells if cell.cell_type == "code"] == [1, 2]
    assert "widget-view" not in first and "seen" in first
    assert report.main(["save"]) == 0
    assert path.read_text() == first


def test_notebooks_are_chosen_by_the_first_letters_of_their_names(here, capsys):
    notebook(here / "notebooks", "00_first.ipynb", CLAIM)
    notebook(here / "notebooks", "01_second.ipynb", "1 / 0")
    assert report.main(["run", "00"]) == 0
    assert "01_second" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        report.main(["save", "02", "03"])
    assert "no notebooks 02 or 03" in capsys.readouterr().err
