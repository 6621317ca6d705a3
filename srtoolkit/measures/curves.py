"""Curves along the path between two prompts' activations: how the output moves from A's to B's."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Shaped
from torch import Tensor

from srtoolkit.measures import distances, likely_tokens
from srtoolkit.measures.likely_tokens import check_top, likeliest, texts_of
from srtoolkit.measures.paths import Path
from srtoolkit.measures.walk import Batch, Rows, Walk, pairs_that_fit, points_held, set_out
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress, named
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.patch import patch
from srtoolkit.prompts.pairs import PromptPairs
from srtoolkit.validation import check_names, check_whole

#: Read points that curves can be made of.
READS = ("final_norm", "resid", "logits")

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
    "token": "ids of the likeliest next tokens",
    "probability": "their probabilities",
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
    top: int = 0,
    method: str = "auto",
    progress: Progress | None = None,
) -> xr.Dataset:
    """Distance of the output from A's output while the activation moves from A to B, for every pair of prompts.

    This is ``d(alpha)`` of Section 3 of the paper, an L2 distance after the final norm.

    A and B are the residual streams of the pair's prompts after block ``layer`` at the last position; every point of
    the path is patched into prompt A's context, B included.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B).
        layer: Block whose output is replaced; 0 is the paper's.
        steps: Number of points of the path, both ends included; the paper's 50 make steps of 1/49.
        path: ``"linear"``, or a function of (A, B, alphas) that returns points, as :func:`srtoolkit.paths.linear` does.
        reads: Outputs to measure, one or several. ``"final_norm"`` (the paper's) gives ``distance`` and
            ``relative_distance``; ``"resid"`` gives both before the norm; ``"logits"`` gives ``kl``, ``jsd``,
            ``logit_difference``, ``top_token`` and ``top_probability``. Leaving ``"logits"`` out is faster.
        top: Number of likeliest next tokens to keep at every point, as ``token``, ``text`` and ``probability`` along
            ``rank``; needs ``"logits"``.
        method: Patching method, as :func:`srtoolkit.patch` takes it.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``pair``, ``alpha``, and the prompts' texts, token ids and provenance. Pairs whose ends give
        the same output are flagged ``degenerate``, and their relative distances are NaN. Pairs with outputs that are
        NaN or infinite, as an overflowing half-precision model gives, are flagged ``non_finite``; their undefined
        tokens are -1.

    Raises:
        ValueError: A prompt, block, number of steps, path, read point, method or number of tokens is not valid.
    """
    reads = check_names(reads, READS, "reads")
    check_names(method, (*METHODS, "auto"), "method")
    top = check_top(model, top, least=0)
    if top and "logits" not in reads:
        raise ValueError(f"top={top}: the likeliest tokens are read off the logits, and reads={reads} has none.")
    steps = check_whole(steps, "steps", 2, 10**6)  # a path has at least its two ends
    walk = set_out(model, pairs, layer=layer, alphas=torch.linspace(0, 1, steps), path=path)
    found = Rows(len(walk.pairs))
    at_once = pairs_that_fit(model, steps, with_logprobs="logits" in reads)
    for batch in walk.batches(at_once, method=method, progress=progress):
        with named():
            found.put(batch.rows, _measure(model, batch, walk.layer, reads, top))
    return _to_dataset(walk, found, reads)


def _measure(
    model: Model, batch: Batch, layer: int, reads: tuple[str, ...], top: int
) -> dict[str, Shaped[Tensor, "pair alpha ..."]]:
    """Every measure at every point of some pairs.

    A path too long for the log-probabilities at hand is cut, and each cut is run together with both ends: a measure
    compares outputs of one batch only, so ``d(0)`` is exactly 0.
    """
    points, steps = batch.points, batch.points.shape[1]
    at_once = max(3, points_held(model)) if "logits" in reads else steps
    cuts = torch.arange(1, steps - 1).split(max(1, at_once - 2)) or (torch.arange(0),)
    wanted = tuple("logprobs" if read == "logits" else read for read in reads)
    out: dict[str, Tensor] = {}
    for number, cut in enumerate(cuts):
        order = torch.cat([torch.tensor([0, steps - 1]), cut])
        found = patch(
            model, batch.context, points[:, order], layer=layer, reads=wanted, method=batch.method,
            progress=functools.partial(_of_all_cuts, batch.progress, number, len(cuts)),
        )  # fmt: skip
        for pair in range(len(points)):
            for name, values in _compare({read: value[pair] for read, value in found.items()}, top).items():
                whole = out.setdefault(name, torch.empty(*points.shape[:2], *values.shape[1:], dtype=values.dtype))
                whole[pair, order] = values.cpu()
    return out


def _of_all_cuts(progress: Progress, number: int, cuts: int, done: int, total: int) -> None:
    """The progress of one cut as that of the whole path."""
    progress(number * total + done, cuts * total)


def _compare(found: dict[str, Float[Tensor, "point _width"]], top: int) -> dict[str, Shaped[Tensor, "point ..."]]:
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
        out["top_token"], out["top_probability"] = likely_tokens.top_token(logprobs)
        if top:
            out["token"], out["probability"] = likeliest(logprobs, top)
    return out


def _to_dataset(walk: Walk, found: Rows, reads: tuple[str, ...]) -> xr.Dataset:
    """The measured values with relative distances, flags and provenance."""
    n, variables = len(walk.pairs), dict[str, Any]()
    threshold = max(DEGENERATE, 10 * torch.finfo(walk.model.hf.dtype).eps)
    degenerate = np.zeros(n, dtype=bool)
    always = ("distance", "distance_resid", "top_probability")  # finite wherever the outputs are
    non_finite = ~np.all([np.isfinite(found[name]).all(1) for name in always if name in found], axis=0)
    for suffix in ("", "_resid"):
        if f"distance{suffix}" not in found:
            continue
        distance, norm = found[f"distance{suffix}"], found.pop(f"output_norm{suffix}")[:, 0]
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
    variables |= {name: (("pair", "alpha", "rank")[: values.ndim], values) for name, values in found.items()}
    variables["input_distance"] = "pair", (walk.b - walk.a).float().norm(dim=-1).cpu().numpy()
    variables |= {"degenerate": ("pair", degenerate), "non_finite": ("pair", non_finite)}
    coords: dict[str, Any] = {"alpha": walk.alphas.double().numpy()}
    if "token" in found:
        variables["text"] = ("pair", "alpha", "rank"), texts_of(walk.model, found["token"])
        coords["rank"] = np.arange(1, found["token"].shape[-1] + 1)
    settings = {"steps": len(walk.alphas), "reads": reads, "degenerate_below": threshold}
    dataset = walk.to_dataset(variables, coords, non_finite, **settings)
    for name, long_name in _LONG_NAMES.items():
        if name in dataset:
            dataset[name].attrs["long_name"] = long_name
    return dataset
