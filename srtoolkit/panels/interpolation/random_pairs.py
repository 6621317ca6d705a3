"""Random pairs of a model, with whose motion that of one pair is compared."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import xarray as xr
from jaxtyping import Float

from srtoolkit.analysis.motion import motion
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
        curves = interpolate(model, pairs, layer=layer, steps=steps, reads="final_norm", progress=progress)
        known[layer, steps] = curves


def random_peaks(model: Model, layer: int, steps: int) -> Float[np.ndarray, " pair"]:
    """Largest speeds of the random pairs' outputs along their own paths; empty where they are not measured yet.

    Pairs without motion, whose ends give the same output, are left out.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layer: Block whose output is replaced.
        steps: Number of points of the path.
    """
    curves = _MEASURED.get(model, {}).get((layer, steps))
    if curves is None:
        return np.array([])
    peaks = motion(curves)["peak"].values
    return peaks[np.isfinite(peaks)]
