"""Adaptive points: the largest slope of the whole grid from a part of its points, and what is said where that fails."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit

import srtoolkit as srt
from srtoolkit.measures.adaptive import FIRST, GRANTED, Moves, Room, refine
from srtoolkit.patching import prefixes
from srtoolkit.patching.rounds import Rounds

PAIRS = [("the cat sat", "the dog ran"), ("a", "b"), ("short", "rather longer"), ("the cow saw", "the hen hid")]


def on(curves, steps, certify="max_slope", tolerance=0.0, room=None):
    """What adaptive points find of curves given as functions of alpha, with the number of rounds they took."""
    grid, rounds = np.stack([curve(np.linspace(0, 1, steps)) for curve in curves]), []

    def run(rows, places):
        rounds.append(len(rows))
        return {"curve": torch.from_numpy(grid[rows.numpy(), places.numpy()])[:, None]}

    def moves(values):
        up = values[:, 0].diff().numpy()
        return Moves(np.abs(up) if certify == "peak" else up, np.abs(up))

    settled = dict(
        refine(run, len(curves), steps, "curve", moves, granted=GRANTED[certify], room=room, tolerance=tolerance)
    )
    found = [settled[pair] for pair in range(len(curves))]
    slopes = [np.max(np.diff(one.outputs["curve"][:, 0].numpy()) / np.diff(one.places)) for one in found]
    return found, np.array(slopes), np.diff(grid).max(axis=1), rounds


def sigmoid(at, width):
    return lambda alpha: expit((alpha - at) / width)


def stairs(at, height):
    return lambda alpha: alpha * (1 - sum(height)) + sum(h * (alpha > a) for a, h in zip(at, height, strict=True))


@pytest.mark.parametrize("steps", [2, 3, 5, 20, 50])
def test_a_curve_that_rises_gives_the_largest_step_of_the_whole_grid(steps):
    smooth = [sigmoid(at, width) for at in (0.03, 0.31, 0.5, 0.97) for width in (0.02, 0.1)]
    smooth += [np.sqrt, np.square, lambda alpha: alpha]
    abrupt = [sigmoid(at, 0.003) for at in (0.03, 0.31, 0.5, 0.97)]
    abrupt += [stairs([0.2, 0.61], [0.3, 0.35]), stairs([0.99], [0.9])]
    found, slopes, expected, _ = on(smooth + abrupt, steps)
    np.testing.assert_allclose(slopes, expected, rtol=1e-12)
    assert all(
        one.certified for one in found[: len(smooth)]
    )  # an abrupt one may be steeper than all around it promised
    assert all(one.places[0] == 0 and one.places[-1] == steps - 1 for one in found)


def without_order(steps, number):
    """Curves whose steps rise by any amount in any order: no smoothness to lean on."""
    generator, places = np.random.default_rng(0), np.linspace(0, 1, steps)
    rises = generator.pareto(0.8, (number, steps - 1)).cumsum(axis=1)
    heights = np.pad(rises / rises[:, -1:], ((0, 0), (1, 0)))
    return [lambda alpha, height=height: np.interp(alpha, places, height) for height in heights]


def test_where_nothing_can_be_granted_one_curve_in_ten_is_wrong():
    _, slopes, expected, _ = on(without_order(50, 500), 50)
    assert 0.05 < np.mean(slopes < expected * (1 - 1e-9)) < 0.15, "what the docstring says"
    _, slopes, expected, _ = on(without_order(9, 500), 9)  # no interval is narrow on so coarse a grid
    np.testing.assert_allclose(slopes, expected, rtol=1e-12)


def test_pairs_that_begin_later_find_the_same_points_and_rounds_stay_full():
    curves = [sigmoid(at, width) for at in np.linspace(0.05, 0.95, 40) for width in (0.01, 0.05)]
    together, slopes, _, _ = on(curves, 50)
    in_turn, others, _, rounds = on(curves, 50, room=Room(pairs=20, points=60))
    np.testing.assert_array_equal(slopes, others)
    assert all(np.array_equal(one.places, other.places) for one, other in zip(together, in_turn, strict=True))
    assert max(rounds) <= 60 and np.mean(rounds[:-12]) > 30
    (alone, _, _, rounds) = on(curves[:3], 50, room=Room(pairs=1, points=1))
    assert [len(one.places) for one in alone] == [len(one.places) for one in together[:3]] and max(rounds) == FIRST


def test_plateaus_cost_no_points_and_all_pairs_run_in_common_rounds():
    found, _, _, rounds = on([sigmoid(0.31, 0.01)] * 100, 50)
    assert all(len(one.places) <= 16 for one in found)
    assert sum(rounds) == sum(len(one.places) for one in found)
    assert len(rounds) <= 12, "as few rounds as for one pair"


def test_a_fine_grid_takes_few_points_of_a_smooth_jump():
    curves = [sigmoid(at, width) for at in (0.2, 0.5, 0.83) for width in (0.01, 0.03, 0.08)]
    found, slopes, expected, _ = on(curves, 393)
    np.testing.assert_allclose(slopes, expected, rtol=1e-9)
    assert np.mean([len(one.places) for one in found]) < 40


def test_a_tolerance_saves_points_and_is_kept():
    curves = [sigmoid(at, width) for at in (0.2, 0.5, 0.83) for width in (0.03, 0.05, 0.08)]
    exact, _, expected, _ = on(curves, 393)
    found, slopes, _, _ = on(curves, 393, tolerance=0.05)
    assert sum(len(one.places) for one in found) < sum(len(one.places) for one in exact)
    assert (slopes >= expected / 1.05).all() and (slopes <= expected * (1 + 1e-12)).all()


def test_a_curve_that_was_seen_to_fall_is_not_certified():
    wave = lambda alpha: alpha + 0.2 * np.sin(7 * np.pi * alpha)  # noqa: E731
    there_and_back = lambda alpha: sigmoid(0.3, 0.01)(alpha) - 0.5 * sigmoid(0.7, 0.01)(alpha)  # noqa: E731
    found, _, _, _ = on([wave, there_and_back, sigmoid(0.5, 0.1)], 50)
    assert [one.certified for one in found] == [False, False, True]


def test_a_jump_and_a_fall_in_a_wide_interval_show_by_where_the_output_goes():
    alphas, seen = np.linspace(0, 1, 50), []
    turn = 2.5 * expit((alphas - 0.8) / 0.01)  # the output turns about A's, past its farthest place
    size = alphas + 0.6 * np.exp(-(((alphas - 0.8) / 0.04) ** 2))
    outputs = torch.from_numpy(np.stack([size * np.cos(turn), size * np.sin(turn)], axis=-1))

    def moves(values):
        return Moves(values.norm(dim=-1).diff().numpy(), values.diff(dim=0).norm(dim=-1).numpy())

    def run(_, places):
        seen.extend(places.tolist())
        return {"out": outputs[places]}

    ((_, found),) = refine(run, 1, 50, "out", moves, granted=GRANTED["max_slope"])
    assert {36, 37, 38, 39} & set(seen) and not found.certified


def test_a_path_that_goes_further_inside_an_interval_than_around_it_is_not_certified():
    back = lambda alpha: sigmoid(0.4, 0.01)(alpha) - 0.9 * sigmoid(0.45, 0.01)(alpha)  # noqa: E731
    found, _, _, _ = on([back, sigmoid(0.5, 0.05)], 50, "peak")
    assert [one.certified for one in found] == [False, True]


def test_outputs_that_are_not_finite_end_a_path_without_a_certificate():
    found, _, _, _ = on([lambda alpha: np.where(alpha == 1, np.nan, alpha)], 50)
    assert len(found[0].places) == FIRST and not found[0].certified


@pytest.fixture(scope="module")
def curves(text_model):
    even = srt.interpolate(text_model, PAIRS, layer=1, steps=40, top=2, own_b=True)
    return even, srt.interpolate(text_model, PAIRS, layer=1, steps=40, top=2, own_b=True, where="adaptive")


def test_points_that_ran_hold_what_the_whole_grid_holds_and_the_others_nothing(curves):
    even, adaptive = curves
    ran = adaptive.evaluated.values
    assert ran[:, [0, -1]].all() and not ran.all()
    names = [name for name in even.data_vars if even[name].dims[:2] == ("pair", "alpha")]
    assert {"distance", "kl", "top_token", "token", "text", "own_b", "hellinger_b"} <= set(names)
    for name in names:
        whole, some = even[name].values, adaptive[name].values
        if some.dtype.kind == "f":
            assert np.isnan(some[~ran]).all(), name
            if not name.startswith("step"):
                scale = np.nanmax(np.abs(whole))
                np.testing.assert_allclose(some[ran], whole[ran], rtol=1e-3, atol=1e-4 * scale, err_msg=name)
        else:
            assert (some[ran] == whole[ran]).all(), name
            assert set(np.unique(some[~ran]).tolist()) <= {-1, ""}, name
    for name in set(even.data_vars) - set(names) - {"certified"}:
        if even[name].dtype.kind == "f":
            np.testing.assert_allclose(adaptive[name], even[name], rtol=1e-4, atol=1e-6)


def test_a_step_is_the_distance_between_points_that_ran(text_model, curves):
    _, adaptive = curves
    ids_a, ids_b = (text_model.tokenize(text)[None] for text in PAIRS[0])
    a, b = (srt.capture(text_model, ids, layer=1) for ids in (ids_a, ids_b))
    ran = np.flatnonzero(adaptive.evaluated.values[0])
    points = a + torch.from_numpy(adaptive.alpha.values[ran]).float()[:, None] * (b - a)
    outputs = srt.patch(text_model, ids_a, points[None], layer=1, method="full")[0]
    np.testing.assert_allclose(
        adaptive.step.values[0, ran[1:]], outputs.diff(dim=0).norm(dim=-1).numpy(), rtol=1e-3, atol=1e-5
    )


def test_the_largest_slope_is_that_of_the_whole_grid(curves):
    even, adaptive = (srt.sharpness(one) for one in curves)
    sure = adaptive.certified.values & ~even.excluded.values
    assert sure.any()
    np.testing.assert_allclose(adaptive.max_slope[sure], even.max_slope[sure], rtol=1e-3)


def test_the_longest_step_of_the_output_is_that_of_the_whole_grid(text_model):
    even = srt.interpolate(text_model, PAIRS, steps=40, reads="final_norm")
    adaptive = srt.interpolate(text_model, PAIRS, steps=40, reads="final_norm", where="adaptive", certify="peak")
    np.testing.assert_allclose(np.nanmax(adaptive.step, axis=1), even.step.max("alpha"), rtol=1e-3)
    fast, moved = srt.motion(adaptive).peak.values, srt.motion(even).peak.values
    assert (fast >= moved * (1 - 1e-3)).all() and (fast <= moved * 1.2).all()


def test_an_adaptive_result_is_saved_and_drawn(curves, tmp_path):
    _, adaptive = curves
    assert srt.load(srt.save(adaptive, tmp_path / "adaptive.nc")).identical(adaptive)
    lines = srt.plot.curves(adaptive).lines
    assert all(np.isfinite(line.get_ydata()).all() for line in lines)
    assert np.isfinite(srt.plot.median_curve(adaptive).lines[0].get_ydata()).all()
    assert np.isfinite(srt.plot.speed(adaptive).lines[0].get_ydata()).all()


@pytest.mark.parametrize("method", ["full", "prefix", "parallel", "joint"])
def test_rounds_give_what_patch_gives_in_any_order(text_model, method):
    context = torch.stack([text_model.tokenize("the cat sat"), text_model.tokenize("the cow saw")])
    points = torch.randn(2, 6, text_model.d_model, generator=torch.Generator().manual_seed(1))
    expected = srt.patch(text_model, context, points, layer=1, reads=("final_norm", "logprobs"), method="full")
    rounds = Rounds(text_model, context, layer=1, reads=("final_norm", "logprobs"), method=method)
    for rows, places in (([0, 1, 1], [0, 0, 1]), ([1], [5]), ([1, 0, 1, 0], [2, 4, 3, 1])):
        found = rounds(torch.tensor(rows), points[rows, places])
        for name, values in found.items():
            torch.testing.assert_close(values, expected[name][rows, places], rtol=1e-4, atol=1e-4)


def test_prefixes_run_once_for_all_rounds(text_model, monkeypatch):
    ran, real = [], prefixes.keys_and_values
    monkeypatch.setattr(prefixes, "keys_and_values", lambda model, ids: ran.append(len(ids)) or real(model, ids))
    found = srt.interpolate(text_model, PAIRS[:1], steps=40, reads="final_norm", where="adaptive")
    assert found.attrs["method"] == "parallel" and int(found.evaluated.sum()) > 8
    assert sum(ran) <= 2, "one trial of the method, and one for all rounds"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"where": "odd"}, "where='odd'"),
        ({"where": "adaptive", "certify": "width"}, "certify='width'"),
        ({"where": "adaptive", "tolerance": -1.0}, "tolerance=-1"),
        ({"tolerance": 0.1}, "tolerance=0.1: .*where='adaptive'"),
        ({"certify": "peak"}, "certify='peak'.*where='adaptive'"),
    ],
)
def test_bad_settings_are_refused(text_model, settings, said):
    with pytest.raises(ValueError, match=said):
        srt.interpolate(text_model, PAIRS, **settings)
