"""Which colour a group is drawn in: the one asked for, or the next one of the Axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like

from srtoolkit.plot.style import PALETTE
from srtoolkit.validation import listed

#: A palette as plots take it: a name that seaborn knows, colours in a list, or a colour for each name.
Palette = str | Sequence[Any] | Mapping[str, Any]


def group_colours(ax: Axes, names: Sequence[str], color: Any = None, palette: Palette | None = None) -> list[Any]:
    """A colour for each of some groups that are drawn on Axes.

    Without ``color`` and ``palette``, groups take the next colours of the Axes' property cycle, so that a second call
    goes on where the first ended, and a style of the user's is followed. The ten colours that are matplotlib's own
    default are exchanged for ten that the colour-blind can tell apart.

    Args:
        ax: Where the groups will be drawn.
        names: Names of the groups.
        color: One colour for all of them, as matplotlib takes it.
        palette: A palette of seaborn by its name, a list of colours that are taken in turn, or a colour by each name.

    Raises:
        ValueError: Both are given, something is no colour, or a name has none.
    """
    if color is not None and palette is not None:
        raise ValueError("color, palette: expected one of them, got both.")
    if color is not None:
        return [_check(color, "color")] * len(names)
    if palette is None:
        return _next_colours(ax, len(names))
    if isinstance(palette, Mapping):
        if missing := [name for name in names if name not in palette]:
            raise ValueError(f"palette: expected a colour for each name, got none for {missing}.")
        return [_check(palette[name], f"palette[{name!r}]") for name in names]
    chosen = _named(palette, len(names)) if isinstance(palette, str) else listed(palette)
    if not chosen:
        raise ValueError(
            f"palette={str(palette)[:100]!r}: expected a palette of seaborn, a list of colours, or one for each name."
        )
    found = [_check(one, "palette") for one in chosen]
    return [found[index % len(found)] for index in range(len(names))]


def named(results: Mapping[str, xr.Dataset], label: str | None) -> dict[str, xr.Dataset]:
    """Results by the name that the legend gives them.

    Args:
        results: By name; the name of a single one may be empty.
        label: Name of a single result.

    Raises:
        ValueError: A label for several results, which have names.
    """
    if label is None:
        return dict(results)
    if len(results) > 1:
        raise ValueError(
            f"label={str(label)[:100]!r}: these are {len(results)} results, which have their names already."
        )
    return {str(label): next(iter(results.values()))}


def _next_colours(ax: Axes, count: int) -> list[Any]:
    """The next colours of the Axes' cycle, which moves on; matplotlib's own are exchanged for :data:`PALETTE`."""
    usual = dict(zip(mpl.rcParamsDefault["axes.prop_cycle"].by_key()["color"], PALETTE, strict=True))
    scouts = [line for _ in range(count) for line in ax.plot([], [])]
    found = [line.get_color() for line in scouts]
    for line in scouts:
        line.remove()
    return [usual.get(one, one) for one in found]


def _named(name: str, count: int) -> Iterable[Any] | None:
    try:
        return list(sns.color_palette(name, count))
    except ValueError:
        return None


def _check(color: Any, what: str) -> Any:
    if not is_color_like(color):
        raise ValueError(
            f"{what}={str(color)[:100]!r}: expected a colour that matplotlib knows, such as 'C0' or '#0b62a8'."
        )
    return color
