"""Curves of which only some points ran, with the others filled in by straight lines.

:func:`srtoolkit.interpolate` with ``where="adaptive"`` runs other points of the grid for every pair, and says in
``evaluated`` which. Slopes, speeds, widths and plateaus are taken between points that ran, straight from each to the
next; so a curve filled in by straight lines gives the same numbers, and no analysis needs to know.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from srtoolkit.validation import check_variable


def filled(curves: xr.Dataset) -> xr.Dataset:
    """The same curves without gaps; as they are, where every point ran.

    A distance between two points that ran is shared out evenly over the steps between them, a token is that of the
    nearest point that ran, and any other value lies on a straight line. What goes along further axes stays as it is.

    Args:
        curves: From :func:`srtoolkit.interpolate`.

    Raises:
        ValueError: ``evaluated`` is not over (pair, alpha), or a pair lacks one of its ends.
    """
    if "evaluated" not in curves:
        return curves
    ran = check_variable(curves, "evaluated", ("pair", "alpha"), "curves").values.astype(bool)
    if not ran[:, [0, -1]].all():
        raise ValueError("curves: evaluated leaves out an end of some path; give it as srtoolkit.interpolate made it.")
    alphas, done = curves["alpha"].values.astype(np.float64), dict[str, Any]()
    for name, variable in curves.data_vars.items():
        if set(variable.dims) == {"pair", "alpha"} and name != "evaluated":
            values = variable.transpose("pair", "alpha").values
            done[str(name)] = ("pair", "alpha"), _fill(str(name), values, ran, alphas), variable.attrs
    return curves.drop_vars("evaluated").assign(done)


def _fill(
    name: str, values: np.ndarray, ran: Bool[np.ndarray, "pair alpha"], alphas: Float[np.ndarray, " alpha"]
) -> np.ndarray:
    """One variable without gaps."""
    out = values.copy()
    for pair, here in enumerate(ran):
        places = np.flatnonzero(here)
        if values.dtype.kind != "f":
            nearest = np.abs(alphas[:, None] - alphas[places]).argmin(axis=1)
            out[pair] = values[pair, places[nearest]]
        elif name.startswith("step"):
            each = np.diff(alphas[places])
            share = np.diff(alphas) / np.repeat(each, np.diff(places))
            out[pair, 1:] = np.repeat(values[pair, places[1:]], np.diff(places)) * share
        else:
            out[pair] = np.interp(alphas, alphas[places], values[pair, places])
    return out
