"""Where an interval lies decides a claim, and an interval that reaches across a threshold decides nothing."""

from __future__ import annotations

import math

import pytest

from srtoolkit.reference.rules import Rule

HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"


def rule(**given):
    return Rule.read(given, "made.json")


@pytest.mark.parametrize(
    ("given", "low", "high", "expected"),
    [
        ({"above": 2}, 2.1, 3, HOLDS),
        ({"above": 2}, 2, 3, OPEN),
        ({"above": 2}, 1, 3, OPEN),
        ({"above": 2}, 1, 2, FAILS),
        ({"above": 2}, -math.inf, math.inf, OPEN),
        ({"above": 2, "fails_below": 1.5}, 1.4, 1.9, OPEN),
        ({"above": 2, "fails_below": 1.5}, 1.0, 1.4, FAILS),
        ({"above": 0, "fails_below": 0.1}, 0.02, 0.09, FAILS),  # there, and surely too small
        ({"above": 0, "fails_below": 0.1}, 0.02, 0.2, HOLDS),
        ({"above": 0, "fails_below": 0.1}, -0.1, 0.2, OPEN),
        ({"below": 0.6}, 0.1, 0.5, HOLDS),
        ({"below": 0.6}, 0.5, 0.6, OPEN),
        ({"below": 0.6}, 0.6, 0.9, FAILS),
        ({"below": 0.6, "fails_above": 0.8}, 0.7, 0.9, OPEN),
        ({"below": 0.6, "fails_above": 0.8}, 0.81, 0.9, FAILS),
        ({"within": [-1, 1]}, -0.5, 0.9, HOLDS),
        ({"within": [-1, 1]}, -0.5, 1.1, OPEN),
        ({"within": [-1, 1]}, -3, 3, OPEN),
        ({"within": [-1, 1]}, 1, 1.2, FAILS),
        ({"within": [-1, 1]}, -3, -1, FAILS),
        ({"within": [-1, 1], "fails_above": 2}, 1.2, 1.4, OPEN),
    ],
)
def test_the_whole_interval_decides(given, low, high, expected):
    assert rule(**given).judge((float(low), float(high))) == expected


@pytest.mark.parametrize("side", [1, -1], ids=["above", "below"])
@pytest.mark.parametrize(
    ("interval", "null", "expected"),
    [
        ((3, 4), (1, 2), HOLDS),
        ((3, 4), (1, 3), OPEN),  # touches the null's
        ((3, 4), (3.5, 9), OPEN),
        ((3, 4), (4, 9), FAILS),  # beyond the threshold, and the null is farther
        ((1, 4), (0, 0.5), OPEN),
        ((1, 2), (0, 0.5), FAILS),  # beats the null, and not the threshold
        ((3, 3), (3, 3), FAILS),
        ((3, 4), None, OPEN),
        ((1, 2), None, FAILS),
    ],
)
def test_a_null_must_be_beaten_on_the_side_of_the_threshold(side, interval, null, expected):
    """Upside down, everything is the same."""
    turned = [tuple(sorted(float(side * end) for end in ends)) if ends else None for ends in (interval, null)]
    assert rule(**{"above" if side > 0 else "below": side * 2, "beats_null": True}).judge(*turned) == expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "expected one of"),
        ([], "expected one of"),
        ({"above": 1, "below": 2}, "expected one of"),
        ({"above": 1, "beat_null": True}, "expected one of"),
        ({"above": "1"}, "finite numbers"),
        ({"above": None, "beats_null": True}, "expected a number"),
        ({"above": math.nan}, "finite numbers"),
        ({"above": 1, "beats_null": 1}, "true or false"),
        ({"within": [2, 1]}, "lower one first"),
        ({"within": [None, 1]}, "lower one first"),
        ({"within": 1}, "two numbers"),
        ({"within": [0, 1], "beats_null": True}, "on which side"),
        ({"above": 1, "fails_above": 2}, "fails_below goes with"),
        ({"below": 1, "fails_below": 2}, "fails_below goes with"),
    ],
)
def test_a_rule_that_is_none_is_refused(given, says):
    with pytest.raises(ValueError, match=f"(?s)made.json.*{says}"):
        Rule.read(given, "made.json")


def test_a_rule_is_said_in_words():
    assert rule(above=2, beats_null=True).text == "interval above 2 and above the null's"
    assert rule(below=0.6, fails_above=0.9).text == "interval below 0.6; fails where above 0.9"
    assert rule(within=[0, 0.5], fails_below=-1).text == "interval between 0 and 0.5; fails where below -1"
