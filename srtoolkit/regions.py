"""Regions as objects: which prompts no jump separates, what groups they form, and whether those are known ones.

Everything here starts from the sharpness of the paths between prompts, pair by pair;
:func:`srtoolkit.prompts.all_pairs` makes all pairs of a list of prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy.cluster import hierarchy
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform
from sklearn.manifold import smacof
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from srtoolkit.checks import check_names
from srtoolkit.comparisons import Estimate

#: How two groupings of the same prompts are compared: both are 1 where they agree; the first is 0 by chance.
MEASURES: dict[str, Callable[..., float]] = {
    "adjusted_rand": adjusted_rand_score,
    "mutual_information": normalized_mutual_info_score,
}

#: What :func:`cluster` takes for the distance of two groups: the mean over their pairs, the largest, or Ward's growth
#: of the variance within.
LINKAGES = ("average", "complete", "ward")

Labels = Sequence[Any] | np.ndarray | xr.DataArray


def path_matrix(sharp: xr.Dataset, of: str = "max_slope") -> xr.DataArray:
    """A quantity of every path between two prompts, as a symmetric matrix in the quantity's own unit.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, on pairs of the prompts.
        of: Variable over ``pair``. Where both directions were measured, their mean is taken.

    Returns:
        Dims ``prompt``, ``other``: 0 from a prompt to itself, infinite where no path was measured, NaN where the path
        has no such quantity (a degenerate one has no slope).

    Raises:
        ValueError: No such variable.
    """
    if of not in sharp or sharp[of].dims != ("pair",):
        known = [str(name) for name, values in sharp.data_vars.items() if values.dims == ("pair",)]
        raise ValueError(f"of={of!r} is no variable over pairs; this Dataset has {known}.")
    texts, a, b = _prompts(sharp)
    total, count = np.zeros((len(texts), len(texts))), np.zeros((len(texts), len(texts)))
    for first, second in ((a, b), (b, a)):
        np.add.at(total, (first, second), sharp[of].values.astype(np.float64))
        np.add.at(count, (first, second), 1)
    with np.errstate(invalid="ignore"):
        values = np.where(count > 0, total / count, np.inf)
    np.fill_diagonal(values, 0)
    about = {"long_name": sharp[of].attrs.get("long_name", of)}
    coords = {"text": ("prompt", texts), "prompt": np.arange(len(texts)), "other": np.arange(len(texts))}
    return xr.DataArray(values, coords, ("prompt", "other"), of, about)


def null_threshold(null: xr.Dataset, share: float = 0.95, of: str = "max_slope") -> float:
    """The slope that this share of paths stays below where there are no regions; what is steeper is a jump.

    Args:
        null: From :func:`srtoolkit.sharpness`, of a model that has no regions, such as one with random weights, on
            prompts and steps like those to be judged.
        share: Of the null's paths.
        of: Variable over ``pair``.

    Raises:
        ValueError: ``share`` is not between 0 and 1, or no path of the null has a slope.
    """
    values = null[of].values[np.isfinite(null[of].values)]
    if not 0 < share < 1 or not len(values):
        raise ValueError(f"share={share!r} of {len(values)} paths: expected a share between 0 and 1, of some paths.")
    return float(np.quantile(values, share))


def region_graph(sharp: xr.Dataset, threshold: float, of: str = "max_slope") -> xr.Dataset:
    """Which prompts lie in one region: an edge where the path between two has no jump, and the groups edges connect.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, on pairs of the prompts. Degenerate paths, whose two ends give the same
            output, are edges.
        threshold: The slope above which a path has a jump, best from :func:`null_threshold`.
        of: Variable over ``pair``.

    Returns:
        Dims ``prompt``, ``other``: ``edge``; ``component`` (``prompt``), numbered from the largest; and, without dims,
        ``components``, ``largest`` (prompts in the largest), ``density`` (share of measured paths that are edges),
        ``transitivity`` (share of prompts' neighbours that are neighbours of each other: 1 where being in one region is
        an equivalence, near ``density`` where edges fall at random).

    Raises:
        ValueError: Paths that are not finite, or no such variable.
    """
    values = path_matrix(sharp, of)
    broken = int((sharp["non_finite"] if "non_finite" in sharp else xr.zeros_like(sharp[of], dtype=bool)).sum())
    if broken:
        raise ValueError(
            f"{broken} of {sharp.sizes['pair']} curves hold NaN or infinity, so no edge can be told there."
        )
    with np.errstate(invalid="ignore"):
        edge = np.isnan(values.values) | (values.values <= threshold)
    np.fill_diagonal(edge, False)
    measured = np.triu(np.isfinite(values.values) | np.isnan(values.values), 1)
    _, found = connected_components(edge, directed=False)
    by_size = np.argsort(-np.bincount(found), kind="stable")
    component = np.argsort(by_size)[found]
    data = {
        "edge": (("prompt", "other"), edge),
        "component": ("prompt", component),
        "components": ((), len(by_size)),
        "largest": ((), int((component == 0).sum())),
        "density": ((), float(edge[measured].mean()) if measured.any() else np.nan),
        "transitivity": ((), _transitivity(edge)),
    }
    return xr.Dataset(data, values.coords, {**sharp.attrs, "threshold": float(threshold), "edge_of": of})


def cluster(sharp: xr.Dataset, n: int, of: str = "max_slope", linkage: str = "average") -> xr.Dataset:
    """Prompts in ``n`` groups by hierarchical clustering: those with the least quantity between them join first.

    Which groups come out depends on the linkage. Average linkage splits off outliers one by one where distances differ
    in scale from prompt to prompt; Ward's makes groups of like size. A comparison of two quantities needs both.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, on all pairs of the prompts.
        n: Number of groups.
        of: Variable over ``pair`` that serves as a distance; where the path is degenerate it is taken as 0.
        linkage: One of ``LINKAGES``: what counts as the distance of two groups.

    Returns:
        Dim ``prompt``: ``cluster`` (0 to ``n - 1``), ``place`` (in a dendrogram, from the left); ``linkage`` (dims
        ``merge``, ``part``) as scipy's dendrogram takes it.

    Raises:
        ValueError: Not all pairs of the prompts were measured, not 2 to as many groups as there are prompts, or an
            unknown linkage.
    """
    check_names(linkage, LINKAGES, "linkage")
    values = _complete(path_matrix(sharp, of))
    if not 2 <= n <= len(values):
        raise ValueError(f"n={n!r} groups of {len(values)} prompts: expected 2 to {len(values)}.")
    merges = hierarchy.linkage(squareform(values, checks=False), linkage)
    data = {
        "cluster": ("prompt", hierarchy.fcluster(merges, n, "maxclust") - 1),
        "place": ("prompt", np.argsort(hierarchy.leaves_list(merges))),
        "linkage": (("merge", "part"), merges),
    }
    return xr.Dataset(
        data, {"text": ("prompt", _prompts(sharp)[0])}, {**sharp.attrs, "clustered_by": of, "linkage": linkage}
    )


def map_prompts(sharp: xr.Dataset, of: str = "max_slope", seed: int = 0) -> xr.DataArray:
    """Prompts on a plane whose distances follow a quantity of the paths between them, as far as a plane can.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, on all pairs of the prompts.
        of: Variable over ``pair`` that serves as a distance.
        seed: Of the starting places.

    Returns:
        Dims ``prompt``, ``axis``, in the quantity's unit; ``attrs["stress"]`` is the share that does not fit
        (Kruskal's stress 1).

    Raises:
        ValueError: Not all pairs of the prompts were measured.
    """
    values = _complete(path_matrix(sharp, of))
    places, raw = smacof(values, n_components=2, n_init=4, random_state=seed, normalized_stress=False)
    stress = float(np.sqrt(raw / (np.triu(values, 1) ** 2).sum()))
    return xr.DataArray(
        places, {"text": ("prompt", _prompts(sharp)[0])}, ("prompt", "axis"), "place", {"stress": stress, "map_of": of}
    )


def agreement(
    groups: Labels,
    classes: Labels,
    measure: str = "adjusted_rand",
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """How well groups match known classes: adjusted Rand index or normalised mutual information, without unit.

    The interval is that of random halves of the prompts, which scatter about as samples of full size do, and hold no
    prompt twice: two copies of one prompt would agree with each other.

    Args:
        groups: A label for each prompt, as found.
        classes: A label for each prompt, as known.
        measure: ``"adjusted_rand"`` (Hubert & Arabie 1985; 0 by chance) or ``"mutual_information"`` (above 0 even by
            chance: see :func:`chance_agreement`).
        level: Coverage of the interval.
        resamples: Number of halves.
        seed: Of their draw.

    Raises:
        ValueError: Different numbers of labels, a class with one member, or an unknown measure.
    """
    found, known = _check_labels(groups, classes, measure)
    rng, half = np.random.default_rng(seed), len(found) // 2
    value = MEASURES[measure](known, found)
    chosen = (rng.choice(len(found), half, replace=False) for _ in range(resamples))
    halves = np.array([MEASURES[measure](known[some], found[some]) for some in chosen])
    low, middle, high = np.quantile(halves, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return Estimate(float(value), float(value + low - middle), float(value + high - middle))


def chance_agreement(
    groups: Labels,
    classes: Labels,
    measure: str = "adjusted_rand",
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """What :func:`agreement` gives when the classes' labels are shuffled over the prompts: mean, and range of shuffles.

    Args:
        groups: A label for each prompt, as found.
        classes: A label for each prompt, as known.
        measure: See :func:`agreement`.
        level: Share of shuffles within the range.
        resamples: Number of shuffles.
        seed: Of the shuffles.

    Raises:
        ValueError: See :func:`agreement`.
    """
    found, known = _check_labels(groups, classes, measure)
    rng = np.random.default_rng(seed)
    values = np.array([MEASURES[measure](rng.permutation(known), found) for _ in range(resamples)])
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(values.mean()), float(low), float(high))


def _prompts(sharp: xr.Dataset) -> tuple[list[str], Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Texts of the prompts in the order of their numbers, and which of them each pair has."""
    numbers = np.concatenate([sharp["prompt_a"].values, sharp["prompt_b"].values])
    texts = np.concatenate([sharp["text_a"].values, sharp["text_b"].values])
    _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
    return [str(texts[index]) for index in first], place[: len(place) // 2], place[len(place) // 2 :]


def _transitivity(edge: Bool[np.ndarray, "prompt other"]) -> float:
    """Closed triples over connected triples; NaN where there are none."""
    paths = edge.astype(np.float64) @ edge
    np.fill_diagonal(paths, 0)
    return float(paths[edge].sum() / paths.sum()) if paths.any() else float("nan")


def _complete(values: xr.DataArray) -> Float[np.ndarray, "prompt other"]:
    missing = int(np.isinf(np.triu(values.values, 1)).sum())
    if missing:
        raise ValueError(
            f"{missing} pairs of the {len(values)} prompts were not measured; prompts.all_pairs gives all of them."
        )
    return np.nan_to_num(values.values, nan=0.0)


def _check_labels(groups: Labels, classes: Labels, measure: str) -> tuple[np.ndarray, np.ndarray]:
    found, known = np.asarray(groups), np.asarray(classes)
    if measure not in MEASURES:
        raise ValueError(f"measure={measure!r} is not one of {tuple(MEASURES)}.")
    if found.shape != known.shape or found.ndim != 1:
        raise ValueError(f"{list(found.shape)} groups and {list(known.shape)} classes: expected one of each a prompt.")
    names, counts = np.unique(known, return_counts=True)
    alone = names[counts == 1].tolist()
    if alone:
        raise ValueError(
            f"class {alone[0]!r} has one member ({len(alone)} such classes): whether its members stay together cannot "
            "be told. Add prompts to it, or leave it out."
        )
    return found, known
