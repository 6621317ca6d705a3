"""What holds, one line a claim, in the README; ``python -m docs.readme`` writes it there from the stored notebooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.verdicts import claims
from srtoolkit.reference import CLAIMS
from srtoolkit.report import by_claim

PAGE = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- what holds -->\n", "<!-- end -->"

#: What a criterion may have given, as columns. What holds, but not after Holm's correction, is undecided here.
COLUMNS = ("holds", "undecided", "does not hold")


def section(found: list[dict[str, Any]]) -> str:
    """The table, in Markdown: for each claim, its criteria by what came out.

    Args:
        found: The verdicts, from :func:`docs.verdicts.claims`.
    """
    heads = f"| claim | {' | '.join(COLUMNS)} |\n|---|---|---|---|\n"
    return heads + "".join(_rows(found))


def _rows(found: list[dict[str, Any]]) -> Iterator[str]:
    for of, group in by_claim(found).items():
        asked = Counter(standing.verdict.criterion for standing, _ in group)
        given = Counter((standing.verdict.criterion, _column(standing.outcome)) for standing, _ in group)
        cells = [
            ", ".join(_link(name, given[name, column], asked[name]) for name in asked if given[name, column])
            for column in COLUMNS
        ]
        yield f"| {CLAIMS[of]} | {' | '.join(cells)} |\n"


def _column(outcome: str) -> str:
    """The column of an outcome, whatever it says of why; none of what is true by construction."""
    if outcome == "holds (not after Holm)":
        return "undecided"
    return next((column for column in COLUMNS if outcome.startswith(column)), "")


def _link(name: str, count: int, of: int) -> str:
    """A criterion's name, with how often it came out so, where it was asked of several models or nulls."""
    return f"[{name}](docs/verdicts.md#{name})" + (f" ({count} of {of})" if count < of else "")


def page(text: str, found: list[dict[str, Any]]) -> str:
    """The README with its table as the verdicts have it.

    Args:
        text: The README.
        found: The verdicts, from :func:`docs.verdicts.claims`.
    """
    before, rest = text.split(BEGIN)
    return before + BEGIN + section(found) + END + rest.partition(END)[2]


def main() -> None:
    """Write the table into the README."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), claims()), encoding="utf-8")


if __name__ == "__main__":
    main()
