"""Models for the tests: tiny ones with a tokenizer of bytes, in folders as users have them, and the packaged one."""

from __future__ import annotations

import shutil
from pathlib import Path

import jaxtyping
import pytest

import srtoolkit as srt
from checkpoints_on_disk import lay_out_hub, save_tiny
from fake_hub import TOKEN, go_to, serve
from families import FAMILIES
from srtoolkit.models.hub import snapshots
from srtoolkit.models.packaged import is_cached

#: Folders whose tests wait for other processes, one for minutes: they begin first, so that no worker waits for them.
FIRST = ("notebooks", "browser", "reproduction")

#: Folder -> the marker of every test in it.
FOLDERS = {"browser": "browser", "notebooks": "notebook", "faults": "faults"}


def pytest_addoption(parser):
    parser.addoption("--families", default=",".join(FAMILIES), help="the architecture families that are tested")
    parser.addoption("--all-cases", action="store_true", help="all ten thousand random cases of patching, not a tenth")
    parser.addoption("--all-families", action="store_true", help="every row of the table of families is tried")
    parser.addoption("--all-notebooks", action="store_true", help="a wrong library is tried on every notebook")


def pytest_collection_modifyitems(config, items):
    """Mark what can be told from a test's folder and fixtures, and leave out families that were not asked for."""
    chosen = set(config.getoption("--families").split(","))
    if unknown := chosen - set(FAMILIES):
        raise pytest.UsageError(f"--families={','.join(sorted(unknown))}: expected some of {', '.join(FAMILIES)}")
    items.sort(key=lambda item: _room(item) not in FIRST)  # the order is kept otherwise
    left_out = [item for item in items if _family(item) in set(FAMILIES) - chosen]
    for item in items:
        room = _room(item)
        if room in FOLDERS:
            item.add_marker(FOLDERS[room])
        for large in {"smollm2", "gemma"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(large)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _room(item):
    """Folder of a test, or its file where it lies in none."""
    return item.path.relative_to(Path(__file__).parent).parts[0]


def _family(item):
    """The family that a test is run for, by the parameter that says so."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    named = [parameters.get(name) for name in ("family", "model")]
    return next((value for value in named if isinstance(value, str)), None)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="session")
def text_model(tiny_folder):
    """A tiny model that reads text."""
    return srt.load_model(str(tiny_folder))


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    return lay_out_hub(tmp_path / "hub", monkeypatch)


@pytest.fixture(scope="session")
def smollm2():
    return srt.load_model("smollm2-135m")


@pytest.fixture(scope="session")
def gemma():
    """Gemma-3-270M, where somebody has accepted its terms of use and fetched it; nothing here does."""
    if not is_cached("gemma-3-270m"):
        pytest.skip("Gemma's weights are not in the cache: srt.load_model('gemma-3-270m', accept_terms=True)")
    return srt.load_model("gemma-3-270m")


@pytest.fixture
def broken_copy(tiny_folder, tmp_path):
    """A copy of the tiny checkpoint to do harm to."""
    return shutil.copytree(tiny_folder, tmp_path / "copy")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with ``lab/tiny`` at two revisions, an empty cache, a token, and short pauses between attempts."""
    with serve() as (state, address):
        go_to(address, monkeypatch)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(snapshots, "PAUSES", (0.05, 0.05))
        state.commits = [
            state.add("lab/tiny", save_tiny(tmp_path / branch, seed=seed), branch)
            for seed, branch in enumerate(["main", "step1000"])
        ]
        yield state


@pytest.fixture
def unchecked():
    """Without the type checks that run in tests only: a user meets the library's own."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
