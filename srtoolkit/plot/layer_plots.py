"""Where in the depth of a model outputs jump: one cell for each block that is patched and each that is read."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from srtoolkit.plot.plane_frame import colour_bar
from srtoolkit.plot.style import axes_or_new, nanquartiles
from srtoolkit.validation import check_dataset, check_variable

#: Most blocks that have a number beside the map.
MOST_TICKS = 10


def layer_map(result: xr.Dataset, *, ax: Axes | None = None, vmax: float | None = None) -> Axes:
    """Median over pairs of motion's peak, by the block that is patched and the block that is read, counted from 0.

    Even motion has 1, the darkest colour. Cells in which nothing was measured are left white.

    Args:
        result: From :func:`srtoolkit.layer_map`.
        ax: Where to draw; a new figure by default.
        vmax: End of the colour scale; the largest median by default. Give two maps the same, to compare them.
    """
    check_dataset(result, ("peak", "write", "read"), "result", "srtoolkit.layer_map")
    peaks = check_variable(result.sortby("write"), "peak", ("pair", "write", "read"), "result")
    ax = axes_or_new(ax, (5.6, 4.4))
    _, middle, _ = nanquartiles(peaks.values.reshape(len(peaks), -1))
    drawn = ax.pcolormesh(
        np.ma.masked_invalid(middle.reshape(peaks.shape[1:])), cmap="viridis", vmin=1, vmax=vmax, rasterized=True
    )
    for axis, name in ((ax.xaxis, "read"), (ax.yaxis, "write")):
        blocks = peaks[name].values
        ticks = np.arange(0, len(blocks), -(-len(blocks) // MOST_TICKS))
        axis.set_ticks(ticks + 0.5, blocks[ticks].tolist())
    ax.set(xlabel="block that is read", ylabel="block that is patched")
    ax.invert_yaxis()
    return colour_bar(ax, drawn, "peak: largest speed on the path\n(median; even motion: 1)")
