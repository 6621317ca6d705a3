"""How structure, what shuffled weights do not have, changes along training or size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from srtoolkit.analysis.bootstrap import USUAL, Bootstrap, takes_bootstrap
from srtoolkit.analysis.estimates import Estimate, resampled_medians, with_interval
from srtoolkit.analysis.ranks import rank_correlation
from srtoolkit.validation import check_number, listed


class StructureTrend(NamedTuple):
    """The structure of a quantity along a setting.

    Attributes:
        change: Structure at the largest setting less that at the smallest, as a natural logarithm.
        correlation: Spearman rank correlation between the setting and the structure.
        n: Number of settings.
    """

    change: Estimate
    correlation: Estimate
    n: int


@takes_bootstrap()
def structure_trend(
    series: Mapping[float | int, tuple[xr.Dataset, Sequence[xr.Dataset]]],
    of: str = "peak",
    *,
    bootstrap: Bootstrap = USUAL,
) -> StructureTrend:
    """How structure, the log of a median over that of null models, changes along a setting.

    Structure is that of :func:`srtoolkit.decompose`. Intervals are over pairs and seeds of the nulls: all models are
    resampled on the same pairs, and the mean over seeds of each setting gets an error of its own, drawn from Student's
    distribution with one degree of freedom fewer than seeds. They err on the wide side: in simulations of 80 pairs and
    three seeds at either end, 95% cover 0.99 of the change, and of the correlation of six settings as well. They say
    nothing about other training runs. The correlation of few settings takes few values, so its interval is coarse.

    Args:
        series: By tokens of training or number of parameters: a result of :func:`srtoolkit.motion` or
            :func:`srtoolkit.sharpness`, and those of its null models, on the same pairs everywhere.
        of: The variable over ``pair`` to take.
        bootstrap: How intervals are made.

    Raises:
        ValueError: Fewer than two settings, a setting without a null, no such variable, or not the same pairs.
    """
    if not isinstance(series, Mapping) or isinstance(series, xr.Dataset) or len(series) < 2:
        raise ValueError(
            f"series={str(series)[:100]!r}: expected two or more settings, each with a result and those of its nulls."
        )
    settings = sorted(series, key=lambda setting: check_number(setting, "setting"))
    groups = [_group(series[setting]) for setting in settings]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(resampled_medians([one for group in groups for one in group], of, bootstrap))
    rng = np.random.default_rng([bootstrap.seed, len(groups)])
    ends = np.cumsum([len(group) for group in groups])[:-1]
    structure = np.stack([_structure(part, rng) for part in np.split(logs, ends, axis=1)], axis=1)
    places = np.broadcast_to(np.arange(len(settings)), structure.shape)
    return StructureTrend(
        with_interval(structure[:, -1] - structure[:, 0], bootstrap),
        with_interval(rank_correlation(structure, places).round(9), bootstrap),  # ranks are whole numbers
        len(settings),
    )


def _group(given: Any) -> list[xr.Dataset]:
    """The results of one setting: the trained model's, then its nulls'."""
    trained, nulls = given if isinstance(given, tuple) and len(given) == 2 else (None, None)
    others = [nulls] if isinstance(nulls, xr.Dataset) else listed(nulls)
    if not isinstance(trained, xr.Dataset) or not others:
        raise ValueError(f"series: expected (result, results of its nulls) for each setting, got {str(given)[:100]!r}.")
    return [trained, *others]


def _structure(logs: Float[np.ndarray, "resample model"], rng: np.random.Generator) -> Float[np.ndarray, " resample"]:
    """Structure of one setting, from log medians of the trained model and its nulls: as they are, then resampled."""
    found, seeds = logs[:, 0] - logs[:, 1:].mean(axis=1), logs[0, 1:]
    if len(seeds) > 1:
        drawn = rng.standard_t(len(seeds) - 1, len(found) - 1)
        found[1:] += drawn * seeds.std(ddof=1) / np.sqrt(len(seeds))
    return found
