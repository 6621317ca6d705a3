"""The measurements as one picture."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks import scaling
from benchmarks.table import OURS, compare, peak_rate

#: Colour of the colour-blind-safe palette, marker, and shift along a logarithmic axis, of each contestant: those that
#: run whole prompts take about equally long, and would hide each other.
STYLES = {
    "plain hooks": (0, "o", 0.94),
    "TransformerLens": (1, "s", 1.0),
    "nnsight trace": (2, "^", 1.06),
    "key-value cache": (4, "D", 1.0),
    OURS: (3, "P", 1.0),
}
FROM_PROMPTS = "srtoolkit, from prompts on"
CALLS = ("srt.interpolate", "srt.slice_plane", "srt.count_gate_flips")
VARIED = {"points": "points of one pair", "pairs": "pairs of 50 points", "layers": "blocks behind the patch"}


def draw(table: pd.DataFrame, about: dict[str, str]) -> Figure:
    """Four panels: time by prompt length, by kind of work, how it grows, and memory.

    Args:
        table: From ``table.read``.
        about: The machine's description.
    """
    with sns.axes_style("whitegrid"):
        fig, axes = plt.subplots(2, 2, figsize=(11, 8.8), layout="constrained")
    if (~table["kind"].isin(["memory", "profile"])).any():
        timed = compare(table)
        lengths(timed[timed["kind"] == "curves"], table, peak_rate(table), axes[0, 0])
        works(timed, axes[0, 1])
        growth(table, int(about["blocks"]), axes[1, 0])
    memory(table[table["kind"] == "memory"], axes[1, 1])
    for ax in axes.flat:
        if not ax.has_data():
            ax.set_axis_off()
    handles = [Line2D([], [], color=_colour(name), marker=style[1], label=name) for name, style in STYLES.items()]
    handles.append(Line2D([], [], color=_colour(FROM_PROMPTS), linewidth=6, label=FROM_PROMPTS))
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    model = about["model"].removeprefix("Model(").partition(":")[0]
    fig.suptitle(f"{model} on {about['processor']}, {about['threads']} threads")
    return fig


def lengths(curves: pd.DataFrame, table: pd.DataFrame, rate: float, ax: Axes) -> Axes:
    """Milliseconds a point of 50-point curves, by tokens of the prompt; the dashed line is the roofline."""
    if curves.empty:
        return ax
    for name, (_, marker, shift) in STYLES.items():
        some = curves[curves["contestant"] == name].sort_values("tokens")
        if len(some):
            ax.plot(shift * some["tokens"], some["ms_a_point"], marker=marker, color=_colour(name), label=name)
    ours = table[(table["kind"] == "curves") & (table["contestant"] == OURS)].drop_duplicates("tokens")
    least = 1e3 * ours["gflop"] / (ours["pairs"] * ours["points"]) / rate
    (line,) = ax.plot(ours["tokens"], least, "k--", label=f"what the work needs, at {rate:.0f} GFLOP/s")
    ticks = sorted(curves["tokens"].unique())
    ax.set(xscale="log", yscale="log", xlabel="tokens of the prompt", ylabel="time a point (ms)")
    ax.set_title("Curves of 50 points")
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks], minor=False)
    ax.set_xticks([], minor=True)
    ax.legend(handles=[line], frameon=True)
    return ax


def works(timed: pd.DataFrame, ax: Axes) -> Axes:
    """How many times as long as srt.patch everybody takes, for curves, slice and gates at 10 tokens."""
    names = {"curves": "curves", "slice": "slice", "gates": "gate flips"}
    some = timed[(timed["tokens"] == 10) & timed["kind"].isin(names)].dropna(subset="times_ours")
    if some.empty:
        return ax
    some = some.assign(contestant=some["contestant"].replace(dict.fromkeys(CALLS, FROM_PROMPTS)))
    _bars(some.assign(work=some["kind"].map(names)), "times_ours", ax)
    ax.set(xlabel="", ylabel=f"time over that of {OURS}", title="The same work at 10 tokens")
    return ax


def growth(table: pd.DataFrame, blocks: int, ax: Axes) -> Axes:
    """Seconds of srt.patch by points, pairs and blocks, with the fitted powers."""
    colours = [sns.color_palette("colorblind")[index] for index in (5, 7, 9)]
    for (kind, (x, y)), colour, marker in zip(scaling.varied(table, blocks).items(), colours, "osD", strict=False):
        found = scaling.fit(x, y)
        label = f"{VARIED[kind]}: exponent {found.exponent:.2f} ({found.low:.2f} to {found.high:.2f})"
        ax.scatter(x, y, color=colour, marker=marker, s=28, label=label)
        ends = np.array([x.min(), x.max()])
        ax.plot(ends, found.at(ends), color=colour, linewidth=1)
    if ax.has_data():
        ax.set(xscale="log", yscale="log", xlabel="number", ylabel="time (s)", title=f"{OURS} at 10 tokens")
        ax.set_ylim(top=6 * ax.get_ylim()[1])  # the legend's room
        ax.legend(frameon=True, fontsize=8, loc="upper left")
    return ax


def memory(peaks: pd.DataFrame, ax: Axes) -> Axes:
    """Peak of a process of its own, weights and libraries included."""
    if peaks.empty:
        return ax
    work = [f"{row['tokens']:,} tokens\n{row['points']:,} points" for row in peaks.to_dict("records")]
    _bars(peaks.assign(work=work).sort_values(["tokens", "points"], kind="stable"), "peak_gib", ax)
    ax.set(xlabel="", ylabel="peak memory (GiB)", title="A process of its own")
    return ax


def _bars(some: pd.DataFrame, figure: str, ax: Axes) -> None:
    """Bars with their numbers, grouped by work."""
    order = [name for name in (*STYLES, FROM_PROMPTS) if name in set(some["contestant"])]
    palette = {name: _colour(name) for name in order}
    with sns.axes_style("whitegrid"):
        sns.barplot(
            some,
            x="work",
            y=figure,
            hue="contestant",
            hue_order=order,
            palette=palette,
            saturation=1,
            legend=False,
            ax=ax,
        )
    for bars in ax.containers:
        assert isinstance(bars, BarContainer)
        ax.bar_label(bars, fmt="%.1f", fontsize=7, padding=1)
    ax.grid(visible=False, axis="x")


def _colour(name: str) -> tuple[float, float, float]:
    """A contestant's colour."""
    return sns.color_palette("colorblind")[STYLES[name][0]] if name in STYLES else (0.5, 0.5, 0.5)
