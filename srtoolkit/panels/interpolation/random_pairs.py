"""Random pairs of a model, with whose sharpness that of one pair is compared."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import xarray as xr
from jaxtyping import Float

from srtoolkit.analysis.sharpness import sharpness
from srtoolkit.measures.curves import interpolate
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress
from srtoolkit.prompts.sampling import sample_pairs

#: Random pairs that a pair is compared with: a share of them is known to some 8 percentage points (one standard error).
RANDOM_PAIRS = 40

#: Tokens of each random prompt; the paper's.
LENGTH = 10

# The curves of each model's random pairs, by block and number of steps.
_MEASURED: WeakKeyDictionary[Model, dict[tuple[int, int], xr.Dataset]] = WeakKeyDictionary()


def measure_random_pairs(model: Model, layer: int, steps: int, progress: Progress | None = None) -> None:
    """Measure the curves of some random pairs, once for each model, block and number of steps.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layer: Block whose output is replaced.
        steps: Number of points of the path.
        progress: Called with the number of points done and that of all points.
    """
    known = _MEASURED.setdefault(model, {})
    if (layer, steps) not in known:
        pairs = sample_pairs(model, RANDOM_PAIRS, LENGTH)
        known[layer, steps] = interpolate(model, pairs, layer=layer, steps=steps, progress=progress)


def random_slopes(model: Model, layer: int, steps: int, of: str) -> Float[np.ndarray, " pair"]:
    """Largest slopes of the random pairs' curves; empty where they are not measured yet.

    Pairs without a curve, whose ends give the same output, are left out.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layer: Block whose output is replaced.
        steps: Number of points of the path.
        of: Name of the curve whose slopes are taken, as :func:`srtoolkit.sharpness` takes it.
    """
    curves = _MEASURED.get(model, {}).get((layer, steps))
    if curves is None:
        return np.array([])
    slopes = sharpness(curves, of)["max_slope"].values
    return slopes[np.isfinite(slopes)]
