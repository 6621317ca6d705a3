"""Results as tables for pandas, R or a spreadsheet: one row a pair, or whatever else was measured one by one."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from srtoolkit.validation import check_names

#: Axes that make rows by default, where a result has them: models of a sweep, then what was measured of each.
UNITS = ("model", "run", "setting", "pair", "prompt", "direction", "quantity")

#: Short axes that become columns, so that a pair whose path crosses two boundaries still has one row.
BESIDE = ("crossing",)

#: Attributes that become columns: which model was measured, and how.
ABOUT = ("model", "revision", "init", "seed", "dtype", "layer", "position", "path")


def table(dataset: xr.Dataset, *, rows: str | Sequence[str] | None = None) -> pd.DataFrame:
    """A result as a table with one row a pair or prompt, and a column for each of its numbers and texts.

    ``Dataset.to_dataframe`` repeats each pair for every token of its prompts, so that every count made of it is wrong.
    Here a pair has one row. What has many values a pair, such as a curve or token ids, is left out.

    Args:
        dataset: Any result: of :func:`srtoolkit.interpolate`, :func:`srtoolkit.motion`, :func:`srtoolkit.boundary`,
            :func:`srtoolkit.radius`, a sweep, and so on.
        rows: Axes that make the rows, one row for each combination of places on them. By default those that the
            result has of ``model``, ``run``, ``setting``, ``pair``, ``prompt``, ``direction`` and ``quantity``.
            ``("pair", "alpha")`` gives curves, one row a point; ``("pair", "crossing")`` one row a boundary.

    Returns:
        A DataFrame with the axes of ``rows`` first, then a column for each variable that has no other axis. Of the
        first and second boundary that a path crosses there are ``place_1``, ``place_2`` and so on. Attributes that say
        which model was measured and how (``model``, ``revision``, ``init``, ``seed``, ``dtype``, ``layer``,
        ``position``, ``path``) are columns at the end.

    Raises:
        TypeError: ``dataset`` is no Dataset.
        ValueError: The result has no such axis, or none that makes rows by default.

    Example:
        >>> srt.table(srt.motion(curves)).to_csv("motion.csv", index=False)
    """
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset: expected a result, an xarray.Dataset, got {type(dataset).__name__}.")
    has = tuple(map(str, dataset.dims))
    axes = [name for name in UNITS if name in has] if rows is None else list(check_names(rows, has, "rows"))
    if not axes:
        raise ValueError(f"dataset: its axes are {has}, none of which makes rows by itself; name some in rows=.")
    flat = _beside(dataset, axes).drop_dims([name for name in has if name not in axes])
    numbered = {name: range(flat.sizes[name]) for name in axes if name not in flat.coords}
    frame = flat.reset_coords().assign_coords(numbered).to_dataframe(dim_order=axes).reset_index()
    for name in ABOUT:
        if name in dataset.attrs and name not in frame:
            frame[name] = dataset.attrs[name]
    return frame


def _beside(dataset: xr.Dataset, axes: Sequence[str]) -> xr.Dataset:
    """The Dataset with a numbered variable for each place on a short axis, which is no row."""
    found: dict[str, xr.DataArray] = {}
    for axis in BESIDE:
        for name, values in dataset.data_vars.items():
            if axis in values.dims and axis not in axes and set(values.dims) <= {*axes, axis}:
                found |= {
                    f"{name}_{place + 1}": values.isel({axis: place}, drop=True) for place in range(values.sizes[axis])
                }
    return dataset.assign(found)
