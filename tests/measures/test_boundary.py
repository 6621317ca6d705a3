"""Boundaries of models: in their brackets by dense grids and plain hooks, and normals against finite differences."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import srtoolkit as srt
from families import FAMILIES, tiny
from hooks import directional, hooked_everywhere
from srtoolkit.patching.derivatives import gradient

PAIRS = [("the cat sat", "the dog ran"), ("a", "b"), ("short", "rather longer"), ("the cow saw", "the hen hid")]


@pytest.fixture(scope="module")
def nano():
    return srt.load_model("nano-1m")


@pytest.fixture(scope="module")
def pairs(nano):
    return srt.sample_pairs(nano, 6, length=8, seed=3)


def shares(curves, suffix=""):
    """Share of the way by a dense grid of curves."""
    d, e = (curves[name + suffix].values.astype(float) for name in ("distance", "distance_b"))
    return (1 + (d - e) / d[:, -1:]) / 2


@pytest.mark.parametrize(("reads", "suffix"), [("final_norm", ""), ("resid", "_resid")])
@pytest.mark.parametrize("path", ["linear", "slerp"])
@pytest.mark.slow
def test_places_slopes_and_widths_are_those_of_a_dense_grid(nano, pairs, reads, suffix, path):
    found = srt.boundary(nano, pairs, layer=1, reads=reads, path=path)
    curves = srt.interpolate(nano, pairs, layer=1, steps=1001, reads=(reads, "logits"), path=path)
    alphas, gone = curves.alpha.values, shares(curves, suffix)
    assert found.found.all() and (found.crossings == 1).all()
    assert (found.place_above - found.place_below <= 1e-4).all()
    for pair, share in enumerate(gone):
        place, width = (float(found[name].values[pair, 0]) for name in ("place", "width"))
        low, here, high = (np.interp(level, share, alphas) for level in (0.1, 0.5, 0.9))
        assert place == pytest.approx(here, abs=1e-3) and width == pytest.approx(high - low, abs=2e-3)
        step = np.interp([place - 0.002, place + 0.002], alphas, share)
        assert float(found.slope.values[pair, 0]) == pytest.approx(np.diff(step)[0] / 0.004, rel=0.02)
    np.testing.assert_allclose(found.peak_at, srt.motion(curves, reads).peak_at, atol=0.02)
    np.testing.assert_allclose(found.token_at, srt.token_change_at(curves), atol=1e-3)


@pytest.mark.slow
def test_places_of_predictions_are_those_of_a_dense_grid(nano, pairs):
    found = srt.boundary(nano, pairs, reads="logits")
    curves = srt.interpolate(nano, pairs, steps=1001, reads=("logits",))
    d, e = curves["hellinger"].values.astype(float), curves["hellinger_b"].values.astype(float)
    expected = [np.interp(0.5, (1 + (x - y) / x[-1]) / 2, curves.alpha.values) for x, y in zip(d, e, strict=True)]
    np.testing.assert_allclose(found.place[:, 0], expected, atol=1e-3)


@pytest.mark.parametrize(("reads", "position"), [("final_norm", -1), ("logits", -1), ("final_norm", 0), ("logits", 0)])
def test_brackets_and_normals_are_right_by_plain_hooks(text_model, reads, position):
    pairs = PAIRS if position == -1 else [("cat sat", "dog ran"), ("ab", "bc"), ("short", "rather longer")]
    wide = srt.wrap(copy.deepcopy(text_model.hf).double(), text_model.tokenizer, name="wide")
    found = srt.boundary(wide, pairs, tolerance=1e-5, layer=1, reads=reads, position=position)
    assert found.attrs.get("position", -1) == position
    ways = torch.randn(3, wide.d_model, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for pair, (text_a, text_b) in enumerate(pairs):
        ids = wide.tokenize(text_a)
        a, b = (
            hooked_everywhere(wide, wide.tokenize(text), 1)["resid.1"][position].double() for text in (text_a, text_b)
        )

        def output(point, ids=ids):
            seen = hooked_everywhere(wide, ids, 1, point, position)
            return seen["final_norm"][-1].double() if reads == "final_norm" else (seen["logprobs"][-1] / 2).exp()

        ends = (output(a), output(b))

        def share(point, ends=ends, output=output):
            near, far = ((output(point) - end).norm() for end in ends)
            return float((1 + (near - far) / (ends[1] - ends[0]).norm()) / 2)

        one = found.isel(pair=pair, crossing=0)
        below, above = (share(torch.lerp(a, b, float(one[name]))) for name in ("place_below", "place_above"))
        assert below - 1e-7 <= 0.5 <= above + 1e-7
        middle, normal = torch.lerp(a, b, float(one.place)), torch.tensor(one.normal.values)
        assert float(normal.norm()) == pytest.approx(1) and float(one.distance) == pytest.approx(
            float((middle - a).norm()), rel=1e-5
        )
        along = (b - a) / (b - a).norm()
        assert float(one.angle) == pytest.approx(float((normal @ along).arccos()), abs=1e-4)
        size = float(one.slope) / float((b - a) @ normal)  # of the gradient
        for way in ways:
            up, down = (share(middle + sign * 1e-3 * way) for sign in (1, -1))
            assert (up - down) / 2e-3 == pytest.approx(size * float(normal @ way), abs=2e-3 * size)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_gradient_is_that_of_a_directional_derivative(family):
    model = tiny(family)
    ids = torch.randint(3, 90, (3, 6), generator=torch.Generator().manual_seed(0))
    points, ways, weights = torch.randn(3, 3, model.d_model, generator=torch.Generator().manual_seed(1))
    found = gradient(model, ids, points, lambda rows, out: (out * weights[rows]).sum(-1), layer=1, reads="final_norm")
    _, moved = directional(model, ids, points, ways, layer=1, reads="final_norm")
    torch.testing.assert_close((found * ways).sum(-1), (moved * weights).sum(-1), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_pairs_do_not_depend_on_their_company(text_model):
    together = srt.boundary(text_model, PAIRS, layer=1)
    for row, pair in enumerate(PAIRS):
        alone = srt.boundary(text_model, [pair], layer=1)
        np.testing.assert_allclose(alone.place[0, 0], together.place[row, 0], atol=2e-4)
        np.testing.assert_allclose(alone.normal[0, 0], together.normal[row, 0], atol=5e-3)


def there_and_back(a, b, alphas):
    """To 0.9 of the way, back to 0.1 of it, and then all of it."""
    places = np.interp(alphas.numpy(), [0, 0.35, 0.65, 1], [0, 0.9, 0.1, 1])
    return srt.paths.linear(a, b, torch.from_numpy(places))


@pytest.mark.slow
def test_a_path_that_comes_back_crosses_the_same_boundary_three_times(text_model):
    once = srt.boundary(text_model, [*PAIRS, ("a", "a")], layer=1).isel(crossing=0)
    found = srt.boundary(text_model, [*PAIRS, ("a", "a")], layer=1, steps=33, path=there_and_back)
    assert found.crossings.values.tolist() == [3, 3, 3, 3, 0] and found.sizes["crossing"] == 3
    for pair in range(len(PAIRS)):
        at = float(once.place[pair])
        expected = [0.35 * at / 0.9, 0.65 - 0.3 * (at - 0.1) / 0.8, 0.65 + 0.35 * (at - 0.1) / 0.9]
        np.testing.assert_allclose(found.place[pair], expected, atol=3e-4)
        speeds = np.array([0.9 / 0.35, -0.8 / 0.3, 0.9 / 0.35])
        np.testing.assert_allclose(found.slope[pair], speeds * float(once.slope[pair]), rtol=1e-2)
        one = float(once.angle[pair])
        np.testing.assert_allclose(found.angle[pair], [one, np.pi - one, one], atol=5e-3)
        np.testing.assert_allclose(found.distance[pair], [float(once.distance[pair])] * 3, rtol=2e-3)
        np.testing.assert_allclose(found.normal[pair], np.tile(once.normal[pair], (3, 1)), atol=5e-3)
    assert np.isnan(found.place[-1]).all()


@pytest.mark.slow
def test_ends_that_give_one_output_have_no_boundary(text_model):
    found = srt.boundary(text_model, [("the cat", "the cat"), PAIRS[0]], layer=1)
    assert found.found.values.tolist() == [False, True] and found.degenerate.values.tolist() == [True, False]
    assert found.crossings.values.tolist() == [0, 1]
    for name in ("place", "slope", "width", "angle", "peak_at", "token_at", "normal"):
        assert np.isnan(found[name].values[0]).all(), name
    assert not srt.boundary(text_model, [("the cat", "the cat")]).found.any()


def test_the_bisector_is_where_the_angle_at_the_mean_is_halved(text_model):
    ids = [torch.stack([text_model.tokenize(text)]) for text in PAIRS[0]]
    a, b = (srt.capture(text_model, tokens, layer=1)[0].double() for tokens in ids)
    mean = torch.linspace(-0.1, 0.1, text_model.d_model)
    found = srt.boundary(text_model, PAIRS[:1], layer=1, mean=mean)
    point = torch.lerp(a, b, float(found.bisector[0])) - mean
    one, other = (torch.nn.functional.cosine_similarity(point, end - mean, dim=0) for end in (a, b))
    assert float(one) == pytest.approx(float(other), abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tolerance": 0.0}, "tolerance=0"),
        ({"steps": 4}, "steps=4"),
        ({"reads": "gates"}, "reads='gates'"),
        ({"layer": 99}, "layer=99"),
        ({"position": 30}, "position=30"),
        ({"path": "odd"}, "path='odd'"),
        ({"mean": torch.ones(3)}, r"mean: .*got shape \[3\]"),
    ],
)
def test_bad_input_is_refused_by_name(text_model, settings, said):
    with pytest.raises(ValueError, match=said):
        srt.boundary(text_model, PAIRS, **settings)
