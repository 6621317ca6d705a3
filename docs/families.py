"""Which decoders of transformers can be measured, and how; ``python -m docs.families`` writes ``docs/families.md``.

Every family is built small and held against plain forward hooks (``tests/support/against_hooks.py``), which takes some
minutes. What was found of each is kept in ``build``, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "families.md"
KEPT = ROOT / "build" / "families.jsonl"

#: What decides what is found; anything kept of other code is found anew.
CODE = ("srtoolkit/models", "srtoolkit/patching", "tests/support")

INTRODUCTION = """# Families of models

Every decoder that transformers {version} knows, built small with random weights, and what patching does with it.
`python -m docs.families` makes this page; `make test` holds ten of its rows against the code, `make test-all` all of
them.

Each method is compared with plain forward hooks on whole prompts: after the first and the last block, with prompts of
1, 2, 9 and 40 tokens and on both sides of every attention window, and after a middle block with 9 and 40 (families
whose passes are slow: after the first and last block, with 2, 9 and 40 tokens); two contexts, three points each. What
is compared is the residual stream behind the last block, the output after the final norm, and the logits. An error
counts as wrong above {largest:g} of the largest value, or above {distance:g} of the distance between the outputs.

*Works* is a family whose every number was right, by `auto` and by every method that is not refused; *by* are the
methods that were right wherever they ran, *auto took* those that were chosen. A method that is not named was refused.
*Refused* is said when the model is loaded, in the words that follow.
"""

HEADINGS = {
    "works": "Work",
    "wrong": "Wrong",
    "raw error": "Fail in words that are not the library's",
    "refused": "Refused",
    "cannot be built": "Cannot be built small",
}


def page(findings: Sequence[dict[str, Any]]) -> str:
    """The page as Markdown.

    Args:
        findings: What ``against_hooks.judge`` found of each family, as dicts.
    """
    import transformers

    from against_hooks import OF_THE_DISTANCE, OF_THE_LARGEST

    parts = [
        INTRODUCTION.format(version=transformers.__version__, largest=OF_THE_LARGEST, distance=OF_THE_DISTANCE),
        " ".join(f"{heading}: {len(_of(findings, outcome))}." for outcome, heading in HEADINGS.items()) + "\n",
    ]
    for outcome, heading in HEADINGS.items():
        rows = _of(findings, outcome)
        if not rows:
            continue
        works = outcome in ("works", "wrong")
        head = (
            "| family | by | auto took |" + (" where |" if outcome == "wrong" else "") if works else "| family | why |"
        )
        parts.append("\n".join([f"## {heading}\n", head, "|---" * (head.count("|") - 1) + "|", *map(row, rows), ""]))
    return "\n".join(parts)


def row(finding: dict[str, Any]) -> str:
    """One family's row of the table.

    Args:
        finding: What was found of the family.
    """
    why = finding["why"].replace("|", "\\|").replace("\n", " ")
    by, auto = ", ".join(finding["right"]), ", ".join(finding["auto"])
    if finding["outcome"] == "works":
        return f"| {finding['kind']} | {by} | {auto} |"
    if finding["outcome"] == "wrong":
        return f"| {finding['kind']} | {by} | {auto} | {why} |"
    return f"| {finding['kind']} | {why} |"


def _of(findings: Sequence[dict[str, Any]], outcome: str) -> list[dict[str, Any]]:
    return [finding for finding in findings if finding["outcome"] == outcome]


def found(kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What is found of each family, from an earlier run of the same code where there is one.

    Args:
        kinds: The families' ``model_type``.
    """
    from against_hooks import judge

    code = _code()
    kept = {}
    if KEPT.exists():
        lines = [json.loads(line) for line in KEPT.read_text().splitlines()]
        kept = {line["kind"]: line["finding"] for line in lines if line["code"] == code}
    KEPT.parent.mkdir(exist_ok=True)
    for kind in kinds:
        if kind not in kept:
            kept[kind] = judge(kind).as_dict()
            with KEPT.open("a") as file:
                file.write(json.dumps({"kind": kind, "code": code, "finding": kept[kind]}) + "\n")
        sys.stderr.write(f"{kind}: {kept[kind]['outcome']}\n")
        yield kept[kind]


def _code() -> str:
    files = sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from every_decoder import EVERY

    PAGE.write_text(page(list(found(EVERY))))
