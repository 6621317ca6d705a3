"""The same path in a model of the same weights in another order: what scale alone makes of it."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import xarray as xr

from srtoolkit.measures.curves import interpolate
from srtoolkit.models.model import Model
from srtoolkit.models.nulls import null_model
from srtoolkit.patching.batches import Progress

# One shuffled model of each model: it costs a copy of the weights, and some seconds for a larger one.
_SHUFFLED: WeakKeyDictionary[Model, Model] = WeakKeyDictionary()


def measure_shuffled(model: Model, pair: tuple[str, str], layer: int, steps: int, progress: Progress) -> xr.Dataset:
    """The curves of one pair of prompts in a model of shuffled weights.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pair: Texts of prompts A and B.
        layer: Block whose output is replaced.
        steps: Number of points of the path.
        progress: Called with the number of points done and that of all points.
    """
    if model not in _SHUFFLED:
        _SHUFFLED[model] = null_model(model, "permuted", seed=0)
    return interpolate(_SHUFFLED[model], [pair], layer=layer, steps=steps, reads="final_norm", progress=progress)
