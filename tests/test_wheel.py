"""What a wheel of this package has and does, away from the repository: its notebooks, and a page from nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, built of a copy of the repository, and the folder that it is unpacked in."""
    pytest.importorskip("setuptools", minversion="77", reason="built without asking an index for what builds it")
    copy, made = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("srtoolkit", "notebooks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(made), str(copy)], check=True)
    (wheel,) = made.glob("*.whl")
    shutil.rmtree(copy)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(made / "site")
    return wheel, made / "site"


def srt(site, folder, *arguments):
    """What the command says, run from the unpacked wheel with nothing in the cache of models."""
    own = {"PYTHONPATH": str(site), "SRT_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    run = [sys.executable, "-m", "srtoolkit", *arguments]
    return subprocess.run(run, cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_notebooks_travel_in_the_wheel_and_are_copied_out_of_it(installed, tmp_path):
    wheel, site = installed
    with zipfile.ZipFile(wheel) as archive:
        grown = sum(one.compress_size for one in archive.infolist() if one.filename.endswith(".ipynb"))
    assert 0 < grown < 10e6
    done = srt(site, tmp_path, "notebooks", "mine")
    assert done.returncode == 0 and f"{len(NOTEBOOKS)} notebooks in " in done.stdout
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == {
        path.name: path.read_bytes() for path in NOTEBOOKS
    }
    changed = tmp_path / "mine" / NOTEBOOKS[0].name
    changed.write_text("my own work")
    again = srt(site, tmp_path, "notebooks", "mine")
    assert again.returncode == 1 and f"has {changed.name} with another content" in again.stderr
    assert changed.read_text() == "my own work"


@pytest.mark.slow
def test_the_demonstration_needs_nothing_but_the_wheel(installed, tmp_path):
    _, site = installed
    done = srt(site, tmp_path, "demo", "--no-open", "--to", "path.html")
    assert done.returncode == 0, done.stderr
    assert "nano-6m" in done.stdout and str(tmp_path / "path.html") in done.stdout
    page = (tmp_path / "path.html").read_text(encoding="utf-8")
    stories = json.loads(re.search(r"^const stories = (.*);$", page, re.MULTILINE)[1])
    assert [story["name"] for story in stories] == ["jump", "no jump", "same last token: why is it flat?"]
    for story, verdict in zip(stories, ("One jump", "No jump", "No jump"), strict=True):
        assert verdict in " ".join(story["facts"]) and story["shuffled"]
    assert not re.findall(r"(?:src|href)=[\"']?https?:", page)
