"""What the pages of claims and of findings beyond them say in numbers is what the stored notebooks found.

A link, ``[verdict](verdicts.md#exist-peak)``, stands behind the numbers of a verdict: its value and the ends of its
interval as "low to high", and perhaps the null's value as "permuted 0.99". They lie between it and the one before it.
"""

from __future__ import annotations

import re

import pytest

import srtoolkit as srt
from docs import verdicts as page

NUMBER = r"-?\d+(?:,\d{3})*(?:\.\d+)?%?"


def marked(name):
    """The text in front of every such link of a page, by the criterion that it names."""
    text = " ".join((page.ROOT / "docs" / name).read_text(encoding="utf-8").split())
    return {name: text for text, name in re.findall(r"(.*?)\[verdict\]\(verdicts\.md#([\w-]+)\)", text)}


CLAIMS, BEYOND = marked("claims.md"), marked("beyond.md")
BEFORE = CLAIMS | BEYOND


def verdicts_of(name):
    """The stored verdicts of a criterion; of those against several nulls, the ones against permuted weights."""
    found = [claim for claim in page.claims() if claim["criterion"] == name]
    return [claim for claim in found if "permuted" in claim["model"]] or found


def is_number(said, value):
    """Whether a text is a number as rounded, or as so many percent; thousands are rounded to three digits."""
    shown = said.replace(",", "").removesuffix("%")
    zeros = len(shown) - len(shown.rstrip("0")) if "," in said else 0
    unit = 10.0 ** (zeros - len(shown.partition(".")[2]))
    return any(abs(float(shown) - value * times) <= unit * 0.5000001 for times in (1, 100))


@pytest.mark.parametrize("name", BEFORE)
def test_numbers_are_those_of_the_stored_verdicts(name):
    text = BEFORE[name]
    ranges = re.findall(rf"({NUMBER}) to ({NUMBER})", text)
    last = text[text.rindex("(") :]
    found = verdicts_of(name)
    stored = "\n".join(f"{claim['model']}: {claim['value']} {claim['low']} {claim['high']}" for claim in found)
    assert found, f"no stored notebook has a verdict by {name}"
    for claim in found:
        assert any(is_number(said, claim["value"]) for said in re.findall(NUMBER, text)), f"{text}\n{stored}"
        if re.search(rf"{NUMBER} to {NUMBER}", last):
            ends = claim["low"], claim["high"]
            assert any(all(map(is_number, said, ends)) for said in ranges), f"{text}\n{stored}"
    if null := re.search(rf"permuted(?: weights)? ({NUMBER})", last):
        assert any(is_number(null[1], claim["null"]) for claim in found), (text, [claim["null"] for claim in found])


def test_every_criterion_of_the_papers_claims_has_its_number():
    asked = {name for name, entry in srt.reference.criteria().items() if entry.of != "beyond" and not entry.pending}
    assert set(CLAIMS) == asked


def test_other_findings_are_not_the_papers_claims():
    assert BEYOND and not set(BEYOND) & set(CLAIMS)
