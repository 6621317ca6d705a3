"""A reproduction on the terminal: the plan before it, and the table after it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from srtoolkit.costs.words import duration, number, size
from srtoolkit.profiles import Profile
from srtoolkit.reproduction.page import LEADS, REACH, main_number, measured_on
from srtoolkit.reproduction.running import Outcome


def show_outcomes(console: Console, outcomes: Sequence[Outcome], profile: Profile) -> None:
    """Print the outcome of each figure, with its main number beside the paper's.

    Args:
        console: Console to print on.
        outcomes: From :func:`srtoolkit.reproduction.running.reproduce`.
        profile: The profile that was measured.
    """
    table = _table("figure", "main number", "measured on", "ours (95% interval)", "paper", "agrees")
    for outcome in outcomes:
        quantity, ours, paper, agrees = (escape(cell) for cell in main_number(outcome))
        state = "[red]failed[/red]" if outcome.state == "failed" else agrees
        shown = quantity or f"[dim]{outcome.figure.title}[/dim]"
        table.add_row(outcome.figure.name, shown, escape(measured_on(outcome, profile)), ours, paper, state)
    console.print(table)
    for outcome in outcomes:
        if outcome.error:
            console.print(f"[red]{outcome.figure.name} failed:[/red] {escape(outcome.error)}", highlight=False)
    console.print(LEADS[profile.name == "paper"], highlight=False)
    console.print(REACH, highlight=False)


def show_plan(console: Console, figures: pd.DataFrame) -> None:
    """Print what each figure needs, and how much of it is there.

    Args:
        console: Console to print on.
        figures: From :func:`srtoolkit.reproduction.planning.list_figures`.
    """
    table = _table("figure", "shows", "on", "measured")
    for _, row in figures.iterrows():
        on = f"[red]{escape(row['error'])}[/red]" if row["error"] else escape(_few(row["models"])) or "configurations"
        done = f"{row['there']} of {row['measurements']}" if row["measurements"] else ""
        table.add_row(row["figure"], row["shows"], on, done)
    console.print(table)


def _few(models: str) -> str:
    """Names of one or two models; of more, the first and how many there are beside it."""
    names = models.split(", ")
    return models if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"


def show_costs(console: Console, costs: pd.DataFrame) -> None:
    """Print what the missing measurements will take on this machine.

    Args:
        console: Console to print on.
        costs: From :func:`srtoolkit.reproduction.planning.estimate`.
    """
    table = _table("to be measured", "times", "memory", "download", "time")
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for _, row in costs.iterrows():
        if row["what"] == "total":
            table.add_section()
        what = f"{row['what']}, {row['model']}" if row["model"] else row["what"]
        memory, download, seconds = (float(row[name]) for name in ("peak_bytes", "download_bytes", "seconds"))
        table.add_row(escape(what), str(row["times"]), size(memory), size(download), duration(seconds))
    console.print(table)
    total = costs.iloc[-1]
    console.print(
        f"In all {number(float(total['forward_tokens']))} tokens and {number(float(total['flops']))} operations.",
        highlight=False,
    )
    console.print(
        "Measurements that several figures share are made once, and one model is in memory at a time. Times are for "
        "this machine, from measuring it for some seconds; downloads are not in them.",
        highlight=False,
    )


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
