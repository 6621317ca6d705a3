"""Pictures of effects with their intervals: one a row, in two parts, or at matched output distances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, StrMethodFormatter

from srtoolkit.analysis.estimates import Estimate
from srtoolkit.plot.style import PALETTE, SIZE, axes_or_new, error_bars, label_ends, logarithmic
from srtoolkit.validation import check_dataset, check_number, former_spellings

#: The parts of a decomposition, with their colours and marks.
PARTS = {"total": ("k", "o"), "structure": (PALETTE[0], "s"), "gain": (PALETTE[1], "^")}


@former_spellings("ax", "none")
def estimates(
    rows: Mapping[str, Estimate],
    xlabel: str,
    *,
    ax: Axes | None = None,
    none: float | None = None,
    null: Mapping[str, Estimate] | None = None,
    n: Mapping[str, int] | None = None,
) -> Axes:
    """Numbers with their intervals, one a row.

    Args:
        rows: By name, from top to bottom.
        xlabel: What they are, with their unit.
        ax: Where to draw; a new figure by default.
        none: Where no effect lies, drawn as a line.
        null: By a row's name, the same number where there is nothing to find, as in a null model: a grey band from the
            lower to the upper end of its interval.
        n: By a row's name, on how many pairs or prompts it rests; written after the name.
    """
    found, nulls = _estimates(rows, "rows"), _estimates(null, "null") if null else {}
    unknown = sorted({*nulls, *map(str, n or {})} - set(found))
    if unknown:
        raise ValueError(f"null and n name {unknown}, which rows lack; expected names among {list(found)}.")
    ax = axes_or_new(ax, (SIZE[0], 0.6 + 0.4 * (len(found) + bool(nulls))))
    ax.use_sticky_edges = False  # bands keep off the frame
    for index, (name, row) in enumerate(found.items()):
        if name in nulls:
            band = nulls[name]
            label = "null, with its interval" if name == next(iter(nulls)) else "_null"
            ax.barh(index, band.high - band.low, 0.66, band.low, color="0.87", zorder=0, label=label)
            ax.plot([band.value] * 2, [index - 0.33, index + 0.33], color="0.55", lw=1.5, zorder=1, label="_null")
        ax.plot([row.low, row.high], [index, index], color=PALETTE[0], lw=2.5, label="_interval")
        ax.plot(row.value, index, "o", color=PALETTE[0], ms=7, mec="w", label="_value")
    if none is not None:
        ax.axvline(none, color="0.6", lw=0.8, zorder=0)
    counts = {str(name): f"  (n = {number:,})" for name, number in (n or {}).items()}
    ax.set_yticks(range(len(found)), [name + counts.get(name, "") for name in found])
    room = 0.6 if nulls else 0.0  # for the legend, where nothing can be under it
    ax.set(xlabel=xlabel, ylim=(len(found) - 0.5 + room, -0.5))
    if nulls:
        ax.legend(frameon=False, fontsize="small", loc="lower left")
    return ax


def decomposition(rows: Mapping[Any, Any], xlabel: str = "", *, ax: Axes | None = None) -> Axes:
    """A statistic's logarithm in two parts, with intervals: what shuffled weights have, too (gain), and the rest.

    Total is structure plus gain. The scale on the right says by which factor each multiplies the statistic.

    Args:
        rows: From :func:`srtoolkit.decompose`, by tokens of training or number of parameters, or by name: numbers make
            lines on a logarithmic axis, names make columns.
        xlabel: What the settings are, with their unit.
        ax: Where to draw; a new figure by default.
    """
    if not isinstance(rows, Mapping) or not rows or not all(set(PARTS) <= set(dir(row)) for row in rows.values()):
        raise ValueError(f"rows: expected results of srtoolkit.decompose by setting, got {str(rows)[:200]!r}.")
    numeric = all(isinstance(setting, int | float) for setting in rows)
    settings = [check_number(setting, "rows") for setting in rows] if numeric else [str(setting) for setting in rows]
    ax = axes_or_new(ax)
    ax.axhline(0, color="0.5", lw=0.9, ls=":", zorder=0)
    for index, (part, (shade, marker)) in enumerate(PARTS.items()):
        values = np.array([tuple(getattr(row, part)) for row in rows.values()], dtype=np.float64).T
        style: dict[str, Any] = {"color": shade, "marker": marker, "ms": 6, "mec": "w", "elinewidth": 2.5}
        style |= {"lw": 1.2, "ls": "-" if numeric else "", "label": part}
        error_bars(ax, settings, tuple(values), (index - 1) * (3.0 if numeric else 9.0), **style)
    numbers = [setting for setting in settings if isinstance(setting, float)]
    if any(numbers):
        logarithmic(ax, numbers)
    if not numeric:
        ax.margins(x=0.6 / len(rows))
    ax.set(xlabel=xlabel, ylabel="natural logarithm\n(total = structure + gain)")
    factor = ax.secondary_yaxis("right", functions=(np.exp, lambda value: np.log(np.maximum(value, 1e-9))))
    factor.yaxis.set_major_locator(FixedLocator([0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4, 6, 10]))
    factor.yaxis.set_major_formatter(StrMethodFormatter("×{x:g}"))
    ax.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return ax


def matched_bins(table: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """How much more predictions differ across a region's boundary than within, at equal output distance; without unit.

    The ratio of the two Jensen-Shannon divergences; 1 says that the boundary itself tells nothing that the distance of
    the outputs does not.

    Args:
        table: Along ``bin``: ``output_distance``, ``jsd_same`` (within a region), ``jsd_different`` (across); if
            known, the interval of their ratio, ``ratio_low`` and ``ratio_high``.
        ax: Where to draw; a new figure by default.
    """
    check_dataset(table, ("jsd_same", "jsd_different", "output_distance"), "table", "a comparison at matched distances")
    within, across, distance = (
        table[name].values.astype(np.float64) for name in ("jsd_same", "jsd_different", "output_distance")
    )
    if within.ndim != 1:
        raise ValueError(f"table: jsd_same has dims {table['jsd_same'].dims}, expected 'bin' alone.")
    ratio = np.divide(across, within, out=np.full_like(across, np.nan), where=within > 0)
    ax = axes_or_new(ax)
    ax.axhline(1, color="0.5", lw=0.9, ls=":", zorder=0)
    style: dict[str, Any] = {"fmt": "o-", "color": PALETTE[0], "ms": 7, "mec": "w", "elinewidth": 2.5}
    if {"ratio_low", "ratio_high"} <= set(table.variables):
        ends = [ratio - table["ratio_low"].values, table["ratio_high"].values - ratio]
        style["yerr"] = np.nan_to_num(np.array(ends)).clip(0)
    ax.errorbar(distance, ratio, **style)
    ax.set_ylim(bottom=min(ax.get_ylim()[0], 0.9))
    label_ends(ax, {"1: the boundary\nadds nothing": (1.0, "0.4")})
    ax.set(xlabel="distance of the two outputs, L2", ylabel="divergence of predictions:\nacross a boundary / within")
    return ax


def _estimates(rows: Any, what: str) -> dict[str, Estimate]:
    if not isinstance(rows, Mapping) or not rows or not all(len(np.atleast_1d(row)) == 3 for row in rows.values()):
        raise ValueError(f"{what}: expected estimates (value, low, high) by name, got {str(rows)[:200]!r}.")
    return {str(name): Estimate(*row) for name, row in rows.items()}
