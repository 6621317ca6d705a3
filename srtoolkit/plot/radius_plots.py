"""How far derivatives say that an activation can be moved, against how far it can."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from srtoolkit.plot.style import axes_or_new, by_name, colour


def radii(results: xr.Dataset | Mapping[str, xr.Dataset], *, ax: Axes | None = None) -> Axes:
    """Bisected against predicted radius, a point for each ray, both logarithmic; on the line, derivatives say it all.

    Below the line the output moves sooner than predicted, as where a boundary lies on the way. Rays on which it never
    moved so far are triangles at the top.

    Args:
        results: ``srt.radius(…).merge(srt.predicted_radius(…))``, or a result of :func:`srtoolkit.text_map`; one, or
            several by name, such as towards random directions and towards other prompts.
        ax: Where to draw; a new figure by default.

    Raises:
        TypeError: A result is no Dataset.
        ValueError: One lacks ``radius`` or ``predicted_radius``, or they do not belong together.
    """
    named = by_name(results, ("radius", "predicted_radius"), "srtoolkit.radius, merged with srtoolkit.predicted_radius")
    pairs = {}
    for name, result in named.items():
        if result["radius"].dims != result["predicted_radius"].dims:
            raise ValueError(
                f"results: radius has axes {result['radius'].dims}, and predicted_radius "
                f"{result['predicted_radius'].dims}; measure both with the same prompts and directions."
            )
        predicted, bisected = (result[key].values.ravel() for key in ("predicted_radius", "radius"))
        known = np.isfinite(predicted) & (predicted > 0) & (bisected > 0)
        pairs[name] = predicted[known], bisected[known]
    finite = np.concatenate([np.concatenate([x, y[np.isfinite(y)]]) for x, y in pairs.values()])
    low, high = (finite.min() / 1.3, finite.max() * 1.6) if len(finite) else (0.1, 10.0)
    ax = axes_or_new(ax, (4.8, 4.4))
    ax.axline((low, low), (high, high), color="0.5", lw=0.9, ls=":")
    for index, (name, (predicted, bisected)) in enumerate(pairs.items()):
        there = np.isfinite(bisected)
        ax.plot(
            predicted[there], bisected[there], "o", ms=4, alpha=0.65, mew=0, color=colour(index), label=name or None
        )
        ax.plot(predicted[~there], np.full((~there).sum(), high / 1.15), "^", ms=5, mew=0, color=colour(index))
    ax.set(
        xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), xlabel="radius predicted by derivatives",
        ylabel="radius found by bisection", aspect="equal",
    )  # fmt: skip
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(10, (1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    if any(pairs):
        ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(0, 0.93))
    return ax
