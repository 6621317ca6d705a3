"""The first boundary is where a power, a step or a plateau is known to cross."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt

SIZES = np.geomspace(0.1, 10, 12)


def response(curves, **more):
    """Curves ``[prompt, direction, size]`` as ``perturb`` gives them."""
    values = np.asarray(curves, dtype=np.float64)
    data = {"distance": (("prompt", "direction", "size"), values), **more}
    return xr.Dataset(data, {"size": SIZES, "direction": [str(i) for i in range(values.shape[1])]})


def test_a_power_crosses_where_it_is_the_threshold():
    scale, power = np.array([[0.5, 2.0], [3.0, 1.0]]), np.array([[1.0, 3.0], [2.0, 5.0]])
    found = srt.first_boundary(response(scale[..., None] * SIZES ** power[..., None]), at=1.7)
    np.testing.assert_allclose(found["boundary"], (1.7 / scale) ** (1 / power), rtol=1e-9)
    assert found["threshold"].values.tolist() == [1.7, 1.7] and found.attrs["of"] == "distance"


def test_by_default_half_the_distance_to_other_outputs_counts():
    found = srt.first_boundary(response([[SIZES], [SIZES]], apart=("prompt", [2.0, 5.0])))
    np.testing.assert_allclose(found["boundary"][:, 0], [1.0, 2.5], rtol=1e-9)


def test_the_first_crossing_counts_and_none_is_infinite():
    bump = np.where((SIZES > 0.5) & (SIZES < 1.5), 2.0, 0.1)
    found = srt.first_boundary(response([[bump, 0.9 * SIZES / SIZES, SIZES]]), at=1.0)["boundary"].values[0]
    before, after = SIZES[SIZES <= 0.5].max(), SIZES[SIZES > 0.5].min()
    assert before < found[0] < after
    assert found[1] == np.inf and found[2] == pytest.approx(1.0)


def test_what_cannot_be_told_is_nan():
    gap = np.where(np.arange(12) == 8, np.nan, SIZES)
    step = np.where(SIZES > 1, 3.0, 0.0)
    found = srt.first_boundary(response([[SIZES + 1, gap, step]]), at=1.0)["boundary"].values[0]
    assert np.isnan(found[:2]).all(), "beyond at the smallest size; not finite"
    assert found[2] == SIZES[SIZES > 1].min(), "from 0, there is no power: the size at which it is reached"


def test_a_ratio_of_boundaries_is_that_of_each_prompts_medians():
    texts = {"text": ("prompt", list("abcde"))}
    near, far = np.array([1.0, 2, 4, 8, 9])[:, None] * [1, 2, 30], np.array([2.0, 2, 2, 2, np.inf])[:, None] * [1, 1]
    first, second = (xr.Dataset({"boundary": (("prompt", "direction"), values)}, texts) for values in (near, far))
    found = srt.boundary_ratio(first, second)
    assert found.value == np.median([1, 2, 4, 8, 0]) and found.low < found.value < found.high
    with pytest.raises(ValueError, match="same prompts"):
        srt.boundary_ratio(first, second.isel(prompt=slice(None, None, -1)))
    with pytest.raises(ValueError, match="no prompt has a boundary"):
        srt.boundary_ratio(first, second.assign(boundary=second["boundary"] * np.nan))


@pytest.mark.parametrize(
    ("change", "named", "said"),
    [
        ({}, {"at": 0.0}, "at=0.0: .* above 0"),
        ({}, {}, "at=None: .* give at="),
        ({"apart": ("prompt", [np.nan])}, {}, "two prompts or more"),
        ({}, {"of": "kl", "at": 1.0}, "of='kl' is no variable"),
    ],
)
def test_what_has_no_threshold_is_refused(change, named, said):
    with pytest.raises(ValueError, match=said):
        srt.first_boundary(response([[SIZES]], **change), **named)
