"""Results on disk: as they were, or not there."""

from __future__ import annotations

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
