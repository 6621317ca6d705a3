"""Models for the tests: tiny ones with a tokenizer of bytes, in folders as users have them, and the packaged one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import srtoolkit as srt
from checkpoints_on_disk import save_tiny


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="session")
def text_model(tiny_folder):
    """A tiny model that reads text."""
    return srt.load_model(str(tiny_folder))


def lay_out_hub(root: Path, patch: pytest.MonkeyPatch, family: str = "llama") -> Path:
    """A local hub cache as the hub's client lays it out, with two training checkpoints of ``lab/tiny``; no network."""
    repository = root / "models--lab--tiny"
    for seed, branch in enumerate(["main", "step1000"]):
        commit = f"{seed + 1:040x}"
        save_tiny(repository / "snapshots" / commit, family, seed=seed)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / branch).write_text(commit)
    patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root))
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    patch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(root))
    return repository


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


def edit_config(folder: Path, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
