"""What counts as a jump, on paths whose steps are made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt
from srtoolkit.analysis.jumps import JUMP_SHARE, JUMP_SPEED, count_jumps, jump_steps, speed_of, steepest_jump

ALPHAS = np.linspace(0, 1, 101)


def steps(**runs):
    """A hundred steps of length 1, but for some runs: first=(place, number, length)."""
    made = np.ones(100)
    for place, number, length in runs.values():
        made[place : place + number] = length
    return made


def test_a_jump_is_fast_and_covers_a_share_of_the_path():
    paths = np.stack([steps(), steps(a=(40, 10, 6)), steps(a=(20, 5, 9), b=(70, 5, 9)), steps(a=(40, 2, 3))])
    jumps = jump_steps(ALPHAS, paths)
    assert count_jumps(jumps).tolist() == [0, 1, 2, 0]  # the last is fast, for 6 of 104
    assert np.flatnonzero(jumps[1]).tolist() == list(range(40, 50))
    assert steepest_jump(jumps, paths)[1].tolist() == [40, 50]


def test_a_jump_does_not_go_on_in_the_next_pair():
    """Runs at the end of one path and at the start of the next are too short each; together they would be a jump."""
    ends = np.stack([steps(a=(97, 3, 3)), steps(a=(0, 3, 3))])
    assert not jump_steps(ALPHAS, ends).any()
    assert jump_steps(ALPHAS, np.stack([steps(a=(94, 6, 3)), steps()]))[0, 94:].all()


def test_speed_has_a_mean_of_1_on_any_grid():
    rng = np.random.default_rng(0)
    alphas = np.sort(rng.random(30))
    made = rng.random((5, 29)) * 10.0 ** np.array([[-300], [0], [3], [100], [307]])
    mean = speed_of(alphas, made) @ np.diff(alphas) / (alphas[-1] - alphas[0])
    assert mean == pytest.approx(np.ones(5))
    assert not speed_of(alphas, np.array([np.zeros(29), np.full(29, np.nan)])).any()
    assert not jump_steps(alphas, np.array([np.zeros(29), np.full(29, np.nan)])).any()


@pytest.mark.parametrize(("factor", "number"), [(0.9, 0), (1.1, 1)])
def test_both_thresholds_are_where_they_are_said_to_be(factor, number):
    fast = JUMP_SPEED * factor * 80 / (100 - JUMP_SPEED * factor * 20)  # 20 steps of that speed
    assert count_jumps(jump_steps(ALPHAS, steps(a=(30, 20, fast))[None])).item() == number
    share = JUMP_SHARE * factor
    long = share * 98 / (1 - share) / 2  # 2 steps that cover this share
    assert count_jumps(jump_steps(ALPHAS, steps(a=(30, 2, long))[None])).item() == number


def null(peaks, n=21):
    """Curves of one fast step each, of these speeds."""
    speeds = np.ones((len(peaks), n - 1))
    speeds[:, 7] = peaks
    others = (n - 1 - np.asarray(peaks)) / (n - 2)
    speeds[:, [k for k in range(n - 1) if k != 7]] = others[:, None]
    made = np.pad(speeds, ((0, 0), (1, 0)))
    flat = np.zeros((len(peaks), n))
    data = {"step": made, "distance": flat, "distance_b": flat}
    curves = xr.Dataset({k: (("pair", "alpha"), v) for k, v in data.items()}, {"alpha": np.linspace(0, 1, n)})
    return curves.assign(degenerate=("pair", np.zeros(len(peaks), bool)))


def test_the_calibrated_speed_is_a_quantile_of_the_largest_speeds():
    peaks = np.random.default_rng(0).uniform(1.2, 4, 200)
    curves = null(peaks)
    assert srt.calibrate_jump(curves) == pytest.approx(np.quantile(peaks, 0.95))
    assert srt.calibrate_jump(curves, level=0.5) == pytest.approx(np.median(peaks))
    found = xr.Dataset({"peak": ("pair", peaks)})
    assert srt.calibrate_jump(found, 0.95) == pytest.approx(np.quantile(peaks, 0.95))
    some = curves.assign(degenerate=("pair", peaks > 2))
    assert srt.calibrate_jump(some, 0.9) == pytest.approx(np.quantile(peaks[peaks <= 2], 0.9))


def test_what_no_speed_can_be_calibrated_on():
    curves = null([2.0, 3.0])
    with pytest.raises(ValueError, match=r"level=1\.5"):
        srt.calibrate_jump(curves, 1.5)
    with pytest.raises(ValueError, match="none of its 2 paths has a speed"):
        srt.calibrate_jump(curves.assign(degenerate=("pair", [True, True])))
    with pytest.raises(ValueError, match="step_hellinger"):
        srt.calibrate_jump(curves, reads="logits")
    with pytest.raises(TypeError, match="null_curves"):
        srt.calibrate_jump([curves])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_permuted_paths_seldom_jump(seed):
    """What the thresholds were settled on, on other pairs of prompts."""
    model = srt.load_model("nano-1m")
    pairs = srt.sample_pairs(model, 200, seed=seed + 100)[::2]
    curves = srt.interpolate(srt.null_model(model, "permuted", seed=seed), pairs, reads="final_norm")
    moved = srt.motion(curves)
    assert float((moved.peak > JUMP_SPEED).mean()) <= 0.1 and float((moved.jumps > 0).mean()) <= 0.07


@pytest.mark.slow
def test_jumps_hardly_depend_on_the_number_of_points():
    model = srt.load_model("nano-1m")
    pairs = srt.sample_pairs(model, 100, seed=100)
    few, usual, many = (
        float((srt.motion(srt.interpolate(model, pairs, steps=steps, reads="final_norm")).jumps > 0).mean())
        for steps in (25, 50, 200)
    )
    assert few <= usual <= many <= few + 0.06 and 0.4 < usual < 0.7
