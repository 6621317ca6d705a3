"""A reproduction on the terminal: the plan before it, and the table after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

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
    table = _table("figure", "shows", "on", "measurements", "there")
    for _, row in figures.iterrows():
        on = f"[red]{escape(row['error'])}[/red]" if row["error"] else escape(row["models"]) or "configurations"
        table.add_row(row["figure"], row["shows"], on, str(row["measurements"]), str(row["there"]))
    console.print(table)


def show_costs(console: Console, costs: pd.DataFrame) -> None:
    """Print what the missing measurements will take on this machine.

    Args:
        console: Console to print on.
        costs: From :func:`srtoolkit.reproduction.planning.estimate`.
    """
    table = _table("to be measured", "on", "times", "forward tokens", "FLOP", "memory", "download", "time")
    for column in table.columns[2:]:
        column.justify = "right"
    for _, row in costs.iterrows():
        if row["what"] == "total":
            table.add_section()
        table.add_row(
            row["what"], escape(row["model"]), str(row["times"]), f"{row['forward_tokens']:,.0f}",
            f"{row['flops']:.1e}", f"{row['peak_bytes'] / 2**30:.1f} GiB", _gigabytes(row["download_bytes"]),
            duration(row["seconds"]),
        )  # fmt: skip
    console.print(table)
    console.print(
        "Measurements that several figures share are made once, and one model is in memory at a time. Times are for "
        "this machine, from measuring it for some seconds; downloads are not in them.",
        highlight=False,
    )


def duration(seconds: float) -> str:
    """A duration in words.

    Args:
        seconds: The duration in seconds.
    """
    if np.isnan(seconds):
        return ""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count else ""


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
