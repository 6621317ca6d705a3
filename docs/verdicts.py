"""All verdicts of the stored notebooks on one page; ``python -m docs.verdicts`` writes ``docs/verdicts.md``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from srtoolkit.analysis.scorecards import HEADS, cells
from srtoolkit.reference import CLAIMS, criteria
from srtoolkit.report import by_claim, claims_of

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "verdicts.md"
NOTEBOOKS = ROOT / "notebooks"

INTRODUCTION = """# Verdicts

What the notebooks found, as stored, by the paper's claims. `python -m docs.verdicts` makes this page from them;
[the seven claims](claims.md) says in words what is shown, and what is not.

Each verdict is judged by a criterion that was written before it was measured; [the criteria](#criteria) are below.
A claim *holds* where the whole interval (of 95%, unless another is named) meets the criterion, *does not hold* where
the whole interval violates it, and is else *undecided*; so is a claim whose positive control does not hold.
Where several were tried on one claim, p is given after Holm's correction for all of them.
*True by construction* is what could not have failed.
"""


def claims(folder: Path = NOTEBOOKS) -> list[dict[str, Any]]:
    """Every verdict that is stored in a notebook, in order."""
    read = ((path.name, nbformat.read(path, as_version=4)) for path in sorted(folder.glob("*.ipynb")))
    return [claim for name, notebook in read for claim in claims_of(notebook, name)]


def page(found: list[dict[str, Any]]) -> str:
    """The page, in Markdown.

    Args:
        found: The verdicts, from :func:`claims`.
    """
    return "\n".join([INTRODUCTION, *_tables(found), "## Criteria", "", *_criteria(found)])


def _tables(found: list[dict[str, Any]]) -> Iterator[str]:
    for of, group in by_claim(found).items():
        yield f"## {CLAIMS[of]}\n"
        yield _row([*HEADS, "cell"])
        yield _row(["---"] * (len(HEADS) + 1))
        for standing, claim in group:
            shown = [text.replace("|", "\\|").replace("\n", " ") for text in cells(standing)]
            shown[HEADS.index("criterion")] = f"[{standing.verdict.criterion}](#{standing.verdict.criterion})"
            yield _row([f"**{shown[0]}**", *shown[1:], _place(claim)])
        yield ""


def _criteria(found: list[dict[str, Any]]) -> Iterator[str]:
    judged = [standing_and_claim for group in by_claim(found).values() for standing_and_claim in group]
    for name, entry in criteria().items():
        yield f"### {name}\n"
        here = [(standing, claim) for standing, claim in judged if claim["criterion"] == name]
        if not here:
            yield "Not measured yet.\n"
        for standing, claim in here:
            said = dict(zip(HEADS, cells(standing), strict=True))
            beside = f", null {said['null']}" if said["null"] else ""
            yield f"- **{said['outcome']}**: {said['model']}, {said['value [95%]']}{beside} ({_place(claim)})"
        yield from (f"- **{head}**: {text}" for head, text in entry.told())
        yield ""


def _place(claim: dict[str, Any]) -> str:
    """The cell that a verdict is made in, with a link to its notebook."""
    return f"[{claim['notebook'].removesuffix('.ipynb')}](../notebooks/{claim['notebook']}), {claim['cell']}"


def _row(texts: list[str]) -> str:
    return f"| {' | '.join(texts)} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(claims()), encoding="utf-8")


if __name__ == "__main__":
    main()
