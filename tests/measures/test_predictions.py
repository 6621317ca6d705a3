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
    outputs = srt.patch(text_model, tokens.tokens_a[1][None], points, reads="final_norm", method="full")[0]
    assert float(found.output_distance[1, 1, 1]) == pytest.approx(float((outputs[1] - outputs[4]).norm()), rel=1e-3)
    assert (found.output_distance.isnull() == found.jsd.isnull()).all()
    assert np.isnan(found.jsd.sel(lag=3)[:, 2:]).all() and np.isfinite(found.jsd.sel(lag=3)[:, :2]).all()
    assert np.isfinite(found.jsd.sel(lag=1)[:, :4]).all() and np.isnan(found.jsd.sel(lag=1)[:, 4]).all()


def test_curves_compare_the_same_points_in_the_same_pass(text_model):
    found = srt.divergence(text_model, PAIRS, lags=(1, 3), steps=5)
    curves = srt.interpolate(text_model, PAIRS, reads=("final_norm", "logits"), steps=5, lags=(1, 3))
    for name in ("jsd", "same_token", "output_distance"):
        xr.testing.assert_allclose(curves[f"{name}_lag"].drop_attrs(), found[name].drop_attrs(), atol=1e-6)
    assert curves.jsd.dims == ("pair", "alpha") and curves.jsd_lag.long_name == found.jsd.long_name
    np.testing.assert_allclose(curves.output_distance_lag.sel(lag=1)[:, :-1], curves.step[:, 1:], rtol=1e-4)
    split = srt.divergence_by_region(curves, curves, jump_speed=1.01)
    expected = srt.divergence_by_region(found, curves, jump_speed=1.01)
    for name in ("jsd_same", "jsd_different", "same_token_same", "excluded"):
        np.testing.assert_allclose(split[name], expected[name], atol=1e-6)


@pytest.mark.parametrize(("words", "more"), [("reads", {"reads": "logits"}), ("where", {"where": "adaptive"})])
def test_lags_need_all_that_they_compare(text_model, words, more):
    with pytest.raises(ValueError, match=f"lags=.*{words}"):
        srt.interpolate(text_model, PAIRS, lags=(1,), **more)


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


def walked(places, divergence, lags=(1, 2, 3, 4)):
    """Results as of pairs whose outputs are at these places of a line, and whose predictions diverge as said."""
    places = np.asarray(places, float)
    steps = places.shape[1]
    attrs = {"layer": 0, "path": "linear", "fingerprint": "f"}
    alike = {side: (("pair", "pos"), np.ones((len(places), 2))) for side in ("tokens_a", "tokens_b")}
    coords = {"alpha": np.linspace(0, 1, steps)}
    step = np.pad(np.abs(np.diff(places)), ((0, 0), (1, 0)))
    ends = {"distance": places - places[:, :1], "distance_b": places[:, -1:] - places, "step": step}
    ends["relative_distance"] = ends["distance"] / ends["distance"][:, -1:]
    curves = {name: (("pair", "alpha"), np.abs(values)) for name, values in ends.items()}
    curves |= {"degenerate": ("pair", np.zeros(len(places), bool))}
    jsd = np.full((len(places), len(lags), steps), np.nan)
    apart = jsd.copy()
    for row, lag in enumerate(lags):
        apart[:, row, :-lag] = np.abs(places[:, lag:] - places[:, :-lag])
        jsd[:, row, :-lag] = divergence(places[:, :-lag], places[:, lag:])
    dims = ("pair", "lag", "alpha")
    found = {"jsd": (dims, jsd), "same_token": (dims, jsd), "output_distance": (dims, apart)}
    return xr.Dataset(alike | found, coords | {"lag": list(lags)}, attrs), xr.Dataset(alike | curves, coords, attrs)


def staircase(n=20, steps=40):
    """Outputs that drift within two regions, by as much as a jump between them, which lies anywhere."""
    rng = np.random.default_rng(0)
    moves = rng.uniform(0.02, 0.5, size=(n, steps))
    for row, place in zip(moves, rng.integers(8, steps - 8, n), strict=True):
        row[place] = 3.0
    return np.pad(moves.cumsum(axis=1), ((0, 0), (1, 0)))


def test_where_divergence_is_distance_alone_regions_add_nothing():
    lags = (1, 2, 4, 8, 12, 16, 20, 24, 30)
    found, curves = walked(staircase(), lambda here, there: (there - here) ** 2, lags)
    apart = srt.divergence_by_region(found, curves)
    assert (
        float((apart.jsd_different / apart.jsd_same).sel(lag=4).median()) > 3
    )  # which is what the boundary is made of
    equal = srt.divergence_at_equal_output(found, curves, bins=np.arange(3, 5.6, 0.25))
    known = equal.pairs.values >= 5
    assert known.sum() >= 2
    assert np.abs(np.log(equal.ratio.values[known])).max() < 0.1
    whole = srt.divergence_at_equal_output(found, curves, bins=4)
    assert whole.sizes["bin"] == 4 and (whole.low.values[1:] == whole.high.values[:-1]).all()


def test_where_a_boundary_adds_to_distance_its_share_is_found():
    lags = (1, 2, 4, 8, 12, 16, 20, 24, 30)

    def divergence(here, there):
        distance = there - here
        return distance * np.where(crosses(here, there), 1.5, 1.0)

    places = staircase()
    step = np.diff(places, axis=1).argmax(axis=1)[:, None]
    middle = (np.take_along_axis(places, step, 1) + np.take_along_axis(places, step + 1, 1)) / 2

    def crosses(here, there):
        return (here < middle) & (there > middle)

    equal = srt.divergence_at_equal_output(*walked(places, divergence, lags), bins=np.arange(3, 5.6, 0.25))
    known = equal.pairs.values >= 5
    assert equal.ratio.values[known] == pytest.approx(1.5, rel=0.05)
    found = srt.median(equal.isel(bin=int(np.argmax(known))).assign(prompt_a=("pair", np.arange(20)),
                       prompt_b=("pair", np.arange(20) + 20)), "log_ratio")  # fmt: skip
    assert found.low <= np.log(1.5) + 0.05 and found.high >= np.log(1.5) - 0.05


def by_range(log_ratio):
    """As of :func:`srtoolkit.divergence_at_equal_output`, of disjoint pairs."""
    n = len(log_ratio)
    texts = {"text_a": ("pair", [f"a{k}" for k in range(n)]), "text_b": ("pair", [f"b{k}" for k in range(n)])}
    prompts = {"prompt_a": ("pair", np.arange(n)), "prompt_b": ("pair", np.arange(n) + n)}
    data = {"log_ratio": (("pair", "bin"), np.array(log_ratio, float)), "excluded": ("pair", np.zeros(n, bool))}
    return xr.Dataset(data | texts | prompts)


def test_the_ratio_is_the_median_of_ranges_of_mean_logs_over_pairs():
    rng = np.random.default_rng(3)
    logs = rng.normal([0.2, 0.9, 0.4], 0.3, size=(200, 3))
    logs[rng.uniform(size=logs.shape) < 0.3] = np.nan
    found = srt.ratio_at_equal_output(by_range(logs))
    assert found.value == pytest.approx(np.exp(np.median(np.nanmean(logs, axis=0))))
    # The middle range alone decides; the interval is that of its mean, by the textbook.
    middle = logs[np.isfinite(logs[:, 2]), 2]
    error = 1.96 * middle.std(ddof=1) / len(middle) ** 0.5
    assert np.log(found.high / found.low) == pytest.approx(2 * error, rel=0.15)
    one = srt.ratio_at_equal_output(by_range(logs).isel(bin=[1]))
    assert one.value == pytest.approx(np.exp(np.nanmean(logs[:, 1])))
    both = srt.ratio_at_equal_output([by_range(logs), by_range(logs + 0.2)])
    assert both.value == pytest.approx(found.value * np.exp(0.1))
    assert both.high > found.high * 1.2  # two seeds know little about others
    assert np.isnan(srt.ratio_at_equal_output(by_range(np.full((30, 2), np.nan))).value)


def test_a_boundary_is_what_moves_faster_than_one_says():
    """Outputs that move at twice and at half the usual speed have no jump at speed 3, and one at 1.5."""
    places = np.concatenate([np.linspace(0, 1, 14)[:-1], np.linspace(1, 5, 14)[:-1], np.linspace(5, 6, 15)])[None]
    found, curves = walked(np.repeat(places, 3, axis=0), lambda here, there: there - here, (16, 20))
    assert srt.divergence_by_region(found, curves, jump_speed=3.0).excluded.all()
    assert not srt.divergence_by_region(found, curves, jump_speed=1.5).excluded.any()
    with pytest.raises(ValueError, match="jump_speed="):
        srt.divergence_by_region(found, curves, jump_speed=0.5)


def test_ranges_of_output_distance_that_cannot_be():
    found, curves = walked(staircase(), lambda here, there: there - here)
    with pytest.raises(ValueError, match="bins="):
        srt.divergence_at_equal_output(found, curves, bins=[2, 1])
    with pytest.raises(ValueError, match="bins=0"):
        srt.divergence_at_equal_output(found, curves, bins=0)
    with pytest.raises(ValueError, match=r"give srtoolkit\.divergence more lags"):
        srt.divergence_at_equal_output(found.isel(lag=[0]), curves)
    with pytest.raises(ValueError, match="output_distance"):
        srt.divergence_at_equal_output(found.drop_vars("output_distance"), curves)


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


def test_a_part_of_a_result_is_refused_by_its_axes():
    found, curves = planted(np.linspace(0, 1, 11), np.ones(11))
    for part, of in ((found.isel(lag=0), curves), (found.isel(alpha=0), curves), (found, curves.isel(pair=0))):
        for measure in (srt.divergence_by_region, srt.divergence_at_equal_output):
            with pytest.raises(ValueError, match=r"expected a result of srtoolkit\.\w+"):
                measure(part, of)
    with pytest.raises(ValueError, match=r"srtoolkit\.divergence, but it has no \['jsd'"):
        srt.divergence_by_region(curves, found)
