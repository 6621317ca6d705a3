"""A verdict is judged by a criterion, which it names; nobody says of their own accord that a claim holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import srtoolkit as srt
from srtoolkit.analysis.verdicts import MIME, Verdict


def peak(value=2.5, low=2.2, high=2.8, n=200, **more):
    """The criterion asks for an interval above 2."""
    return srt.verdict("exist-peak", model="m", value=value, low=low, high=high, n=n, **more)


def word(value, low, high, null, **more):
    """The criterion asks for an interval above 0.5 and above the null's."""
    return srt.verdict("words-unrelated", model="m", value=value, low=low, high=high, n=97, null=null, **more)


@pytest.mark.parametrize(
    ("low", "high", "outcome"), [(2.2, 2.8, "holds"), (1.2, 1.9, "does not hold"), (1.9, 2.8, "undecided")]
)
def test_the_interval_decides_and_not_the_value(low, high, outcome):
    found = peak(2.5, low, high)
    assert (found.outcome, found.holds) == (outcome, outcome == "holds")
    assert found.rule == srt.reference.criterion("exist-peak").rule_text


@pytest.mark.parametrize("old", ["holds", "statistic", "claim"])
def test_a_rule_of_ones_own_is_refused(old):
    with pytest.raises(TypeError, match=rf"{old}=.*bound to a criterion.*reference/criteria"):
        srt.verdict("exist-peak", model="m", value=2.5, **{old: True})


def test_a_null_may_have_an_interval():
    assert word(0.7, 0.6, 0.8, 0.55).outcome == "holds"
    assert word(0.7, 0.6, 0.8, srt.Estimate(0.55, 0.45, 0.65)).outcome == "undecided"
    assert word(0.7, 0.6, 0.8, srt.Estimate(0.9, 0.85, 0.95)).outcome == "does not hold"
    with pytest.raises(ValueError, match=r"words-unrelated: null=None: this claim must beat its null"):
        word(0.7, 0.6, 0.8, None)


def test_what_cannot_fail_does_not_hold():
    def larger(value, low, high):
        return srt.verdict("polytopes-larger", model="m", value=value, low=low, high=high, n=5)

    found = larger(7000, 6000, 8000)
    assert (found.outcome, found.holds, found.informative) == ("true by construction", False, False)
    assert larger(70, 60, 80).outcome == "does not hold"


def test_a_model_is_named_with_what_is_unusual(text_model):
    def named(model):
        return srt.verdict("exist-peak", model=model, value=2.5, low=2.2, high=2.8, n=9).model

    assert named(text_model) == text_model.name
    assert named(srt.null_model(text_model, "permuted", seed=1)) == f"{text_model.name} permuted 1"
    assert named(srt.load_model(text_model.name, init="random", seed=3)) == f"{text_model.name}, random 3"
    assert named("nano-1m, step800") == "nano-1m, step800"
    with pytest.raises(TypeError, match=r"model=3: expected a model"):
        named(3)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"value": math.nan}, r"exist-peak.*on m: the value is NaN"),
        ({"low": None}, r"low=None, high=2.8: expected both ends"),
        ({"low": math.nan}, "expected two numbers"),
        ({"low": 3}, "the lower one first"),
        ({"n": 0}, "n=0"),
        ({"null": math.nan}, "null from nan"),
        ({"p": 1.1}, "p=1.1"),
    ],
)
def test_numbers_that_are_none_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        peak(**wrong)


def test_numbers_come_in_any_type():
    found = peak(xr.DataArray(np.float32(2.5)), np.float64(2.25), np.array(2.75), np.int64(9), null=np.float32(1))
    assert found == peak(2.5, 2.25, 2.75, 9, null=1.0)
    assert {type(number) for number in (found.value, found.low, found.null)} == {float}


def test_p_is_that_of_a_normal_statistic():
    error = 0.1
    reach = stats.norm.ppf(0.975) * error
    assert peak(2.3, 2.3 - reach, 2.3 + reach).p == pytest.approx(2 * stats.norm.sf(3))
    # An end on the threshold is p = 0.05, however far the other end lies.
    for low, high in ((2, 2.3), (2, 9)):
        assert peak(2.2, low, high).p == pytest.approx(0.05)
    assert peak(1.2, 0, 2).p == pytest.approx(0.05)
    assert peak(2.5, 2.5, 2.5).p == 0 and peak(2, 1, 3).p == 1 and peak(2.5, -math.inf, math.inf).p == 1
    assert peak(p=0.3).p == 0.3


def test_p_knows_the_level_of_the_interval():
    reach = stats.norm.ppf(0.95) * 0.1  # of 90%
    found = srt.verdict("sentences-meaning", model="m", value=1.2, low=1.2 - reach, high=1.2 + reach, n=15)
    assert found.p == pytest.approx(2 * stats.norm.sf(2))


def test_p_against_a_null_counts_both_errors():
    """By Welch's statistic with no end of degrees of freedom."""
    reach = stats.norm.ppf(0.975)
    found = word(0.9, 0.9 - 0.03 * reach, 0.9 + 0.03 * reach, srt.Estimate(0.8, 0.8 - 0.04 * reach, 0.8 + 0.04 * reach))
    expected = stats.ttest_ind_from_stats(0.9, 0.03 * 1e4, 10**8, 0.8, 0.04 * 1e4, 10**8, equal_var=False).pvalue
    assert found.p == pytest.approx(expected, rel=1e-4)
    assert word(0.55, 0.45, 0.65, 0.0).p == pytest.approx(2 * stats.norm.sf(0.5 * reach))  # the threshold is nearer


def test_what_is_not_sampled_needs_no_interval():
    found = srt.verdict("similar-six", model="m", value=0.85, n=6)
    assert (found.outcome, found.low, found.p, found.paper) == ("holds", None, None, 0.505)
    assert srt.verdict("similar-six", model="m", value=1.2, n=6, paper=0.5).outcome == "does not hold"


def test_a_verdict_leaves_its_numbers_to_the_report():
    found = peak(2.5, -math.inf, math.inf, null=srt.Estimate(1, 0.9, 1.1))
    (kept,) = found._repr_mimebundle_()[MIME]
    assert (kept["low"], kept["high"], kept["outcome"], kept["holds"]) == ("-inf", "inf", "undecided", False)
    assert (kept["criterion"], kept["of"], kept["n"], kept["null_high"]) == ("exist-peak", "exist", 200, 1.1)
    assert Verdict.from_json({**kept, "notebook": "01.ipynb", "cell": "cell-03"}) == found
