"""Predictions of points of a path against each other, and within regions against across them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.spatial.distance import jensenshannon

import srtoolkit as srt
from srtoolkit.analysis.predictions import divergence_by_region

PAIRS = [("the old house", "a red bird"), ("once more", "never again, he said")]


def test_divergence_is_that_of_the_two_predictions(text_model):
    found = srt.divergence(text_model, PAIRS, lags=(1, 3), steps=5)
    assert found.jsd.dims == ("pair", "lag", "alpha")
    tokens = srt.from_text(text_model, PAIRS)
    a, b = (srt.capture(text_model, ids[None]) for ids in (tokens.tokens_a[1], tokens.tokens_b[1]))
    points = torch.stack([a + share * (b - a) for share in torch.linspace(0, 1, 5)], dim=1)
    logprobs = srt.patch(text_model, tokens.tokens_a[1][None], points, reads="logprobs", method="full")[0].double()
    expected = jensenshannon(logprobs[1].exp().numpy(), logprobs[4].exp().numpy()) ** 2
    assert float(found.jsd[1, 1, 1]) == pytest.approx(expected, rel=1e-3)
    assert float(found.same_token[1, 1, 1]) == float(logprobs[1].argmax() == logprobs[4].argmax())
    assert np.isnan(found.jsd.sel(lag=3)[:, 2:]).all() and np.isfinite(found.jsd.sel(lag=3)[:, :2]).all()
    assert np.isfinite(found.jsd.sel(lag=1)[:, :4]).all() and np.isnan(found.jsd.sel(lag=1)[:, 4]).all()


@pytest.mark.parametrize("lags", [(), (0,), (5,)])
def test_lags_that_are_not_on_the_path(text_model, lags):
    with pytest.raises(ValueError, match="lags="):
        srt.divergence(text_model, PAIRS, lags=lags, steps=5)


def planted(relative, jsd):
    """Results as of one pair with the given curve and, for a lag of 2, the given divergences."""
    steps = len(relative)
    attrs = {"layer": 0, "path": "linear", "fingerprint": "f"}
    alike = {"tokens_a": (("pair", "pos"), [[1, 2]]), "tokens_b": (("pair", "pos"), [[3, 4]])}
    coords = {"alpha": np.linspace(0, 1, steps)}
    curve = {"relative_distance": (("pair", "alpha"), [relative]), "degenerate": ("pair", [False])}
    curves = xr.Dataset(alike | curve, coords, attrs)
    values = np.array(jsd, float)[None, None]
    found = alike | dict.fromkeys(("jsd", "same_token"), (("pair", "lag", "alpha"), values))
    return xr.Dataset(found, coords | {"lag": [2]}, attrs), curves


def test_points_are_told_apart_by_the_jump_between_them():
    """A jump over the steps 3-4 and 4-5 of eleven points; a lag of 2 spans it from 3 alone."""
    relative = [0, 0, 0, 0, 0.6, 1, 1, 1, 1, 1, 1]
    jsd = [1, 1, 50, 0.5, 50, 2, 2, 2, 2, np.nan, np.nan]
    found = divergence_by_region(*planted(relative, jsd)).isel(pair=0, lag=0)
    assert found.jsd_different == 0.5
    assert found.jsd_same == pytest.approx(np.mean([1, 1, 2, 2, 2, 2]))
    assert not found.excluded


def test_two_jumps_leave_three_regions():
    relative = [0, 0, 0, 0.3, 0.3, 0.3, 0.3, 1, 1, 1, 1]
    jsd = [1, 9, 9, 1, 1, 5, 5, 1, 1, np.nan, np.nan]
    found = divergence_by_region(*planted(relative, jsd)).isel(pair=0, lag=0)
    assert found.jsd_different == 5  # the steeper of the two
    assert found.jsd_same == 1


def test_a_straight_line_has_no_boundary():
    found = divergence_by_region(*planted(np.linspace(0, 1, 11).tolist(), [1.0] * 11)).isel(pair=0, lag=0)
    assert found.excluded and np.isnan(found.jsd_different)


def test_results_of_different_paths_are_not_put_together():
    found, curves = planted([0, 0, 1, 1], [1, 1, 1, 1])
    with pytest.raises(ValueError, match="not of the same paths"):
        divergence_by_region(found, curves.assign_attrs(layer=3))
    with pytest.raises(ValueError, match="not of the same paths"):
        divergence_by_region(found, curves.isel(alpha=slice(3)))


def test_within_and_across_on_a_real_path(text_model):
    pairs = srt.from_text(text_model, PAIRS)
    found = srt.divergence(text_model, pairs, lags=(4,))
    split = srt.divergence_by_region(found, srt.interpolate(text_model, pairs))
    assert split.sizes == {"pair": 2, "lag": 1, "pos": split.sizes["pos"]}
    assert {"jsd_same", "jsd_different", "excluded", "prompt_a", "text_a"} <= set(split.variables)


def test_the_token_of_a_is_lost_where_it_last_was():
    tokens = [[5, 5, 6, 5, 7, 7], [5, 5, 5, 5, 5, 5], [5, 6, 6, 6, 6, 6]]
    curves = xr.Dataset({"top_token": (("pair", "alpha"), tokens)}, {"alpha": np.linspace(0, 1, 6)})
    found = srt.token_change_at(curves).values
    assert found[[0, 2]] == pytest.approx([0.7, 0.1])
    assert np.isnan(found[1])
    with pytest.raises(ValueError, match="no predictions"):
        srt.token_change_at(curves.drop_vars("top_token"))


def test_all_pairs_of_a_list_stand_once(text_model):
    pairs = srt.all_pairs(text_model, ["one", "two words", "three"])
    assert list(zip(pairs.text_a, pairs.text_b, strict=True)) == [
        ("one", "two words"),
        ("one", "three"),
        ("two words", "three"),
    ]
    assert pairs.labels == ("0-1", "0-2", "1-2")
    for texts in (["one"], ["one", "one"]):
        with pytest.raises(ValueError, match="all different"):
            srt.all_pairs(text_model, texts)


def test_the_wrong_results_have_no_divergence_by_region():
    _, curves = planted([0, 0, 1, 1], [1, 1, 1, 1])
    for call in (srt.divergence_by_region, srt.divergence_at_equal_output):
        with pytest.raises(ValueError, match=r"expected a result of srtoolkit\.divergence"):
            call(curves, curves)
