"""Every claim has a complete criterion of its own, which it could fail and which the paper's own data pass."""

from __future__ import annotations

import dataclasses
import datetime
import json

import pytest

import srtoolkit as srt
from docs import verdicts as page
from srtoolkit.reference import entries

ALL = srt.reference.criteria()
EVERY = pytest.mark.parametrize("entry", ALL.values(), ids=ALL)

#: An entry as it should be.
WHOLE = {
    "name": "tried",
    "of": "exist",
    "date": "2026-11-26",
    "rule": {"above": 2, "beats_null": True},
    "informative": True,
} | {
    key: f"the {key}"
    for key in ("claim", "source", "written", "models", "statistic", "pairs", "nulls", "unit", "reason", "could_fail")
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes an entry, changed in places, into a folder that stands in for the shipped ones."""
    monkeypatch.setattr(entries, "FOLDER", tmp_path)

    def write(name="tried", without=(), **changes):
        entry = {key: value for key, value in {**WHOLE, "name": name, **changes}.items() if key not in without}
        (tmp_path / f"{name}.json").write_text(json.dumps(entry))

    return write


@EVERY
def test_an_entry_was_written_by_today(entry):
    assert datetime.date.fromisoformat(entry.date) <= datetime.date.today()


@EVERY
def test_an_interval_on_the_wrong_side_fails_and_one_across_decides_nothing(entry):
    """The width is small beside the room between the threshold and where the claim surely fails."""
    rule = entry.rule
    above = rule.low is not None
    side = 1 if above else -1
    holding, failing = (rule.low, rule.fails_below) if above else (rule.high, rule.fails_above)
    failing = holding if failing is None else failing
    good, bad = side * max(side * holding, side * failing), side * min(side * holding, side * failing)

    def judged(near, far, null):
        low, high = sorted((near, far))
        return entry.judge((low + high) / 2, low, high, null)

    beaten, better = bad - side * 9, good + side * 9
    assert judged(good + side, good + side * 2, beaten) == "holds"
    assert judged(bad - side, bad - side * 2, beaten - side) == "does not hold"
    assert judged(bad - side, good + side, beaten) == "undecided"
    if rule.beats_null:
        assert judged(good + side, good + side * 2, better) == "does not hold"
        assert judged(good + side, good + side * 3, good + side * 2) == "undecided"
    if not entry.exact:
        with pytest.raises(ValueError, match="both ends of the interval"):
            entry.judge(good + side)


@pytest.mark.parametrize("entry", [entry for entry in ALL.values() if entry.paper], ids=lambda entry: entry.name)
def test_the_papers_own_data_can_pass(entry):
    assert {entry.judge(value, value, value) for value in entry.paper_values} <= {"holds", "undecided"}


@pytest.mark.parametrize("entry", [entry for entry in ALL.values() if entry.needs], ids=lambda entry: entry.name)
def test_a_positive_control_is_a_criterion_of_the_same_claim(entry):
    assert ALL[entry.needs].of == entry.of and not ALL[entry.needs].needs


#: Claims that something is missing, as it is in any null. A null fails their positive control, which the value passes.
PREDICTED_NEGATIVES = dict.fromkeys(("truth-continuum", "truth-continuum-runs"), "truth-learned")


def test_no_claim_holds_of_the_null_it_was_stored_beside():
    """Each null in the place of the value, with itself as its null: a threshold that it met would tell nothing."""
    assert all(ALL[name].needs == control for name, control in PREDICTED_NEGATIVES.items())
    judged = [
        claim
        for claim in page.claims()
        if claim["null"] is not None and claim["informative"] and claim["criterion"] not in PREDICTED_NEGATIVES
    ]
    for claim in judged:
        null = tuple(float(claim[key]) for key in ("null", *NULL_ENDS))
        assert ALL[claim["criterion"]].judge(*null, null=null) != "holds", (claim["criterion"], claim["model"])
    assert len({claim["criterion"] for claim in judged}) >= 10


def test_stored_verdicts_are_what_the_criteria_say_now():
    """A criterion that is changed after its verdict was stored shows here."""
    for claim in page.claims():
        entry = ALL[claim["criterion"]]
        verdict = srt.verdict(
            entry.name,
            model=claim["model"],
            n=claim["n"],
            p=claim["p"],
            paper=claim["paper"],
            null=None if claim["null"] is None else srt.Estimate(*(float(claim[k]) for k in ("null", *NULL_ENDS))),
            **{key: None if claim[key] is None else float(claim[key]) for key in ("value", "low", "high")},
        )
        assert verdict.as_json() == {key: claim[key] for key in verdict.as_json()}, (claim["notebook"], claim["cell"])


NULL_ENDS = ("null_low", "null_high")


def test_every_criterion_is_asked_in_a_notebook_or_pending():
    asked = {claim["criterion"] for claim in page.claims()}
    pending = {name for name, entry in ALL.items() if entry.pending}
    assert asked <= set(ALL)
    if asked:  # notebooks of before had verdicts without criteria
        assert set(ALL) - asked == pending - asked


def test_the_page_of_verdicts_is_that_of_the_stored_notebooks():
    assert page.PAGE.read_text() == page.page(page.claims()), "run `python -m docs.verdicts`"


@pytest.mark.parametrize("field", WHOLE)
def test_what_is_missing_is_named(write, field):
    write(without=[field])
    with pytest.raises(ValueError, match=rf"tried\.json has no '{field}'"):
        srt.reference.criterion("tried")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"claim": ""}, "claim=''"),
        ({"reason": 3}, "reason=3: expected a text"),
        ({"informative": "yes"}, "informative='yes': expected true or false"),
        ({"of": "everything"}, "of='everything' one of"),
        ({"date": "yesterday"}, "expected a day"),
        ({"rule": {"over": 3}}, "rule="),
        ({"paper": {"values": [], "of": "Fig. 3"}}, "paper="),
        ({"paper": {"values": [1.0]}}, "paper="),
        ({"exact": 1}, "exact=1: expected true or false"),
        ({"level": 90}, "level=90: expected a number between 0 and 1"),
        ({"chance": "rare"}, "chance='rare': expected a number between 0 and 1"),
    ],
)
def test_what_is_wrong_is_named(write, changes, says):
    write(**changes)
    with pytest.raises(ValueError, match=rf"tried\.json.*{says}"):
        srt.reference.criteria()


def test_an_entry_has_the_name_of_its_file(write, tmp_path):
    write()
    (tmp_path / "tried.json").rename(tmp_path / "other.json")
    with pytest.raises(ValueError, match=r"other\.json: name='tried' must be 'other'"):
        srt.reference.criterion("other")


def test_an_entry_is_read_as_it_was_written(write):
    write("last", of="beyond", exact=True, rule={"below": 1}, paper={"values": [0.5], "of": "Fig. 2"}, aside=["a", "b"])
    write("first")
    found = srt.reference.criteria()
    assert list(found) == ["first", "last"]  # in the order of the paper's claims
    assert found["first"].rule_text == "interval above 2 and above the null's"
    last = found["last"]
    assert (last.rule_text, last.paper_values, last.extra["aside"]) == ("value below 1", (0.5,), ["a", "b"])
    assert last.judge(0.5) == "holds" and last.judge(1) == "does not hold"
    assert {"value below 1", "0.5 (Fig. 2)", "the reason"} <= {text for _, text in last.told()}
    with pytest.raises(dataclasses.FrozenInstanceError):
        last.claim = "another"


def test_a_name_that_is_none_gets_those_near_it(write):
    write("exist-peak")
    write("something")
    with pytest.raises(ValueError, match=r"'exists-peak'.*near it are \['exist-peak'\]"):
        srt.reference.criterion("exists-peak")
    with pytest.raises(ValueError, match=r"something"):
        srt.reference.criterion("../data/janiak2024")


@pytest.mark.parametrize("ends", [(None, None), (1.0, None), (2.0, 1.0), (float("nan"), 2.0)])
def test_an_interval_that_is_none_is_refused(write, ends):
    write()
    with pytest.raises(ValueError, match=r"tried: .*expected"):
        srt.reference.criterion("tried").judge(1.5, *ends)


def test_a_criterion_shows_as_a_table_of_all_that_it_says():
    criterion = srt.reference.criterion("size")
    shown = criterion._repr_html_()
    assert "<td>" in shown and criterion.extra["corrected"] in shown
    assert all(f"<th>{head}</th>" in shown for head, _ in criterion.told())
