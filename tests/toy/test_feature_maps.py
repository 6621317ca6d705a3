"""The toy of error correction is what its formula says, with a plateau that ends at a half."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import srtoolkit as srt


@pytest.mark.parametrize("p", [1.5, 2.0, 5.0])
def test_a_push_along_one_feature_moves_the_output_by_a_power(p):
    toy = srt.toy.features(6, 9, p, seed=1)
    start = toy.draw(1, 2)[0]
    for size in (0.05, 0.2, 0.49):
        moved = (toy(start + size * toy.directions.vectors[3].double()) - toy(start)).norm()
        assert float(moved) == pytest.approx((2 * size) ** (p / 2) / 2, rel=1e-3)


def test_two_corrects_nothing_and_more_makes_plateaus_that_end_at_halves():
    plain, sharp = srt.toy.features(4, 4, 2.0), srt.toy.features(4, 4, 20.0)
    points = torch.randn(5, 4, dtype=torch.float64)
    np.testing.assert_allclose(plain(points), points @ plain.directions.vectors.double().T, atol=1e-9)
    way = sharp.directions.vectors[0].double()
    outputs = sharp(torch.linspace(0, 1, 101, dtype=torch.float64)[:, None] * way)[:, 0]
    assert outputs[30] < 1e-2 and outputs[70] > 0.99 and float(outputs[50]) == pytest.approx(0.5, abs=0.01)


def test_features_are_orthogonal_while_there_is_room_and_of_length_1_beyond():
    few, many = srt.toy.features(5, 8).directions.vectors, srt.toy.features(20, 8).directions.vectors
    np.testing.assert_allclose(few @ few.T, np.eye(5), atol=1e-6)
    np.testing.assert_allclose(many.norm(dim=-1), 1, rtol=1e-6)
    assert (few @ few.T).shape == (5, 5) and float((many @ many.T).fill_diagonal_(0).abs().max()) > 0.1


def test_points_have_so_many_features_active():
    toy = srt.toy.features(7, 7)
    read = toy.draw(4, 3) @ toy.directions.vectors.double().T
    np.testing.assert_allclose(read, read.round(), atol=1e-6)
    assert read.round().sum(-1).tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize("named", [{"n": 0}, {"d_model": 0}, {"p": 0.5}, {"seed": -1}])
def test_odd_settings_are_refused(named):
    with pytest.raises(ValueError, match=next(iter(named))):
        srt.toy.features(**{"n": 3, "d_model": 3, **named})
