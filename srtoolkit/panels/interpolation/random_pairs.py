"""Where one pair's sharpness stands among random pairs of the same model."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float

from srtoolkit.analysis.sharpness import sharpness
from srtoolkit.measures.curves import interpolate
from srtoolkit.models.model import Model
from srtoolkit.panels.parts.worker import Cancelled
from srtoolkit.prompts.sampling import sample_pairs

#: Random pairs that a pair is compared with: a share of them is known to some 8 percentage points (one standard error).
RANDOM_PAIRS = 40

#: Tokens of each random prompt; the paper's.
LENGTH = 10

#: Pairs measured between two looks at whether the result is still wanted.
AT_ONCE = 4

#: Curves whose largest slopes are compared.
CURVES = ("relative_distance", "kl", "jsd", "logit_difference")

# Largest slopes of a few pairs at a time, by layer and steps. A measurement that was cancelled goes on where it was.
_MEASURED: WeakKeyDictionary[Model, dict[tuple[int, int], list[dict[str, np.ndarray]]]] = WeakKeyDictionary()


def measure_random_pairs(
    model: Model, layer: int, steps: int, cancelled: Cancelled, progress: Callable[[float | int], None]
) -> None:
    """Largest slopes of ``RANDOM_PAIRS`` random pairs; measured once for a model, block and number of steps.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layer: Block whose output is replaced.
        steps: Points of the path.
        cancelled: Ends the measurement early.
        progress: Takes the share that is done.
    """
    found = _MEASURED.setdefault(model, {}).setdefault((layer, steps), [])
    pairs = sample_pairs(model, RANDOM_PAIRS, LENGTH)
    while (start := len(found) * AT_ONCE) < RANDOM_PAIRS and not cancelled():
        some = interpolate(model, pairs[start : start + AT_ONCE], layer=layer, steps=steps)
        slopes = {of: sharpness(some, of)["max_slope"].values for of in CURVES}
        if len(found) * AT_ONCE == start:  # another panel may have measured these meanwhile
            found.append(slopes)
        progress(len(found) * AT_ONCE / RANDOM_PAIRS)


def random_slopes(model: Model, layer: int, steps: int, of: str) -> Float[np.ndarray, " pair"]:
    """Largest slopes of random pairs, without those that have none; empty where they are not measured yet.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layer: Block whose output is replaced.
        steps: Points of the path.
        of: One of ``CURVES``.
    """
    found = _MEASURED.get(model, {}).get((layer, steps), [])
    if len(found) * AT_ONCE < RANDOM_PAIRS:
        return np.array([])
    slopes = np.concatenate([some[of] for some in found])
    return slopes[np.isfinite(slopes)]
