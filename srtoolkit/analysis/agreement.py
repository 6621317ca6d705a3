"""How two groupings of the same prompts compare: groups as found against classes as known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Int
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from srtoolkit.analysis.bootstrap import FEWER, Bootstrap, interval, takes_bootstrap
from srtoolkit.analysis.estimates import Estimate
from srtoolkit.validation import listed

#: How two groupings of the same prompts are compared: both are 1 where they agree; the first is 0 by chance.
MEASURES: dict[str, Callable[..., float]] = {
    "adjusted_rand": adjusted_rand_score,
    "mutual_information": normalized_mutual_info_score,
}

Labels = Sequence[Any] | np.ndarray | xr.DataArray


@takes_bootstrap(measure="of")
def agreement(
    groups: Labels,
    classes: Labels,
    of: str = "adjusted_rand",
    *,
    against: Labels | None = None,
    bootstrap: Bootstrap = FEWER,
) -> Estimate:
    """How well groups match known classes: adjusted Rand index or normalised mutual information, without unit.

    The interval is that of random halves of the prompts, which scatter about as samples of full size do, and hold no
    prompt twice: two copies of one prompt would agree with each other. The clustering is fixed: halves are drawn of the
    groups as given, and not clustered anew. In simulations of 60 and 128 prompts, 95% cover 0.93 to 0.95.

    Args:
        groups: A label for each prompt, as found.
        classes: A label for each prompt, as known.
        of: ``"adjusted_rand"`` (Hubert & Arabie 1985; 0 by chance) or ``"mutual_information"`` (above 0 even by
            chance: see :func:`chance_agreement`).
        against: Other groups of the same prompts, whose agreement is subtracted; the halves are the same for both, so
            that what is hard about a half cancels.
        bootstrap: How the interval is made; ``resamples`` is the number of random halves.

    Raises:
        ValueError: Different numbers of labels, a class with one member, or an unknown measure.
    """
    found, known = _check_labels(groups, classes, of)
    other = None if against is None else _check_labels(against, classes, of)[0]
    rng, half = np.random.default_rng(bootstrap.seed), len(found) // 2

    def of_some(some: Any) -> float:
        value = MEASURES[of](known[some], found[some])
        return value if other is None else value - MEASURES[of](known[some], other[some])

    value = of_some(slice(None))
    halves = np.array([of_some(rng.choice(len(found), half, replace=False)) for _ in range(bootstrap.resamples)])
    middle, (low, high) = np.quantile(halves, 0.5), interval(halves, bootstrap.level)
    return Estimate(float(value), float(value + low - middle), float(value + high - middle))


@takes_bootstrap(measure="of")
def chance_agreement(
    groups: Labels,
    classes: Labels,
    of: str = "adjusted_rand",
    *,
    bootstrap: Bootstrap = FEWER,
) -> Estimate:
    """What :func:`agreement` gives when the classes' labels are shuffled over the prompts: mean, and range of shuffles.

    Args:
        groups: A label for each prompt, as found.
        classes: A label for each prompt, as known.
        of: The measure of agreement, as :func:`agreement` takes it.
        bootstrap: How the range is made: ``level`` is the share of shuffles within it, ``resamples`` their number.

    Raises:
        ValueError: Different numbers of labels, a class with one member, or an unknown measure.
    """
    found, known = _check_labels(groups, classes, of)
    rng = np.random.default_rng(bootstrap.seed)
    values = np.array([MEASURES[of](rng.permutation(known), found) for _ in range(bootstrap.resamples)])
    return Estimate(float(values.mean()), *interval(values, bootstrap.level))


def _check_labels(groups: Labels, classes: Labels, of: str) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(of, str) or of not in MEASURES:
        raise ValueError(f"of={of!r} is not one of {tuple(MEASURES)}.")
    (_, found), (names, known) = _numbered(groups, "groups"), _numbered(classes, "classes")
    if found.shape != known.shape:
        raise ValueError(f"{list(found.shape)} groups and {list(known.shape)} classes: expected one of each a prompt.")
    if not len(names):
        raise ValueError("groups and classes are empty; expected a label of each for two prompts or more.")
    alone = names[np.bincount(known) == 1].tolist()
    if alone:
        raise ValueError(
            f"class {alone[0]!r} has one member ({len(alone)} such classes): whether its members stay together cannot "
            "be told. Add prompts to it, or leave it out."
        )
    return found, known


def _numbered(labels: Labels, what: str) -> tuple[np.ndarray, Int[np.ndarray, " prompt"]]:
    """The different labels, and the number of each prompt's among them."""
    kept = None if isinstance(labels, str) else listed(labels)
    kinds = sorted({type(label).__name__ for label in kept or []})
    if kept is None or any(np.ndim(label) for label in kept):
        raise ValueError(f"{what}: expected one label a prompt, got {str(labels)[:200]!r}.")
    values = np.array([label.item() if hasattr(label, "item") else label for label in kept])
    if values.dtype.kind not in "biufUS" or (values.dtype.kind in "US" and len(kinds) > 1):
        raise TypeError(f"{what}: expected labels that are all numbers or all strings, got {kinds}.")
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise ValueError(f"{what}: {int(np.isnan(values).sum())} labels are NaN; give every prompt a label.")
    names, numbers = np.unique(values, return_inverse=True)
    return names, numbers.astype(np.int64)
