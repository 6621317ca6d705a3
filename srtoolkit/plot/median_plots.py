"""Pictures of medians against a setting, such as training or size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, NullLocator

from srtoolkit import reference
from srtoolkit.plot.style import AXIS_LABELS, PALETTE, axes_or_new, by_name, colour
from srtoolkit.validation import check_number, former_spellings


@former_spellings("ax", "label")
def medians(
    summaries: Mapping[Any, xr.Dataset],
    xlabel: str,
    *,
    ax: Axes | None = None,
    label: str | None = None,
    **line: Any,
) -> Axes:
    """Median of a quantity with its quartiles, for several settings; the paper's Figs. 3c and 4c.

    Args:
        summaries: One quantity of a :func:`srtoolkit.summarise` result, as ``.sel(quantity="max_slope")`` picks it, by
            setting: numbers make a line, names make columns.
        xlabel: What the settings are, with their unit.
        ax: Where to draw; a new figure by default.
        label: What the line is called in the legend.
        line: Passed to matplotlib.
    """
    rows = _rows(summaries)
    ax = axes_or_new(ax)
    middle, low, high = (np.array([float(row[name]) for row in rows]) for name in ("median", "q25", "q75"))
    numeric = all(isinstance(setting, int | float) for setting in summaries)
    style = {"fmt": "o-" if numeric else "o", "capsize": 3, "color": PALETTE[0], "label": label, **line}
    ax.errorbar(list(summaries), middle, yerr=[middle - low, high - middle], **style)
    quantity = str(rows[0]["quantity"].item())
    ax.set(xlabel=xlabel, ylabel=f"{AXIS_LABELS.get(quantity, quantity)}\n(median, quartiles)")
    if label:
        ax.legend(frameon=False)
    return ax


@former_spellings("ax", "paper")
def growth(
    series: Mapping[str, Mapping[float | int, xr.Dataset]], *, ax: Axes | None = None, paper: bool = True, **line: Any
) -> Axes:
    """Median of a quantity with its quartiles against tokens of training, on a logarithmic axis; the paper's Fig. 4c.

    Args:
        series: By model, and then by tokens: one quantity of a :func:`srtoolkit.summarise` result.
        ax: Where to draw; a new figure by default.
        paper: Draw the paper's OLMo-1B and OLMo-7B beside.
        line: Passed to matplotlib.
    """
    seen = [value for value in _settings(series, "tokens of training") if value > 0]
    if not seen:
        raise ValueError("growth: no checkpoint has seen any tokens, so there is no axis to draw them on.")
    ax = axes_or_new(ax)
    for index, (label, summaries) in enumerate(series.items()):
        medians(summaries, "tokens of training", ax=ax, label=label, **{"color": colour(index), "ms": 4, **line})
    if paper:
        digitised = reference.janiak2024()["digitised"]["fig4c_median_max_slope_by_tokens_b"]
        for (name, points), marker in zip(digitised.items(), "os", strict=True):
            tokens = [1e9 * float(billions) for billions in points]
            ax.plot(tokens, list(points.values()), "k--", marker=marker, ms=3, lw=1, label=f"paper: {name}")
        ax.legend(frameon=False)
    ax.set_xscale("symlog", linthresh=min(seen), linscale=0.5)  # the untrained model has seen 0 tokens
    decades = [10.0**power for power in range(3, 14) if 10.0**power >= min(seen) / 3]
    steps = (1, 3) if max(seen) < 100 * min(seen) and not paper else (1,)
    ax.xaxis.set_major_locator(FixedLocator([0.0, *(step * decade for decade in decades for step in steps)]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    return ax


@former_spellings("ax", "paper")
def scaling(
    series: Mapping[str, Mapping[float | int, xr.Dataset]], *, ax: Axes | None = None, paper: bool = True, **line: Any
) -> Axes:
    """Median of a quantity with its quartiles against the number of parameters; the paper's Fig. 3c.

    Args:
        series: By family, and then by number of parameters: one quantity of a :func:`srtoolkit.summarise` result.
        ax: Where to draw; a new figure by default.
        paper: Draw the paper's OLMo and Qwen2 beside.
        line: Passed to matplotlib.
    """
    if min(_settings(series, "parameters")) <= 0:
        raise ValueError("scaling: a model has no parameters, so there is no place for it on a logarithmic axis.")
    ax = axes_or_new(ax)
    for index, (label, summaries) in enumerate(series.items()):
        medians(summaries, "parameters", ax=ax, label=label, **{"color": colour(index), "ms": 5, **line})
    if paper:
        models = reference.janiak2024()["models"]
        quartiles = reference.janiak2024()["digitised"]["fig3c_max_slope_q25_q50_q75"]
        for family, marker in (("OLMo", "o"), ("Qwen2", "s")):
            names = [name for name in quartiles if name.startswith(family)]
            sizes = [1e9 * models[name]["params_b"] for name in names]
            low, middle, high = np.array([quartiles[name] for name in names]).T
            style: dict[str, Any] = {"fmt": "k--", "marker": marker, "ms": 3, "lw": 1, "capsize": 3}
            ax.errorbar(sizes, middle, yerr=[middle - low, high - middle], label=f"paper: {family}", **style)
        ax.legend(frameon=False)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if paper else (1.0, 3.0)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    return ax


def _rows(summaries: Any) -> list[xr.Dataset]:
    """Summaries of one quantity each, of some settings; refuses whole summaries."""
    named = by_name(summaries, ("median", "q25", "q75", "quantity"), "srtoolkit.summarise")
    for name, row in named.items():
        if row["median"].ndim:
            raise ValueError(f"{name or 'summaries'}: take one quantity, with .sel(quantity='max_slope').")
    return list(named.values())


def _settings(series: Any, what: str) -> list[float]:
    """All numbers that results are drawn against."""
    if not isinstance(series, Mapping) or isinstance(series, xr.Dataset) or not series:
        raise ValueError(f"series: expected summaries by name, and then by {what}, got {str(series)[:100]!r}.")
    return [check_number(setting, what) for summaries in series.values() if _rows(summaries) for setting in summaries]
