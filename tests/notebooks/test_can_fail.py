"""The check of the check: a wrong library, or a wrong number in a notebook, fails the notebooks.

A commit tries the wrong library on one of the notebooks, which its hash chooses; ``--all-notebooks`` on all of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))

#: What is made wrong, by file: points of a path bunch towards A, so that curves bend and jumps move; and what starts at
#: an activation, along a path or any direction, starts a fifth too far out.
WRONG = {
    "paths.py": ("alphas.to(a)[None", "(alphas**3).to(a)[None"),
    "walk.py": ("return activations.to(", "return 1.2 * activations.to("),
}


def nbval(folder: Path, library: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the notebooks of ``folder`` as ``make test`` does, up to the first failure."""
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=900", "-x", "-p", "no:cacheprovider"]
    options.append(f"--nbval-sanitize-with={Path(__file__).with_name('sanitize.cfg')}")
    environment = {**os.environ, "TQDM_DISABLE": "1", **({"PYTHONPATH": str(library)} if library else {})}
    command = [sys.executable, "-m", "pytest", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


def turn() -> list[str]:
    """The notebook whose turn it is at this commit; all of them where there are no commits."""
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return NOTEBOOKS if done.returncode else [NOTEBOOKS[int(done.stdout, 16) % len(NOTEBOOKS)]]


def pytest_generate_tests(metafunc):
    if "alone" in metafunc.fixturenames:
        chosen = NOTEBOOKS if metafunc.config.getoption("--all-notebooks") else turn()
        metafunc.parametrize("alone", chosen, indirect=True)


@pytest.fixture
def alone(request, tmp_path):
    """A folder with one of the notebooks."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / f"{request.param}.ipynb", tmp_path / "notebooks")
    return tmp_path / "notebooks"


def test_a_wrong_library_fails_a_notebook(alone, tmp_path):
    library = tmp_path / "library"
    shutil.copytree(ROOT / "srtoolkit", library / "srtoolkit", ignore=shutil.ignore_patterns("__pycache__"))
    for name, (right, wrong) in WRONG.items():
        source = library / "srtoolkit/measures" / name
        assert source.read_text().count(right) == 1
        source.write_text(source.read_text().replace(right, wrong))
    done = nbval(alone, library)
    assert done.returncode == 1, done.stdout[-2000:]
    assert re.search(r"1 failed", done.stdout)


def test_a_wrong_stored_number_fails(tmp_path):
    path = tmp_path / "00_quickstart.ipynb"
    notebook = nbformat.read(ROOT / "notebooks/00_quickstart.ipynb", as_version=4)
    (checked,) = (cell for cell in notebook.cells if "nbval-check-output" in cell.metadata.get("tags", []))
    (output,) = checked.outputs
    output.text = re.sub(r"\d", lambda digit: str((int(digit.group()) + 1) % 10), output.text, count=1)
    nbformat.write(notebook, path)
    done = nbval(tmp_path)
    assert done.returncode == 1 and "mismatch" in done.stdout, done.stdout[-2000:]


def test_the_notebook_as_it_is_passes_the_same_way(tmp_path):
    shutil.copy(ROOT / "notebooks/00_quickstart.ipynb", tmp_path)
    assert nbval(tmp_path).returncode == 0
