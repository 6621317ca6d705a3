"""A scorecard counts what was tried on a claim, corrects for it, and prints numbers that can be told apart."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest
from scipy import stats

import srtoolkit as srt
from srtoolkit.analysis.scorecards import HEADS, estimate_text, holm


def made(name, p=0.01, value=2.5, low=2.2, high=2.8, null=None, **more):
    return srt.verdict(name, model="tiny", value=value, low=low, high=high, n=200, p=p, null=null, **more)


def test_holm_keeps_the_rate_of_false_findings():
    """Of twenty true nulls, at most one in twenty families has one that is found; without correction most have."""
    draws = np.random.default_rng(0).uniform(size=(2000, 20))
    found = np.array([min(holm(list(row))) <= 0.05 for row in draws])
    assert stats.binomtest(int(found.sum()), len(found), 0.05).pvalue > 0.001


def test_holm_by_hand():
    """0.01 x 4, 0.015 x 3, 0.02 x 2 rises no lower, 0.9 x 1; what is none stays out."""
    assert holm([0.9, 0.01, None, 0.02, 0.015]) == pytest.approx([0.9, 0.04, None, 0.045, 0.045])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([None]) == [None] and holm([]) == []


def test_tries_on_one_claim_count_whatever_came_out():
    fails = made("exist-slerp", 0.7, 1, 0.5, 1.5)
    card = srt.scorecard(
        made("exist-peak", 0.02), fails, made("exist-deep", 0.001), made("sharpen-structure", 0.04, 0.9, 0.7, 1)
    )
    peak, slerp, deep, sharpen = card.standings()
    assert [one.tried for one in (peak, slerp, deep, sharpen)] == [3, 3, 3, 1]
    assert [one.p for one in (peak, slerp, deep)] == pytest.approx([0.04, 0.7, 0.003]) and sharpen.p is None
    assert [one.outcome for one in (peak, slerp, deep, sharpen)] == ["holds", "does not hold", "holds", "holds"]
    more = srt.scorecard(*card.verdicts, made("exist-peak", 0.9)).standings()[0]
    assert (more.outcome, more.p) == ("holds (not after Holm)", pytest.approx(0.06))
    assert "HOLDS (NOT AFTER HOLM)" in str(srt.scorecard(*card.verdicts, made("exist-peak", 0.9)))


def test_what_is_not_sampled_is_corrected_by_how_often_chance_meets_it():
    """The paper's six pairs come out in this order once in twenty; beside another try that is no finding."""
    six = srt.verdict("similar-six", model="tiny", value=0.85, n=6)
    (alone,) = srt.scorecard(six).standings()
    assert (alone.outcome, alone.p) == ("holds", None)
    beside, _ = srt.scorecard(six, made("words-category", 0.9, 0.5, 0.4, 0.6, null=0.5)).standings()
    assert (beside.outcome, beside.p) == ("holds (not after Holm)", pytest.approx(2 / 20))


def test_a_claim_without_its_positive_control_is_undecided():
    """An effect that a design cannot show is not excluded by it, nor shown on another model."""
    meaning = made("sentences-meaning", value=1, low=0.95, high=1.05)
    shows, cannot = (made("sentences-control", value=1.2, low=low, high=1.3) for low in (1.15, 1.0))
    assert srt.scorecard(shows, meaning).standings()[1].outcome == "does not hold"
    elsewhere = srt.verdict("sentences-control", model="other", value=1.2, low=1.15, high=1.3, n=9)
    for control in (cannot, elsewhere):
        card = srt.scorecard(meaning, control)
        assert card.standings()[0].outcome == "undecided (sentences-control does not hold)"
        assert "UNDECIDED (SENTENCES-CONTROL DOES NOT HOLD): The path" in str(card)
    assert srt.scorecard(meaning).standings()[0].lacks == "sentences-control"


def test_an_interval_of_another_level_says_so():
    card = srt.scorecard(made("sentences-meaning", value=1, low=0.95, high=1.05), made("exist-peak"))
    assert "1.00 [0.95, 1.05], 90% interval" in str(card)
    assert card._repr_mimebundle_()["text/html"].count("% interval") == 1


def test_what_cannot_fail_is_no_try():
    sure = made("polytopes-larger", 0.0, 5000, 4000, 6000)
    card = srt.scorecard(made("polytopes-follow", 0.03, null=0), sure)
    assert [one.tried for one in card.standings()] == [1, 0]
    assert "true by construction: " in str(card) and "cannot fail" in card._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((4.2131, 3.6, 4.9), "4.2 [3.6, 4.9]"),
        ((1.0002, 0.9999, 1.0004), "1.00020 [0.99990, 1.00040]"),
        ((7408, 7049, 8083), "7400 [7000, 8100]"),
        ((-0.001, -0.02, 0.03), "-0.001 [-0.020, 0.030]"),
        ((1, 1, 1), "1"),
        ((0.8532, None, None), "0.853"),
        ((5809.2, None, None), "5810"),
        ((1.25, -np.inf, np.inf), "1.25 [-inf, inf]"),
    ],
)
def test_the_interval_says_how_many_digits(numbers, text):
    assert estimate_text(*(None if number is None else float(number) for number in numbers)) == text


def test_ends_that_differ_read_differently_and_noise_does_not_show():
    """Over widths from a millionth to a million, with noise in the eighth digit of the width."""
    rng = np.random.default_rng(0)
    changed = 0
    for width in 10 ** rng.uniform(-6, 6, 2000):
        low = rng.normal() * width * 10
        texts = [estimate_text(low + width / 2, low, low + width * (1 + noise)) for noise in (0, 1e-8)]
        middle, *ends = re.findall(r"[-\d.]+", texts[0])
        assert len({middle, *ends}) == 3, texts
        changed += texts[0] != texts[1]
    assert changed <= 2


def test_a_reader_sees_all_that_a_verdict_is_made_of():
    card = srt.scorecard(made("exist-peak", null=srt.Estimate(1, 0.9, 1.12), paper=5.12), made("exist-deep", 0.03))
    assert [line.strip() for line in str(card).splitlines()[:2]] == [
        f"holds: {srt.reference.criterion('exist-peak').claim}",
        "tiny, n = 200: 2.50 [2.20, 2.80], null 1.00 [0.90, 1.12], paper 5.12, one of 2 tried on this claim, "
        "p 0.02 after Holm",
    ]
    assert "criterion exist-peak of 2026-11-26: interval above 2" in str(card)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", card._repr_mimebundle_()["text/html"])
    assert len(cells) == 2 * len(HEADS)
    assert cells[HEADS.index("p, after Holm")] == "0.02 of 2" and cells[HEADS.index("n")] == "200"
    with pytest.raises(TypeError, match=r"got \['float'\]"):
        srt.scorecard(2.5)


def test_tables_name_the_statistic_in_a_few_words_and_the_text_in_full():
    entry = srt.reference.criterion("exist-peak")
    card = srt.scorecard(srt.verdict("exist-peak", model="m", value=3, low=2.5, high=3.5, n=9))
    assert 0 < len(entry.short) < 0.5 * len(entry.statistic)
    table = html.unescape(card._repr_mimebundle_()["text/html"])
    assert entry.short in table and entry.statistic not in table
    assert entry.statistic in str(card) and entry.short not in str(card)


def test_every_statistic_fits_a_table():
    assert all(0 < len(entry.short or entry.statistic) <= 100 for entry in srt.reference.criteria().values())
