"""Hidden Markov processes are those of the paper, and their beliefs, entropies and samples are exact."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from srtoolkit.toy.processes import process

#: Shai et al. 2024, the process of their Figure 2: emit A, and go from state (row) to state (column).
MESS3_A = [[0.765, 0.00375, 0.00375], [0.0425, 0.0675, 0.00375], [0.0425, 0.00375, 0.0675]]
BOTH = pytest.mark.parametrize("name", ["mess3", "rrxor"])


def exclusive_or(length):
    """Words of RRXOR and their probabilities, without a hidden state: triples of two bits and their exclusive or."""
    found = Counter()
    triples = -(-(length + 2) // 3)
    for bits in itertools.product((0, 1), repeat=2 * triples):
        stream = [bit for a, b in zip(bits[::2], bits[1::2], strict=True) for bit in (a, b, a ^ b)]
        for start in range(3):
            found[tuple(stream[start : start + length])] += 1 / 3 / 4**triples
    return found


def brute_beliefs(source, word):
    """Probability of each last hidden state, by the sum over all ways through the states."""
    total = np.zeros(len(source.stationary))
    for way in itertools.product(range(len(total)), repeat=len(word) + 1):
        moves = zip(word, way, way[1:], strict=False)
        total[way[-1]] += source.stationary[way[0]] * np.prod([source.transitions[x, i, j] for x, i, j in moves])
    return total / total.sum()


def test_mess3_is_that_of_the_paper():
    source = process("mess3")
    np.testing.assert_allclose(source.transitions[0], MESS3_A, rtol=1e-12)
    for turned in (1, 2):
        turn = (np.arange(3) + turned) % 3
        np.testing.assert_allclose(source.transitions[turned][np.ix_(turn, turn)], MESS3_A, rtol=1e-12)


@BOTH
def test_before_any_symbol_the_belief_is_what_moves_leave_alone(name):
    source = process(name)
    np.testing.assert_allclose(source.transitions.sum((0, 2)), 1, rtol=1e-12)
    np.testing.assert_allclose(source.stationary @ source.transitions.sum(0), source.stationary, atol=1e-12)
    assert source.stationary.sum() == pytest.approx(1)


@pytest.mark.parametrize("length", [1, 4, 7])
def test_rrxor_emits_exclusive_or_and_nothing_else(length):
    words, chance = process("rrxor").words(length)
    expected = exclusive_or(length)
    found = dict(zip(map(tuple, words.tolist()), chance, strict=True))
    assert found.keys() == expected.keys()
    assert all(found[word] == pytest.approx(expected[word]) for word in expected)


@BOTH
def test_beliefs_are_those_of_a_sum_over_all_ways(name):
    source = process(name)
    words = source.words(4)[0][::5]
    found = source.beliefs(words)
    for word, beliefs in zip(words, found, strict=True):
        for length in (1, 3, 4):
            np.testing.assert_allclose(beliefs[length - 1], brute_beliefs(source, word[:length]), atol=1e-12)


@BOTH
def test_predictions_are_ratios_of_probabilities_of_words(name):
    source = process(name)
    (short, before), (long, after) = source.words(3), source.words(4)
    said = source.predictions(source.beliefs(short)[:, -1])
    of = {tuple(word): chance for word, chance in zip(long.tolist(), after, strict=True)}
    for word, chance, each in zip(short.tolist(), before, said, strict=True):
        expected = [of.get((*word, symbol), 0) / chance for symbol in range(len(source.symbols))]
        np.testing.assert_allclose(each, expected, atol=1e-12)


@BOTH
def test_entropies_are_differences_of_the_entropies_of_words(name):
    source = process(name)
    blocks = [stats.entropy(source.words(length)[1]) for length in range(1, 8)]
    np.testing.assert_allclose(source.entropies(6), np.diff(blocks), rtol=1e-9)


def test_rrxor_has_the_papers_36_belief_states_and_mess3_no_end_of_them():
    source = process("rrxor")
    states = source.belief_states()
    assert len(states) == 36
    words = source.words(9)[0]
    np.testing.assert_allclose(states[source.belief_labels(words)], source.beliefs(words)[:, -1], atol=1e-9)
    with pytest.raises(ValueError, match="continuum"):
        process("mess3").belief_states()


@BOTH
def test_samples_are_as_frequent_as_their_probabilities(name):
    source = process(name)
    words, chance = source.words(4)
    n = 20_000
    seen = Counter(map(tuple, source.sample(n, 4, seed=3).tolist()))
    counts = np.array([seen.pop(tuple(word), 0) for word in words.tolist()])
    assert not seen and stats.chisquare(counts, n * chance).pvalue > 1e-3
    stream = source.sample(1, 3 * n, seed=4)[0]
    late = Counter(map(tuple, np.lib.stride_tricks.sliding_window_view(stream, 4)[::29].tolist()))
    counts = np.array([late.pop(tuple(word), 0) for word in words.tolist()])
    assert not late and stats.chisquare(counts, counts.sum() * chance).pvalue > 1e-3, "one long word is as stationary"
    np.testing.assert_array_equal(source.sample(3, 5, seed=1), source.sample(3, 5, seed=1))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: process("even"), "mess3.*rrxor"),
        (lambda: process("rrxor").beliefs(np.array([[0, 2]])), "ids below 2"),
        (lambda: process("rrxor").beliefs(np.array([[1, 1, 1, 1, 1]])), "never emits '11111'"),
        (lambda: process("mess3").words(13), "length"),
        (lambda: process("mess3").sample(0, 3), "n=0"),
    ],
)
def test_what_the_process_does_not_do_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
