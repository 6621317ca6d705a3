"""The share of directions inside, by hand and on a map whose boundaries are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

import srtoolkit as srt

SHAPE = ("prompt", "direction")


def radii(found, norms, **attrs):
    return xr.Dataset(
        {"radius": (SHAPE, np.array(found, float)), "norm": ("prompt", np.array(norms, float))}, attrs=attrs
    )


def test_it_is_the_mean_over_prompts_of_the_share_beyond_the_size():
    found = radii([[1, 3, np.inf, 5], [10, 30, 50, 70]], [1, 20])
    for size, expected in ((0.4, (4 + 4) / 8), (1, (3 + 3) / 8), (4, (2 + 0) / 8), (100, 1 / 8)):
        assert srt.share_inside(found, size).value == pytest.approx(expected)
    one = srt.share_inside(found, 1)
    assert one.low <= one.value <= one.high


def test_a_push_beyond_what_was_tried_is_refused():
    with pytest.raises(ValueError, match=r"size=20.*up to 16 norms"):
        srt.share_inside(radii([[1, np.inf]], [1], largest=16), 20)
    with pytest.raises(ValueError, match="radii"):
        srt.share_inside(radii([[1, 2]], [1]).drop_vars("norm"), 1)


@pytest.mark.slow
def test_permuted_weights_leave_less_inside():
    """What the docstring says of nano-1m, along random directions."""
    model = srt.load_model("nano-1m")
    prompts = list(srt.sample_pairs(model, 20, length=10, seed=7).text_a)
    ways = torch.randn(8, model.d_model, generator=torch.Generator().manual_seed(0))
    networks = [model, *(srt.null_model(model, "permuted", seed=seed) for seed in range(2))]
    found = [srt.share_inside(srt.radius(one, prompts, ways, delta=0.1), 0.5).value for one in networks]
    np.testing.assert_allclose(found, [0.64, 0.25, 0.42], atol=0.02)
