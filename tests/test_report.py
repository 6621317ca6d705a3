"""The report runs every notebook, collects what they claim, and names the one that fails."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

import srtoolkit as srt
from docs import verdicts
from srtoolkit.analysis.verdicts import Verdict
from srtoolkit.report import __main__ as report
from srtoolkit.report.pages import first_picture

CLAIM = """
import srtoolkit as srt
srt.verdict("exist-peak", model="m", value=4.2, low=4, high=5, n=9, null=1.1, paper=5.1)
"""
#: One of the same claim, which fails, and one of another claim, in one card.
CARD = """
import srtoolkit as srt
srt.scorecard(
    srt.verdict("exist-deep", model="m", value=1, low=0.9, high=1.1, n=9),
    srt.verdict("size", model="a & b", value=0.1, low=0, high=0.2, n=12),
)
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
    assert set(claim) == {field.name for field in dataclasses.fields(Verdict)} | {"holds", "notebook", "cell"}
    assert (claim["value"], claim["holds"], claim["notebook"]) == (4.2, True, "00_first.ipynb")
    assert (claim["criterion"], claim["outcome"], claim["n"], claim["null_low"]) == ("exist-peak", "holds", 9, 1.1)
    pages = {path.name: path.read_text() for path in (here / "build/report").glob("*.html")}
    assert set(pages) == {"index.html", "00_first.html", "01_second.html"}
    assert "data:image/png" in pages["00_first.html"] and "42" in pages["01_second.html"]
    entry = srt.reference.criterion("exist-peak")
    for told in (entry.claim, entry.rule_text, entry.reason, entry.date):
        assert html.escape(told) in pages["index.html"]
    for page in pages.values():
        assert 'src="http' not in page and 'src="//' not in page
    said = capsys.readouterr().out
    assert f"holds: {entry.claim}" in said and "4.2 [4.0, 5.0], null 1.1, paper 5.1" in said and "index.html" in said


@pytest.mark.slow
def test_a_notebook_that_fails_is_named_and_the_others_still_run(here, capsys):
    notebook(here / "notebooks", "00_broken.ipynb", "1 / 0")
    notebook(here / "notebooks", "01_fine.ipynb", CLAIM)
    assert report.main(["run"]) == 1
    said = capsys.readouterr()
    assert "00_broken.ipynb" in said.err and "ZeroDivisionError" in said.err
    assert [claim["notebook"] for claim in json.loads((here / "build/claims.json").read_text())] == ["01_fine.ipynb"]


@pytest.mark.slow
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


PICTURE = """
import matplotlib.pyplot as plt, srtoolkit as srt
srt.plot.notebook_style()
plt.subplots(figsize=(4, 3))[1].plot([0, 1], [0, 1])
plt.show()
"""


def test_a_stored_picture_is_fine_and_small_and_shown_at_half_its_dots(here):
    notebook(here / "notebooks", "00_first.ipynb", PICTURE)
    assert report.main(["save"]) == 0
    cells = nbformat.read(here / "notebooks/00_first.ipynb", 4).cells
    (drawn,) = (output for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {}))
    with Image.open(io.BytesIO(base64.b64decode(drawn.data["image/png"]))) as image:
        assert image.mode == "P", "a palette takes a third of the bytes"
        assert image.width == pytest.approx(2 * drawn.metadata["image/png"]["width"], abs=2)
        assert image.width > 700, "two dots for each of the page's"
        assert {(255, 255, 255), (1, 115, 178)} <= {colour for _, colour in image.convert("RGB").getcolors()}


def test_code_that_only_draws_is_folded_away():
    drawn = new_code_cell("1", metadata={"tags": ["hide-input"], "collapsed": True})
    kept = report.canonical(new_notebook(cells=[drawn, new_code_cell("2", metadata={"tags": ["other"]})]))
    assert [dict(cell.metadata) for cell in kept.cells] == [
        {"tags": ["hide-input"], "jupyter": {"source_hidden": True}},
        {"tags": ["other"]},
    ]


@pytest.mark.slow
def test_notebooks_are_chosen_by_the_first_letters_of_their_names(here, capsys):
    notebook(here / "notebooks", "00_first.ipynb", CLAIM)
    notebook(here / "notebooks", "01_second.ipynb", "1 / 0")
    assert report.main(["run", "--build", "build", "00"]) == 0  # options before names or behind them
    assert "01_second" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        report.main(["save", "02", "03"])
    assert "no notebooks 02 or 03" in capsys.readouterr().err


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A report of two notebooks, and their folder."""
    folder = tmp_path_factory.mktemp("two")
    notebook(folder / "notebooks", "00_first.ipynb", "print('no claim')", CLAIM)
    notebook(folder / "notebooks", "01_second.ipynb", CARD)
    given = ["--notebooks", str(folder / "notebooks"), "--build", str(folder / "build")]
    assert report.main(["save", *given[:2]]) == 0 and report.main(["run", *given]) == 0
    return folder


@pytest.mark.slow
def test_the_report_is_ordered_by_claim_and_leads_to_the_cells(two):
    index = (two / "build/report/index.html").read_text()
    heads = re.findall("<h2>(.*?)</h2>", index)
    last = ["Notebooks", "All numbers", "Criteria"]
    assert heads == ["Stable regions exist", "Regions get sharper with model size", *last]
    first, second = re.findall("<section>.*?</section>", index)
    assert first.count('class="line') == 2 and second.count('class="line') == 1 and "a &amp; b" in second
    links = re.findall(r'href="([\w.]+)#(.*?)"', index)
    assert [name for name, _ in links] == ["00_first.html", "01_second.html", "01_second.html"]
    for name, place in links:
        (cell,) = re.findall(
            rf'id="{place}".*?(?=id="cell-id=|</main>)', (two / "build/report" / name).read_text(), re.S
        )
        assert "srt" in cell and "model" in cell
    assert "one of 2 tried on this claim" in first and "DOES NOT HOLD" not in index


@pytest.mark.slow
def test_what_does_not_hold_is_as_large_as_what_holds(two):
    index = (two / "build/report/index.html").read_text()
    assert "✓ 1 hold<" in index and "✗ 1 do not hold<" in index and "? 1 are undecided<" in index
    held, failed = (re.findall(rf'class="line {kind}"><b>(.) (.*?)</b>', index) for kind in ("holds", "fails"))
    assert held == [("✓", "holds")] and failed == [("✗", "does not hold")]


def test_a_strip_has_the_interval_over_its_null_and_the_bound(two):
    """Exist-peak: 4.2 [4, 5] over 1.1, bound 2; the picture goes from 1.1 to 5."""
    index = (two / "build/report/index.html").read_text()
    strip = re.search("<svg.*?</svg>", index).group()
    null, bound = (float(re.search(rf'class="{kind}" x1?="([\d.-]+)"', strip).group(1)) for kind in ("null", "bound"))
    x1, x2 = map(float, re.search(r'line class="value" x1="([\d.]+)" x2="([\d.]+)"', strip).groups())
    dot = float(re.search(r'cx="([\d.]+)"', strip).group(1))
    share = [(one - 8) / 204 for one in (null + 1, bound, x1, dot, x2)]
    assert share == pytest.approx([(one - 1.1) / 3.9 for one in (1.1, 2, 4, 4.2, 5)], abs=0.001)


def test_a_notebooks_first_picture_stands_beside_its_claims():
    png = base64.b64encode(pixel(900, 300)).decode()
    shown = nbformat.v4.new_output("display_data", {"image/png": png})
    found = first_picture(new_notebook(cells=[new_markdown_cell("# One"), new_code_cell("draw()", outputs=[shown])]))
    small = Image.open(io.BytesIO(base64.b64decode(found.removeprefix("data:image/png;base64,"))))
    assert small.size == (640, 213)
    assert first_picture(new_notebook(cells=[new_code_cell("1")])) == ""


def pixel(width, height):
    """A picture of that size, as PNG."""
    held = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(held, "PNG")
    return held.getvalue()


def test_one_page_has_every_stored_verdict_with_its_criterion(two):
    found = verdicts.claims(two / "notebooks")
    kept = json.loads((two / "build/claims.json").read_text())
    assert found == kept and [claim["cell"] for claim in found] == ["cell-02", "cell-01", "cell-01"]
    text = verdicts.page(found)
    assert "| **does not hold** |" in text and "[00_first](../notebooks/00_first.ipynb), cell-02 |" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    for claim in found:
        assert f"(#{claim['criterion']})" in text and f"### {claim['criterion']}\n" in text
    assert f"- **reason**: {srt.reference.criterion('size').reason}" in text
    assert text.count("Not measured yet.") == len(srt.reference.criteria()) - 3


def test_verdicts_without_criteria_are_not_taken_for_such(tmp_path):
    """As notebooks stored them before."""
    made = nbformat.v4.new_output("display_data", {"application/vnd.srtoolkit.verdicts+json": [{"claim": "It holds"}]})
    cell = new_code_cell("card", outputs=[made], execution_count=1)
    assert not list(report.claims_of(new_notebook(cells=[cell]), "00.ipynb"))


@pytest.mark.slow
def test_several_at_a_time_give_the_report_of_one_at_a_time(here):
    """Each waits until the other has begun, so that one after the other they would never end."""
    meet = (
        "import pathlib, time\npathlib.Path('../begun-{}').touch()\nlimit = time.monotonic() + 60\n"
        "while not pathlib.Path('../begun-{}').exists():\n    assert time.monotonic() < limit\n    time.sleep(0.1)"
    )
    told = "import os\nprint('threads', os.environ.get('OMP_NUM_THREADS'))"
    notebook(here / "notebooks", "00_first.ipynb", meet.format(0, 1), "import time\ntime.sleep(2)", CLAIM, told)
    notebook(here / "notebooks", "01_second.ipynb", meet.format(1, 0), CARD, "1 / 0")
    assert report.main(["run", "--workers", "2"]) == 1
    claims = json.loads((here / "build/claims.json").read_text())
    assert [claim["notebook"] for claim in claims] == ["00_first.ipynb", "01_second.ipynb", "01_second.ipynb"]
    pages = {path.name: path.read_text() for path in (here / "build/report").glob("*.html")}
    assert re.search(r"threads \d", pages["00_first.html"]) and "ZeroDivisionError" in pages["01_second.html"]


def test_a_number_of_workers_below_one_is_refused(here, capsys):
    notebook(here / "notebooks", "00_first.ipynb", "1")
    with pytest.raises(SystemExit):
        report.main(["run", "--workers", "0"])
    assert "--workers 0: expected 1 or more" in capsys.readouterr().err
