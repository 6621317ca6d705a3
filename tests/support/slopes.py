"""Slopes as :func:`srtoolkit.sharpness` gives them."""

from __future__ import annotations

import numpy as np
import xarray as xr


def sharp(values, prompt_a=None, prompt_b=None, excluded=None):
    n = len(values)
    return xr.Dataset(
        {
            "max_slope": ("pair", np.asarray(values, dtype=float)),
            "excluded": ("pair", np.zeros(n, bool) if excluded is None else np.asarray(excluded)),
            "prompt_a": ("pair", np.arange(n) if prompt_a is None else prompt_a),
            "prompt_b": ("pair", np.arange(n) + n if prompt_b is None else prompt_b),
        }
    )
