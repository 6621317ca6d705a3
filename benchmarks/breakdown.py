"""Where the time of srt.patch goes, by PyTorch's profiler, and what that leaves to gain."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pandas as pd
from torch.profiler import ProfilerActivity, profile

from benchmarks.calls import NAMES
from benchmarks.roofline import needed
from benchmarks.table import OURS, Row, compare
from benchmarks.timing import Run
from benchmarks.work import Work

KIND = "profile"
LINEAR, ATTENTION, ELEMENTWISE, BETWEEN = "linear maps", "attention", "elementwise", "between operations"

#: PyTorch's operations that multiply matrices, and those that attend; the others go over their numbers once.
OPERATIONS = {LINEAR: ("aten::mm", "aten::addmm", "aten::bmm", "aten::linear"), ATTENTION: ("scaled_dot_product",)}


def profiled(work: Work, pairs: int, run: Run, config: Any) -> list[Row]:
    """One row for each group of operations: its seconds within one run of srt.patch, and what it needs.

    Args:
        work: Curves.
        pairs: How many.
        run: srt.patch.
        config: The model's.
    """
    run(pairs, work.points)  # warm
    with profile(activities=[ProfilerActivity.CPU]) as found:
        start = time.perf_counter()
        run(pairs, work.points)
        seconds = time.perf_counter() - start
    spent = dict.fromkeys((LINEAR, ATTENTION, ELEMENTWISE), 0.0)
    for event in found.key_averages():
        spent[group_of(event.key)] += event.self_cpu_time_total / 1e6
    spent[BETWEEN] = max(0.0, seconds - sum(spent.values()))
    flops = needed(config, pairs, work.tokens, work.points, work.layer)
    gflop = {LINEAR: flops.linear / 1e9, ATTENTION: flops.attention / 1e9}
    one = dataclasses.replace(work, kind=KIND)
    return [Row.of(one, group, pairs, work.points, 0, took, gflop.get(group, 0.0)) for group, took in spent.items()]


def group_of(operation: str) -> str:
    """The group of one of PyTorch's operations."""
    return next((group for group, names in OPERATIONS.items() if any(name in operation for name in names)), ELEMENTWISE)


def render(table: pd.DataFrame) -> str:
    """Both of the following, to read."""
    return "\n".join([*shares(table), *limits(table)])


def shares(table: pd.DataFrame) -> list[str]:
    """A line for each profile: the share of each group of operations."""
    lines = []
    for (tokens, pairs), groups in table[table["kind"] == KIND].groupby(["tokens", "pairs"]):
        whole = groups["seconds"].sum()
        each = [_share(row["contestant"], row["seconds"], row["gflop"], whole) for row in groups.to_dict("records")]
        lines.append(f"{OURS}, {pairs} curves at {tokens} tokens: {'; '.join(each)}")
    return lines


def limits(table: pd.DataFrame) -> list[str]:
    """A line for each prompt length: how many times faster than each way the needed matrix products alone would be."""
    if not (table["kind"] == "curves").any():
        return []
    curves = compare(table).query("kind == 'curves'").dropna(subset="ms_a_point")
    ours = curves[curves["contestant"] == OURS].set_index("tokens")
    least = ours["roofline"] * ours["ms_a_point"]
    lines = []
    for tokens, group in curves[~curves["contestant"].isin(NAMES.values())].groupby("tokens"):
        most = [f"{row.ms_a_point / least[tokens]:.1f} x {row.contestant}" for row in group.itertuples()]
        lines.append(f"at {tokens} tokens, matrix products at the fastest rate would be: {', '.join(most)}")
    return lines


def _share(group: str, seconds: float, gflop: float, whole: float) -> str:
    rate = f" (at {gflop / seconds:.0f} GFLOP/s)" if gflop else ""
    return f"{group} {seconds / whole:.0%}{rate}"
