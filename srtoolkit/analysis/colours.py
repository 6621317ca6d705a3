"""The colours of a slice: how near every point's output is to that of each anchor, as red, green and blue."""

from __future__ import annotations

import xarray as xr

from srtoolkit.validation import check_axes, check_dataset


def slice_colours(planes: xr.Dataset, jointly: bool = True) -> xr.DataArray:
    """Red, green and blue of every point: 1 less the distance from A, B and C over the largest one; Appendix C.

    The paper divides by the largest distance of each picture, so that its colours cannot be compared from one
    checkpoint to the next. Dividing once over all of them keeps them comparable.

    Args:
        planes: From :func:`srtoolkit.slice_plane`, or several along ``model``, as :func:`srtoolkit.sweep` gives them.
        jointly: Divide by the largest distance over all models; else each picture by its own, as the paper does.

    Returns:
        As ``planes["distance"]``, from 0 (the farthest) to 1 (as the anchor's own output).

    Raises:
        TypeError: ``planes`` is no Dataset.
        ValueError: ``planes`` holds no distances, because ``"final_norm"`` was not among its reads.
    """
    source = "srtoolkit.slice_plane with reads='final_norm'"
    check_dataset(planes, ("distance", "largest_distance"), "planes", source)
    axes = {"distance": ("anchor", "beta", "alpha"), "largest_distance": ("anchor",)}
    check_axes(planes, axes, "planes", source)
    largest = planes["largest_distance"]
    if jointly and "model" in largest.dims:
        largest = largest.max("model")
    largest = largest.where(largest > 0, 1)  # outputs that are all the anchor's own: 1 everywhere, not 0 / 0
    return (1 - planes["distance"] / largest).rename("colour").transpose(..., "anchor")
