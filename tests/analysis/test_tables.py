"""A table has one row a pair, whatever else a result has axes for; its numbers are those of the result."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import srtoolkit as srt


@pytest.fixture(scope="module")
def pairs(text_model):
    return srt.sample_pairs(text_model, 4, length=5)


@pytest.fixture(scope="module")
def curves(text_model, pairs):
    return srt.interpolate(text_model, pairs, steps=6, reads=("final_norm", "logits"), top=2)


@pytest.mark.slow
def test_one_row_a_pair_where_pandas_repeats_each_by_its_tokens(curves, pairs):
    moved = srt.motion(curves)
    assert len(moved.to_dataframe()) > len(pairs)  # what made every n wrong
    found = srt.table(moved)
    assert found["pair"].tolist() == list(pairs.labels)
    assert found["text_a"].tolist() == list(pairs.text_a)
    np.testing.assert_array_equal(found["peak"], moved["peak"])
    assert found["same_region"].dtype == bool
    assert not {"tokens_a", "pos", "rank"} & set(found)


def test_attributes_say_which_model_and_how(curves, text_model):
    found = srt.table(curves)
    assert set(found["model"]) == {text_model.name} and set(found["layer"]) == {0} and set(found["path"]) == {"linear"}
    assert "distance" not in found and "input_distance" in found


def test_curves_have_a_row_a_point_on_request(curves):
    found = srt.table(curves, rows=("pair", "alpha"))
    assert len(found) == 4 * 6
    for label, one in found.groupby("pair"):
        np.testing.assert_array_equal(one["distance"], curves["distance"].sel(pair=label))
        np.testing.assert_array_equal(one["alpha"], curves["alpha"])


@pytest.mark.slow
def test_a_pair_that_crosses_two_boundaries_has_one_row(text_model, pairs):
    found = srt.boundary(text_model, pairs, 0.1, steps=5)
    twice = xr.concat([found, found.assign_coords(crossing=[2])], "crossing", data_vars="minimal")
    made = srt.table(twice)
    assert len(made) == len(pairs) and not [name for name in made if "normal" in name]
    np.testing.assert_array_equal(made[["place_1", "place_2"]], twice["place"])
    assert len(srt.table(twice, rows=("pair", "crossing"))) == 2 * len(pairs)


def test_a_radius_has_a_row_for_each_prompt_and_direction(text_model):
    ways = torch.randn(3, text_model.d_model, generator=torch.Generator().manual_seed(0))
    found = srt.radius(text_model, ["ab", "cde"], ways, delta=1e-6)
    made = srt.table(found)
    assert list(made[["prompt", "direction"]].itertuples(index=False, name=None)) == [
        (prompt, direction) for prompt in found["prompt"].values for direction in range(3)
    ]
    np.testing.assert_array_equal(made["radius"].to_numpy().reshape(2, 3), found["radius"])


@pytest.mark.slow
def test_members_of_a_sweep_are_told_apart(tmp_path):
    def measure(model):
        return srt.sharpness(srt.interpolate(model, [("ab", "cd"), ("ef", "gh")], steps=5))

    swept = srt.sweep([{"name": "nano-0.4m", "seed": 0}, {"name": "nano-1m", "seed": 0}], measure, store=tmp_path)
    made = srt.table(swept)
    assert len(made) == 4 and made["name"].tolist() == ["nano-0.4m"] * 2 + ["nano-1m"] * 2
    np.testing.assert_array_equal(made["max_slope"].to_numpy().reshape(2, 2), swept["max_slope"])


def test_it_survives_a_csv_file(curves, tmp_path):
    made = srt.table(srt.sharpness(curves))
    made.to_csv(tmp_path / "x.csv", index=False)
    again = pd.read_csv(tmp_path / "x.csv", keep_default_na=False, na_values=["nan"])
    assert len(again) == 4 and again["text_a"].tolist() == made["text_a"].tolist()


def test_what_makes_no_rows_is_refused():
    spectrum = xr.Dataset({"x": ("rank", [1.0, 2.0])})
    with pytest.raises(ValueError, match=r"'rank'.*rows="):
        srt.table(spectrum)
    assert srt.table(spectrum, rows="rank")["rank"].tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"rows='pair'.*'rank'"):
        srt.table(spectrum, rows="pair")
    with pytest.raises(TypeError, match="DataFrame"):
        srt.table(pd.DataFrame())
