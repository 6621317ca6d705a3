"""Crossings are where geometry puts them on maps with known boundaries, all of them, and every bracket holds one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import srtoolkit as srt
from srtoolkit.measures.crossings import Seen, fastest, halve, locate, way_gone


def walked(made, starts, stops, asked=None):
    """A map seen along straight paths; its token is the whole number next to its output."""
    a, b = (torch.tensor(ends, dtype=torch.float64) for ends in (starts, stops))

    def seen_at(rows, places):
        if asked is not None:
            asked.append(len(rows))
        outputs = made(torch.lerp(a[rows], b[rows], places[:, None]))
        return Seen(outputs, outputs[:, 0].round().long())

    return seen_at


#: Maps, the ends of a path over one boundary, and where it is crossed.
MAPS = {
    "half-space": (srt.toy.half_space([2.0, 0.0], 0.3, sharpness=400.0), [0.0, 0.0], [1.0, 1.0], 0.3),
    "ball": (srt.toy.ball([0.0, 0.0], 2.0, sharpness=400.0), [1.0, 0.0], [4.0, 0.0], 1 / 3),
    "ball across": (srt.toy.ball([0.0, 0.0], 2.0, sharpness=400.0), [0.0, 1.0], [4.0, 1.0], 3**0.5 / 4),
    "cone": (srt.toy.cone([1.0, 0.0], np.pi / 4, sharpness=400.0), [2.0, 0.0], [2.0, 5.0], 0.4),
    "staircase": (srt.toy.staircase([1.0, 0.0], [0.21, 0.52, 0.83], sharpness=400.0), [0.0, 0.0], [1.0, 0.0], 0.52),
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6])
def test_a_known_boundary_is_in_its_bracket(name, tolerance):
    made, start, stop, expected = MAPS[name]
    found = locate(walked(made, [start], [stop]), 1, 17, tolerance)
    assert len(found.row) == 1 and found.high - found.low <= tolerance
    assert found.low - 1e-9 <= expected <= found.high + 1e-9
    assert found.peak_at[0] == pytest.approx(expected, abs=0.35 if name == "staircase" else max(tolerance, 2e-3))


def test_thirteen_rounds_are_enough_for_a_ten_thousandth():
    made, start, stop, _ = MAPS["cone"]
    asked = []
    locate(walked(made, [start] * 5, [stop] * 5, asked), 5, 17, 1e-4)
    halvings, refinements = int(np.ceil(np.log2(1e4 / 16))), int(np.ceil(np.log2(1e3 / 16)))
    assert len(asked) == 1 + 1 + halvings + refinements and halvings <= 13
    assert sum(asked) <= 5 * (17 + 4 * (halvings + 1) + 3 * refinements)


def thrice(points):
    """An output that goes over, comes back and goes over again, at 0.3, 0.5 and 0.8."""
    up, down, last = (srt.toy.half_space([1.0], at, sharpness=400.0) for at in (0.3, 0.5, 0.8))
    return up(points) - down(points) + last(points)


def test_all_crossings_are_found_in_order_each_with_its_own_width():
    found = locate(walked(thrice, [[0.0], [0.4]], [[1.0], [0.0]]), 2, 17, 1e-6)
    assert found.row.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose((found.low + found.high) / 2, [0.3, 0.5, 0.8, 0.25], atol=1e-5)
    # A sigmoid is at a tenth and at nine tenths 2 log 9 / sharpness apart; the second path is 0.4 long, and goes back.
    np.testing.assert_allclose(found.width, np.array([1, 1, 1, 2.5]) * 2 * np.log(9) / 400, rtol=1e-3)


def test_a_width_is_not_known_where_the_output_turns_back_before():
    def half_over(points):
        up, down, last = (srt.toy.half_space([1.0], at, sharpness=400.0) for at in (0.3, 0.5, 0.8))
        return 0.7 * up(points) - 0.4 * down(points) + 0.7 * last(points)

    found = locate(walked(half_over, [[0.0]], [[1.0]]), 1, 17, 1e-6)
    np.testing.assert_allclose((found.low + found.high) / 2, [0.3, 0.5, 0.8], atol=5e-3)
    assert np.isnan(found.width).all(), "it arrives in the end alone, and leaves at the start alone"


def test_the_token_changes_where_it_does_for_good():
    found = locate(walked(thrice, [[0.0]], [[1.0]]), 1, 17, 1e-6)
    assert found.token_at[0] == pytest.approx(0.8, abs=1e-5)
    small = locate(walked(lambda x: 0.2 * srt.toy.half_space([1.0], 0.3)(x), [[0.0]], [[1.0]]), 1, 17, 1e-6)
    assert np.isnan(small.token_at[0]) and len(small.row) == 1, "the output moves, and its token does not"


def test_no_boundary_is_no_error():
    def odd(points):
        return torch.where(points[:, :1] > 2.5, torch.nan, srt.toy.half_space([1.0], 0.5)(points))

    found = locate(walked(odd, [[0.0], [0.6], [2.0]], [[0.0], [1.0], [3.0]]), 3, 17, 1e-4, same=0.01)
    assert not len(found.row) and np.isnan(found.peak_at).all() and np.isnan(found.token_at).all()
    assert found.degenerate.tolist() == [True, True, False], "of equal ends, and of ends less than 0.01 apart"
    assert found.finite.tolist() == [True, True, False]


def test_the_share_of_the_way_is_the_share_of_a_straight_line():
    ends = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    places = torch.linspace(0, 1, 7, dtype=torch.float64)
    on_line = torch.lerp(ends[0], ends[1], places[:, None])
    torch.testing.assert_close(way_gone(on_line, ends), places)
    torch.testing.assert_close(way_gone(on_line, ends.flip(0)), 1 - places)


def test_halving_keeps_both_answers():
    edges = torch.tensor([0.1, 0.123456, 0.9], dtype=torch.float64)
    low, high = halve(lambda index, at: at < edges[index], torch.zeros(3).double(), torch.ones(3).double(), 1e-9)
    assert ((low < edges) & (edges <= high) & (high - low <= 1e-9)).all()


@pytest.mark.parametrize("peak", [0.004, 0.2, 0.51, 0.997])
def test_the_fastest_place_is_the_peak_of_speed(peak):
    def seen_at(rows, places):
        return Seen(torch.erf((places - peak) / 0.03)[:, None], torch.zeros_like(rows))

    outputs = seen_at(torch.zeros(17), torch.linspace(0, 1, 17, dtype=torch.float64)).outputs[None]
    assert float(fastest(seen_at, torch.zeros(1).long(), outputs, 1e-3)) == pytest.approx(peak, abs=1e-3)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_peak_beside_the_fastest_step_is_found(mirrored):
    def seen_at(rows, places):
        since = ((1 - places if mirrored else places) - 3.9 / 16).clamp_min(0)  # fastest at once, then ever slower
        return Seen(torch.expm1(-since / 0.05)[:, None], torch.zeros_like(rows))

    outputs = seen_at(torch.zeros(17), torch.linspace(0, 1, 17, dtype=torch.float64)).outputs[None]
    assert int(outputs[0].diff(dim=0).abs().argmax()) == (11 if mirrored else 4), "the peak is in the step beside"
    expected = 1 - 3.9 / 16 if mirrored else 3.9 / 16
    assert float(fastest(seen_at, torch.zeros(1).long(), outputs, 1e-3)) == pytest.approx(expected, abs=1e-3)
