"""Polytope boundaries beside region boundaries, on made-up paths whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt

ALPHAS = np.linspace(0, 1, 21)
STEPS = 20


def paths(curves, flips, **attrs):
    """Curves [pair, alpha] and flips [pair, step, block] as the library gives them."""
    n = len(curves)
    about = {
        "prompt_a": ("pair", np.arange(n)),
        "prompt_b": ("pair", np.arange(n) + n),
        "text_a": ("pair", [f"a{pair}" for pair in range(n)]),
        "text_b": ("pair", [f"b{pair}" for pair in range(n)]),
        "lengths_differ": ("pair", [False] * n),
    }
    coords = {"pair": [f"p{pair}" for pair in range(n)], "alpha": ALPHAS}
    curve = xr.Dataset(
        {"relative_distance": (("pair", "alpha"), curves), "degenerate": ("pair", np.isnan(curves).all(1)), **about},
        coords,
        attrs,
    )
    steps = np.pad(np.asarray(flips), ((0, 0), (1, 0), (0, 0)))
    flip = xr.Dataset(
        {"flips": (("pair", "alpha", "block"), steps), "gates": ("block", [100] * steps.shape[2]), **about},
        {**coords, "block": np.arange(steps.shape[2]) + 1},
        attrs,
    )
    return flip, curve


def stairs(*jumps):
    """A curve that climbs the same in each of some runs of steps, [first, last), and nothing elsewhere."""
    rises = np.zeros(STEPS)
    for first, last in jumps:
        rises[first:last] = 1 / len(jumps) / (last - first)
    return np.concatenate([[0], np.cumsum(rises)])


@pytest.fixture
def made_up():
    """No jump, one, two, and a degenerate pair; 1 flip a step in block 1, in block 2 9 more in steps 5 to 9."""
    curves = np.stack([ALPHAS, stairs((5, 9)), stairs((2, 4), (12, 14)), np.full(21, np.nan)])
    flips = np.ones((4, STEPS, 2), dtype=int)
    flips[:, 5:9, 1] += 9
    return paths(curves, flips)


def test_flips_are_told_apart_by_jumps(made_up):
    found = srt.polytopes_by_region(*made_up)
    assert found.regions.values[:3].tolist() == [1, 2, 3]
    assert found.flips.values[:3].tolist() == [[20, 56]] * 3
    assert found.flips_in_jumps.values[:3].tolist() == [[0, 0], [4, 40], [4, 4]]
    assert found.flips_in_regions.values[:3].tolist() == [[20, 56], [16, 16], [16, 52]]
    assert found.flips_per_region.values[:3] == pytest.approx([76, 32 / 2, 68 / 3])
    assert found.share_no_boundary.values[:3] == pytest.approx([1, 1 - 1 / 76, 1 - 2 / 76])
    assert found.share_in_regions.values[:3] == pytest.approx([1, 32 / 76, 68 / 76])
    # 44 flips in 4 steps over 32 in 16; 8 in 4 over 68 in 16.
    assert found.density_ratio.values[1:3] == pytest.approx([11 / 2, 2 / 4.25])
    # With the jumps of the pair two further on: none for the last two, each other's for no pair.
    assert np.isnan(found.density_ratio.values[0])
    assert found.density_ratio_elsewhere.values[0] == pytest.approx(2 / 4.25)


def test_pairs_that_do_not_count_are_flagged_and_left_out(made_up):
    found = srt.polytopes_by_region(*made_up)
    assert found.excluded.values.tolist() == [False, False, False, True]
    for name in ("regions", "flips_per_region", "share_in_regions", "follows_slope"):
        assert np.isnan(found[name].values[3])
    summary = srt.summarise(found, ["flips_per_region", "density_ratio"])
    assert summary.n.values.tolist() == [3, 2] and summary["median"].values[0] == pytest.approx(68 / 3)


def test_some_layers_are_a_part(made_up):
    flips, curves = made_up
    found = srt.polytopes_by_region(flips.sel(block=[1]), curves)
    assert found.flips_per_region.values[:3] == pytest.approx([20, 8, 16 / 3])
    assert found.density_ratio.values[1:3] == pytest.approx([1, 1])


def test_flips_that_follow_the_slope_correlate_with_it():
    rises = np.random.default_rng(0).permutation(STEPS) + 1.0
    curves = np.concatenate([[0], rises.cumsum()])[None] / rises.sum()
    for flips, expected in ((rises, 1), (21 - rises, -1)):
        found = srt.polytopes_by_region(*paths(curves, flips.astype(int)[None, :, None]))
        assert found.follows_slope.item() == pytest.approx(expected)
        assert np.isnan(found.follows_slope_elsewhere.item())  # there is no other pair
    flat = srt.polytopes_by_region(*paths(curves, np.ones((1, STEPS, 1), dtype=int)))
    assert np.isnan(flat.follows_slope.item())


def test_the_null_is_the_slope_of_another_pair():
    rises = np.stack([np.arange(1.0, STEPS + 1), np.arange(STEPS, 0.0, -1)])
    curves = np.concatenate([np.zeros((2, 1)), rises.cumsum(1)], axis=1) / rises.sum(axis=1, keepdims=True)
    flips, curves = paths(curves, rises.astype(int)[:, :, None])
    found = srt.polytopes_by_region(flips, curves)
    assert found.follows_slope.values == pytest.approx([1, 1])
    assert found.follows_slope_elsewhere.values == pytest.approx([-1, -1])
    own, other = (srt.around_jumps(flips, curves, reach=0.05, elsewhere=elsewhere) for elsewhere in (False, True))
    assert own.flips.sel(offset=0, method="nearest").values == pytest.approx([20 / 10.5] * 2)
    assert other.flips.sel(offset=0, method="nearest").values == pytest.approx([1 / 10.5] * 2)


def test_jumps_are_along_the_outputs_own_path(made_up):
    """An output that goes round A at a distance jumps where it moves, not where its distance from A grows."""
    flips, curves = made_up
    step = np.zeros((4, STEPS + 1))
    step[:, 1:] = 0.01
    step[:, 15:17] = 1
    both = {"step": (("pair", "alpha"), step), "distance": curves["relative_distance"]}
    found = srt.polytopes_by_region(flips, curves.assign(both | {"distance_b": curves["relative_distance"]}))
    assert found.regions.values[:3].tolist() == [2, 2, 2]
    assert found.flips_in_jumps.values[:3].tolist() == [[2, 2]] * 3


def test_around_the_jump_the_steepest_step_is_at_0(made_up):
    rises = np.ones((2, STEPS))
    rises[0, 4], rises[1, 12] = 21, 21
    curves = np.concatenate([np.zeros((2, 1)), rises.cumsum(1)], axis=1) / 40
    found = srt.around_jumps(*paths(curves, rises[:, :, None].astype(int)), reach=0.3)
    assert found.offset.values == pytest.approx(np.arange(-6, 7) * 0.05)
    here = found.sel(offset=0, method="nearest")
    assert here.flips.values == pytest.approx([10.5, 10.5]) and here.slope.values == pytest.approx([10.5, 10.5])
    assert np.isnan(found.flips.values[0, :2]).all()  # before the path's start
    assert found.flips.values[0, 2:6] == pytest.approx(0.5) and np.isfinite(found.flips.values[1]).all()
    excluded = srt.around_jumps(*made_up)
    assert np.isnan(excluded.flips.values[3]).all() and excluded.excluded.values[3]


def test_results_of_different_paths_are_refused(made_up):
    flips, curves = made_up
    with pytest.raises(ValueError, match="flips are of 4 pairs and curves of 2"):
        srt.polytopes_by_region(flips, curves.isel(pair=[0, 1]))
    with pytest.raises(ValueError, match="not the same ones in the same order"):
        srt.polytopes_by_region(flips, curves.isel(pair=[1, 0, 2, 3]))
    with pytest.raises(ValueError, match="counted in 21 steps, curves in 11"):
        srt.around_jumps(flips, curves.isel(alpha=slice(None, None, 2)))
    with pytest.raises(ValueError, match="layer=0, curves layer=3"):
        srt.polytopes_by_region(flips.assign_attrs(layer=0), curves.assign_attrs(layer=3))
    with pytest.raises(ValueError, match="of='kl' is no curve"):
        srt.polytopes_by_region(flips, curves, of="kl")
