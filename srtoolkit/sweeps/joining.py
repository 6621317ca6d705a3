"""Datasets of single models, joined along ``model``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

#: Attributes of a result that describe its model: coordinates along ``model``, even where they do not differ.
_OF_A_MODEL = ("name", "revision", "commit", "fingerprint", "init", "seed", "parameters")


def join(found: Mapping[str, xr.Dataset], names: Sequence[str], errors: Mapping[str, str]) -> xr.Dataset:
    """All results joined along ``model``; attributes that differ between models become coordinates.

    Args:
        found: Results of one or more models, by label.
        names: Labels of all models, in the order of the result; values of a model without a result are missing.
        errors: Why a model has no result, by label.
    """
    counted = {name: _count_positions(found[name]) for name in names if name in found}
    attrs = [{"name" if key == "model" else key: value for key, value in one.attrs.items()} for one in counted.values()]
    keys = dict.fromkeys(key for one in attrs for key in one)
    own = [key for key in keys if key in _OF_A_MODEL or any(one.get(key) != attrs[0].get(key) for one in attrs)]
    parts = [
        one.expand_dims(model=[name]).assign_coords({key: ("model", [mine.get(key, "")]) for key in own})
        for (name, one), mine in zip(counted.items(), attrs, strict=True)
    ]
    fill = {str(name): _filler(values) for part in parts for name, values in part.variables.items()}
    joined = xr.concat(parts, "model", coords="different", compat="equals", join="outer", fill_value=fill)
    joined.attrs = {key: value for key, value in attrs[0].items() if key not in own}
    joined = joined.reindex(model=list(names), fill_value=fill)
    return joined.assign(error=("model", [errors.get(name, "") for name in names]))


def _count_positions(dataset: xr.Dataset) -> xr.Dataset:
    """The Dataset with a coordinate for every dimension, so that different lengths can be joined and filled up."""
    bare = [dim for dim in dataset.dims if dim not in dataset.coords]
    return dataset.assign_coords({dim: np.arange(dataset.sizes[dim]) for dim in bare})


def _filler(values: Any) -> Any:
    """What stands for a missing value of this kind."""
    return {"i": -1, "b": False, "U": "", "O": "", "T": ""}.get(values.dtype.kind, np.nan)
