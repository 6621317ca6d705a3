"""Where rounding could be what is measured: steps so small that the number format shows through them."""

from __future__ import annotations

import logging
import math

import numpy as np
import torch
from jaxtyping import Bool, Float

from srtoolkit.models.model import Model

logger = logging.getLogger(__name__)

#: Root mean square of what rounding changes a value by, in units of the format's ``eps`` times the value; derived in
#: :func:`rounding_share`.
ROUNDING = 1 / math.sqrt(32 * math.log(2))

#: A pair is flagged where rounding may be this share of its steepest step. An error of a quarter, in a random
#: direction, makes a step 3% longer, and the longest of fifty equal steps about 10%.
SHARE = 0.25


def rounding_share(
    model: Model,
    layer: int,
    input_step: Float[np.ndarray, "pair step"],
    input_norm: Float[np.ndarray, " pair"],
    output_step: Float[np.ndarray, "pair step"],
    output_norm: Float[np.ndarray, " pair"],
    read: int | None = None,
) -> Float[np.ndarray, " pair"]:
    """Share of each pair's steepest output step that rounding could make, root mean square, without unit.

    A number x is rounded by ``u eps |x|`` in the root mean square, with ``u = (32 ln 2)^(-1/2) = 0.21``: an error even
    within half a unit in the last place, which is ``eps |x| / m`` for leading digits ``m`` from 1 to 2, and the mean of
    ``m^-2`` over even logarithms is ``3 / (8 ln 2)``. A step is the difference of two vectors, each rounded by
    itself, so rounding is ``r = sqrt(2) u eps |X| / |dX|`` of it. That is ``r_in`` for the path, and ``r_out`` for the
    output, at its steepest step. Between the two the residual stream is rounded once by each part that adds to it,
    twice a block, and what is rounded there goes on as the step itself does. With relative sizes between those at both
    ends, ``n`` independent roundings add up to ``sqrt(n (r_in^2 + r_out^2) / 2)``.

    Args:
        model: The model that was measured, whose number format and depth count.
        layer: Block whose output is replaced.
        input_step: Distance of each point of the path from the one before.
        input_norm: Norm of the points.
        output_step: Distance of each output from the one before.
        output_norm: Norm of the outputs.
        read: Block whose output was read; ``None`` where it is behind the final norm.
    """
    eps = torch.finfo(model.hf.dtype).eps
    last = model.n_layers - 1 if read is None else read
    roundings = 1 + 2 * (last - layer) + (read is None)  # of the path, twice in each block behind, of the final norm
    steepest = np.nan_to_num(output_step).argmax(axis=1)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        of_path, of_output = (
            math.sqrt(2) * ROUNDING * eps * norm / np.take_along_axis(step, steepest, axis=1)[:, 0]
            for step, norm in ((input_step, input_norm), (output_step, output_norm))
        )
    return np.sqrt(roundings * (of_path**2 + of_output**2) / 2)


def warn_of_rounding(model: Model, rounded: Bool[np.ndarray, " pair"], steps: int) -> None:
    """Log a warning that says for how many pairs rounding may be what is measured, and what to do.

    Args:
        model: The model that was measured.
        rounded: Whether each pair is flagged.
        steps: Number of points of each path.
    """
    if not rounded.any():
        return
    wider = {"float16": "float32", "bfloat16": "float32"}.get(model.dtype, "float64")
    logger.warning(
        "%s: at %d points of a path, rounding to %s could explain more than %d%% of the steepest step of %d of %d "
        "pairs. These are flagged rounded; take fewer steps, or load the model with dtype=%r.",
        *(model.name, steps, model.dtype, 100 * SHARE, rounded.sum(), len(rounded), wider),
    )
