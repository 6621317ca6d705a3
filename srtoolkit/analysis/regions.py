"""Regions as objects: which prompts no jump separates, what groups they form, and whether those are known ones.

Everything here starts from the sharpness of the paths between prompts, pair by pair;
:func:`srtoolkit.prompts.all_pairs` makes all pairs of a list of prompts.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy.cluster import hierarchy
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform
from sklearn.manifold import smacof

from srtoolkit.analysis.bootstrap import check_pairs
from srtoolkit.validation import check_names, check_number, check_share, check_variable, check_whole, former_spellings

#: What :func:`cluster` takes for the distance of two groups: the mean over their pairs, the largest, or Ward's growth
#: of the variance within.
LINKAGES = ("average", "complete", "ward")

_PROMPTS = ("prompt_a", "prompt_b", "text_a", "text_b")


def path_matrix(sharp: xr.Dataset, of: str = "max_slope") -> xr.DataArray:
    """A quantity of every path between two prompts, as a symmetric matrix in the quantity's own unit.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, on pairs of the prompts.
        of: The variable over ``pair`` to take. Where both directions were measured, their mean is taken.

    Returns:
        Dims ``prompt``, ``other``: 0 from a prompt to itself, infinite where no path was measured, NaN where the path
        has no such quantity (a degenerate one has no slope).

    Raises:
        ValueError: No such variable, or no pairs.
    """
    check_variable(check_pairs(sharp, _PROMPTS), of, ("pair",), "of")
    if not sharp.sizes["pair"]:
        raise ValueError("sharp: holds no pairs of prompts, so there is nothing between any.")
    texts, a, b = _prompts(sharp)
    total, count = np.zeros((len(texts), len(texts))), np.zeros((len(texts), len(texts)))
    for first, second in ((a, b), (b, a)):
        np.add.at(total, (first, second), sharp[of].values.astype(np.float64))
        np.add.at(count, (first, second), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(count > 0, total / count, np.inf)
    np.fill_diagonal(values, 0)
    about = {"long_name": sharp[of].attrs.get("long_name", of)}
    coords = {"text": ("prompt", texts), "prompt": np.arange(len(texts)), "other": np.arange(len(texts))}
    return xr.DataArray(values, coords, ("prompt", "other"), of, about)


@former_spellings(share="level")
def null_threshold(null: xr.Dataset, level: float = 0.95, of: str = "max_slope") -> float:
    """The slope, without unit, that most paths stay below where there are no regions; what is steeper is a jump.

    Args:
        null: From :func:`srtoolkit.sharpness`, of a model that has no regions, such as one with random weights, on
            prompts and steps like those to be judged.
        level: The share of the null's paths that stay below, between 0 and 1.
        of: The variable over ``pair`` to take, in whose unit the threshold is.

    Raises:
        ValueError: ``level`` is not between 0 and 1, or no path of the null has a slope.
    """
    level = check_share(level, "level")
    values = check_variable(check_pairs(null, (), "null"), of, ("pair",), "of").values.astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        raise ValueError(f"null: none of its {null.sizes['pair']} paths has a finite {of!r}; measure more pairs.")
    return float(np.quantile(values, level))


def region_graph(sharp: xr.Dataset, threshold: float, of: str = "max_slope") -> xr.Dataset:
    """Which prompts lie in one region: an edge where the path between two has no jump, and the groups edges connect.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, on pairs of the prompts. Degenerate paths, whose two ends give the same
            output, are edges.
        threshold: The slope above which a path has a jump, best from :func:`null_threshold`.
        of: The variable over ``pair`` to take.

    Returns:
        Dims ``prompt``, ``other``: ``edge``; ``component`` (``prompt``), numbered from the largest; and, without dims,
        ``components``, ``largest`` (prompts in the largest), ``density`` (share of measured paths that are edges),
        ``transitivity`` (share of prompts' neighbours that are neighbours of each other: 1 where being in one region is
        an equivalence, near ``density`` where edges fall at random).

    Raises:
        ValueError: Paths that are not finite, or no such variable.
    """
    values, threshold = path_matrix(sharp, of), check_number(threshold, "threshold")
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
        of: The variable over ``pair`` that serves as a distance; where the path is degenerate it is taken as 0.
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
    if len(values) < 2:
        raise ValueError(f"{len(values)} prompt cannot be put into groups; measure pairs of two prompts or more.")
    try:
        n = check_whole(n, "n", 2, len(values))
    except ValueError:
        raise ValueError(f"n={n!r} groups of {len(values)} prompts: expected 2 to {len(values)}.") from None
    merges = hierarchy.linkage(squareform(values, checks=False), linkage)
    place = np.argsort(hierarchy.leaves_list(merges))
    data = {
        "cluster": ("prompt", _cut(merges, n, place)),
        "place": ("prompt", place),
        "linkage": (("merge", "part"), merges),
    }
    return xr.Dataset(
        data, {"text": ("prompt", _prompts(sharp)[0])}, {**sharp.attrs, "clustered_by": of, "linkage": linkage}
    )


def map_prompts(sharp: xr.Dataset, of: str = "max_slope", seed: int = 0) -> xr.DataArray:
    """Prompts on a plane whose distances follow a quantity of the paths between them, as far as a plane can.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, on all pairs of the prompts.
        of: The variable over ``pair`` that serves as a distance.
        seed: Seed of the random places from which the search starts.

    Returns:
        Dims ``prompt``, ``axis``, in the quantity's unit; ``attrs["stress"]`` is the share that does not fit
        (Kruskal's stress 1).

    Raises:
        ValueError: Not all pairs of the prompts were measured.
    """
    values, seed = _complete(path_matrix(sharp, of)), check_whole(seed, "seed", 0, 2**32 - 1)
    places, stress = np.zeros((len(values), 2)), 0.0  # where all distances are 0, one point holds them
    if values.any():
        places, raw = smacof(values, n_components=2, n_init=4, random_state=seed, normalized_stress=False)
        stress = float(np.sqrt(raw / (np.triu(values, 1) ** 2).sum()))
    return xr.DataArray(
        places, {"text": ("prompt", _prompts(sharp)[0])}, ("prompt", "axis"), "place", {"stress": stress, "map_of": of}
    )


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


def _cut(
    merges: Float[np.ndarray, "merge part"], n: int, place: Int[np.ndarray, " prompt"]
) -> Int[np.ndarray, " prompt"]:
    """Exactly ``n`` groups, numbered from the left of the dendrogram: all merges but the last ``n - 1``.

    A cut at a height gives fewer groups where several merges have the same height.
    """
    prompts = len(merges) + 1
    members = {index: [index] for index in range(prompts)}
    for number, (one, other) in enumerate(merges[: prompts - n, :2].astype(int)):
        members[prompts + number] = members.pop(one) + members.pop(other)
    found = np.empty(prompts, dtype=np.int64)
    for number, group in enumerate(sorted(members.values(), key=lambda group: place[group].min())):
        found[group] = number
    return found


def _complete(values: xr.DataArray) -> Float[np.ndarray, "prompt other"]:
    """The matrix as distances: 0 for paths without the quantity; refuses what is missing or negative."""
    if (values < 0).any():
        raise ValueError(f"{values.name!r} has negative values, so it is no distance between prompts.")
    missing = int(np.isinf(np.triu(values.values, 1)).sum())
    if missing:
        raise ValueError(
            f"{missing} pairs of the {len(values)} prompts were not measured; prompts.all_pairs gives all of them."
        )
    return np.nan_to_num(values.values, nan=0.0)
