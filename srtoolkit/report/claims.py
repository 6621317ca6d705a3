"""The verdicts that notebooks leave in their cells, by the paper's claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nbformat

from srtoolkit.analysis.scorecards import Scorecard, Standing
from srtoolkit.analysis.verdicts import MIME, Verdict
from srtoolkit.reference import CLAIMS


def claims_of(notebook: nbformat.NotebookNode, name: str) -> Iterator[dict[str, Any]]:
    """The verdicts that a notebook's cells show, in order, each with the notebook and the cell that made it.

    Args:
        notebook: The notebook, with its outputs.
        name: File name of the notebook.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for claim in output.get("data", {}).get(MIME, []):
                yield {**claim, "notebook": name, "cell": cell.id}


def by_claim(claims: list[dict[str, Any]]) -> dict[str, list[tuple[Standing, dict[str, Any]]]]:
    """Verdicts by the paper's claims, in the paper's order, each beside what the claims' file has of it.

    Args:
        claims: From :func:`claims_of`, of all notebooks.
    """
    standings = list(zip(card(claims).standings(), claims, strict=True))
    groups = {of: [one for one in standings if one[0].verdict.of == of] for of in CLAIMS}
    return {of: group for of, group in groups.items() if group}


def anchor(claim: dict[str, Any]) -> str:
    """Where the page of a notebook has the cell of a verdict; nbconvert gives every cell this id.

    Args:
        claim: From :func:`claims_of`.
    """
    return f"{claim['notebook'].removesuffix('.ipynb')}.html#cell-id={claim['cell']}"


def card(claims: list[dict[str, Any]]) -> Scorecard:
    """The verdicts of all notebooks as one table.

    Args:
        claims: From :func:`claims_of`, of all notebooks.
    """
    return Scorecard(tuple(Verdict.from_json(claim) for claim in claims))
