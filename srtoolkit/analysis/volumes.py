"""How much of the space about an activation lies within its region, by the share of directions still inside."""

from __future__ import annotations

import numpy as np
import xarray as xr

from srtoolkit.analysis.bootstrap import USUAL, Bootstrap, interval, takes_bootstrap
from srtoolkit.analysis.estimates import Estimate
from srtoolkit.analysis.resampling import bootstrap_weights
from srtoolkit.validation import check_dataset, check_number, check_variable


@takes_bootstrap()
def share_inside(radii: xr.Dataset, size: float | int, *, bootstrap: Bootstrap = USUAL) -> Estimate:
    """Share of directions along which a push of one size has not yet moved the output so far; 0 to 1, over prompts.

    Of each prompt, the share of its directions with a larger radius; then the mean. Along random directions it is the
    part of a sphere about the activation that lies within its region, if rays leave the region once. In simulations of
    12, 20 and 60 prompts, four directions each, 95% intervals cover 0.92, 0.93 and 0.95.

    On nano-1m (20 prompts of ``sample_pairs(model, 20, length=10, seed=7)``, eight random directions, after block 0,
    0.1 nats) 0.64 are inside at half of the activation's norm (0.48 to 0.79); with permuted weights
    (:func:`srtoolkit.null_model`, two seeds) 0.25 and 0.42. Along eight principal directions it is 0.46 (0.32 to 0.60),
    and 0.15 and 0.25.

    Args:
        radii: From :func:`srtoolkit.radius`.
        size: Size of the push, in L2 norms of each prompt's own activation.
        bootstrap: How the interval is made; prompts are resampled, directions stay.

    Raises:
        TypeError: ``radii`` is no Dataset.
        ValueError: It has no radii, or ``size`` is no positive number, or beyond what was tried.
    """
    check_dataset(radii, ("radius", "norm"), "radii", "srtoolkit.radius")
    found = check_variable(radii, "radius", ("prompt", "direction"), "radii").values
    norms = check_variable(radii, "norm", ("prompt",), "radii").values
    size = check_number(size, "size", 1e-9)
    if size > radii.attrs.get("largest", np.inf):
        raise ValueError(f"size={size}: radii were looked for up to {radii.attrs['largest']} norms; give less.")
    with np.errstate(invalid="ignore"):
        share = (found > size * norms[:, None]).mean(axis=1)
    prompts = np.arange(len(share))
    drawn = bootstrap_weights(prompts, prompts, bootstrap.resamples, bootstrap.seed)
    return Estimate(float(share.mean()), *interval(drawn @ share / drawn.sum(axis=1), bootstrap.level))
