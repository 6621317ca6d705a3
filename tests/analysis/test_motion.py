"""Motion on constructed ways of an output, where every measure has a known value."""

from __future__ import annotations

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


def of(outputs, alphas=ALPHAS):
    found = srt.motion(moving(outputs, alphas)).isel(pair=0)
    return {name: float(found[name]) for name in ("peak", "calm_a", "calm_b", "winding", "plateau_a", "plateau_b")}


@pytest.mark.parametrize(
    ("name", "outputs", "expected"),
    [
        ("ramp", line(ALPHAS), (1, 1, 1, 1, 0.1, 0.1)),
        ("step", line(smooth_step()), (10, 0, 0, 1, 0.46, 0.46)),
        ("step near B", line(smooth_step(0.85)), (10, 0, 0, 1, 0.81, 0.11)),
        ("saturation", line(np.clip(2 * ALPHAS, 0, 1)), (2, 2, 0, 1, 0.05, 0.55)),
        ("two jumps", line((smooth_step(0.25) + smooth_step(0.75)) / 2), (5, 0, 0, 1, 0.22, 0.22)),
        ("there and back and there", line(np.interp(ALPHAS, [0, 0.4, 0.6, 1], [0, 1, 0, 1])), None),
        ("loop", np.stack([ALPHAS + np.sin(2 * np.pi * ALPHAS), 1 - np.cos(2 * np.pi * ALPHAS)], axis=1), None),
    ],
)
def test_known_ways(name, outputs, expected):
    found = of(outputs)
    if expected is not None:
        assert list(found.values()) == pytest.approx(expected, abs=0.006)
        return
    length = np.linalg.norm(np.diff(outputs, axis=0), axis=1).sum()
    assert found["winding"] == pytest.approx(length / np.linalg.norm(outputs[-1] - outputs[0]), rel=1e-9)
    assert found["winding"] > 2


def test_the_way_back_is_the_same_with_ends_exchanged():
    rng = np.random.default_rng(0)
    for _ in range(20):
        outputs = rng.normal(size=(STEPS, 5)).cumsum(axis=0)
        there, back = of(outputs), of(outputs[::-1])
        for here, other in (("peak", "peak"), ("calm_a", "calm_b"), ("plateau_a", "plateau_b"), ("winding", "winding")):
            assert there[here] == pytest.approx(back[other], rel=1e-6)


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
