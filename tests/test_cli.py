"""The command line: what it says of itself, what it refuses, and what it would do."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import srtoolkit
from srtoolkit.__main__ import app
from srtoolkit.panels.path.demo import write_demo
from srtoolkit.reproduction.figures import JANIAK2024, find_figures

ROOT = Path(__file__).parents[1]


def run(*arguments):
    """Exit status and everything said, on a wide terminal so that nothing is broken into lines."""
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "240", "NO_COLOR": "1", "TERM": "dumb"})
    return done.exit_code, " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.output).split())


def test_the_module_and_the_entry_point_are_one_command():
    done = subprocess.run([sys.executable, "-m", "srtoolkit", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{srtoolkit.__version__}\n"
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"srt": "srtoolkit.__main__:app"}


def test_help_names_every_option_and_the_profiles():
    assert "reproduce" in run("--help")[1]
    status, said = run("reproduce", "--help")
    assert status == 0
    for word in ("--figure", "--profile", "--output", "--dry-run", "quick", "full", "paper", "janiak2024", "table1"):
        assert word in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reproduce", "hanin2019"], "paper 'hanin2019' is not one of janiak2024."),
        (["reproduce", "janiak2024", "-f", "3", "-f", "27"], "janiak2024 has no figure 27; it has 1 to 26 and table1."),
        (["reproduce", "janiak2024", "-f", "fig 3"], "no figure fig 3;"),
        (["reproduce", "janiak2024", "-p", "fast"], "profile 'fast' is not one of quick, full, paper."),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    status, output = run(*arguments)
    assert status == 2 and said in output
    assert list(tmp_path.iterdir()) == []


def test_the_registry_is_the_papers_figures_and_table():
    assert [figure.key for figure in JANIAK2024] == [*map(str, range(1, 27)), "table1"]
    assert len({figure.stem for figure in JANIAK2024}) == 27
    assert [figure.key for figure in find_figures("janiak2024", ["table1", "13", "2"])] == ["2", "13", "table1"]
    assert len(find_figures("janiak2024")) == 27


def test_a_plan_without_measurements_writes_nothing(tmp_path):
    status, said = run("reproduce", "janiak2024", "-f", "table1", "--dry-run", "-o", str(tmp_path / "out"))
    assert status == 0 and "Sizes of the models" in said and "Nothing is left to measure." in said
    assert not (tmp_path / "out").exists()


def test_a_demonstration_is_a_page_and_nothing_else(tmp_path):
    status, said = run("demo", "--to", str(tmp_path / "page.pdf"))
    assert status == 2 and "expected a name that ends in .html" in said and not list(tmp_path.iterdir())


def test_a_demonstration_shows_no_bars(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert write_demo(tmp_path / "page.html", "nano-0.4m").stat().st_size > 10_000
    assert "".join(capsys.readouterr()) == ""


def test_notebooks_are_copied_once_and_again_only_if_nobody_changed_them(tmp_path):
    there = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    for _ in range(2):
        assert run("notebooks", str(tmp_path / "new" / "mine"))[0] == 0
    assert sorted(path.name for path in (tmp_path / "new" / "mine").iterdir()) == there


def test_an_installation_without_notebooks_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("srtoolkit.files.notebooks.PLACES", (tmp_path / "none",))
    status, said = run("notebooks", str(tmp_path / "mine"))
    assert status == 1 and "this installation has no notebooks" in said and not list(tmp_path.iterdir())
