"""Motion on constructed ways of an output, where every measure has a known value."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt

STEPS = 201
ALPHAS = np.linspace(0, 1, STEPS)


def moving(outputs, alphas=ALPHAS, **more):
    """Curves of one pair whose outputs [alpha, width] are given."""
    outputs = np.asarray(outputs, float)
    step = np.concatenate([[0.0], np.linalg.norm(np.diff(outputs, axis=0), axis=1)])
    from_a, from_b = (np.linalg.norm(outputs - outputs[end], axis=1) for end in (0, -1))
    data = {"step": step, "distance": from_a, "distance_b": from_b, "relative_distance": from_a / max(from_a[-1], 1e-9)}
    variables = {name: (("pair", "alpha"), values[None]) for name, values in data.items()}
    flags = {"degenerate": ("pair", [from_a[-1] < 1e-9]), "non_finite": ("pair", [False])}
    return xr.Dataset(variables | flags, {"alpha": alphas, "pair": ["0"]}, more)


def line(places):
    """Outputs on a straight line, at these places."""
    return np.asarray(places, float)[:, None] * np.array([[3.0, 4.0]])


def smooth_step(at=0.5, width=0.1):
    return np.clip((ALPHAS - at) / width + 0.5, 0, 1)


MEASURES = ("peak", "calm_a", "calm_b", "winding", "plateau_a", "plateau_b", "jumps")


def of(outputs, alphas=ALPHAS):
    found = srt.motion(moving(outputs, alphas)).isel(pair=0)
    assert bool(found.same_region) == (found.jumps == 0)
    return {name: float(found[name]) for name in MEASURES}


CIRCLE = 2 * np.pi * smooth_step(width=0.5)


@pytest.mark.parametrize(
    ("name", "outputs", "expected"),
    [
        ("ramp", line(ALPHAS), (1, 1, 1, 1, 0.1, 0.1, 0)),
        ("step", line(smooth_step()), (10, 0, 0, 1, 0.46, 0.46, 1)),
        ("step near B", line(smooth_step(0.85)), (10, 0, 0, 1, 0.81, 0.11, 1)),
        # Twice even speed is no jump: nothing learned is needed for it.
        ("saturation", line(np.clip(1.9 * ALPHAS, 0, 1)), (1.9, 1.9, 0, 1, 0.1 / 1.9, 1 - 0.9 / 1.9, 0)),
        ("steep saturation", line(np.clip(4 * ALPHAS, 0, 1)), (4, 4, 0, 1, 0.025, 0.775, 1)),
        ("two jumps", line((smooth_step(0.25) + smooth_step(0.75)) / 2), (5, 0, 0, 1, 0.22, 0.22, 2)),
        # Out over the whole way, back, and out again: three times the distance of its ends.
        (
            "there and back",
            line(np.interp(ALPHAS, [0, 0.4, 0.6, 1], [0, 1, 0, 1])),
            (5 / 3, 5 / 6, 5 / 6, 3, 0.1, 0.1, 0),
        ),
        # A ring of radius 1 within half of the path, from a place 0.5 away from its start and its end.
        (
            "loop",
            np.stack([np.cos(CIRCLE) - smooth_step(), np.sin(CIRCLE)], axis=1),
            None,
        ),
    ],
)
def test_known_ways_forwards_and_backwards(name, outputs, expected):
    found, back = of(outputs), of(outputs[::-1])
    for here, other in zip(
        MEASURES, ("peak", "calm_b", "calm_a", "winding", "plateau_b", "plateau_a", "jumps"), strict=True
    ):
        assert found[here] == pytest.approx(back[other], rel=1e-6), here
    if expected is not None:
        assert list(found.values()) == pytest.approx(expected, abs=0.012)
        return
    length = np.linalg.norm(np.diff(outputs, axis=0), axis=1).sum()
    assert found["winding"] == pytest.approx(length / np.linalg.norm(outputs[-1] - outputs[0]), rel=1e-9)
    assert found["winding"] > 6 and found["jumps"] == 1


def test_the_way_back_is_the_same_with_ends_exchanged():
    rng = np.random.default_rng(0)
    for _ in range(20):
        outputs = rng.normal(size=(STEPS, 5)).cumsum(axis=0) ** 3
        there, back = of(outputs), of(outputs[::-1])
        exchanged = ("peak", "calm_b", "calm_a", "winding", "plateau_b", "plateau_a", "jumps")
        for here, other in zip(MEASURES, exchanged, strict=True):
            assert there[here] == pytest.approx(back[other], rel=1e-6)


def chord_of(a, b, prefix=("norm_a", "norm_b", "cosine"), reads="input_chord"):
    """Motion of the direction of the line between two vectors, from their norms and cosine."""
    norms = [np.linalg.norm(vector) for vector in (a, b)]
    values = (*norms, a @ b / norms[0] / norms[1])
    curves = moving(line(ALPHAS)).assign({name: ("pair", [value]) for name, value in zip(prefix, values, strict=True)})
    return srt.motion(curves, reads).isel(pair=0)


@pytest.mark.parametrize("reads", ["input_chord", "output_chord", "output_chord_resid"])
def test_the_direction_of_a_line_moves_as_its_points_do_on_the_sphere(reads):
    names = {
        "input_chord": ("norm_a", "norm_b", "cosine"),
        "output_chord": ("output_norm", "output_norm_b", "output_cosine"),
        "output_chord_resid": ("output_norm_resid", "output_norm_b_resid", "output_cosine_resid"),
    }[reads]
    rng = np.random.default_rng(3)
    for scale in (1, 0.1, 20):
        a, b = rng.normal(size=7), scale * rng.normal(size=7)
        points = a + ALPHAS[:, None] * (b - a)
        expected = of(points / np.linalg.norm(points, axis=1, keepdims=True))
        found = chord_of(a, b, names, reads)
        assert {name: float(found[name]) for name in MEASURES} == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match=names[0]):
        srt.motion(moving(line(ALPHAS)), reads)


def test_a_direction_that_stays_or_is_lost_on_the_way_is_no_path():
    e = np.eye(3)[0]
    assert bool(chord_of(e, 2 * e).degenerate) and bool(chord_of(e, 2 * e).same_region)
    opposite = chord_of(e, -e)
    assert bool(opposite.non_finite) and not bool(opposite.same_region) and np.isnan(opposite.jumps)


def test_the_length_of_predictions_may_be_root_jsd():
    from scipy.spatial.distance import jensenshannon
    from scipy.special import softmax

    p = softmax(np.random.default_rng(0).normal(size=(2, 6)).T @ np.stack([1 - ALPHAS, ALPHAS]), axis=0).T
    step = np.pad([jensenshannon(one, other) for one, other in itertools.pairwise(p)], (1, 0))
    ends = [[jensenshannon(one, p[end]) ** 2 for one in p] for end in (0, -1)]
    data = {"step_jsd": step, "jsd": ends[0], "jsd_b": ends[1]}
    curves = moving(line(ALPHAS)).assign({k: (("pair", "alpha"), np.array([v])) for k, v in data.items()})
    found = srt.motion(curves, "logits", "jsd").isel(pair=0)
    assert found.winding == pytest.approx(step.sum() / jensenshannon(p[0], p[-1])) and found.winding >= 1
    assert found.peak == pytest.approx(step.max() / step.sum() * (STEPS - 1))
    assert found.attrs["length"] == "jsd" and found.attrs["jump_speed"] > 5
    with pytest.raises(ValueError, match="length='jsd' is a distance of predictions"):
        srt.motion(curves, "final_norm", "jsd")
    with pytest.raises(ValueError, match="step_jsd"):
        srt.motion(moving(line(ALPHAS)), "logits", "jsd")


def test_a_jump_may_be_calibrated():
    curves = moving(line(np.clip(4 * ALPHAS, 0, 1)))
    assert [float(srt.motion(curves, jump_speed=speed).jumps[0]) for speed in (3.9, 4.1)] == [1, 0]
    with pytest.raises(ValueError, match="jump_speed"):
        srt.motion(curves, jump_speed=0.5)


def test_rounded_pairs_are_left_out_and_are_in_no_region():
    found = srt.motion(moving(line(ALPHAS)).assign(rounded=("pair", [True])))
    assert found.excluded.all() and not found.degenerate.any() and not found.same_region.any()
    assert np.isnan(found.peak).all()


def test_units_do_not_matter_and_uneven_grids_do_not_either():
    outputs = line(smooth_step())
    assert of(1000 * outputs) == pytest.approx(of(outputs))
    some = np.sort(np.random.default_rng(1).choice(np.arange(1, STEPS - 1), 150, replace=False))
    chosen = np.unique([0, *some, *range(88, 113), STEPS - 1])
    assert of(outputs[chosen], ALPHAS[chosen]) == pytest.approx(of(outputs), abs=1e-6)


def test_what_does_not_move_and_what_overflows_is_flagged_and_left_out():
    still = srt.motion(moving(line(np.zeros(STEPS))))
    assert bool(still.degenerate[0]) and bool(still.excluded[0]) and np.isnan(still.peak[0])
    curves = moving(line(ALPHAS))
    curves["step"][0, 7] = np.inf
    broken = srt.motion(curves)
    assert bool(broken.non_finite[0]) and not bool(broken.degenerate[0]) and np.isnan(broken.calm_a[0])


def test_curves_of_before_and_reads_that_were_not_made_are_refused():
    curves = moving(line(ALPHAS))
    with pytest.raises(ValueError, match="of='step'"):
        srt.motion(curves.drop_vars("step"))
    with pytest.raises(ValueError, match="step_hellinger"):
        srt.motion(curves, "logits")
    with pytest.raises(ValueError, match="reads='gates'"):
        srt.motion(curves, "gates")


@pytest.mark.parametrize("reads", ["final_norm", "resid", "logits"])
def test_motion_of_a_model_is_that_of_its_outputs(text_model, reads):
    import torch

    pairs = [("the cat sat", "a dog ran")]
    curves = srt.interpolate(text_model, pairs, steps=11)
    tokens = srt.from_text(text_model, pairs)
    a, b = (srt.capture(text_model, side[0][None]) for side in (tokens.tokens_a, tokens.tokens_b))
    points = torch.lerp(a[:, None], b[:, None], torch.linspace(0, 1, 11)[None, :, None])
    read = "logprobs" if reads == "logits" else reads
    outputs = srt.patch(text_model, tokens.tokens_a[0][None], points, reads=read, method="full")[0]
    outputs = (outputs / 2).exp() / 2**0.5 if reads == "logits" else outputs
    expected = srt.motion(moving(outputs.numpy(), curves.alpha.values)).isel(pair=0)
    found = srt.motion(curves, reads).isel(pair=0)
    for name in ("peak", "calm_a", "calm_b", "winding", "plateau_a", "plateau_b", "length"):
        assert float(found[name]) == pytest.approx(float(expected[name]), rel=1e-4), name
