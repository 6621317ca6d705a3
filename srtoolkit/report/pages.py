"""The pages of the report: what each claim came to, with its picture, and every notebook, its code folded away."""

from __future__ import annotations

import base64
import html
import io
import itertools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbconvert import HTMLExporter
from PIL import Image

from srtoolkit.analysis.scorecards import Standing, table_html
from srtoolkit.profiles import profile
from srtoolkit.reference import CLAIMS, Criterion, criterion
from srtoolkit.report.claims import anchor, by_claim
from srtoolkit.report.strips import strip

#: Width of a thumbnail's pixels; it is shown at half of it, sharp on any screen.
THUMBNAIL = 640


class Mark(NamedTuple):
    """How an outcome is shown.

    Attributes:
        sign: The sign before it.
        kind: Its class on the page.
        several: What several verdicts of it do.
    """

    sign: str
    kind: str
    several: str


#: The mark of each outcome; others, such as what is true by construction, have none.
MARKS = {
    "holds": Mark("✓", "holds", "hold"),
    "undecided": Mark("?", "undecided", "are undecided"),
    "does not hold": Mark("✗", "fails", "do not hold"),
}

_HERE = Path(__file__).parent
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Stable regions: report</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head><body><main>
<h1>Stable regions: what this run found</h1>{claims}
<h2>Notebooks</h2><ul class="notebooks">{notebooks}</ul>
<h2>All numbers</h2>{tables}
<h2>Criteria</h2><p>Each was written before what it judges was run.</p>{criteria}</main></body></html>
"""


def index_page(pictures: Mapping[str, str], claims: list[dict[str, Any]]) -> str:
    """The first page of the report: each claim with a picture and what it came to, then notebooks and criteria.

    Args:
        pictures: By the notebook's file name, its first picture as an address with the data in it; empty without one.
        claims: From :func:`srtoolkit.report.claims.claims_of`, of all notebooks.
    """
    groups = by_claim(claims)
    told = _summary([standing for group in groups.values() for standing, _ in group])
    told += "".join(_claim(of, group, pictures) for of, group in groups.items())
    tables = "".join(
        f"<details><summary>{html.escape(CLAIMS[of])}</summary>"
        f'<div class="wide">{table_html([standing for standing, _ in group])}</div></details>'
        for of, group in groups.items()
    )
    stems = [name.removesuffix(".ipynb") for name in pictures]
    notebooks = "".join(f'<li><a href="{html.escape(stem)}.html">{html.escape(stem)}</a></li>' for stem in stems)
    used = dict.fromkeys(claim["criterion"] for claim in claims)
    entries = "".join(_entry(criterion(name)) for name in used)
    style = (_HERE / "report.css").read_text(encoding="utf-8")
    return _PAGE.format(style=style, claims=told, notebooks=notebooks, tables=tables, criteria=entries)


def notebook_page(notebook: nbformat.NotebookNode, title: str) -> str:
    """A notebook as one HTML page that needs no network: pictures inside, no script from elsewhere, code folded away.

    Args:
        notebook: The notebook.
        title: Title of the page.
    """
    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="", embed_images=True)
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    head, body = ((_HERE / name).read_text(encoding="utf-8") for name in ("notebook_head.html", "notebook_top.html"))
    start = page.index(">", page.index("<body")) + 1
    return page[:start].replace("</head>", f"{head}</head>", 1) + body + page[start:]


def first_picture(notebook: nbformat.NotebookNode) -> str:
    """The first picture of a notebook, made small, as an address with the data in it; empty where there is none.

    Args:
        notebook: The notebook, with its outputs.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if found := output.get("data", {}).get("image/png"):
                return _small("".join(found))
    return ""


def _small(png: str) -> str:
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    held = io.BytesIO()
    picture.save(held, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"


def _summary(standings: list[Standing]) -> str:
    """One sentence: how many verdicts came out how."""
    if not standings:
        return "<p>No notebook gave a verdict.</p>"
    count = Counter(_mark(standing) for standing in standings)
    parts = [f'<b class="{mark.kind}">{mark.sign} {count[mark]} {mark.several}</b>' for mark in MARKS.values()]
    return (
        f'<p class="summary">Of {len(standings)} verdicts, each by a criterion that was written before: '
        f"{', '.join(parts)}. Profile: {profile().name}.</p>"
        '<p class="key">In each line, a dot with its interval is what was measured; the grey band is its null, '
        "where nothing was to be found; dashed lines are the bounds that were set beforehand.</p>"
    )


def _claim(of: str, group: list[tuple[Standing, dict[str, Any]]], pictures: Mapping[str, str]) -> str:
    """A claim: for each notebook that asks it, a picture and what each of its criteria came to."""
    parts = ""
    for name, some in itertools.groupby(group, key=lambda one: one[1]["notebook"]):
        asked = [list(each) for _, each in itertools.groupby(some, key=lambda one: one[1]["criterion"])]
        stem = html.escape(name.removesuffix(".ipynb"))
        picture = pictures.get(name)
        shown = f'<a href="{stem}.html"><img src="{picture}" alt="First picture of {stem}"></a>' if picture else ""
        parts += f"<article>{shown}<ul>{''.join(map(_criterion, asked))}</ul></article>"
    return f"<section><h2>{html.escape(CLAIMS[of])}</h2>{parts}</section>"


def _criterion(asked: list[tuple[Standing, dict[str, Any]]]) -> str:
    """What one criterion came to: its claim, and a line for each model or null that it was asked of."""
    verdict = asked[0][0].verdict
    what = criterion(verdict.criterion).short or verdict.statistic
    lines = "".join(_line(standing, claim) for standing, claim in asked)
    return f"<li>{html.escape(verdict.claim)}<br><small>{html.escape(what)}</small>{lines}</li>"


def _line(standing: Standing, claim: dict[str, Any]) -> str:
    """One verdict: its mark, the picture of its interval, numbers, and the cell that made it."""
    verdict, mark = standing.verdict, _mark(standing)
    link = f'<a href="{html.escape(anchor(claim))}">{html.escape(claim["notebook"])}</a>'
    return (
        f'<div class="line {mark.kind}"><b>{mark.sign} {html.escape(standing.outcome)}</b>{strip(standing)}'
        f"<span>{html.escape(standing.numbers)}</span>"
        f"<small>{html.escape(verdict.model)}, n = {verdict.n:,}; {link}</small></div>"
    )


def _mark(standing: Standing) -> Mark:
    """The mark of an outcome; what holds, but not after Holm's correction, is undecided."""
    if standing.outcome == "holds (not after Holm)":
        return MARKS["undecided"]
    return next((mark for words, mark in MARKS.items() if standing.outcome.startswith(words)), Mark("·", "given", ""))


def _entry(entry: Criterion) -> str:
    """A criterion in full."""
    rows = "".join(f"<dt>{head}</dt><dd>{html.escape(text)}</dd>" for head, text in entry.told())
    name = html.escape(entry.name)
    return f'<details id="criterion-{name}"><summary>{name}</summary><dl>{rows}</dl></details>'
