"""Curves along the path between two prompts' activations: how the output moves from A's to B's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from srtoolkit.measures import distances
from srtoolkit.measures.dataset import describe_pairs, provenance
from srtoolkit.measures.paths import Path, find_path
from srtoolkit.measures.walk import capture_all
from srtoolkit.models.checks import check_layer, check_names
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import named
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.overflow import warn_of_overflow
from srtoolkit.patching.patch import choose_method, patch
from srtoolkit.prompts.pairs import PromptPairs, as_pairs, by_length
from srtoolkit.validation import check_whole

#: Read points that curves can be made of.
READS = ("final_norm", "resid", "logits")

#: Bytes of log-probabilities that are held at one time.
LOGPROB_BYTES = 256 * 2**20

#: Pairs in one call where no log-probabilities are held: the progress bar's step.
PAIRS_AT_ONCE = 64

#: A pair is degenerate when its ends give outputs closer than this, relative to the output's norm (or ten roundings of
#: the number format, where that is coarser): a ratio to that distance would be noise.
DEGENERATE = 1e-4

_LONG_NAMES = {
    "distance": "L2 distance from A's output after the final norm",
    "relative_distance": "distance over its value at alpha = 1",
    "distance_resid": "L2 distance from A's output before the final norm",
    "relative_distance_resid": "distance before the final norm over its value at alpha = 1",
    "kl": "KL divergence of the prediction from A's, nats",
    "jsd": "Jensen-Shannon divergence of the prediction from A's, nats",
    "logit_difference": "share of the way from A's to B's logit difference",
    "top_token": "id of the most probable next token",
    "top_probability": "probability of that token",
    "output_norm": "L2 norm of A's output after the final norm",
    "input_distance": "L2 distance between A and B",
}


@torch.no_grad()
def interpolate(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    layer: int = 0,
    steps: int = 50,
    path: str | Path = "linear",
    reads: str | Sequence[str] = READS,
    method: str = "auto",
) -> xr.Dataset:
    """Distance of the output from A's while the activation goes from A to B, for every pair; ``d(alpha)`` of Section 3.

    A and B are the residual streams of the pair's prompts after block ``layer`` at the last position; every point of
    the path is put into prompt A's context, B included.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of (text, text).
        layer: Block whose output is replaced; 0 is the paper's.
        steps: Points of the path, both ends included; the paper's 50 make steps of 1/49.
        path: ``"linear"``, or a function of (A, B, alphas).
        reads: What to measure at. ``"final_norm"`` (the paper's) gives ``distance`` and ``relative_distance``;
            ``"resid"`` the same before the norm; ``"logits"`` gives ``kl``, ``jsd``, ``logit_difference``,
            ``top_token``, ``top_probability``. Leaving ``"logits"`` out is faster.
        method: Patching method.

    Returns:
        Dims ``pair``, ``alpha``, with texts, token ids and provenance. Pairs whose ends give the same output are
        flagged ``degenerate`` and have NaN for relative distances; those with outputs that are NaN or infinite, as an
        overflowing half-precision model gives, are flagged ``non_finite``, and a token that is undefined is -1.

    Raises:
        ValueError: Bad prompts, block, steps, path, read point or method.
    """
    layer, reads = check_layer(model, layer), check_names(reads, READS, "reads")
    check_names(method, (*METHODS, "auto"), "method")
    steps = check_whole(steps, "steps", 2, 10**6)  # a path has at least its two ends
    path_name, path_function = find_path(path)
    pairs = as_pairs(model, pairs)
    a, b = (capture_all(model, side, layer) for side in (pairs.tokens_a, pairs.tokens_b))
    alphas = torch.linspace(0, 1, steps)
    parts: list[tuple[list[int], dict[str, Tensor]]] = []
    used: dict[str, None] = {}  # a set that keeps its order: contexts of different kinds may need different methods
    with tqdm(total=len(pairs), desc=f"interpolating after block {layer}", unit="pair", leave=False) as bar:
        for places, context in by_length(pairs.tokens_a):
            chosen = choose_method(model, context.to(model.device), steps).method if method == "auto" else method
            used[chosen] = None
            for some in torch.arange(len(places)).split(_pairs_at_once(model, steps, reads)):
                rows = [places[index] for index in some]
                points = path_function(a[rows], b[rows], alphas)
                with named():
                    parts.append((rows, _measure(model, context[some], points, layer, reads, chosen)))
                bar.update(len(rows))
    found = _to_dataset(model, pairs, alphas, parts, a, b, layer=layer, path=path_name, method=", ".join(used))
    warn_of_overflow(model, pairs.tokens_a, found["non_finite"].values, layer)
    return found


def _pairs_at_once(model: Model, steps: int, reads: tuple[str, ...]) -> int:
    if "logits" not in reads:
        return PAIRS_AT_ONCE
    return max(1, min(PAIRS_AT_ONCE, LOGPROB_BYTES // (4 * model.vocab_size * steps)))


def _measure(
    model: Model,
    context: Int[Tensor, "pair pos"],
    points: Float[Tensor, "pair alpha d_model"],
    layer: int,
    reads: tuple[str, ...],
    method: str,
) -> dict[str, Float[Tensor, "pair alpha"]]:
    """Every measure at every point of some pairs.

    A path too long for the log-probabilities at hand is cut, and each cut is run together with both ends: a measure
    compares outputs of one batch only, so ``d(0)`` is exactly 0.
    """
    steps = points.shape[1]
    at_once = max(3, LOGPROB_BYTES // (4 * model.vocab_size)) if "logits" in reads else steps
    cuts = torch.arange(1, steps - 1).split(max(1, at_once - 2)) or (torch.arange(0),)
    wanted = tuple("logprobs" if read == "logits" else read for read in reads)
    out: dict[str, Tensor] = {}
    for cut in cuts:
        order = torch.cat([torch.tensor([0, steps - 1]), cut])
        found = patch(model, context, points[:, order], layer, wanted, method)
        assert isinstance(found, dict)
        for pair in range(len(points)):
            for name, values in _compare({read: value[pair] for read, value in found.items()}).items():
                out.setdefault(name, torch.empty(points.shape[:2], dtype=values.dtype))[pair, order] = values.cpu()
    return out


def _compare(found: dict[str, Float[Tensor, "point width"]]) -> dict[str, Float[Tensor, " point"]]:
    """All measures of one pair's points, the first two of which are the ends."""
    out = {}
    if "final_norm" in found:
        out["distance"] = distances.l2_from_first(found["final_norm"])
        out["output_norm"] = found["final_norm"].norm(dim=-1)
    if "resid" in found:
        out["distance_resid"] = distances.l2_from_first(found["resid"])
        out["output_norm_resid"] = found["resid"].norm(dim=-1)
    if "logprobs" in found:
        logprobs = found["logprobs"]
        out["kl"] = distances.kl_from_first(logprobs)
        out["jsd"] = distances.jsd_from_first(logprobs)
        out["logit_difference"] = distances.logit_difference(logprobs)
        out["top_token"], out["top_probability"] = distances.top_token(logprobs)
    return out


def _to_dataset(
    model: Model,
    pairs: PromptPairs,
    alphas: Float[Tensor, " alpha"],
    parts: list[tuple[list[int], dict[str, Tensor]]],
    a: Float[Tensor, "pair d_model"],
    b: Float[Tensor, "pair d_model"],
    **settings: object,
) -> xr.Dataset:
    """The measured parts in the order of the pairs, with relative distances, flags and provenance."""
    order = np.argsort([row for rows, _ in parts for row in rows])
    joined = {name: torch.cat([values[name] for _, values in parts]).numpy()[order] for name in parts[0][1]}
    variables: dict[str, object] = {}
    threshold = max(DEGENERATE, 10 * torch.finfo(model.hf.dtype).eps)
    degenerate = np.zeros(len(pairs), dtype=bool)
    always = ("distance", "distance_resid", "top_probability")  # finite wherever the outputs are
    non_finite = ~np.all([np.isfinite(joined[name]).all(1) for name in always if name in joined], axis=0)
    for suffix in ("", "_resid"):
        if f"distance{suffix}" not in joined:
            continue
        distance, norm = joined[f"distance{suffix}"], joined.pop(f"output_norm{suffix}")[:, 0]
        # Written so that a NaN distance, from an overflowing half-precision model, is not called degenerate.
        tiny = distance[:, -1] <= threshold * norm
        degenerate |= tiny
        with np.errstate(invalid="ignore", divide="ignore"):
            variables[f"relative_distance{suffix}"] = (
                ("pair", "alpha"),
                np.where((tiny | non_finite)[:, None], np.nan, distance / distance[:, -1:]),
            )
        if not suffix:
            variables["output_norm"] = "pair", norm
    variables |= {name: (("pair", "alpha"), values) for name, values in joined.items()}
    variables["input_distance"] = "pair", (b - a).float().norm(dim=-1).cpu().numpy()
    variables |= {"degenerate": ("pair", degenerate), "non_finite": ("pair", non_finite)}
    about = describe_pairs(pairs)
    coords = {name: about.pop(name) for name in ("pair", "text_a", "text_b")}
    dataset = xr.Dataset(
        variables | about,
        {**coords, "alpha": alphas.double().numpy()},
        provenance(model, pairs, steps=len(alphas), degenerate_below=threshold, **settings),
    )
    for name, long_name in _LONG_NAMES.items():
        if name in dataset:
            dataset[name].attrs["long_name"] = long_name
    return dataset
