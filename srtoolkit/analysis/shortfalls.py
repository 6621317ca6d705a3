"""How much sooner outputs move than their derivatives say."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Float

from srtoolkit.analysis.bootstrap import USUAL, Bootstrap, interval, takes_bootstrap, weighted_quantile
from srtoolkit.analysis.estimates import Estimate
from srtoolkit.analysis.resampling import bootstrap_weights
from srtoolkit.validation import check_dataset, check_variable


@takes_bootstrap()
def shortfall(radii: xr.Dataset, over: xr.Dataset | None = None, *, bootstrap: Bootstrap = USUAL) -> Estimate:
    """Median over prompts of predicted over bisected radius, without unit; 1 where derivatives at a point say it all.

    Of each prompt, the geometric mean over its directions. Above 1 the output moves sooner than its derivatives say, as
    where a boundary lies on the way. Directions along which a radius is infinite are left out. In simulations of 12 to
    60 prompts, 95% intervals cover 0.93 to 0.94.

    Args:
        radii: ``srt.radius(…).merge(srt.predicted_radius(…))``, for the same prompts and directions.
        over: The same of these prompts towards other places; then it is the ratio of both, prompt by prompt.
        bootstrap: How the interval is made; prompts are resampled, directions stay.

    Raises:
        TypeError: One of them is no Dataset.
        ValueError: A radius is missing, the prompts are not the same, or no prompt has finite radii.
    """
    logs = _logs(radii, "radii")
    if over is not None:
        other = _logs(over, "over")
        if not np.array_equal(radii["text"].values, over["text"].values):
            raise ValueError("radii and over: expected the same prompts on both sides, in the same order.")
        logs = logs - other
    if np.isnan(logs).all():
        raise ValueError("no prompt has finite radii to compare; take a smaller delta, or a larger `largest`.")
    prompts = np.arange(len(logs))
    drawn = bootstrap_weights(prompts, prompts, bootstrap.resamples, bootstrap.seed)
    medians = np.exp(weighted_quantile(logs, np.concatenate([np.ones((1, len(logs))), drawn]), 0.5))
    return Estimate(float(medians[0]), *interval(medians[1:], bootstrap.level))


def _logs(radii: xr.Dataset, what: str) -> Float[np.ndarray, " prompt"]:
    """Mean log of predicted over bisected radius of each prompt; NaN where no direction has both."""
    source = "srtoolkit.radius, merged with srtoolkit.predicted_radius"
    check_dataset(radii, ("radius", "predicted_radius", "text"), what, source)
    predicted, bisected = (
        check_variable(radii, name, ("prompt", "direction"), what).values for name in ("predicted_radius", "radius")
    )
    known = np.isfinite(predicted) & np.isfinite(bisected) & (predicted > 0) & (bisected > 0)
    logs = np.log(predicted, where=known, out=np.zeros_like(predicted))
    logs -= np.log(bisected, where=known, out=np.zeros_like(bisected))
    count = known.sum(axis=1)
    return np.where(count > 0, logs.sum(axis=1) / np.maximum(count, 1), np.nan)
