"""What follows tokens in the training text: counted on a made-up stream, and as the package has it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from srtoolkit.suite import followers
from srtoolkit.suite.shipped import statistics


def test_what_follows_is_counted_and_rare_tokens_are_left_out(monkeypatch):
    monkeypatch.setattr(followers, "LEAST", 3)
    counts = followers.count(np.array([1, 2, 1, 3, 1, 2, 2], dtype=np.uint16))
    assert counts[1].toarray().nonzero()[1].tolist() == [2, 3] and (counts[1, 2], counts[1, 3]) == (2, 1)
    assert counts.sum() == 3  # tokens 2 and 3 begin two steps and one


def test_the_shipped_counts_are_of_the_training_text():
    counts = followers.followers()
    of_token = np.asarray(counts.sum(axis=1)).ravel()
    assert (of_token[of_token > 0] >= followers.LEAST).all() and (of_token > 0).sum() > 1000
    assert 0.8 < of_token.sum() / statistics()["train_tokens"] < 0.9


def test_divergence_is_that_by_hand_and_nothing_for_rare_tokens(monkeypatch):
    counts = np.zeros((4096, 4096))
    counts[5, [1, 2]], counts[6, [2, 3]], counts[7, 8] = (1000, 3000), (2000, 2000), 4000
    monkeypatch.setattr(followers, "followers", lambda: scipy.sparse.csr_matrix(counts))
    found = followers.divergence([5, 5, 5, 5], [5, 6, 7, 9])
    p, q = np.array([0.25, 0.75, 0]), np.array([0, 0.5, 0.5])
    middle = (p + q) / 2
    by_hand = sum((one[one > 0] * np.log(one[one > 0] / middle[one > 0])).sum() for one in (p, q)) / 2
    np.testing.assert_allclose(found, [0, by_hand, np.log(2), np.nan], atol=1e-12)


@pytest.mark.parametrize(("a", "b", "said"), [([1, 2], [1], "got 2 and 1"), ([4096], [1], "tokens_a=4096")])
def test_bad_tokens_are_refused_by_name(a, b, said):
    with pytest.raises(ValueError, match=said):
        followers.divergence(a, b)
