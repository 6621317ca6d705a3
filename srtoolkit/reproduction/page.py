"""The summary page of a reproduction: every picture, with its numbers beside the paper's."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from srtoolkit import results
from srtoolkit.files import disk
from srtoolkit.profiles import Profile
from srtoolkit.reproduction.figure import Figure
from srtoolkit.reproduction.running import Outcome, models_of, settings_of

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{paper}: {profile}</title>
<style>
body {{ font: 16px/1.5 sans-serif; color: #222; max-width: 76em; margin: 2em auto; padding: 0 1em }}
table {{ border-collapse: collapse; font-size: 14px; margin: .5em 0 1em }}
th, td {{ padding: .25em .8em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums }}
img {{ max-width: 100% }}
section {{ border-top: 1px solid #ccc; margin-top: 2em }}
.failed {{ color: #a00 }}
.note {{ color: #555 }}
</style></head>
<body><h1>{paper}, profile {profile}</h1>
<p>{lead}</p>
<p>{reach}</p>
<table><thead><tr><th>figure</th><th>shows</th><th>measured on</th><th>main number</th>
<th>ours (95% interval)</th><th>paper</th><th>agrees</th><th>state</th></tr></thead><tbody>
{summary}
</tbody></table>
{sections}
</body></html>
"""

LEADS = {
    True: "The paper's own models, prompts and settings. A number agrees where the paper's, as exactly as it can be "
    "read off the figure, lies within the 95% interval of ours.",
    False: "Stand-ins: models that come with the package, not the paper's. What they show may be compared in kind; "
    "their numbers need not be the paper's, and nothing is said to agree or not.",
}

#: What the paper's statistic says of a model, and what it does not.
REACH = (
    "The largest slope of a curve of distance from A is measured here as the paper defines it. It does not tell a "
    "trained model from the same weights in another order: SmolLM2-135M has slopes as large when the entries of each "
    "matrix of each block change places, and larger weights alone make steeper curves. So a steep curve on this page "
    "is no proof of a stable region, and what grows in training or with size is in part the weights' scale. The "
    "output's motion along its own path does tell them apart: srt.motion beside srt.null_model, and "
    "notebooks/01_existence.ipynb."
)

_COLUMNS = {
    "quantity": "quantity",
    "model": "model",
    "ours": "ours (95% interval)",
    "paper_model": "the paper's model",
    "paper": "paper",
    "deviation": "deviation",
    "ratio": "ratio",
    "agrees": "agrees",
}


#: Columns that hold numbers, or nothing.
_NUMBERS = ("ours", "low", "high", "paper", "deviation", "ratio")


def collect(figures: Sequence[Figure], outcomes: Sequence[Outcome], profile: Profile, output: Path) -> list[Outcome]:
    """The outcome of every figure, in this run or in an earlier one with the same settings.

    Args:
        figures: All figures of the paper.
        outcomes: Outcomes of this run.
        profile: The profile that was measured.
        output: Folder of the reproduction.
    """
    mine = {outcome.figure.key: outcome for outcome in outcomes}
    return [mine.get(figure.key) or _read_earlier(figure, profile, output) for figure in figures]


def write_page(paper: str, outcomes: Sequence[Outcome], profile: Profile, output: Path) -> Path:
    """Write the summary page ``index.html``, which refers to the figures' files beside it.

    Args:
        paper: Name of the paper.
        outcomes: From :func:`collect`.
        profile: The profile that was measured.
        output: Folder of the reproduction.

    Returns:
        The path of the page.
    """
    output.mkdir(parents=True, exist_ok=True)
    page = _PAGE.format(
        paper=html.escape(paper),
        profile=html.escape(profile.name),
        lead=LEADS[profile.name == "paper"],
        reach=html.escape(REACH),
        summary="\n".join(_summary_row(outcome, profile) for outcome in outcomes),
        sections="\n".join(_section(outcome) for outcome in outcomes if outcome.state == "made"),
    )
    path = output / "index.html"
    disk.write_text(path, page)
    return path


def main_number(outcome: Outcome) -> tuple[str, str, str, str]:
    """The first row of a figure, in words: quantity, ours, the paper's, and how many rows agree; empty without rows.

    Args:
        outcome: Outcome of the figure.
    """
    if outcome.table is None or not len(outcome.table):
        return "", "", "", ""
    row = outcome.table.iloc[0]
    agrees = outcome.table["agrees"]
    judged = int((agrees != "").sum())
    return (
        row["quantity"],
        _ours(row),
        _number(row["paper"]),
        f"{int((agrees == 'yes').sum())} of {judged}" if judged else "",
    )


def measured_on(outcome: Outcome, profile: Profile) -> str:
    """The models of a figure, in words, and those that they stand in for.

    Args:
        outcome: Outcome of the figure.
        profile: The profile that was measured.
    """
    said = outcome.models or models_of(outcome.needs)
    if profile.name == "paper":
        return said or outcome.figure.models
    return f"{said or 'packaged models'}, for {outcome.figure.models}"


def _read_earlier(figure: Figure, profile: Profile, output: Path) -> Outcome:
    """Outcome of a figure in an earlier run with the same settings, or one that waits."""
    outcome, stem = Outcome(figure), output / figure.stem
    if not stem.with_suffix(".nc").is_file():
        return outcome
    attrs = results.load(stem.with_suffix(".nc")).attrs
    if attrs.get("made_of") == settings_of(figure, profile):
        outcome.table = pd.read_csv(
            stem.with_suffix(".csv"), keep_default_na=False, na_values=dict.fromkeys(_NUMBERS, "")
        )
        outcome.note, outcome.models, outcome.state = str(attrs["note"]), str(attrs["models"]), "made"
    return outcome


def _summary_row(outcome: Outcome, profile: Profile) -> str:
    figure = outcome.figure
    name = f'<a href="#{figure.stem}">{figure.name}</a>' if outcome.state == "made" else figure.name
    state = "not made yet" if outcome.state == "waiting" else outcome.state
    said = f'<td class="{outcome.state}">{state}{": " + html.escape(outcome.error) if outcome.error else ""}</td>'
    cells = "".join(
        f"<td>{html.escape(cell)}</td>" for cell in (figure.title, measured_on(outcome, profile), *main_number(outcome))
    )
    return f"<tr><td>{name}</td>{cells}{said}</tr>"


def _section(outcome: Outcome) -> str:
    figure, stem = outcome.figure, outcome.figure.stem
    assert outcome.table is not None
    title = html.escape(f"{figure.name}. {figure.title}")
    links = f'<a href="{stem}.nc">numbers (netCDF)</a>, <a href="{stem}.csv">comparison (CSV)</a>'
    table = _table(outcome.table) if len(outcome.table) else ""
    return (
        f'<section id="{stem}"><h2>{title}</h2><p><img src="{stem}.png" alt="{title}"></p>'
        f'<p class="note">{html.escape(outcome.note)} {links}.</p>{table}</section>'
    )


def _table(table: pd.DataFrame) -> str:
    heads = "".join(f"<th>{name}</th>" for name in _COLUMNS.values())
    body = "".join(f"<tr>{''.join(_cell(row, column) for column in _COLUMNS)}</tr>" for _, row in table.iterrows())
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _cell(row: pd.Series, column: str) -> str:
    if column in ("paper", "deviation", "ratio"):
        return f'<td class="n">{_number(row[column])}</td>'
    text = _ours(row) if column == "ours" else str(row[column])
    return f"<td>{html.escape(text)}</td>"


def _ours(row: pd.Series) -> str:
    interval = "" if np.isnan(row["low"]) else f" ({_number(row['low'])} to {_number(row['high'])})"
    return f"{_number(row['ours'])}{interval}"


def _number(value: float) -> str:
    if np.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
