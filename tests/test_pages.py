"""The README and the pages: their Python runs, and their pictures are what it draws."""

from __future__ import annotations

import importlib.util
import inspect
import re
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import typer

import srtoolkit as srt
from docs import code_blocks, readme, verdicts
from srtoolkit.__main__ import app

ROOT = Path(__file__).parents[1]
PAGES = {page.relative_to(ROOT).as_posix(): page for page in code_blocks.pages()}
RECIPES = sorted(page for page in code_blocks.RECIPES.glob("*.md") if page.stem != "index")
SMALL = [name for name in PAGES if name != "README.md"]


#: Public calls that no page runs: one ends soon, one warns of small models. It may only get shorter.
NO_EXAMPLE = {"null_threshold", "paper_pairs"}


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.switch_backend("agg")


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_pages_python_runs(name, tmp_path, quiet):
    start = time.process_time()
    code_blocks.run(PAGES[name], tmp_path)
    taken = time.process_time() - start
    drawn = {picture for picture in code_blocks.pictures(PAGES[name]) if (PAGES[name].parent / picture).exists()}
    if PAGES[name] in RECIPES:
        assert drawn and drawn <= {path.name for path in tmp_path.glob("*.png")}
        assert taken < 30, f"{taken:.0f} s: a recipe takes ten on a machine that is left alone"
    for drawn in tmp_path.glob("*.pdf"):
        assert b"/TrueType" in drawn.read_bytes() or b"/CIDFontType2" in drawn.read_bytes()
        assert b"/Type3" not in drawn.read_bytes()
    assert not plt.get_fignums()


@pytest.mark.slow
def test_the_readmes_python_runs_prints_and_draws(smollm2, tmp_path, quiet, capsys):
    code_blocks.run(PAGES["README.md"], tmp_path)
    told = capsys.readouterr().out
    speeds = {name: [float(one) for one in re.findall(r"\d\.\d\d", line)] for name, line in _lines(told).items()}
    assert speeds["trained"][0] < speeds["shuffled"][0] < speeds["shuffled"][1] < speeds["trained"][1]
    assert (tmp_path / "speed.png").stat().st_size > 10_000


def _lines(told):
    return dict(re.findall(r"^(trained|shuffled): (.*)$", told, re.MULTILINE))


def test_every_public_call_stands_in_code_that_runs():
    shown = set(re.findall(r"\bsrt\.(\w+)", "".join(map(code_blocks.code, PAGES.values()))))
    assert {name for name in srt.__all__ if inspect.isfunction(getattr(srt, name))} - shown == NO_EXAMPLE


def test_every_recipe_runs_whole_and_shows_a_picture_of_its_own():
    assert len(RECIPES) >= 9
    listed = (code_blocks.RECIPES / "index.md").read_text()
    for page in RECIPES:
        assert re.search(rf"^{page.stem}$", listed, re.MULTILINE), page.name
        assert "srt." in code_blocks.code(page) and code_blocks.pictures(page) == [f"{page.stem}.png"]


def test_pictures_of_recipes_are_small():
    sizes = {path.name: path.stat().st_size for path in code_blocks.RECIPES.glob("*.png")}
    assert set(sizes) == {f"{page.stem}.png" for page in RECIPES}
    assert max(sizes.values()) < 60_000 and sum(sizes.values()) < 600_000


def test_code_keeps_its_lines_and_leaves_out_what_says_why(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n```python\na = 1\n```\n\n<!-- not run: why -->\n```python\n1 / 0\n```\n\n```python\nb = a\n```\n"
    )
    assert code_blocks.code(page).splitlines() == ["", "", "", "a = 1", *[""] * 8, "b = a"]


def test_no_python_escapes_by_another_fence():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text()
        fences = len(re.findall(r"^\s*(?:```|~~~)\s*\{?(?:python|py|code)\b", text, re.MULTILINE))
        told = len(code_blocks._FENCE.findall(text))
        assert fences == told, page


def test_commands_that_pages_name_are_there():
    commands = set(typer.main.get_command(app).commands)
    targets = set(re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split())
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text()
        assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets, page
        modules = re.findall(r"python -m ((?:docs|srtoolkit|benchmarks)[\w.]*)", text)
        assert all(importlib.util.find_spec(name) for name in modules), page
        assert set(re.findall(r"(?:^|`)srt ([a-z]+)", text, re.MULTILINE)) <= commands, page


def test_the_readme_has_the_outcomes_of_the_stored_notebooks():
    text = (ROOT / "README.md").read_text()
    assert text == readme.page(text, verdicts.claims()), "run `python -m docs.readme`"


def test_every_criterion_that_could_fail_stands_under_its_outcome():
    found = [one for one in verdicts.claims() if one["outcome"] != "true by construction"]
    named = re.findall(r"\[([\w-]+)\]\(docs/verdicts", readme.section(verdicts.claims()))
    assert set(named) == {one["criterion"] for one in found}


def test_an_outcome_that_is_not_that_of_all_models_says_of_how_many():
    found = [one for one in verdicts.claims() if one["criterion"] == "sharpen-structure"]
    assert "[sharpen-structure](docs/verdicts.md#sharpen-structure) |  |" in readme.section(found)
    one = {**found[0], "outcome": "holds", "holds": True, "low": 0.4, "value": 0.7, "high": 0.9, "p": 0.001}
    row = readme.section([one, found[1]]).splitlines()[-1]
    assert row.count("(1 of 2)") == 2 and row.index("(1 of 2)") < row.rindex("(1 of 2)")


def test_the_readmes_software_entry_is_that_of_the_citation_file():
    text, cited = (ROOT / "README.md").read_text(), (ROOT / "CITATION.cff").read_text()
    for key, entry in (("title", "title"), ("version", "version")):
        value = re.search(rf"^{key}: \"?([^\"\n]+)", cited, re.MULTILINE)[1]
        assert re.search(rf"^  {entry}\s+= {{{re.escape(value)}}}", text, re.MULTILINE), key
    families = re.findall(r"family-names: (\w+)", cited)
    assert re.findall(r"(\w+), \w+", re.search(r"author\s+= {(Janiak.*)}", text)[1]) == families
