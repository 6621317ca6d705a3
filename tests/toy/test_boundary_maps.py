"""Maps have their boundaries where geometry puts them, and the estimator of boundaries finds them there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import srtoolkit as srt

ORIGIN = torch.zeros(2, dtype=torch.float64)


def along(*way):
    return torch.tensor(way, dtype=torch.float64)


@pytest.mark.parametrize(
    ("made", "start", "way", "expected"),
    [
        (lambda: srt.toy.half_space([2.0, 0.0], 1.5), ORIGIN, along(1, 1), 1.5),
        (lambda: srt.toy.half_space([2.0, 0.0], 1.5), ORIGIN, along(-1, 0), np.inf),
        (lambda: srt.toy.ball([0.0, 0.0], 2.0), along(1, 0), along(1, 0), 1.0),
        (lambda: srt.toy.ball([0.0, 0.0], 2.0), along(0, 1), along(1, 0), np.sqrt(3)),
        (lambda: srt.toy.staircase([1.0, 0.0], [1.0, 2.0, 5.0]), along(1.5, 0), along(1, 0), 0.5),
        (lambda: srt.toy.cone([1.0, 0.0], np.pi / 4), along(1, 0), along(0, 1), 1.0),
        (lambda: srt.toy.cone([1.0, 0.0], np.pi / 6, apex=[1.0, 0.0]), along(3, 0), along(0, 1), 2 / np.sqrt(3)),
    ],
)
def test_the_first_crossing_is_where_geometry_puts_it(made, start, way, expected):
    made = made()
    assert made.first_crossing(start, way) == pytest.approx(expected, rel=1e-9)
    if np.isfinite(expected):
        near, far = made(start + (expected - 0.3) * way), made(start + (expected + 0.3) * way)
        assert abs(float(far - near)) == pytest.approx(1, abs=0.02), "flat on both sides, one step between"


def test_the_estimator_of_boundaries_finds_them():
    ways = srt.directions.rows(torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]))
    sizes = np.geomspace(0.1, 9, 160)
    for made in (srt.toy.ball([0.0, 0.0], 2.0), srt.toy.half_space([1.0, 0.0], 2.0)):
        start = along(0.5, 0.25)
        found = srt.first_boundary(srt.toy.respond(made, start[None], ways, sizes), at=0.5)["boundary"].values[0]
        exact = [made.first_crossing(start, way.double()) for way in ways.vectors]
        np.testing.assert_allclose(found, exact, rtol=0.01)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: srt.toy.half_space([0.0, 0.0]), "normal.*length 0"),
        (lambda: srt.toy.staircase([1.0], []), "offsets"),
        (lambda: srt.toy.ball([0.0], 0.0), "radius"),
        (lambda: srt.toy.cone([1.0], 2.0), "angle"),
        (lambda: srt.toy.half_space([1.0], sharpness=0.0), "sharpness"),
        (
            lambda: srt.toy.respond(
                srt.toy.ball([0.0, 0.0]), torch.zeros(1, 2), srt.directions.rows(torch.eye(3)), [1]
            ),
            "width 3.*width 2",
        ),
    ],
)
def test_what_is_no_map_is_refused_by_name(call, said):
    with pytest.raises(ValueError, match=said):
        call()
