"""The exponent is the one that responses were made with, and 2 for whatever is a quadratic form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

import srtoolkit as srt

SIZES = np.geomspace(0.02, 20, 60)
ANGLES = np.arange(16) * np.pi / 8


def response(sensitivity, couples=(("u", "v"),), curve=lambda reach: reach**2):
    """What a push does whose effect is ``curve(size * sensitivity[prompt, couple, angle])``."""
    values = curve(SIZES * np.asarray(sensitivity)[..., None]).reshape(len(sensitivity), -1, len(SIZES))
    names = [couple for couple in couples for _ in ANGLES]
    coords = {
        "size": SIZES,
        "first": ("direction", [u for u, _ in names]),
        "second": ("direction", [v for _, v in names]),
        "angle": ("direction", np.tile(ANGLES, len(couples))),
    }
    return xr.Dataset({"distance": (("prompt", "direction", "size"), values)}, coords)


def norm(a, b, p):
    """The L^p norm of the coefficients, by numpy's own."""
    coefficients = np.stack([a[..., None] * np.cos(ANGLES), b[..., None] * np.sin(ANGLES)])
    return np.linalg.norm(coefficients, p, axis=0)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 6, np.inf])
def test_the_exponent_of_a_norm_is_found_whatever_the_shape_of_the_response(p):
    rng = np.random.default_rng(0)
    a, b = rng.lognormal(0, 0.4, (2, 12, 1))
    for curve in (lambda reach: reach**2, lambda reach: reach + 5 * reach**4, np.expm1):
        found = srt.mixture_exponent(response(norm(a, b, p), curve=curve), at=1.0)
        assert found.inverse.value == pytest.approx(1 / p, abs=3e-3)
        assert found.misfit < 3e-3 and found.left_out == 0 and found.n == 12
        assert found.p.low <= found.p.value + 1e-9 and found.p.value <= found.p.high + 1e-9


def test_any_quadratic_form_has_two_with_whatever_cross_terms():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(20, 3, 2))
    form = np.einsum("pki,pkj->pij", root, root)  # of each prompt its own, u and v far from orthogonal in it
    ways = np.stack([np.cos(ANGLES), np.sin(ANGLES)])
    found = srt.mixture_exponent(response(np.sqrt(np.einsum("ia,pij,ja->pa", ways, form, ways))[:, None]), at=1.0)
    assert found.inverse.value == pytest.approx(0.5, abs=2e-3)
    assert found.p.low == pytest.approx(2, abs=0.02) and found.p.high == pytest.approx(2, abs=0.02)


def test_each_couple_has_an_exponent_of_its_own_and_all_have_one_between():
    one = np.ones((8, 1))
    both = np.concatenate([norm(one, one, 2), norm(one, one, 8)], axis=1)
    found = srt.mixture_exponent(
        response(both, (("u", "v"), ("v", "w"))), at=1.0, bootstrap=srt.Bootstrap(resamples=50)
    )
    assert found.by_couple["u | v"] == pytest.approx(2, rel=0.01)
    assert found.by_couple["v | w"] == pytest.approx(8, rel=0.05)
    assert 2.5 < found.p.value < 6
    fixed = srt.mixture_exponent(response(both, (("u", "v"), ("v", "w"))), at=1.0, over="prompts")
    assert fixed.p.low == pytest.approx(fixed.p.high), "all prompts are alike, and directions stay"
    assert found.p.low < 0.9 * found.p.high


def test_what_never_reaches_the_threshold_is_left_out_and_counted():
    one = np.ones((4, 1))
    s = norm(one, one, 4)
    s[1] /= 1000
    found = srt.mixture_exponent(response(s), at=1.0)
    assert found.left_out == 0.25 and found.n == 3
    assert found.p.value == pytest.approx(4, rel=0.02)
    with pytest.raises(ValueError, match="no couple of directions reaches the threshold"):
        srt.mixture_exponent(response(s / 1e4), at=1.0)


@pytest.mark.parametrize("p", [2.0, 3.0, 4.0, 8.0])
def test_a_toy_of_error_correction_has_its_p_along_features_and_two_along_others(p):
    toy = srt.toy.features(48, 48, p)
    points, sizes = toy.draw(10), np.geomspace(0.05, 2, 24)
    chosen = srt.directions.rows(toy.directions.vectors[:5], list("abcde"))
    along = srt.mixture_exponent(srt.toy.respond(toy, points, srt.directions.mixtures(chosen), sizes), at=0.2)
    assert along.p.value == pytest.approx(p, rel=0.01) and along.left_out == 0
    chance = srt.directions.rows(torch.randn(8, 48, generator=torch.Generator().manual_seed(2)))
    ring = srt.directions.mixtures(chance, couples="ring")
    other = srt.mixture_exponent(srt.toy.respond(toy, points, ring, sizes), at=0.2)
    assert abs(other.p.value - 2) < 0.3 and other.p.low < 2.02 and other.p.high > 1.98


def test_the_exponent_falls_to_two_as_directions_turn_away_from_features():
    toy, rng = srt.toy.features(48, 48, 4.0), torch.Generator().manual_seed(0)
    own = toy.directions.vectors[:6].double()
    away = torch.randn(6, 48, generator=rng).double()
    away -= (away * own).sum(-1, keepdim=True) * own
    away /= away.norm(dim=-1, keepdim=True)
    found = []
    for turn in np.radians([0, 30, 60, 90]):
        ways = srt.directions.mixtures(srt.directions.rows(np.cos(turn) * own + np.sin(turn) * away))
        toyed = srt.toy.respond(toy, toy.draw(8), ways, np.geomspace(0.05, 2, 24))
        found.append(srt.mixture_exponent(toyed, at=0.2).p.value)
    assert found == sorted(found, reverse=True) and found[0] > 3.9 and found[-1] < 2.2


def test_the_bias_in_superposition_is_as_the_documentation_says():
    """More features than dimensions read a little of each other, and active ones disturb the place of rest."""
    toy, sizes = srt.toy.features(512, 128, 4.0), np.geomspace(0.05, 2, 24)
    chosen = srt.directions.mixtures(srt.directions.rows(toy.directions.vectors[:4]))
    quiet, busy = (
        srt.mixture_exponent(srt.toy.respond(toy, toy.draw(8, active), chosen, sizes), at=0.25).p.value
        for active in (0, 8)
    )
    assert 3.4 < quiet < 4 and 1.9 < busy < 2.3
