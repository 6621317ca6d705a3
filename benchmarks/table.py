"""Rows of measurements: as CSV with the machine's description, and as a table to read."""

from __future__ import annotations

import io
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.work import Work

#: Largest difference from the reference, relative to its largest value, at which a time counts.
AGREEMENT = 1e-4

ROOFLINE, OURS = "matrix products", "srt.patch"

#: What makes rows comparable with each other.
SAME_WORK = ["kind", "tokens", "layer", "of_points"]


@dataclass
class Row:
    """One measurement.

    Attributes:
        kind: Of work.
        contestant: Who did it.
        tokens: Tokens of each prompt.
        layer: Block whose output was replaced.
        of_points: Points of each pair, of which ``points`` were timed.
        pairs: Pairs timed.
        points: Points timed of each pair.
        repeat: Which of several runs.
        seconds: By the clock.
        gflop: 1e9 floating-point operations that the work needs at least; of matrix products, those done.
        difference: Largest, from the reference, relative to its largest value.
        peak_gib: Most memory of the process.
    """

    kind: str
    contestant: str
    tokens: int
    layer: int
    of_points: int
    pairs: int
    points: int
    repeat: int
    seconds: float
    gflop: float
    difference: float = float("nan")
    peak_gib: float = float("nan")

    @classmethod
    def of(cls, work: Work, contestant: str, pairs: int, points: int, repeat: int, seconds: float, gflop: float) -> Row:
        """A row about a piece of work."""
        size = (pairs, points)
        return cls(work.kind, contestant, work.tokens, work.layer, work.points, *size, repeat, seconds, gflop)


def write(rows: Sequence[Row], machine: dict[str, str], file: Path) -> None:
    """One row a measurement, below the machine's description in lines that start with ``#``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    about = "".join(f"# {name}: {value}\n" for name, value in machine.items())
    table = pd.DataFrame([asdict(row) for row in rows]).to_csv(index=False, float_format="%.6g")
    file.write_text(about + table)


def read(file: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Measurements and the machine's description, as ``write`` wrote them."""
    lines = file.read_text().splitlines(keepends=True)
    about = [line[2:].rstrip("\n").partition(": ") for line in lines if line.startswith("# ")]
    table = pd.read_csv(io.StringIO("".join(line for line in lines if not line.startswith("# "))))
    return table, {name: value for name, _, value in about}


def peak_rate(table: pd.DataFrame) -> float:
    """The fastest matrix product of the run, in GFLOP/s."""
    rates = table[table["contestant"] == ROOFLINE]
    return float((rates["gflop"] / rates["seconds"]).max())


def compare(table: pd.DataFrame, agreement: float = AGREEMENT) -> pd.DataFrame:
    """One row for each contestant and piece of work: the fastest run and how it compares.

    Args:
        table: From ``read``.
        agreement: Largest relative difference from the reference at which a time counts.

    Returns:
        ``ms_a_point`` (fastest run), ``spread`` (slowest run over it, less 1), ``times_ours`` (over that of
        ``srt.patch``), ``gflop_s`` (needed, not done), ``roofline`` (share of the fastest matrix product's rate),
        ``difference``, ``void``. A void row has no figures but its difference.
    """
    timed = table[(table["contestant"] != ROOFLINE) & ~table["kind"].isin(["memory", "profile"])].copy()
    timed["ms_a_point"] = 1e3 * timed["seconds"] / (timed["pairs"] * timed["points"])
    timed["gflop_s"] = timed["gflop"] / timed["seconds"]
    timed["all_pairs"] = timed["pairs"].where(timed["kind"] == "pairs", 0)
    groups = timed.groupby([*SAME_WORK, "all_pairs", "contestant"], sort=False)
    found = groups.agg(
        pairs=("pairs", "first"),
        points=("points", "first"),
        ms_a_point=("ms_a_point", "min"),
        slowest=("ms_a_point", "max"),
        gflop_s=("gflop_s", "max"),
        difference=("difference", "max"),
    ).reset_index()
    found["spread"] = found.pop("slowest") / found["ms_a_point"] - 1
    found["roofline"] = found["gflop_s"] / peak_rate(table)
    found["void"] = ~(found["difference"] <= agreement)
    ours = found[found["contestant"] == OURS].set_index([*SAME_WORK, "all_pairs"])["ms_a_point"]
    of_ours = ours.reindex(pd.MultiIndex.from_frame(found[[*SAME_WORK, "all_pairs"]])).to_numpy()
    found["times_ours"] = found["ms_a_point"] / of_ours
    figures = ["ms_a_point", "spread", "gflop_s", "roofline", "times_ours"]
    found.loc[found["void"], figures] = float("nan")
    return found


def render(table: pd.DataFrame, agreement: float = AGREEMENT) -> str:
    """The comparison and the peaks of memory, to read; arguments as for ``compare``."""
    heads = (
        "work",
        "tokens",
        "contestant",
        "timed on",
        "ms a point",
        "spread",
        "x srt.patch",
        "roofline",
        "differs by",
    )
    widths = (8, 7, 22, 14, 11, 7, 12, 9, 11)
    lines = ["".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))]
    before = None
    found = compare(table, agreement)
    order = {kind: place for place, kind in enumerate(dict.fromkeys(found["kind"]))}
    for row in found.sort_values("kind", key=lambda kinds: kinds.map(order), kind="stable").to_dict("records"):
        block = row["kind"], row["tokens"] if row["kind"] == "curves" else 0
        if block != before:
            lines.append("")
        before = block
        lines.append("".join(f"{cell:>{width}}" for cell, width in zip(_cells(row), widths, strict=True)))
    memory = table[table["kind"] == "memory"]
    if len(memory):
        lines += ["", "peak memory of a process of its own"]
        for peak in memory.sort_values(["tokens", "points"], kind="stable").to_dict("records"):
            work = f"{peak['tokens']:>8} tokens{peak['pairs']:>4} x {peak['points']:<6}"
            lines.append(f"{work}{peak['contestant']:>18}{peak['peak_gib']:8.2f} GiB")
    return "\n".join(lines)


def _cells(row: dict[Hashable, Any]) -> list[str]:
    """What the table shows of one comparison; of a void one, only why."""
    kind = f"after {row['layer']}" if row["kind"] == "layers" else row["kind"]
    figures = [f"{row['ms_a_point']:.2f}", f"{row['spread']:.0%}", f"{row['times_ours']:.2f}", f"{row['roofline']:.0%}"]
    figures = ["void", "", "", ""] if row["void"] else figures
    timed_on = f"{row['pairs']} x {row['points']}"
    return [kind, str(row["tokens"]), row["contestant"], timed_on, *figures, f"{row['difference']:.0e}"]
