"""Curves along the path between two prompts' activations: how the output moves from A's to B's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from jaxtyping import Bool, Float

from srtoolkit.measures.adaptive_curves import Rule, check_rule, pairs_at_once, run_adaptive
from srtoolkit.measures.along_path import PointTable
from srtoolkit.measures.even_curves import run_even
from srtoolkit.measures.lags import COMPARED, check_lags
from srtoolkit.measures.likely_tokens import check_top, texts_of
from srtoolkit.measures.notes import note_of
from srtoolkit.measures.own_outputs import check_end, own_outputs
from srtoolkit.measures.paths import PATHS, Path
from srtoolkit.measures.read_points import READS, check_outputs, vectors, with_blocks
from srtoolkit.measures.rounding import SHARE, rounding_share, warn_of_rounding
from srtoolkit.measures.walk import Rows, Walk, set_out
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress, named
from srtoolkit.patching.methods import METHODS
from srtoolkit.prompts.pairs import PromptPairs, check_flag
from srtoolkit.validation import check_names, check_whole

#: A pair is degenerate when its ends give outputs closer than this, relative to the output's norm (or ten roundings of
#: the number format, where that is coarser): a ratio to that distance would be noise.
DEGENERATE = 1e-4

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
    **{f"{name}_lag": long_name for name, long_name in COMPARED.items()},
    "evaluated": "whether the point ran",
    "certified": "whether what the bound on hidden steps takes for granted held wherever it was seen",
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
    position: int = -1,
    reads: str | Sequence[str] = READS,
    top: int = 0,
    own_b: bool = False,
    jsd_steps: bool = False,
    lags: Sequence[int] = (),
    where: str = "even",
    certify: str = "max_slope",
    tolerance: float = 0.0,
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
        position: Which token's activation is captured and replaced in every prompt, counted from 0, or from the end if
            negative. Outputs are read at the last token, whichever is replaced.
        reads: Outputs to measure, one or several. ``"final_norm"`` (the paper's) gives ``distance`` and
            ``relative_distance`` from A's output, ``distance_b`` from that at alpha = 1, and ``step`` from that one
            point before; ``"resid"`` gives them before the norm; ``"logits"`` gives ``kl``, ``jsd``,
            ``hellinger``, ``hellinger_b``, ``step_hellinger``, ``logit_difference``, ``top_token`` and
            ``top_probability``. Leaving ``"logits"`` out is faster. ``"resid.7"``, ``"attn.7"`` and ``"mlp.7"`` are the
            stream after block 7, and what its attention and MLP add to it, as ``distance_mlp_7`` and so on;
            ``"attn"`` and ``"mlp"`` are those of the last block.
        top: Number of likeliest next tokens to keep at every point, as ``token``, ``text`` and ``probability`` along
            ``rank``; needs ``"logits"``.
        own_b: Measure the distance from B's own output in B's own context, too, which takes one more pass a pair:
            ``own_b`` after the final norm, ``own_b_resid`` before it, ``own_b_hellinger`` of the predictions.
        jsd_steps: Measure the motion of predictions by Jensen-Shannon divergence, too, which takes a tenth longer:
            ``jsd_b``, from that at alpha = 1, and ``step_jsd``, its square root from one point before.
        lags: Numbers of steps between two points to compare, too, as :func:`srtoolkit.divergence` does in a pass of its
            own: ``jsd_lag``, ``same_token_lag`` and ``output_distance_lag``, with dims ``pair``, ``lag``, ``alpha``.
            They need ``"final_norm"`` and ``"logits"``, and points that are even.
        where: Which points of the path run: ``"even"``, all of them, or ``"adaptive"``, those that decide what
            ``certify`` names. Values that did not run are NaN (tokens -1), and ``evaluated`` says which did.
        certify: For adaptive points: ``"max_slope"``, the largest slope of ``distance`` (where that is not read, of
            ``distance_resid`` or ``hellinger``), or ``"peak"``, the longest step of the same output; the path's length
            is then that between points that ran, so that ``peak`` is a little too high. Points are left out where the
            curve is taken to bend inside an interval hardly more than around it (see
            :mod:`srtoolkit.measures.adaptive`). So it found the steepest of 50 steps on all of 1,000 pairs of SmolLM2,
            from 18 points a pair. Curves whose rises have no order at all it gets wrong in one of ten.
        tolerance: For adaptive points: share of the steepest slope by which a step that did not run may be steeper, as
            far as the bound holds.
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
        (``output_norm``, ``output_norm_b``, ``output_cosine``, and with ``_resid`` before the norm). Adaptive points
        have ``evaluated`` (over ``pair``, ``alpha``) and ``certified``: nothing seen of the pair speaks against what
        the bound takes for granted. Where prompts end in the same token, or the ends lie close together, the attribute
        ``note`` says so: such a path is often straight.

    Raises:
        TypeError: ``own_b`` or ``jsd_steps`` is neither true nor false.
        ValueError: A prompt, block, number of steps, path, position, read point, method or number of tokens is not
            valid, ``own_b`` is asked of a path that does not end at B, or ``lags`` without what they compare.
    """
    reads = check_outputs(model, reads, layer)
    check_names(method, (*METHODS, "auto"), "method")
    own_b, jsd_steps = check_flag(own_b, "own_b"), check_flag(jsd_steps, "jsd_steps")
    top = check_top(model, top, least=0)
    if jsd_steps and "logits" not in reads:
        raise ValueError(f"jsd_steps=True: predictions are read off the logits, and reads={reads} has none.")
    if top and "logits" not in reads:
        raise ValueError(f"top={top}: the likeliest tokens are read off the logits, and reads={reads} has none.")
    steps = check_whole(steps, "steps", 2, 10**6)  # a path has at least its two ends
    rule = check_rule(where, certify, tolerance, reads)
    lags = check_lags(lags, steps, least=0)
    if lags and (rule is not None or not {"final_norm", "logits"} <= set(reads)):
        raise ValueError(
            f"lags={lags}: outputs and predictions are compared at all points, so they need reads=('final_norm', "
            f"'logits') and where='even', got reads={reads} and where={where!r}."
        )
    walk = set_out(model, pairs, layer=layer, alphas=torch.linspace(0, 1, steps), path=path, position=position)
    if own_b:
        check_end(walk)
    found = Rows(len(walk.pairs))
    at_once = pairs_at_once(walk, rule, "logits" in reads, own_b)
    for batch in walk.batches(at_once, method=method, in_rounds=rule is not None, progress=progress):
        with named():
            own = own_outputs(walk, batch, reads) if own_b else None
            table = PointTable(*batch.points.shape[:2], top=top, jsd_steps=jsd_steps, lags=lags)
            if rule is None:
                run_even(model, batch, walk.layer, reads, table, own, whole=bool(lags))
            else:
                run_adaptive(model, batch, walk.layer, reads, table, own, rule)
            found.put(batch.rows, table)
    return curves_dataset(walk, found, reads, rule, lags)


def curves_dataset(
    walk: Walk, found: Rows, reads: tuple[str, ...], rule: Rule | None = None, lags: Sequence[int] = ()
) -> xr.Dataset:
    """The measured values with relative distances, flags and provenance.

    Args:
        walk: The paths.
        found: What was measured on them.
        reads: Outputs that were read.
        rule: Which points ran; ``None`` where all did.
        lags: Numbers of steps between points that were compared.
    """
    n, variables = len(walk.pairs), dict[str, Any]()
    threshold = max(DEGENERATE, 10 * torch.finfo(walk.model.hf.dtype).eps)
    degenerate = np.zeros(n, dtype=bool)
    # Finite wherever the outputs are.
    always = (*(f"distance{suffix}" for suffix in vectors(reads).values()), "top_probability")
    ran = found.get("evaluated", np.ones((n, len(walk.alphas)), dtype=bool))
    rounded = _rounded(walk, found, found.pop("input_step"), ran, vectors(reads).values())
    norm_a, norm_b = (end.double().norm(dim=-1).cpu().numpy() for end in (walk.a, walk.b))
    non_finite = ~np.all([(np.isfinite(found[name]) | ~ran).all(1) for name in always if name in found], axis=0)
    for suffix in vectors(reads).values():
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
    if rule is not None:
        variables["certified"] = "pair", found.pop("certified") & ~non_finite
    if lags:
        at_lags = {f"{name}_lag": found.pop(f"{name}_lag").swapaxes(1, 2) for name in COMPARED}
        variables |= {name: (("pair", "lag", "alpha"), values) for name, values in at_lags.items()}
    variables |= {name: (("pair", "alpha", "rank")[: values.ndim], values) for name, values in found.items()}
    variables["input_distance"] = "pair", (walk.b - walk.a).float().norm(dim=-1).cpu().numpy()
    variables |= {"norm_a": ("pair", norm_a), "norm_b": ("pair", norm_b)}
    variables["cosine"] = "pair", F.cosine_similarity(walk.a.double(), walk.b.double(), dim=-1).cpu().numpy()
    rounded &= ~(degenerate | non_finite)  # which are left out already
    flags = {"degenerate": degenerate, "non_finite": non_finite, "rounded": rounded}
    variables |= {name: ("pair", flag) for name, flag in flags.items()}
    coords: dict[str, Any] = {"alpha": walk.alphas.double().numpy()} | ({"lag": list(lags)} if lags else {})
    if "token" in found:
        variables["text"] = ("pair", "alpha", "rank"), texts_of(walk.model, found["token"])
        coords["rank"] = np.arange(1, found["token"].shape[-1] + 1)
    settings = {"steps": len(walk.alphas), "reads": reads, "degenerate_below": threshold}
    if rule is not None:
        settings |= {"where": "adaptive", "certify": rule.certify, "tolerance": rule.tolerance}
    if (
        walk.position == -1
        and walk.path in (*PATHS, "arc")
        and (note := note_of(walk.pairs, walk.layer, walk.a, walk.b))
    ):
        settings["note"] = note
    dataset = walk.to_dataset(variables, coords, non_finite, **settings)
    warn_of_rounding(walk.model, rounded, len(walk.alphas))
    for name, long_name in with_blocks(_LONG_NAMES, reads).items():
        if name in dataset:
            dataset[name].attrs["long_name"] = long_name
    return dataset


def _rounded(
    walk: Walk,
    found: Rows,
    input_step: Float[np.ndarray, "pair alpha"],
    ran: Bool[np.ndarray, "pair alpha"],
    suffixes: Collection[str],
) -> Bool[np.ndarray, " pair"]:
    """Whether rounding could explain a good part of each pair's steepest step, at any read point.

    Predictions have no norm that they are rounded by; where they alone are read, the path speaks for them. Of steps
    between points that ran, those of the grid count, where there are any: a longer one need not be a steeper one.
    """
    single = ran & np.roll(ran, 1, axis=1)
    single[:, 0] = False
    counts = single | ~single.any(axis=1, keepdims=True)
    input_norm = torch.maximum(walk.a.norm(dim=-1), walk.b.norm(dim=-1)).cpu().numpy()
    of_path = input_step, input_norm
    of_outputs = [
        (np.where(counts, found[f"step{suffix}"], 0.0), np.where(ran, found[f"output_norm{suffix}"], 0).max(axis=1))
        for suffix in suffixes
    ]
    shares = [rounding_share(walk.model, walk.layer, *of_path, *of_output) for of_output in of_outputs or [of_path]]
    return np.max(shares, axis=0) > SHARE
