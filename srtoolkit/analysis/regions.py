"""Regions as objects: which prompts no jump separates, what groups they form, and whether those are known ones.

Everything here starts from the motion of outputs on the paths between prompts, pair by pair;
:func:`srtoolkit.prompts.all_pairs` makes all pairs of a list of prompts.
"""

from __future__ import annotations

import warnings

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

#: What is 1 on a path on which the output moves evenly, and greater on every other. Its log serves as a distance.
EVEN_AT_1 = ("peak", "max_slope", "winding")

#: Kruskal's stress above which a map's distances say little; he calls 0.2 poor.
POOR_FIT = 0.2

#: Negative eigenvalues up to this share of the largest are taken for rounding and noise.
NOT_EUCLIDEAN = 0.01

_PROMPTS = ("prompt_a", "prompt_b", "text_a", "text_b")


@former_spellings(sharp="paths")
def path_matrix(paths: xr.Dataset, of: str = "peak") -> xr.DataArray:
    """A quantity of every path between two prompts, as a symmetric matrix in the quantity's own unit.

    Args:
        paths: From :func:`srtoolkit.motion` or :func:`srtoolkit.sharpness`, on pairs of the prompts.
        of: The variable over ``pair`` to take. Where both directions were measured, their mean is taken.

    Returns:
        Dims ``prompt``, ``other``: 0 from a prompt to itself, infinite where no path was measured, NaN where the path
        has no such quantity (a degenerate one has no slope).

    Raises:
        ValueError: No such variable, or no pairs.
    """
    check_variable(check_pairs(paths, _PROMPTS, "paths"), of, ("pair",), "of")
    if not paths.sizes["pair"]:
        raise ValueError("paths: holds no pairs of prompts, so there is nothing between any.")
    texts, a, b = _prompts(paths)
    total, count = np.zeros((len(texts), len(texts))), np.zeros((len(texts), len(texts)))
    for first, second in ((a, b), (b, a)):
        np.add.at(total, (first, second), paths[of].values.astype(np.float64))
        np.add.at(count, (first, second), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(count > 0, total / count, np.inf)
    np.fill_diagonal(values, 0)
    about = {"long_name": paths[of].attrs.get("long_name", of)}
    coords = {"text": ("prompt", texts), "prompt": np.arange(len(texts)), "other": np.arange(len(texts))}
    return xr.DataArray(values, coords, ("prompt", "other"), of, about)


@former_spellings(share="level")
def null_threshold(null: xr.Dataset, level: float = 0.95, of: str = "max_slope") -> float:
    """The value that most paths of a null stay below; for one more release, in place of ``calibrate_jump``.

    Args:
        null: From :func:`srtoolkit.sharpness` or :func:`srtoolkit.motion`, of a model in which nothing learned is left.
        level: The share of the null's paths that stay below, between 0 and 1.
        of: The variable over ``pair`` to take, in whose unit the threshold is.

    Raises:
        ValueError: ``level`` is not between 0 and 1, or no path of the null has a slope.
    """
    warnings.warn(
        "null_threshold: a slope tells no jump from a bend; take srt.calibrate_jump(curves), whose result is the speed "
        "of a jump. This function ends with the next release.",
        DeprecationWarning,
        stacklevel=3,
    )
    level = check_share(level, "level")
    values = check_variable(check_pairs(null, (), "null"), of, ("pair",), "of").values.astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        raise ValueError(f"null: none of its {null.sizes['pair']} paths has a finite {of!r}; measure more pairs.")
    return float(np.quantile(values, level))


@former_spellings(sharp="paths")
def region_graph(paths: xr.Dataset, threshold: float | None = None, of: str = "peak") -> xr.Dataset:
    """Which prompts lie in one region: an edge where the path between two has no jump, and the groups edges connect.

    Args:
        paths: From :func:`srtoolkit.motion`, on pairs of the prompts. Degenerate paths, whose two ends give the same
            output, are edges; where both directions were measured, neither may have a jump.
        threshold: Where ``None``, an edge is a path without a jump, as :mod:`srtoolkit.analysis.jumps` defines it and
            ``same_region`` says. Else it is one on which ``of`` is at most this.
        of: With a threshold, the variable over ``pair`` to take; the mean of both directions where both were measured.

    Returns:
        Dims ``prompt``, ``other``: ``edge``; ``component`` (``prompt``), numbered from the largest; and, without dims,
        ``components``, ``largest`` (prompts in the largest), ``density`` (share of measured paths that are edges),
        ``transitivity`` (share of prompts' neighbours that are neighbours of each other: 1 where being in one region is
        an equivalence, near ``density`` where edges fall at random). Paths that are ``rounded`` count as not measured.

    Raises:
        ValueError: Paths that are not finite, or no such variable.
    """
    values, edge = _edges(paths, threshold, of)
    np.fill_diagonal(edge, False)
    measured = np.triu(~np.isinf(values.values), 1)
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
    about = {"edge_of": "same_region"} if threshold is None else {"edge_of": of, "threshold": float(threshold)}
    return xr.Dataset(data, values.coords, paths.attrs | about)


def _edges(
    paths: xr.Dataset, threshold: float | None, of: str
) -> tuple[xr.DataArray, Bool[np.ndarray, "prompt other"]]:
    """The matrix that edges are read off, infinite where no path was measured, and the edges."""
    limit = None if threshold is None else check_number(threshold, "threshold")
    if limit is None and "same_region" not in check_pairs(paths, _PROMPTS, "paths"):
        has = [str(name) for name, kept in paths.data_vars.items() if kept.dims == ("pair",)]
        raise ValueError(
            "paths: expected a result of srtoolkit.motion, which says of every path whether it has a jump; or give "
            f"threshold= and of=, one of {has}."
        )
    if limit is None:
        paths, of, limit = paths.assign(jumps_between=1.0 - paths["same_region"]), "jumps_between", 0.0
    values = path_matrix(_trusted(paths, of), of)
    with np.errstate(invalid="ignore"):
        return values, np.isnan(values.values) | (values.values <= limit)


def _trusted(paths: xr.Dataset, of: str) -> xr.Dataset:
    """Paths with a quantity as floats, infinite, as if not measured, where rounding made it; refuses broken ones."""
    values = check_variable(check_pairs(paths, _PROMPTS, "paths"), of, ("pair",), "of").astype(np.float64)
    broken = int(paths["non_finite"].sum()) if "non_finite" in paths else 0
    if broken:
        raise ValueError(
            f"{broken} of {paths.sizes['pair']} curves hold NaN or infinity, so nothing can be told of these paths."
        )
    return paths.assign({of: values.where(~paths["rounded"].astype(bool), np.inf) if "rounded" in paths else values})


@former_spellings(sharp="paths")
def cluster(paths: xr.Dataset, n: int, of: str = "peak", linkage: str = "average") -> xr.Dataset:
    """Prompts in ``n`` groups by hierarchical clustering: those with the least quantity between them join first.

    Which groups come out depends on the linkage. Average linkage splits off outliers one by one where distances differ
    in scale from prompt to prompt; Ward's makes groups of like size, and has a meaning only for distances of points in
    space. A comparison of two quantities needs more than one.

    Args:
        paths: From :func:`srtoolkit.motion`, on all pairs of the prompts.
        n: Number of groups.
        of: The variable over ``pair`` that serves as a distance; where the path is degenerate it is taken as 0. Of what
            is 1 on an even path (``EVEN_AT_1``) the natural log is taken, so that even motion is a distance of 0.
        linkage: One of ``LINKAGES``: what counts as the distance of two groups.

    Returns:
        Dim ``prompt``: ``cluster`` (0 to ``n - 1``), ``place`` (in a dendrogram, from the left); ``linkage`` (dims
        ``merge``, ``part``) as scipy's dendrogram takes it.

    Raises:
        ValueError: Not all pairs of the prompts were measured, not 2 to as many groups as there are prompts, an unknown
            linkage, or Ward's with distances that no points in space have.
    """
    check_names(linkage, LINKAGES, "linkage")
    values, taken = _distances(paths, of)
    if len(values) < 2:
        raise ValueError(f"{len(values)} prompt cannot be put into groups; measure pairs of two prompts or more.")
    try:
        n = check_whole(n, "n", 2, len(values))
    except ValueError:
        raise ValueError(f"n={n!r} groups of {len(values)} prompts: expected 2 to {len(values)}.") from None
    if linkage == "ward":
        _check_euclidean(values, taken)
    merges = hierarchy.linkage(squareform(values, checks=False), linkage)
    place = np.argsort(hierarchy.leaves_list(merges))
    data = {
        "cluster": ("prompt", _cut(merges, n, place)),
        "place": ("prompt", place),
        "linkage": (("merge", "part"), merges),
    }
    about = {"clustered_by": taken, "linkage": linkage}
    return xr.Dataset(data, {"text": ("prompt", _prompts(paths)[0])}, paths.attrs | about)


@former_spellings(sharp="paths")
def map_prompts(paths: xr.Dataset, of: str = "peak", seed: int = 0) -> xr.DataArray:
    """Prompts on a plane whose distances follow a quantity of the paths between them, as far as a plane can.

    Args:
        paths: From :func:`srtoolkit.motion`, on all pairs of the prompts.
        of: The variable over ``pair`` that serves as a distance. Of what is 1 on an even path (``EVEN_AT_1``) the
            natural log is taken, so that even motion is a distance of 0.
        seed: Seed of the random places from which the search starts.

    Returns:
        Dims ``prompt``, ``axis``, in the quantity's unit; ``attrs["stress"]`` is the share that does not fit
        (Kruskal's stress 1), and ``attrs["fit"]`` says ``"poor"`` where that is above ``POOR_FIT``, with a warning.

    Raises:
        ValueError: Not all pairs of the prompts were measured.
    """
    (values, taken), seed = _distances(paths, of), check_whole(seed, "seed", 0, 2**32 - 1)
    places, stress = np.zeros((len(values), 2)), 0.0  # where all distances are 0, one point holds them
    if values.any():
        places, raw = smacof(values, n_components=2, n_init=4, random_state=seed, normalized_stress=False)
        stress = float(np.sqrt(raw / (np.triu(values, 1) ** 2).sum()))
    if stress > POOR_FIT:
        warnings.warn(
            f"map_prompts: stress is {stress:.2f}, above {POOR_FIT}: distances on this map say little about {taken}. "
            "Read the matrix, srt.path_matrix, or srt.cluster instead.",
            UserWarning,
            stacklevel=2,
        )
    about = {"stress": stress, "fit": "poor" if stress > POOR_FIT else "fair", "map_of": taken}
    return xr.DataArray(places, {"text": ("prompt", _prompts(paths)[0])}, ("prompt", "axis"), "place", about)


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


def _distances(paths: xr.Dataset, of: str) -> tuple[Float[np.ndarray, "prompt other"], str]:
    """Distances of all prompts, 0 for paths without the quantity, and what they are; refuses what is no distance."""
    values = _trusted(paths, of)[of]
    if of in EVEN_AT_1:
        with np.errstate(invalid="ignore", divide="ignore"):
            values = values.copy(data=np.log(values.values))
        values = values.where(~(abs(values) <= 1e-6), 0.0)  # by rounding, a straight line may have a little less than 1
    if (values < 0).any():
        least = "below 1" if of in EVEN_AT_1 else "negative"
        raise ValueError(f"{of!r} has values that are {least}, so it is no distance between prompts.")
    matrix = path_matrix(paths.assign({of: values}), of)
    missing = int(np.isinf(np.triu(matrix.values, 1)).sum())
    if missing:
        raise ValueError(
            f"{missing} pairs of the {len(matrix)} prompts were not measured; prompts.all_pairs gives all of them."
        )
    return np.nan_to_num(matrix.values, nan=0.0), f"log of {of}" if of in EVEN_AT_1 else of


def _check_euclidean(values: Float[np.ndarray, "prompt other"], taken: str) -> None:
    """Refuse distances that no points in space have: their double-centred squares have clearly negative eigenvalues."""
    squares = -(values**2) / 2
    centred = squares - squares.mean(axis=0) - squares.mean(axis=1, keepdims=True) + squares.mean()
    found = np.linalg.eigvalsh(centred)
    if found[0] < -NOT_EUCLIDEAN * found[-1]:
        raise ValueError(
            f"linkage='ward' needs distances of points in space, and {taken} is not such a one here: the smallest "
            f"eigenvalue of the centred squares is {found[0] / found[-1]:.2f} of the largest. Take linkage='average' "
            "or linkage='complete'."
        )
