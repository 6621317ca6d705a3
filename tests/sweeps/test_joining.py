"""Results one after the other along an axis, whatever the lengths of their prompts."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt


def curves(model, pairs, **settings):
    return srt.interpolate(model, pairs, steps=4, reads="final_norm", **settings)


def test_pairs_of_other_lengths_come_one_after_the_other(text_model):
    first = curves(text_model, [("abc", "bcd"), ("abc", "xyz")])
    second = curves(text_model, [("abcdef", "xyz")])
    both = srt.concat([first, second], "pair")
    assert both["pair"].values.tolist() == ["0: 0", "0: 1", "1: 0"]
    assert both["distance"].values.tolist() == [*first["distance"].values.tolist(), *second["distance"].values.tolist()]
    for tokens in ("tokens_a", "tokens_b"):
        rows = [*first[tokens].values, *second[tokens].values]
        assert both[tokens].dtype == first[tokens].dtype
        assert [[int(one) for one in row if one >= 0] for row in both[tokens].values] == [
            [int(one) for one in row if one >= 0] for row in rows
        ]
    # "abc" is prompt 0 of the first, and "xyz" is the second's last: equal texts, equal numbers.
    assert both["prompt_a"].values.tolist() == [0, 0, 1] and both["prompt_b"].values.tolist() == [2, 3, 3]
    assert both.attrs["steps"] == 4 and both.attrs["fingerprint"] == text_model.fingerprint
    assert srt.summarise(srt.sharpness(both)).sel(quantity="max_slope")["n"].item() == 3


def test_results_get_a_new_axis_with_labels(text_model):
    blocks = [curves(text_model, [("abc", "bcd")], layer=block) for block in (0, 2)]
    found = srt.concat(blocks, "layer")
    assert found["layer"].values.tolist() == [0, 2] and "layer" not in found.attrs
    for index, one in enumerate(blocks):
        assert found["distance"].isel(layer=index).values.tolist() == one["distance"].values.tolist()
    kinds = {"short": curves(text_model, [("abc", "bcd")]), "long": curves(text_model, [("abcdef", "bcdxyz")])}
    found = srt.concat(kinds, "setting")
    assert found["tokens_a"].sel(setting="short").values.tolist()[0][3:] == [-1, -1, -1]
    assert found["setting"].values.tolist() == ["short", "long"]


def test_settings_that_differ_become_coordinates(tmp_path):
    parts = [xr.Dataset({"v": ("pair", [1.0, 2.0])}, attrs={"seed": seed, "steps": 5}) for seed in (1, 2)]
    found = srt.concat(parts, "pair")
    assert found["seed"].dims == ("pair",) and found["seed"].values.tolist() == [1, 1, 2, 2]
    assert found.attrs == {"steps": 5} and "seed" in parts[0].attrs
    found.attrs["srtoolkit"] = "0"
    assert srt.load(srt.save(found, tmp_path / "both.nc")).identical(found)


@pytest.mark.parametrize(
    ("results", "dim", "words"),
    [
        ([xr.Dataset()], "pair", "two or more, got 1"),
        ([xr.Dataset({"v": ("pair", [1.0])}), xr.Dataset({"v": 1.0})], "pair", "1 of 2 results"),
        ([xr.Dataset({"v": 1.0}), xr.Dataset({"v": 1.0})], "v", "dim='v' is a variable"),
        ([xr.Dataset({"v": 1.0}), xr.Dataset({"w": 1.0})], "pair", r"variables \['v', 'w'\]"),
        ([xr.Dataset({"v": ("x", [1])}), xr.Dataset({"v": ("y", [1])})], "pair", "axes of v"),
    ],
)
def test_what_cannot_be_joined_is_refused_by_name(results, dim, words):
    with pytest.raises(ValueError, match=words):
        srt.concat(results, dim)


def test_the_results_themselves_stay_as_they_are():
    part = xr.Dataset({"v": (("pair", "pos"), np.ones((2, 3)))}, {"pair": ["a", "b"]}, {"model": "m"})
    before = part.copy(deep=True)
    srt.concat([part, part.isel(pos=[0])], "pair")
    assert part.identical(before)
