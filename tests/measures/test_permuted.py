"""What permuted weights give for measures of distance: what their docstrings say of nano-1m."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import srtoolkit as srt

PROMPTS = 20
SIZES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
SENTENCE = "The farmer walked to the market in the morning, and sold his apples to a woman who lived near the river."


@pytest.fixture(scope="module")
def trained():
    return srt.load_model("nano-1m")


@pytest.fixture(scope="module")
def nulls(trained):
    return [srt.null_model(trained, "permuted", seed=seed) for seed in range(2)]


@pytest.fixture(scope="module")
def pairs(trained):
    return srt.sample_pairs(trained, PROMPTS, length=10, seed=7)


def medians(model, pairs):
    """Radius in norms, and predicted over found: along a random direction, and towards another activation."""
    a, b = (srt.capture(model, torch.stack(list(tokens)), layer=0) for tokens in (pairs.tokens_a, pairs.tokens_b))
    ways = torch.randn(PROMPTS, 1, model.d_model, generator=torch.Generator().manual_seed(0))
    ways = torch.cat([ways, (b - a)[:, None].cpu()], dim=1)
    found = srt.radius(model, list(pairs.text_a), ways, delta=0.1)
    predicted = srt.predicted_radius(model, list(pairs.text_a), ways, delta=0.1)
    ratio = predicted.predicted_radius / found.radius
    return (found.radius / found.norm).median("prompt").values, ratio.median("prompt").values


@pytest.mark.slow
def test_permuted_weights_have_smaller_radii_and_go_on_as_they_start(trained, nulls, pairs):
    radius, ratio = medians(trained, pairs)
    np.testing.assert_allclose(radius, [0.65, 0.39], atol=0.01)
    assert ratio[1] == pytest.approx(1.54, abs=0.03)
    for null, towards in zip(nulls, (1.02, 1.11), strict=True):
        smaller, straight = medians(null, pairs)
        assert (smaller < 0.65 * radius).all()
        assert straight[1] == pytest.approx(towards, abs=0.03)


def test_permuted_weights_move_at_once_and_then_less(trained, nulls, pairs):
    ways = srt.directions.random(trained, 4, seed=0)

    def moved(model):
        found = srt.perturb(model, list(pairs.text_a), ways, SIZES)
        return (found.distance / found.apart).median(("prompt", "direction")).values

    own = moved(trained)
    np.testing.assert_allclose(own[[0, -1]], [0.017, 0.625], atol=0.01)
    for null in nulls:
        other = moved(null)
        assert other[0] > 2 * own[0] and other[-1] / other[0] < 0.6 * own[-1] / own[0]


@pytest.mark.slow
def test_permuted_weights_have_a_text_s_boundaries_where_predicted(trained, nulls):
    def shortfall(model):
        found = srt.text_map(model, SENTENCE, among=60)
        return float((found.predicted_boundary / found.boundary).median())

    assert shortfall(trained) == pytest.approx(1.38, abs=0.03)
    assert [shortfall(null) for null in nulls] == pytest.approx([1.14, 0.99], abs=0.03)


def test_permuted_weights_have_an_exponent_near_two(trained, nulls, pairs):
    ways = srt.directions.mixtures(srt.directions.random(trained, 2, seed=0))
    for model in (trained, *nulls):
        found = srt.perturb(model, list(pairs.text_a)[:8], ways, 0.02 * 1.4 ** np.arange(18))
        assert 1.8 < srt.mixture_exponent(found).p.value < 2.2


@pytest.mark.slow
def test_permuted_weights_have_blunt_boundaries_and_no_better_bisector(trained, nulls):
    """On the 200 pairs of the docstring."""
    found = []
    for model in (trained, *nulls):
        crossing = srt.boundary(model, srt.sample_pairs(trained, 200, length=10, seed=7)).isel(crossing=0)
        assert (crossing.crossings == 1).all()
        nearer = np.abs(crossing.place - 0.5) - np.abs(crossing.place - crossing.bisector)
        found.append([float(crossing.slope.median()), float(crossing.angle.median()), float(nearer.mean())])
    np.testing.assert_allclose(found, [[2.10, 0.92, 0.009], [1.17, 1.11, 0.001], [1.19, 1.12, 0.006]], atol=0.006)


def test_permuted_weights_make_no_jump_by_depth(trained, nulls, pairs):
    grown = [srt.layer_map(model, pairs).peak.median("pair").isel(write=0)[[0, -1]] for model in (trained, *nulls)]
    np.testing.assert_allclose(grown, [[1.35, 1.89], [1.15, 1.30], [1.17, 1.35]], atol=0.02)


def test_the_number_of_texts_does_not_tell_a_small_model_from_permuted_weights(trained, nulls):
    pairs = srt.sample_pairs(trained, 8, length=10, seed=7)
    for model, (low, high) in zip((trained, *nulls), ((2, 6), (3, 8), (2, 5)), strict=True):
        written = srt.continuation(model, pairs, alphas=np.linspace(0, 1, 9), tokens=10)
        different = [len(set(texts)) for texts in written.text.transpose("pair", "alpha").values]
        assert (min(different), max(different)) == (low, high)
