"""Distances between outputs, against scipy and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from srtoolkit.measures import distances, paths


def logprobs(points=6, vocab=50, seed=0, scale=3.0):
    return torch.log_softmax(scale * torch.randn(points, vocab, generator=torch.Generator().manual_seed(seed)), dim=-1)


@given(st.integers(0, 1000), st.floats(0.1, 20))
def test_divergences_are_scipys(seed, scale):
    given_logprobs = logprobs(seed=seed, scale=scale)
    p = given_logprobs.double().exp().numpy()
    p /= p.sum(axis=1, keepdims=True)
    kl = [rel_entr(p[0], row).sum() for row in p]
    jsd = [jensenshannon(p[0], row) ** 2 for row in p]
    assert distances.kl_from_first(given_logprobs).numpy() == pytest.approx(kl, rel=1e-3, abs=1e-5)
    assert distances.jsd_from_first(given_logprobs).numpy() == pytest.approx(np.nan_to_num(jsd), rel=1e-3, abs=1e-5)


def test_measures_leave_their_input_alone():
    before = logprobs()
    given_logprobs = before.clone()
    distances.jsd_from_first(given_logprobs)
    distances.kl_from_first(given_logprobs)
    assert torch.equal(before, given_logprobs)


@pytest.mark.parametrize("apart", [1.0, 1e-5])
def test_hellinger_distances_are_those_of_float64_however_near(apart):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3000, generator=generator) + apart * torch.randn(7, 3000, generator=generator)
    logprobs = logits.double().log_softmax(-1)
    exact = (logprobs / 2).exp().numpy()
    expected = [[np.sqrt(((end - one) ** 2).sum() / 2) for one in exact] for end in exact[:2]]
    found = distances.hellinger_from_ends(logprobs.float().exp().sqrt())
    np.testing.assert_allclose(found.numpy(), expected, rtol=0.02, atol=1e-12)
    np.testing.assert_allclose(distances.hellinger(*(torch.tensor(exact[i : i + 1]) for i in (0, 3))), expected[0][3])


def test_distance_from_itself_is_exactly_zero():
    outputs = torch.randn(5, 7)
    assert distances.l2_from_first(outputs)[0] == 0
    assert distances.l2_from_first(outputs)[3] == pytest.approx(float((outputs[3] - outputs[0]).norm()))


def test_logit_difference_goes_from_zero_to_one_and_needs_two_predictions():
    given_logprobs = torch.log_softmax(torch.tensor([[5.0, 0, 0], [0, 0, 5.0], [2.5, 0, 2.5]]), dim=-1)
    assert distances.logit_difference(given_logprobs).tolist() == pytest.approx([0, 1, 0.5])
    assert distances.logit_difference(given_logprobs[[0, 0, 2]]).isnan().all()


def test_a_linear_path_has_its_ends_exactly():
    a, b = torch.randn(3, 8), 1e3 * torch.randn(3, 8)
    points = paths.linear(a, b, torch.linspace(0, 1, 11))
    assert torch.equal(points[:, 0], a) and torch.equal(points[:, -1], b)
    assert torch.allclose(points[:, 5], (a + b) / 2)


def test_an_unknown_path_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'curved'.*linear"):
        paths.find_path("curved", lambda: torch.zeros(8))
