"""Curves along the path between two prompts' activations: how the output moves from A's to B's."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from srtoolkit.measures import distances, likely_tokens
from srtoolkit.measures.likely_tokens import check_top, likeliest, texts_of
from srtoolkit.measures.paths import Path
from srtoolkit.measures.rounding import SHARE, format_eps, rounding_share, times_rounded, warn_of_rounding
from srtoolkit.measures.walk import Batch, Rows, Walk, pairs_that_fit, points_held, set_out
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress, named
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.patch import patch
from srtoolkit.prompts.pairs import PromptPairs, by_length, check_flag
from srtoolkit.validation import check_names, check_whole

#: Read points that curves can be made of.
READS = ("final_norm", "resid", "logits")

#: A pair is degenerate when its ends give outputs closer than this, relative to the output's norm (or ten roundings of
#: the number format, where that is coarser): a ratio to that distance would be noise.
DEGENERATE = 1e-4

#: What measures of the residual stream are called, by where it is read.
_SUFFIXES = {"final_norm": "", "resid": "_resid"}

_LONG_NAMES = {
    "distance": "L2 distance from A's output after the final norm",
    "relative_distance": "distance over its value at alpha = 1",
    "distance_resid": "L2 distance from A's output before the final norm",
    "relative_distance_resid": "distance before the final norm over its value at alpha = 1",
    "distance_b": "L2 distance from the output at alpha = 1 after the final norm",
    "step": "L2 distance from the output one point before, after the final norm",
    "distance_b_resid": "L2 distance from the output at alpha = 1 before the final norm",
    "step_resid": "L2 distance from the output one point before, before the final norm",
    "hellinger": "Hellinger distance of the prediction from A's, 0 to 1",
    "hellinger_b": "Hellinger distance of the prediction from that at alpha = 1, 0 to 1",
    "step_hellinger": "Hellinger distance of the prediction from that one point before",
    "kl": "KL divergence of the prediction from A's, nats",
    "jsd": "Jensen-Shannon divergence of the prediction from A's, nats",
    "logit_difference": "share of the way from A's to B's logit difference",
    "top_token": "id of the most probable next token",
    "top_probability": "probability of that token",
    "token": "ids of the likeliest next tokens",
    "probability": "their probabilities",
    "jsd_b": "Jensen-Shannon divergence of the prediction from that at alpha = 1, nats",
    "step_jsd": "square root of the Jensen-Shannon divergence of the prediction from that one point before",
    "own_b": "L2 distance from B's own output, in B's own context, after the final norm",
    "own_b_resid": "L2 distance from B's own output, in B's own context, before the final norm",
    "own_b_hellinger": "Hellinger distance of the prediction from B's own, in B's own context, 0 to 1",
    "output_norm": "L2 norm of A's output after the final norm",
    "output_norm_b": "L2 norm of the output at alpha = 1 after the final norm",
    "output_cosine": "cosine between the outputs at alpha = 0 and 1 after the final norm",
    "output_norm_resid": "L2 norm of A's output before the final norm",
    "output_norm_b_resid": "L2 norm of the output at alpha = 1 before the final norm",
    "output_cosine_resid": "cosine between the outputs at alpha = 0 and 1 before the final norm",
    "input_distance": "L2 distance between A and B",
    "norm_a": "L2 norm of A",
    "norm_b": "L2 norm of B",
    "cosine": "cosine between A and B",
    "rounded": "whether rounding could explain a good part of the steepest step",
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
    own_b: bool = False,
    method: str = "auto",
    progress: Progress | None = None,
) -> xr.Dataset:
    """Distance of the output from A's output while the activation moves from A to B, for every pair of prompts.

    This is ``d(alpha)`` of Section 3 of the paper, an L2 distance after the final norm.

    A and B are the residual streams of the pair's prompts after block ``layer`` at the last position; every point of
    the path is patched into prompt A's context, B included. So the far end is ``F_pA(B)``, B in A's context, and not
    B's own output ``F_pB(B)``: in SmolLM2, after block 0, these two are about as far apart as the ends, ``d(1)``.
    ``own_b`` measures that.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B).
        layer: Block whose output is replaced; 0 is the paper's.
        steps: Number of points of the path, both ends included; the paper's 50 make steps of 1/49.
        path: ``"linear"``; ``"slerp"``, whose direction turns evenly; ``"arc"``, the same about the model's mean
            activation; or a function of (A, B, alphas) that returns points, as :func:`srtoolkit.paths.linear` does.
        reads: Outputs to measure, one or several. ``"final_norm"`` (the paper's) gives ``distance`` and
            ``relative_distance`` from A's output, ``distance_b`` from that at alpha = 1, and ``step`` from that one
            point before; ``"resid"`` gives them before the norm; ``"logits"`` gives ``kl``, ``jsd``, ``jsd_b``,
            ``step_jsd``, ``hellinger``, ``hellinger_b``, ``step_hellinger``, ``logit_difference``, ``top_token`` and
            ``top_probability``. Leaving ``"logits"`` out is faster.
        top: Number of likeliest next tokens to keep at every point, as ``token``, ``text`` and ``probability`` along
            ``rank``; needs ``"logits"``.
        own_b: Measure the distance from B's own output in B's own context, too, which takes one more pass a pair:
            ``own_b`` after the final norm, ``own_b_resid`` before it, ``own_b_hellinger`` of the predictions.
        method: Patching method, as :func:`srtoolkit.patch` takes it.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``pair``, ``alpha``, and the prompts' texts, token ids and provenance. Pairs whose ends give
        the same output are flagged ``degenerate``, and their relative distances are NaN. Pairs with outputs that are
        NaN or infinite, as an overflowing half-precision model gives, are flagged ``non_finite``; their undefined
        tokens are -1. Pairs with steps so small that rounding could explain a good part of the steepest are flagged
        ``rounded``; the rule is that of :func:`srtoolkit.measures.rounding.rounding_share`. Of both ends there are
        norms and cosines, of the activations (``norm_a``, ``norm_b``, ``cosine``) and of the outputs
        (``output_norm``, ``output_norm_b``, ``output_cosine``, and with ``_resid`` before the norm).

    Raises:
        TypeError: ``own_b`` is neither true nor false.
        ValueError: A prompt, block, number of steps, path, read point, method or number of tokens is not valid, or
            ``own_b`` is asked of a path that does not end at B.
    """
    reads = check_names(reads, READS, "reads")
    check_names(method, (*METHODS, "auto"), "method")
    own_b = check_flag(own_b, "own_b")
    top = check_top(model, top, least=0)
    if top and "logits" not in reads:
        raise ValueError(f"top={top}: the likeliest tokens are read off the logits, and reads={reads} has none.")
    steps = check_whole(steps, "steps", 2, 10**6)  # a path has at least its two ends
    walk = set_out(model, pairs, layer=layer, alphas=torch.linspace(0, 1, steps), path=path)
    if own_b:
        _check_end(walk)
    found = Rows(len(walk.pairs))
    at_once = pairs_that_fit(model, steps, with_logprobs="logits" in reads)
    for batch in walk.batches(at_once, method=method, progress=progress):
        with named():
            own = _own_outputs(walk, batch, reads) if own_b else None
            found.put(batch.rows, _measure(model, batch, walk.layer, reads, top, own))
    return _to_dataset(walk, found, reads)


def _check_end(walk: Walk) -> None:
    """Refuse to compare with B's own output where no path goes to B."""
    end = walk.points_on(walk.a, walk.b, torch.ones(1))[:, 0].to(walk.b)
    if not bool(((end - walk.b).norm(dim=-1) <= 1e-3 * walk.b.norm(dim=-1)).all()):
        raise ValueError(
            f"own_b=True compares with B's own output, but path={walk.path!r} does not end at B; leave own_b out, or "
            "take a path that does, such as 'linear'."
        )


def _own_outputs(walk: Walk, batch: Batch, reads: tuple[str, ...]) -> list[dict[str, Float[Tensor, "point _width"]]]:
    """Outputs of each prompt B of a batch by itself, ``F_pB(B)``: one point a pair, patched into its own context."""
    wanted = tuple("logprobs" if read == "logits" else read for read in reads)
    own: dict[int, dict[str, Tensor]] = {}
    for places, context in by_length([walk.pairs.tokens_b[row] for row in batch.rows]):
        points = walk.b[[batch.rows[place] for place in places]][:, None]
        found = patch(walk.model, context, points, layer=walk.layer, reads=wanted, method="full")
        own |= {place: {read: value[row] for read, value in found.items()} for row, place in enumerate(places)}
    return [own[place] for place in range(len(batch.rows))]


def _measure(
    model: Model,
    batch: Batch,
    layer: int,
    reads: tuple[str, ...],
    top: int,
    own: list[dict[str, Float[Tensor, "point _width"]]] | None,
) -> dict[str, Shaped[Tensor, "pair alpha ..."]]:
    """Every measure at every point of some pairs.

    A path too long for the log-probabilities at hand is cut, and each cut is run together with both ends and the point
    before it: a measure compares outputs of one batch only, so ``d(0)`` is exactly 0.
    """
    points, steps = batch.points, batch.points.shape[1]
    at_once = max(4, points_held(model)) if "logits" in reads else steps + 1
    cuts = torch.arange(1, steps - 1).split(max(1, at_once - 3)) or (torch.arange(0),)
    wanted = tuple("logprobs" if read == "logits" else read for read in reads)
    out: dict[str, Tensor] = {"input_step": F.pad(points.diff(dim=1).norm(dim=-1), (1, 0))}
    for number, cut in enumerate(cuts):
        before = cut[:1] - 1 if number else cut[:0]
        order = torch.cat([torch.tensor([0, steps - 1]), before, cut])
        found = patch(
            model, batch.context, points[:, order], layer=layer, reads=wanted, method=batch.method,
            progress=functools.partial(_of_all_cuts, batch.progress, number, len(cuts)),
        )  # fmt: skip
        for pair in range(len(points)):
            of_pair = {read: value[pair] for read, value in found.items()}
            shared = _Predictions.of(of_pair)
            from_ends = _compare(of_pair, shared, top)
            if own is not None:
                from_ends |= _compare_own(of_pair, shared, own[pair])
            for name, values in from_ends.items():
                whole = out.setdefault(name, torch.empty(*points.shape[:2], *values.shape[1:], dtype=values.dtype))
                whole[pair, order] = values.cpu()
            places, from_before = _compare_neighbours(of_pair, shared, order)
            for name, values in from_before.items():
                whole = out.setdefault(name, torch.zeros(points.shape[:2], dtype=values.dtype))
                whole[pair, places] = values.cpu()
    return out


def _of_all_cuts(progress: Progress, number: int, cuts: int, done: int, total: int) -> None:
    """The progress of one cut as that of the whole path."""
    progress(number * total + done, cuts * total)


class _Predictions(NamedTuple):
    """What several distances between predictions are made of, computed once.

    Attributes:
        probabilities: Probabilities of the next token at each point.
        roots: Their square roots.
    """

    probabilities: Float[Tensor, "point d_vocab"]
    roots: Float[Tensor, "point d_vocab"]

    @classmethod
    def of(cls, found: dict[str, Float[Tensor, "point _width"]]) -> _Predictions | None:
        """Those of one pair, where its predictions were read."""
        if "logprobs" not in found:
            return None
        probabilities = found["logprobs"].exp()
        return cls(probabilities, probabilities.sqrt())


def _compare(
    found: dict[str, Float[Tensor, "point _width"]], shared: _Predictions | None, top: int
) -> dict[str, Shaped[Tensor, "point ..."]]:
    """All measures of one pair's points, the first two of which are the ends."""
    out = {}
    for read, suffix in _SUFFIXES.items():
        if read in found:
            out[f"distance{suffix}"] = distances.l2_from_first(found[read])
            out[f"distance_b{suffix}"] = distances.l2_from_second(found[read])
            out[f"output_norm{suffix}"] = found[read].norm(dim=-1)
            wide = found[read].double()  # a cosine near 1 is an angle near 0 only to half the digits
            out[f"output_cosine{suffix}"] = F.cosine_similarity(wide[:1], wide, dim=-1)
    if shared is not None:
        logprobs, (probabilities, roots) = found["logprobs"], shared
        out["kl"] = distances.kl_from_first(logprobs)
        for end, name in ((0, ""), (1, "_b")):
            out[f"jsd{name}"] = distances.jsd_of(probabilities[end : end + 1], probabilities)
            out[f"hellinger{name}"] = distances.hellinger(roots[end : end + 1], roots)
        out["logit_difference"] = distances.logit_difference(logprobs)
        out["top_token"], out["top_probability"] = likely_tokens.top_token(logprobs)
        if top:
            out["token"], out["probability"] = likeliest(logprobs, top)
    return out


def _compare_own(
    found: dict[str, Float[Tensor, "point _width"]],
    shared: _Predictions | None,
    own: dict[str, Float[Tensor, "point _width"]],
) -> dict[str, Float[Tensor, " point"]]:
    """How far one pair's outputs are from B's own in its own context."""
    out = {
        f"own_b{suffix}": (found[read] - own[read]).norm(dim=-1) for read, suffix in _SUFFIXES.items() if read in found
    }
    if shared is not None:
        out["own_b_hellinger"] = distances.hellinger((own["logprobs"] / 2).exp(), shared.roots)
    return out


def _compare_neighbours(
    found: dict[str, Float[Tensor, "point _width"]], shared: _Predictions | None, order: Int[Tensor, " point"]
) -> tuple[Int[Tensor, " step"], dict[str, Float[Tensor, " step"]]]:
    """How far one pair's outputs are from those one point before, at the points of which these are at hand."""
    sorting = order.argsort()
    follows = order[sorting].diff() == 1
    before, here = sorting[:-1][follows], sorting[1:][follows]
    out = {
        f"step{suffix}": (found[read][here] - found[read][before]).norm(dim=-1)
        for read, suffix in _SUFFIXES.items()
        if read in found
    }
    if shared is not None:
        probabilities, roots = shared
        out["step_hellinger"] = distances.hellinger(roots[before], roots[here])
        out["step_jsd"] = distances.jsd_of(probabilities[before], probabilities[here]).sqrt()
    return order[here], out


def _to_dataset(walk: Walk, found: Rows, reads: tuple[str, ...]) -> xr.Dataset:
    """The measured values with relative distances, flags and provenance."""
    n, variables = len(walk.pairs), dict[str, Any]()
    threshold = max(DEGENERATE, 10 * torch.finfo(walk.model.hf.dtype).eps)
    degenerate = np.zeros(n, dtype=bool)
    always = ("distance", "distance_resid", "top_probability")  # finite wherever the outputs are
    rounded, input_step = np.zeros(n, dtype=bool), found.pop("input_step")
    norm_a, norm_b = (end.double().norm(dim=-1).cpu().numpy() for end in (walk.a, walk.b))
    non_finite = ~np.all([np.isfinite(found[name]).all(1) for name in always if name in found], axis=0)
    for suffix in _SUFFIXES.values():
        if f"distance{suffix}" not in found:
            continue
        distance, norms = found[f"distance{suffix}"], found.pop(f"output_norm{suffix}")
        norm = norms[:, 0]
        # Written so that a NaN distance, from an overflowing half-precision model, is not called degenerate.
        tiny = distance[:, -1] <= threshold * norm
        degenerate |= tiny
        with np.errstate(invalid="ignore", divide="ignore"):
            variables[f"relative_distance{suffix}"] = (
                ("pair", "alpha"),
                np.where((tiny | non_finite)[:, None], np.nan, distance / distance[:, -1:]),
            )
        variables |= {
            f"output_norm{suffix}": ("pair", norm),
            f"output_norm_b{suffix}": ("pair", norms[:, -1]),
            f"output_cosine{suffix}": ("pair", found.pop(f"output_cosine{suffix}")[:, -1]),
        }
        rounded |= _rounded(walk, input_step, np.maximum(norm_a, norm_b), found[f"step{suffix}"], norms.max(axis=1))
    variables |= {name: (("pair", "alpha", "rank")[: values.ndim], values) for name, values in found.items()}
    variables["input_distance"] = "pair", (walk.b - walk.a).float().norm(dim=-1).cpu().numpy()
    variables |= {"norm_a": ("pair", norm_a), "norm_b": ("pair", norm_b)}
    variables["cosine"] = "pair", F.cosine_similarity(walk.a.double(), walk.b.double(), dim=-1).cpu().numpy()
    rounded &= ~(degenerate | non_finite)  # which are left out already
    flags = {"degenerate": degenerate, "non_finite": non_finite, "rounded": rounded}
    variables |= {name: ("pair", flag) for name, flag in flags.items()}
    coords: dict[str, Any] = {"alpha": walk.alphas.double().numpy()}
    if "token" in found:
        variables["text"] = ("pair", "alpha", "rank"), texts_of(walk.model, found["token"])
        coords["rank"] = np.arange(1, found["token"].shape[-1] + 1)
    settings = {"steps": len(walk.alphas), "reads": reads, "degenerate_below": threshold}
    dataset = walk.to_dataset(variables, coords, non_finite, **settings)
    warn_of_rounding(walk.model, rounded, len(walk.alphas))
    for name, long_name in _LONG_NAMES.items():
        if name in dataset:
            dataset[name].attrs["long_name"] = long_name
    return dataset


def _rounded(walk: Walk, input_step: Any, input_norm: Any, output_step: Any, output_norm: Any) -> Any:
    """Whether rounding could explain a good part of each pair's steepest step."""
    times = times_rounded(walk.model, walk.layer)
    share = rounding_share(format_eps(walk.model), times, input_step, input_norm, output_step, output_norm)
    return share > SHARE
