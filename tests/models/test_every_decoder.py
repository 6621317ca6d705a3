"""The table of families in the docs says what the code does: a commit tries ten of its rows, which its hash chooses.

``--all-families`` tries all of them.
"""

from __future__ import annotations

import subprocess

import pytest
import torch

import srtoolkit as srt
from against_hooks import POINTS, judge
from docs import families
from every_decoder import EVERY, small
from srtoolkit.costs.architecture import Architecture
from srtoolkit.costs.miniature import miniature
from srtoolkit.costs.work import method_of
from srtoolkit.patching.choice import choose_method

#: A commit tries one family in this many.
FRACTION = 19

#: Outcomes of the table, by the heading under which a family stands there.
OUTCOMES = {heading: outcome for outcome, heading in families.HEADINGS.items()}


def rows():
    """Outcome and methods of every family in the table, as the docs show them."""
    told, outcome = {}, ""
    for line in families.PAGE.read_text().splitlines():
        if line.startswith("## "):
            outcome = OUTCOMES[line.removeprefix("## ")]
        elif line.startswith("| ") and not line.startswith("| family"):
            kind, second = (cell.strip() for cell in line.split("|")[1:3])
            told[kind] = (outcome, set(second.split(", ")) if outcome in ("works", "wrong") else set())
    return told


def turn():
    """The families whose turn it is at this commit; all of them where there are no commits."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=families.ROOT, check=False)
    return EVERY if done.returncode else EVERY[int(done.stdout, 16) % FRACTION :: FRACTION]


def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", EVERY if metafunc.config.getoption("--all-families") else turn())


@pytest.mark.slow
def test_a_family_is_what_the_table_says(kind):
    outcome, methods = rows()[kind]
    found = judge(kind)
    assert found.outcome == outcome, found.why
    assert methods <= set(found.right), found.refused


#: Families in which weights decide whether a model goes on from its own cache, and a miniature's are not the model's.
BY_WEIGHTS = ("axk2", "bamba", "deepseek_v32", "glm_moe_dsa", "zaya")


@pytest.mark.slow
def test_a_miniature_is_patched_as_the_model_is(kind):
    """What ``estimate_cost`` counts by."""
    if rows()[kind][0] != "works" or kind in BY_WEIGHTS:
        return
    model = srt.wrap(small(kind), None, name=kind)
    _, mini = miniature(Architecture(kind, model.hf.config), "float32", torch.device("cpu"))
    for length in (1, 9, 40):
        ids = torch.randint(3, model.vocab_size, (2, length), generator=torch.Generator().manual_seed(length))
        expected = choose_method(model, ids, POINTS).method
        assert method_of(mini, srt.Work(kind, length=length, steps=POINTS)) == expected


def test_the_table_has_every_family_and_most_of_them_work():
    told = rows()
    assert sorted(told) == EVERY
    outcomes = [outcome for outcome, _ in told.values()]
    assert outcomes.count("works") >= 125
    assert "raw error" not in outcomes and "wrong" not in outcomes


@pytest.mark.slow
def test_a_wrong_method_is_seen(monkeypatch):
    """The oracle is not the code: with points put in one position too early, no family works."""
    from srtoolkit.patching import passes

    put_in = passes._with_point
    monkeypatch.setattr(passes, "_with_point", lambda output, points, position: put_in(output, points * 1.01, position))
    found = judge("llama")
    assert found.outcome == "wrong" and "full at 1 tokens" in found.why
