"""Grids that are measured only where needed, on functions whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from srtoolkit.measures.grid import fill_grid

N = 61


def on_grid(function, label=None, tolerance=0.01, n=N):
    asked = []

    def measure(flat):
        asked.extend(flat.tolist())
        y, x = (place / (n - 1) for place in divmod(flat, n))
        found = {"height": function(x, y)}
        return found if label is None else found | {"label": label(x, y)}

    values, measured = fill_grid(measure, n, tolerance, "height", None if label is None else "label")
    y, x = np.mgrid[:n, :n] / (n - 1)
    assert len(asked) == len(set(asked)) == measured.sum()
    return values, measured, function(x, y), None if label is None else label(x, y)


def test_a_plane_needs_the_coarse_grid_only():
    values, measured, expected, _ = on_grid(lambda x, y: 3 * x - y)
    np.testing.assert_allclose(values["height"], expected, atol=1e-12)
    assert measured.sum() == 16 * 16


def test_without_tolerance_every_point_is_measured():
    values, measured, expected, _ = on_grid(lambda x, y: np.sin(9 * x * y), tolerance=None)
    np.testing.assert_array_equal(values["height"], expected)
    assert measured.all()


def test_a_steep_step_is_found_and_the_rest_left_out():
    values, measured, expected, _ = on_grid(lambda x, y: np.tanh(20 * (x + 0.4 * y - 0.6)))
    assert np.abs(values["height"] - expected).max() < 0.02
    assert measured.mean() < 1 / 3
    far = np.abs(np.mgrid[:N, :N][1] / 60 + 0.4 * np.mgrid[:N, :N][0] / 60 - 0.6) > 0.35
    assert measured[far].mean() < 0.1 < measured[~far].mean()


def test_a_label_is_exact_where_it_changes():
    values, measured, _, expected = on_grid(lambda x, y: x + 0 * y, lambda x, y: (x * x + y * y > 0.5).astype(int))
    np.testing.assert_array_equal(values["label"], expected)
    assert measured.mean() < 0.3


@pytest.mark.parametrize("n", [2, 3, 5, 6, 7, 41])
def test_any_number_of_points_is_covered(n):
    values, _, expected, _ = on_grid(lambda x, y: x - 2 * y, n=n)
    np.testing.assert_allclose(values["height"], expected, atol=1e-12)
