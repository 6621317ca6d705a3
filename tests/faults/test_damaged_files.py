"""Results that are cut short, changed, foreign or of another version: refused by name; in a store, measured again."""

from __future__ import annotations

import json
import subprocess
import sys

import h5netcdf
import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt
from checkpoints_on_disk import save_tiny
from srtoolkit import results
from srtoolkit.models.hub.errors import HubError

PAIRS = [("the cat sat", "a dog ran"), ("rain", "snow falls")]


def measure(model):
    return srt.interpolate(model, PAIRS, steps=5, reads="final_norm")


@pytest.fixture
def curves(text_model):
    return measure(text_model)


def turn_a_bit(content, at):
    changed = bytearray(content)
    changed[changed.index(at) + 3] ^= 4
    return bytes(changed)


HARM = {
    "empty": lambda content, _: content[:0],
    "half": lambda content, _: content[: len(content) // 2],
    "one byte short": lambda content, _: content[:-1],
    "zeros": lambda content, _: bytes(len(content)),
    "text": lambda content, _: b"what is this" * (len(content) // 12),
    "a bit turned": lambda content, curves: turn_a_bit(content, curves["distance"].values[0, 1:].tobytes()),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_result_is_refused_by_name(harm, curves, tmp_path):
    path = srt.save(curves, tmp_path / "curves.nc")
    path.write_bytes(HARM[harm](path.read_bytes(), curves))
    with pytest.raises(
        results.DamagedResult, match=rf"curves\.nc is damaged: of its {path.stat().st_size:,} bytes.*again"
    ):
        srt.load(path)


@pytest.mark.parametrize("harm", ["empty", "half", "a bit turned"])
def test_in_a_store_it_is_measured_again(harm, curves, tmp_path, caplog):
    models = [str(save_tiny(tmp_path / f"tiny{seed}", seed=seed)) for seed in range(2)]
    measured = []

    def counted(model):
        measured.append(model.name)
        return measure(model)

    whole = srt.sweep(models, counted, store=tmp_path / "store")
    (file,) = (tmp_path / "store").glob("*tiny1*.nc")
    file.write_bytes(HARM[harm](file.read_bytes(), whole.isel(model=1)))
    measured.clear()
    assert srt.sweep(models, counted, store=tmp_path / "store").identical(whole)
    assert measured == models[1:] and "tiny1 is measured again" in caplog.text and "is damaged" in caplog.text


@pytest.mark.parametrize("mark", ["", "{", "[1]"])
def test_a_damaged_mark_of_a_store_is_said_unless_nothing_hangs_on_it(mark, tmp_path):
    models = [str(save_tiny(tmp_path / "tiny"))]
    store = tmp_path / "store"
    srt.sweep(models, measure, store=store)
    (store / "sweep.json").write_text(mark)
    with pytest.raises(ValueError, match=r"sweep\.json is damaged, so what the 1 results.*folder of its own"):
        srt.sweep(models, measure, store=store)
    (file,) = store.glob("*.nc")
    assert srt.load(file).sizes["pair"] == 2
    file.unlink()
    assert srt.sweep(models, measure, store=store).sizes["model"] == 1


def test_a_store_of_another_version_is_refused_by_name(tmp_path):
    models = [str(save_tiny(tmp_path / "tiny"))]
    store = tmp_path / "store"
    srt.sweep(models, measure, store=store)
    said = json.loads((store / "sweep.json").read_text())
    (store / "sweep.json").write_text(json.dumps({**said, "srtoolkit": "0.0.9"}))
    with pytest.raises(ValueError, match=rf"of srtoolkit 0\.0\.9, this is {srt.__version__}.*folder of its own"):
        srt.sweep(models, measure, store=store)


def rewritten(path, **attributes):
    """The file with other attributes of its own, ``None`` for none."""
    with h5netcdf.File(path, "r+") as file:
        for name, value in attributes.items():
            if value is None:
                del file.attrs[name]
            else:
                file.attrs[name] = value
    return path


def test_a_result_of_a_newer_format_says_who_wrote_it(curves, tmp_path):
    path = rewritten(srt.save(curves, tmp_path / "x.nc"), srtoolkit_format=7, srtoolkit_writer="3.1.0")
    with pytest.raises(
        results.ResultError, match=rf"by srtoolkit 3\.1\.0 in format 7; this is srtoolkit {srt.__version__}"
    ):
        srt.load(path)


def test_a_result_of_before_formats_were_counted_is_read(curves, tmp_path):
    curves.to_netcdf(tmp_path / "old.nc", engine="h5netcdf")
    assert srt.load(tmp_path / "old.nc").identical(curves)


def test_flips_of_before_their_dimension_was_called_block_are_read(tmp_path):
    data = {"flips": (("pair", "alpha", "layer"), np.arange(4).reshape(1, 2, 2)), "gates": ("layer", [8, 8])}
    flips = xr.Dataset(data, {"layer": [1, 2]}, {"srtoolkit": "0.1.0"})
    path = rewritten(srt.save(flips, tmp_path / "old.nc"), srtoolkit_format=1)
    assert srt.load(path).flips.dims == ("pair", "alpha", "block")
    assert srt.load(srt.save(flips, tmp_path / "new.nc")).flips.dims == ("pair", "alpha", "layer")


def test_netcdf_of_others_is_refused_by_name(tmp_path):
    xr.Dataset({"t2m": ("time", np.arange(3.0))}, attrs={"Conventions": "CF-1.8"}).to_netcdf(
        tmp_path / "weather.nc", engine="h5netcdf"
    )
    with pytest.raises(results.ResultError, match=r"weather\.nc is netCDF, but no result of srtoolkit.*Conventions"):
        srt.load(tmp_path / "weather.nc")


def test_a_model_that_is_damaged_in_the_hubs_cache_is_refused_without_the_hub(hub, tmp_path, monkeypatch):
    fingerprint = srt.load_model("lab/tiny").fingerprint
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert srt.load_model("lab/tiny").fingerprint == fingerprint
    for name, harm, words in (
        ("model.safetensors", lambda content: content[:-4], r"its header says \d+"),
        ("model.safetensors", lambda content: content[:5], "no header"),
        ("tokenizer.json", lambda content: content.replace(b"a", b"b", 1), "its git hash is"),
    ):
        (found,) = (tmp_path / "cache").rglob(name)
        blob, content = found.resolve(), found.read_bytes()
        blob.unlink()  # not written over: a model that was loaded reads it still
        blob.write_bytes(harm(content))
        with pytest.raises(HubError, match=rf"{name} in the cache is not the file.*{words}.*Delete .*blobs"):
            srt.load_model("lab/tiny")
        blob.write_bytes(content)
    assert srt.load_model("lab/tiny").fingerprint == fingerprint


FUZZ = """
import random, sys
from pathlib import Path
import numpy as np, xarray as xr
from srtoolkit import results

folder, whole = Path(sys.argv[1]), Path(sys.argv[1], "whole.nc")
data = {"v": (("pair", "alpha"), np.ones((4, 20))), "text_a": ("pair", ["é"] * 4)}
content = results.save(xr.Dataset(data, attrs={"srtoolkit": "0"}), whole).read_bytes()
content = content[: content.rfind(b"\\nsrtoolkit sha256")]  # who forges a file can forge its seal
draw = random.Random(0)

def forged(index):
    changed = bytearray(content)
    if index % 3 == 0:
        return content[:8] + draw.randbytes(draw.randrange(4000))
    for _ in range(draw.randrange(1, 40)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)

counts = {"read": 0, "refused": 0}
for index in range(300):
    (folder / "forged.nc").write_bytes(forged(index))
    try:
        results.load(folder / "forged.nc")
        counts["read"] += 1
    except results.ResultError:
        counts["refused"] += 1
print(counts["read"] + counts["refused"], counts["refused"] > 100, sorted(path.name for path in folder.iterdir()))
"""


@pytest.mark.slow
def test_a_forged_file_neither_ends_the_process_nor_runs_anything(tmp_path):
    command = [sys.executable, "-c", FUZZ, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "300 True ['forged.nc', 'whole.nc']"


def test_a_small_file_that_promises_a_petabyte_is_refused(tmp_path):
    with h5netcdf.File(tmp_path / "huge.nc", "w") as file:
        file.dimensions = {"pair": 10**8, "alpha": 10**6}
        file.create_variable("distance", ("pair", "alpha"), float, chunks=(1000, 1000))
        file.attrs["srtoolkit"] = "0"
    assert (tmp_path / "huge.nc").stat().st_size < 10**5
    with pytest.raises(results.ResultError, match=r"holds 800,\d\d\d GB, in a file of [\d,]+ bytes"):
        srt.load(tmp_path / "huge.nc")


def test_a_result_that_somebody_compressed_is_read(tmp_path):
    found = xr.Dataset({"v": (("pair", "alpha"), np.zeros((100, 1000)))}, attrs={"srtoolkit": "0"})
    found.to_netcdf(tmp_path / "packed.nc", engine="h5netcdf", encoding={"v": {"zlib": True}})
    assert srt.load(tmp_path / "packed.nc").identical(found)
