"""Pictures of medians against a setting, such as training or size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from srtoolkit import reference
from srtoolkit.plot.colours import Palette, group_colours
from srtoolkit.plot.style import (
    AXIS_LABELS,
    axes_or_new,
    by_name,
    error_bars,
    logarithmic,
    scale_above_one,
)
from srtoolkit.validation import check_number, former_spellings

_COLUMNS = ("median", "q25", "q75", "low", "high")


@former_spellings("ax", "label")
def medians(
    summaries: Mapping[Any, xr.Dataset],
    xlabel: str,
    *,
    ax: Axes | None = None,
    label: str | None = None,
    shift: float = 0.0,
    color: Any = None,
    **line: Any,
) -> Axes:
    """Median of a quantity for several settings, its interval thick and its quartiles thin; the paper's Figs. 3c, 4c.

    Whether two medians differ is read off the intervals; quartiles say how much pairs differ from each other.

    Args:
        summaries: One quantity of a :func:`srtoolkit.summarise` result, as ``.sel(quantity="max_slope")`` picks it, by
            setting: numbers make a line, names make columns.
        xlabel: What the settings are, with their unit.
        ax: Where to draw; a new figure by default.
        label: What the line is called in the legend.
        shift: Points by which to draw to the right of the settings, so that two lines do not hide each other.
        color: As matplotlib takes it; by default the next of the Axes' property cycle, so that a call for each line on
            the same Axes gives each its own.
        line: Passed to matplotlib.
    """
    rows = _rows(summaries)
    ax, shift = axes_or_new(ax), check_number(shift, "shift")
    middle, q25, q75, low, high = (np.array([float(row[name]) for row in rows]) for name in _COLUMNS)
    numeric = all(isinstance(setting, int | float) for setting in summaries)
    (color,) = group_colours(ax, [label or ""], color)
    style = {"fmt": "o-" if numeric else "o", "elinewidth": 0.8, "color": color, "label": label, **line}
    drawn = error_bars(ax, list(summaries), (middle, q25, q75), shift, **style)
    thick = {"fmt": "none", "elinewidth": 3.5, "ecolor": drawn.lines[0].get_color(), "label": "_interval"}
    error_bars(ax, list(summaries), (middle, low, high), shift, **thick)
    quantity, level = str(rows[0]["quantity"].item()), rows[0].attrs.get("interval_level", 0.95)
    ax.set(xlabel=xlabel, ylabel=f"{AXIS_LABELS.get(quantity, quantity)}\n(median, {level:.0%} interval, quartiles)")
    if label:
        ax.legend(frameon=False)
    return ax


@former_spellings("ax", "paper")
def growth(
    series: Mapping[str, Mapping[float | int, xr.Dataset]],
    *,
    ax: Axes | None = None,
    paper: bool = True,
    above_one: bool = False,
    palette: Palette | None = None,
    **line: Any,
) -> Axes:
    """Median of a quantity, as :func:`medians` draws it, against tokens of training, logarithmic; the paper's Fig. 4c.

    Args:
        series: By model, and then by tokens: one quantity of a :func:`srtoolkit.summarise` result.
        ax: Where to draw; a new figure by default.
        paper: Draw the paper's OLMo-1B and OLMo-7B beside, where the quantity is the largest slope, as theirs is.
        above_one: A vertical axis that is logarithmic in what lies above 1; see :func:`scale_above_one`.
        palette: A palette of seaborn by its name, a list of colours, or a colour for each name; by default the next of
            the Axes' property cycle.
        line: Passed to matplotlib.
    """
    settings = [*_settings(series, "tokens of training"), 0.0]  # the untrained model has seen 0 tokens
    if not any(settings):
        raise ValueError("growth: no checkpoint has seen any tokens, so there is no axis to draw them on.")
    ax = axes_or_new(ax)
    colours = group_colours(ax, list(series), line.pop("color", None), palette)
    for index, (label, summaries) in enumerate(series.items()):
        medians(
            summaries,
            "tokens of training",
            ax=ax,
            label=label,
            **{"color": colours[index], "ms": 4, "shift": 2.5 * index, **line},
        )
    if paper := paper and _of_slopes(series):
        digitised = reference.janiak2024()["digitised"]["fig4c_median_max_slope_by_tokens_b"]
        for (name, points), marker in zip(digitised.items(), "os", strict=True):
            tokens = [1e9 * float(billions) for billions in points]
            ax.plot(tokens, list(points.values()), "k--", marker=marker, ms=3, lw=1, label=f"paper: {name}")
        ax.legend(frameon=False)
    logarithmic(ax, settings, dense=not paper)
    return scale_above_one(ax) if above_one else ax


@former_spellings("ax", "paper")
def scaling(
    series: Mapping[str, Mapping[float | int, xr.Dataset]],
    *,
    ax: Axes | None = None,
    paper: bool = True,
    above_one: bool = False,
    palette: Palette | None = None,
    **line: Any,
) -> Axes:
    """Median of a quantity, as :func:`medians` draws it, against the number of parameters; the paper's Fig. 3c.

    Args:
        series: By family, and then by number of parameters: one quantity of a :func:`srtoolkit.summarise` result.
        ax: Where to draw; a new figure by default.
        paper: Draw the paper's OLMo and Qwen2 beside, where the quantity is the largest slope, as theirs is.
        above_one: A vertical axis that is logarithmic in what lies above 1; see :func:`scale_above_one`.
        palette: A palette of seaborn by its name, a list of colours, or a colour for each name; by default the next of
            the Axes' property cycle.
        line: Passed to matplotlib.
    """
    settings = _settings(series, "parameters")
    if min(settings) <= 0:
        raise ValueError("scaling: a model has no parameters, so there is no place for it on a logarithmic axis.")
    ax = axes_or_new(ax)
    colours = group_colours(ax, list(series), line.pop("color", None), palette)
    for index, (label, summaries) in enumerate(series.items()):
        medians(
            summaries,
            "parameters",
            ax=ax,
            label=label,
            **{"color": colours[index], "ms": 5, "shift": 2.5 * index, **line},
        )
    if paper := paper and _of_slopes(series):
        models = reference.janiak2024()["models"]
        quartiles = reference.janiak2024()["digitised"]["fig3c_max_slope_q25_q50_q75"]
        for family, marker in (("OLMo", "o"), ("Qwen2", "s")):
            names = [name for name in quartiles if name.startswith(family)]
            sizes = [1e9 * models[name]["params_b"] for name in names]
            low, middle, high = np.array([quartiles[name] for name in names]).T
            style: dict[str, Any] = {"fmt": "k--", "marker": marker, "ms": 3, "lw": 1, "elinewidth": 0.8}
            error_bars(ax, sizes, (middle, low, high), label=f"paper: {family}", **style)
        ax.legend(frameon=False)
    logarithmic(ax, settings, dense=not paper)
    return scale_above_one(ax) if above_one else ax


def _rows(summaries: Any) -> list[xr.Dataset]:
    """Summaries of one quantity each, of some settings; refuses whole summaries."""
    named = by_name(summaries, (*_COLUMNS, "quantity"), "srtoolkit.summarise")
    for name, row in named.items():
        if row["median"].ndim:
            raise ValueError(f"{name or 'summaries'}: take one quantity, with .sel(quantity='max_slope').")
    return list(named.values())


def _of_slopes(series: Mapping[str, Mapping[float | int, xr.Dataset]]) -> bool:
    """Whether all that is drawn is what the paper's figures show."""
    return all(row["quantity"].item() == "max_slope" for rows in series.values() for row in _rows(rows))


def _settings(series: Any, what: str) -> list[float]:
    """All numbers that results are drawn against."""
    if not isinstance(series, Mapping) or isinstance(series, xr.Dataset) or not series:
        raise ValueError(f"series: expected summaries by name, and then by {what}, got {str(series)[:100]!r}.")
    return [check_number(setting, what) for summaries in series.values() if _rows(summaries) for setting in summaries]
