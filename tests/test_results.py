"""Results on disk: as they were, or not there."""

from __future__ import annotations

import h5netcdf
import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt


def result():
    return xr.Dataset(
        {"distance": (("pair", "alpha"), np.arange(6.0).reshape(2, 3)), "degenerate": ("pair", [True, False])},
        {"pair": ["é 🙂", "b"], "alpha": [0, 0.5, 1]},
        {"model": "m", "steps": 3, "revision": ""},
    )


def test_a_result_comes_back_as_it_was(tmp_path):
    path = srt.save(result(), tmp_path / "folder" / "curves.nc")
    assert srt.load(path).identical(result())
    assert [file.name for file in path.parent.iterdir()] == ["curves.nc"]


@pytest.mark.parametrize("name", ["x.csv", "x.PNG", "x.parquet", "run.v2"])
def test_a_name_that_asks_for_another_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"expected a name that ends in \.nc.*srt\.table"):
        srt.save(result(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x.nc", "x.NC", "x.h5", "x"])
def test_names_of_netcdf_are_taken(tmp_path, name):
    assert srt.load(srt.save(result(), tmp_path / name)).identical(result())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A result with all kinds of values, and the content of its file."""
    rng = np.random.default_rng(0)
    whole = result().assign(
        flips=(("pair", "alpha"), np.arange(6, dtype=np.int16).reshape(2, 3)),
        text=("pair", ["the cat sat", "a dog ran"]),
        loss=((), 2.5, {"long_name": "loss, nats a token"}),
        many=(("x", "y"), rng.normal(size=(20, 30))),
    )
    path = srt.save(whole.assign_attrs(lr=[0.1, 0.2]), tmp_path_factory.mktemp("saved") / "whole.nc")
    return srt.load(path), path.read_bytes()


def test_a_bit_that_turned_anywhere_is_noticed_or_changes_nothing(saved, tmp_path):
    whole, content = saved
    rng, path, refused = np.random.default_rng(1), tmp_path / "flipped.nc", 0
    for at in rng.integers(0, 8 * len(content), 300):
        flipped = bytearray(content)
        flipped[at // 8] ^= 1 << (at % 8)
        path.write_bytes(bytes(flipped))
        try:
            found = srt.load(path)
        except srt.ResultError:
            refused += 1
        else:
            assert found.identical(whole), at
    assert refused > 250


def test_a_file_without_a_seal_is_read(saved, tmp_path):
    """Files of before have none, and neither have those that another program has rewritten."""
    whole, content = saved
    path = tmp_path / "before.nc"
    path.write_bytes(content[: content.index(b"\nsrtoolkit sha256 ")])
    assert srt.load(path).identical(whole)
    path.write_bytes(content)
    with h5netcdf.File(path, "r+") as file:
        file.attrs["remark"] = "by hand"
    assert srt.load(path).identical(whole.assign_attrs(remark="by hand"))


def test_a_write_that_fails_keeps_the_old_file(tmp_path):
    path = srt.save(result(), tmp_path / "curves.nc")
    with pytest.raises(TypeError, match=r"attrs: bad=.* is no attribute that netCDF has"):
        srt.save(result().assign_attrs(bad=object()), path)
    assert srt.load(path).identical(result())
    assert [file.name for file in tmp_path.iterdir()] == ["curves.nc"]


def test_a_missing_result_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.nc"):
        srt.load(tmp_path / "nothing.nc")


def test_whoever_may_read_new_files_may_read_a_result(tmp_path):
    """A store may be shared by the people of a cluster."""
    (tmp_path / "plain").write_text("")
    path = srt.save(result(), tmp_path / "curves.nc")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
