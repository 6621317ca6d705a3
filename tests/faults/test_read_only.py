"""Folders that may not be written: whatever is in them whole is used, and what would be written is refused by name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

import srtoolkit as srt
from checkpoints_on_disk import save_tiny
from disk_faults import ENVIRONMENT, read_only, run, script
from srtoolkit.files.disk import CacheError, DiskError

PAIRS = [("the cat sat", "a dog ran"), ("rain", "snow falls")]


def measure(model):
    return srt.interpolate(model, PAIRS, steps=5, reads="final_norm")


def test_the_fault_is_real(tmp_path):
    with read_only(tmp_path), pytest.raises(PermissionError):
        (tmp_path / "file").touch()


def test_a_converted_model_is_read_and_a_missing_one_refused(packaged_tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SRT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    with read_only(tmp_path / "cache"), pytest.raises(CacheError, match=r"not allowed.*set SRT_CACHE"):
        srt.load_model("tiny")
    fingerprint = srt.load_model("tiny").fingerprint
    with read_only(tmp_path / "cache"):
        assert srt.load_model("tiny").fingerprint == fingerprint
    weights = next((tmp_path / "cache").rglob("model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    with read_only(tmp_path / "cache"), pytest.raises(CacheError, match=r"not allowed.*set SRT_CACHE"):
        srt.load_model("tiny")


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_cache_that_cannot_be_a_folder_is_said(packaged_tiny, tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SRT_CACHE", str(tmp_path / place))
    with pytest.raises(CacheError, match="SRT_CACHE"):
        srt.load_model("tiny")


def test_the_hubs_cache_is_read_and_what_is_not_in_it_refused(hub, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.mkdir()
    with read_only(cache), pytest.raises(DiskError, match=r"config\.json of 'lab/tiny'.*not allowed.*HF_HUB_CACHE"):
        srt.load_model("lab/tiny")
    fingerprint = srt.load_model("lab/tiny").fingerprint
    with read_only(cache):
        assert srt.load_model("lab/tiny").fingerprint == fingerprint
        with pytest.raises(DiskError, match=r"of revision 'step1000' of 'lab/tiny'.*not allowed.*HF_HUB_CACHE"):
            srt.load_model("lab/tiny", revision="step1000")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        assert srt.load_model("lab/tiny").fingerprint == fingerprint


def test_a_store_is_read_and_what_is_not_in_it_refused_before_any_model_runs(tmp_path):
    models = [str(save_tiny(tmp_path / f"tiny{seed}", seed=seed)) for seed in range(2)]
    store = tmp_path / "store"
    store.mkdir()
    with read_only(store), pytest.raises(DiskError, match=r"not allowed.*SRT_STORE"):
        srt.sweep(models, measure, store=store)
    found = srt.sweep(models[:1], measure, store=store)
    with read_only(store):
        assert srt.sweep(models[:1], measure, store=store).identical(found)
        with pytest.raises(DiskError, match=r"not allowed.*SRT_STORE"):
            srt.sweep(models, measure, store=store)
        with pytest.raises(DiskError, match=r"not allowed.*save it elsewhere"):
            srt.save(found, store / "joined.nc")
    assert {path.suffix for path in store.iterdir()} == {".json", ".nc", ".lock"}
    file = tmp_path / "file"
    file.write_text("not a folder")
    with pytest.raises(DiskError, match=r"a file lies where.*SRT_STORE"):
        srt.sweep(models, measure, store=file)


def test_a_home_that_cannot_hold_folders_says_what_to_set(tmp_path):
    """Such as /dev/null, the home of many a service."""
    (tmp_path / "home").write_text("no folder")
    bare = dict.fromkeys(("XDG_CACHE_HOME", "SRT_CACHE"), "") | {"HOME": str(tmp_path / "home")}
    said = run(
        """
        import os
        for name in ("XDG_CACHE_HOME", "SRT_CACHE", "HF_HOME", "HF_HUB_CACHE", "HF_TOKEN"):
            os.environ.pop(name, None)
        import srtoolkit as srt
        model = srt.load_model("nano-0.4m")
        print(srt.interpolate(model, [(" a cat", " a dog")], steps=3, reads="final_norm").sizes["pair"], "pair")
        for name in ("smollm2-135m", "lab/none"):
            try:
                srt.load_model(name)
            except OSError as error:
                print(type(error).__name__, error)
        """,
        HF_HUB_OFFLINE="1",
        **bare,
    )
    lines = said.splitlines()
    assert lines[0] == "1 pair" and len(lines) == 3
    assert re.search(r"CacheError.*a file lies where there should be a folder.*SRT_CACHE", lines[1])
    assert re.search(r"DiskError cannot load 'lab/none'.*a file lies where there should be a folder.*HF_HOME", lines[2])


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="nothing here takes root's leave away")
def test_a_home_that_may_not_be_written_is_read_only(tmp_path):
    """Permissions hold in the new process, as for any user: also where this one is root's."""
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o555)
    code = """
        import pathlib, srtoolkit as srt
        try:
            pathlib.Path.home().joinpath("file").touch()
        except PermissionError:
            print("cannot write")
        model = srt.load_model("nano-0.4m")
        print(srt.interpolate(model, [(" a cat", " a dog")], steps=3, reads="final_norm").sizes["pair"], "pair")
        try:
            srt.load_model("smollm2-135m")
        except OSError as error:
            print(type(error).__name__, error)
    """
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "SRT_", "HF_"))}
    done = subprocess.run(
        [*drop, *script(code)], env={**bare, **ENVIRONMENT, "HOME": str(home), "HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    home.chmod(0o755)
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout.splitlines()
    assert said[:2] == ["cannot write", "1 pair"] and len(said) == 3
    assert re.search(r"CacheError.*not allowed to this user.*SRT_CACHE", said[2])
    assert not list(home.iterdir())
