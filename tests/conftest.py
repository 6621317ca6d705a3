"""Models for the tests: tiny ones with a tokenizer of bytes, in folders as users have them, and the packaged one."""

from __future__ import annotations

import shutil

import pytest

import srtoolkit as srt
from checkpoints_on_disk import lay_out_hub, save_tiny
from fake_hub import TOKEN, go_to, serve
from srtoolkit.models.hub import downloads


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
        monkeypatch.setattr(downloads, "PAUSES", (0.05, 0.05))
        state.commits = [
            state.add("lab/tiny", save_tiny(tmp_path / branch, seed=seed), branch)
            for seed, branch in enumerate(["main", "step1000"])
        ]
        yield state
