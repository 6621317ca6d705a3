"""Costs as they are printed: in units that one reads, in 80 columns, and without bars of what measures the machine."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console

import srtoolkit as srt
from srtoolkit.costs.words import duration, number, size
from srtoolkit.reproduction import planning, running, terminal
from srtoolkit.reproduction.casting import AssumedCheckpoints, Cast
from srtoolkit.reproduction.figures import find_figures


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (duration(0.4), "0.4 s"), (duration(95), "95 s"), (duration(1320), "22.0 min"), (duration(9e4), "25.0 h"),
        (duration(float("nan")), ""), (size(0), ""), (size(300 * 2**20), "300 MiB"), (size(1.5 * 2**30), "1.5 GiB"),
        (size(2000 * 2**40), "2,000 TiB"), (number(12_340_000), "12.3M"), (number(999), "999"), (number(5e12), "5T"),
    ],
)  # fmt: skip
def test_units(said, expected):
    assert said == expected


def test_an_estimate_is_printed_in_80_columns_and_its_numbers_are_as_they_were():
    work = [srt.Work("nano-1m", pairs=999), srt.Work("smollm2-135m", pairs=20, reads=("final_norm",))]
    found = srt.estimate_cost(work, calibrate=0)
    said = repr(found)
    assert max(map(len, said.splitlines())) <= 80 and len(said.splitlines()) <= 5
    assert "MiB" in said and "tokens" in said
    assert found["peak_bytes"].iloc[0] > 1e5 and type(found[["seconds"]]) is pd.DataFrame
    assert "MiB" in found._repr_html_()
    assert "forward_tokens" in repr(found[["forward_tokens", "flops"]])


@pytest.mark.slow
def test_measuring_the_machine_shows_no_bars(capfd, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    calls = ("interpolate", "slice_plane", "count_gate_flips")
    srt.estimate_cost([srt.Work("nano-0.4m", call=call, pairs=2) for call in calls], calibrate=0.01)
    assert "point/s" not in capfd.readouterr().err


def test_a_plan_is_readable_at_80_columns(tmp_path):
    size = srt.profile()
    outcomes = running.prepare(find_figures("janiak2024"), Cast(size, AssumedCheckpoints()))
    console = Console(file=io.StringIO(), width=80)
    terminal.show_plan(console, planning.list_figures(outcomes, tmp_path))
    terminal.show_costs(console, planning.estimate(planning.missing_jobs(outcomes, tmp_path), calibrate=0.0))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    cells = [line for line in lines if line.startswith("│")]
    tallest, now = 0, 0
    for line in cells:
        now = 1 if line[1:3].strip() or "total" in line else now + 1
        tallest = max(tallest, now)
    assert tallest <= 4, console.file.getvalue()
