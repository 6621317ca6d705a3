"""Where a response crosses a threshold: the first boundary along a direction, from the dose-response curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from srtoolkit.validation import check_dataset, check_number, check_variable

#: The scale of each distance: how far the outputs of unrelated prompts lie apart.
SCALES = {"distance": "apart", "distance_resid": "apart_resid"}

#: By default, a boundary lies where the output has gone this share of the way to an unrelated prompt's.
SHARE = 0.5


def first_boundary(response: xr.Dataset, of: str = "distance", *, at: float | None = None) -> xr.Dataset:
    """The smallest push at which the output has moved so far, in the unit of the response's sizes.

    Of a steering vector, this is the distance to the first boundary along it. Between two sizes, the response is taken
    to be a power of the size, so sizes should grow by a constant factor, 1.3 or less.

    Args:
        response: From :func:`srtoolkit.perturb`.
        of: The response to take, along ``prompt``, ``direction`` and ``size``.
        at: How far it must have moved, in the response's own unit. By default half of ``apart``, the median distance of
            the prompt's output from other prompts' outputs; only distances have that scale.

    Returns:
        A Dataset with dims ``prompt``, ``direction``: ``boundary``, infinite where no size reaches that far, NaN where
        the smallest size is beyond already or a response is not finite; ``threshold`` along ``prompt``.

    Raises:
        TypeError: ``response`` is no Dataset.
        ValueError: It has no such response, ``at`` is not positive, or there is no scale to take half of.
    """
    check_dataset(response, ("size",), "response", "srtoolkit.perturb")
    values = check_variable(response, of, ("prompt", "direction", "size"), "of").values.astype(np.float64)
    threshold = _thresholds(response, of, at)
    sizes = response["size"].values.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):  # outputs that are all alike have no scale
        relative = values / threshold[:, None, None]
    data: dict[str, Any] = {
        "boundary": (("prompt", "direction"), _crossings(relative, sizes)),
        "threshold": ("prompt", threshold),
    }
    coords = {name: value for name, value in response.coords.items() if "size" not in value.dims}
    return xr.Dataset(data, coords, {**response.attrs, "of": of})


def _thresholds(response: xr.Dataset, of: str, at: Any) -> Float[np.ndarray, " prompt"]:
    """How far each prompt's output must move."""
    if at is not None:
        number = check_number(at, "at")
        if number <= 0:
            raise ValueError(f"at={at!r}: expected how far the output must move, above 0.")
        return np.full(response.sizes["prompt"], number)
    scale = SCALES.get(of)
    if scale is None or scale not in response or not np.isfinite(response[scale].values).all():
        raise ValueError(
            f"at=None: half the distance to other prompts' outputs is known for {[*SCALES]}, of two prompts or more; "
            f"give at=, how far {of!r} must have moved."
        )
    return SHARE * response[scale].values.astype(np.float64)


def _crossings(
    relative: Float[np.ndarray, "prompt direction size"], sizes: Float[np.ndarray, " size"]
) -> Float[np.ndarray, "prompt direction"]:
    """The size at which a response, relative to its threshold, is 1 for the first time."""
    beyond = relative >= 1
    after = beyond.argmax(axis=-1)
    reached = beyond.any(axis=-1)
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(relative, place[..., None], -1)[..., 0] for place in (before, after))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.log(1 / low) / np.log(high / low)  # of the way, both on logarithmic scales
    share = np.where(low > 0, share, 1.0)
    found = sizes[before] * (sizes[after] / sizes[before]) ** share
    known = np.isfinite(relative).all(axis=-1) & ~(reached & (after == 0) & (high > 1))
    return np.where(known, np.where(reached, np.where(after == 0, sizes[0], found), np.inf), np.nan)
