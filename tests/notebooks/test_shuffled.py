"""No claim about training holds where nothing was learned: the notebooks, run on permuted weights.

``SRT_PROFILE=shuffled`` puts permuted weights in the place of all that a notebook calls trained. A commit tries one of
the notebooks, which its hash chooses; ``--all-notebooks`` all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from srtoolkit.report.claims import card

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))

#: Criteria that are not about what training makes, and why permuted weights may meet them.
NOT_ABOUT_TRAINING = {
    "emerge-untrained": "it says what a model without training does",
    "exception-there": "it says that jumps are missing, as they are where nothing was learned",
    "directions-random": "it is a control: random directions have no features to follow in any model",
    "text-predicted": "derivatives describe any smooth network, and so rank the tokens of a text in any",
    "similar-same-token": "pairs that share their last token start close together in any model with these embeddings",
}

RUN = """
import json, sys
from pathlib import Path
from srtoolkit.report import claims_of, execute

path = Path(sys.argv[1])
notebook, error = execute(path)
assert error is None, error
print(json.dumps(list(claims_of(notebook, path.name))))
"""


def shuffled_claims(path):
    """The verdicts of one notebook on permuted weights."""
    environment = {**os.environ, "SRT_PROFILE": "shuffled", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", RUN, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=path.parent, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def wrongly_held(claims):
    """Verdicts that say "holds" of weights in which nothing was learned, as texts.

    As in a scorecard, nothing follows where a positive control fails: no jumps in an untaught model are no finding.
    """
    return [
        f"{claim['criterion']}, {claim['model']}, {claim['cell']}: {claim['value']} [{claim['low']}, {claim['high']}]"
        for claim, standing in zip(claims, card(claims).standings(), strict=True)
        if claim["holds"] and not standing.lacks and claim["criterion"] not in NOT_ABOUT_TRAINING
    ]


def turn():
    """The notebook whose turn it is at this commit; all of them where there are no commits."""
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return NOTEBOOKS if done.returncode else [NOTEBOOKS[int(done.stdout, 16) % len(NOTEBOOKS)]]


def pytest_generate_tests(metafunc):
    if "shuffled" in metafunc.fixturenames:
        metafunc.parametrize("shuffled", NOTEBOOKS if metafunc.config.getoption("--all-notebooks") else turn())


@pytest.mark.slow
def test_nothing_about_training_holds_on_permuted_weights(shuffled):
    held = wrongly_held(shuffled_claims(ROOT / "notebooks" / f"{shuffled}.ipynb"))
    assert not held, "\n".join(held)


@pytest.mark.slow
def test_a_verdict_that_permuted_weights_pass_is_found(tmp_path):
    """Claims that hold of shuffled weights, beside one that fails and one that is not about training.

    Of two that need a positive control, the one counts whose control holds, too.
    """
    cell = """
import srtoolkit as srt
assert srt.profile().init == "permuted"
srt.scorecard(
    srt.verdict("exist-peak", model="shuffled", value=3, low=2.5, high=3.5, n=9),
    srt.verdict("exist-deep", model="shuffled", value=1, low=0.9, high=1.1, n=9),
    srt.verdict("emerge-untrained", model="shuffled", value=1, low=0.9, high=1.1, n=9),
    srt.verdict("truth-continuum", model="untaught", value=1, low=0.9, high=1.1, n=9),
    srt.verdict("truth-learned", model="untaught", value=0.9, n=1),
    srt.verdict("truth-continuum", model="taught", value=1, low=0.9, high=1.1, n=9),
    srt.verdict("truth-learned", model="taught", value=0.05, n=1),
)
"""
    path = tmp_path / "00_wrong.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Wrong"), new_code_cell(cell)]), path)
    held = wrongly_held(shuffled_claims(path))
    assert [", ".join(claim.split(", ")[:2]) for claim in held] == [
        "exist-peak, shuffled",
        "truth-continuum, taught",
        "truth-learned, taught",
    ]
    assert held[0].endswith(": 3.0 [2.5, 3.5]")


def test_what_may_hold_is_a_criterion_that_there_is():
    from srtoolkit.reference import criteria

    assert set(NOT_ABOUT_TRAINING) <= set(criteria())
