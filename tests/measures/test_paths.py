"""Random directions: as long as the way to B, of the covariance asked for, the same in whatever company."""

from __future__ import annotations

import pytest
import torch

from srtoolkit.measures.paths import name_of, random_direction

ALPHAS = torch.linspace(0, 1, 5)


@pytest.fixture
def ends():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(400, 16, generator=generator), torch.randn(400, 16, generator=generator)


@pytest.fixture
def stretched():
    """Activations that vary along the first axis ten times as much as along the others."""
    spread = torch.ones(16)
    spread[0] = 10
    return 3 + torch.randn(300, 16, generator=torch.Generator().manual_seed(1)) * spread


def test_the_path_starts_at_a_and_is_as_long_as_to_b(ends, stretched):
    a, b = ends
    for path in (random_direction(), random_direction(stretched)):
        points = path(a, b, ALPHAS)
        assert torch.equal(points[:, 0], a)
        torch.testing.assert_close((points[:, -1] - a).norm(dim=-1), (b - a).norm(dim=-1))
        torch.testing.assert_close(points[:, 2], (points[:, 0] + points[:, -1]) / 2)


def test_directions_have_the_covariance_asked_for(ends, stretched):
    a, b = ends
    plain = torch.randn(5000, 16, generator=torch.Generator().manual_seed(2))
    drawn = plain * stretched.std(0)
    for like, draws in ((None, plain), (stretched, drawn)):
        share = float((draws[:, 0] ** 2 / draws.square().sum(-1)).mean())
        step = random_direction(like)(a, b, ALPHAS)[:, -1] - a
        along = step / step.norm(dim=-1, keepdim=True)
        assert abs(float((along[:, 0] ** 2).mean()) - share) < 0.05
        # Not the way to B itself.
        towards = (b - a) / (b - a).norm(dim=-1, keepdim=True)
        assert abs(float((along * towards).sum(-1).mean())) < 0.1


def test_a_random_base_is_like_the_activations_but_of_a_s_norm(ends, stretched):
    a, b = ends
    start = random_direction(stretched, base="random")(a, b, ALPHAS)[:, 0]
    torch.testing.assert_close(start.norm(dim=-1), a.norm(dim=-1))
    assert float((start[:, 1:] / start.norm(dim=-1, keepdim=True)).mean()) > 0.1  # the mean of the activations is 3
    assert float((start - a).norm(dim=-1).min()) > 0.1


def test_a_direction_is_the_pair_s_own(ends, stretched):
    a, b = ends
    path = random_direction(stretched, seed=3)
    torch.testing.assert_close(path(a, b, ALPHAS)[7:9], path(a[7:9], b[7:9], ALPHAS))
    assert not torch.allclose(path(a, b, ALPHAS), random_direction(stretched, seed=4)(a, b, ALPHAS))
    steps = path(a, b, ALPHAS)[:, -1] - a
    assert not torch.allclose(steps[0], steps[1])


def test_the_name_says_what_it_is(stretched):
    assert name_of(random_direction(stretched, "random", 2)) == (
        "random direction (covariance of activations, base random, seed 2)"
    )


def test_a_base_without_activations_to_be_like():
    with pytest.raises(ValueError, match="activations that it is to be like"):
        random_direction(base="random")
    with pytest.raises(ValueError, match="base='b'"):
        random_direction(base="b")
