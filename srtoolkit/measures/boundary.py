"""Where the boundary between two prompts is: its places on the path, how steep and wide it is, which way it faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.measures.crossings import Crossings, Seen, locate, way_gone
from srtoolkit.measures.curves import DEGENERATE
from srtoolkit.measures.paths import Path
from srtoolkit.measures.read_points import READS
from srtoolkit.measures.walk import Batch, Walk, pairs_that_fit, prose_mean, set_out
from srtoolkit.models.checks import check_model
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import check_here
from srtoolkit.patching.batches import Progress
from srtoolkit.patching.derivatives import gradient
from srtoolkit.patching.rounds import Rounds, contexts_that_fit
from srtoolkit.prompts.pairs import PromptPairs
from srtoolkit.validation import check_names, check_number, check_whole

#: Narrowest bracket that float32 points can tell apart.
FINEST = 1e-6

#: Half the part of a path from which its direction at a place is taken.
NEARBY = 0.005

_LONG_NAMES = {
    "place": "alpha at which the output is as far from A's as from the far end's",
    "place_below": "largest alpha seen below it, with the output on the other side",
    "place_above": "smallest alpha seen above it",
    "slope": "slope there of the share of the way from A's output to the far end's (a straight line has 1)",
    "width": "alpha from a tenth to nine tenths of the way, around the crossing (a straight line has 0.8)",
    "distance": "L2 distance of the crossing from A",
    "angle": "between path and normal, from 0 to pi",
    "normal": "unit normal of the boundary, towards the far end's side",
    "crossings": "number of crossings seen",
    "found": "whether a boundary was found",
    "peak_at": "alpha at which the output moves fastest",
    "token_at": "alpha at which the predicted token stops being A's for good",
    "bisector": "alpha where the bisector of the angle at the mean meets the straight path",
}


class _Faces(NamedTuple):
    """How boundaries lie at crossings."""

    slope: Float[np.ndarray, " crossing"]
    angle: Float[np.ndarray, " crossing"]
    distance: Float[np.ndarray, " crossing"]
    normal: Float[np.ndarray, "crossing d_model"]


@torch.no_grad()
def boundary(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    tolerance: float = 1e-4,
    *,
    layer: int = 0,
    steps: int = 17,
    path: str | Path = "linear",
    position: int = -1,
    reads: str = "final_norm",
    mean: Float[Tensor, " d_model"] | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Where on each pair's path the output is as far from A's output as from the far end's: alpha, 0 at A and 1 at B.

    The share of the way that the output has gone is ``(1 + (d_A - d_B) / d(1)) / 2``, by its distances from both ends'
    outputs: 0 at A, 1 at the far end, and the same from either of them. Even points say between which of them it passes
    one half; halving narrows each of these brackets. So every bracket holds a crossing, and crossings that come and go
    between two even points are not seen. Every path whose ends differ in output has a crossing, be it a jump or
    not: ``slope`` and ``width`` say how sharp it is.

    On nano-1m (``sample_pairs(model, 200, length=10, seed=7)``) the median slope is 2.10 and the angle 0.92; with its
    weights permuted (:func:`srtoolkit.null_model`, two seeds) every path has its one crossing still, with slopes of
    1.17 and 1.19 and angles of 1.11 and 1.12. The bisector tells the place hardly better than 0.5 does, by 0.009 in the
    mean (95% interval 0.002 to 0.016), and no better than with permuted weights (0.001 and 0.006).

    Args:
        model: From :func:`srtoolkit.load_model`; it must run here.
        pairs: Pairs of prompts, or a list of their texts (A, B).
        tolerance: Widest bracket of a crossing, in alpha; from 1e-6 on.
        layer: Block whose output is replaced.
        steps: Number of even points that are looked at first, 5 or more.
        path: As :func:`srtoolkit.interpolate` takes it.
        position: Which token's activation is captured and replaced, as :func:`srtoolkit.interpolate` takes it; the
            output is that of the last token.
        reads: Which output: ``"final_norm"``, ``"resid"``, or ``"logits"`` for Hellinger distances of predictions.
        mean: Mean activation, for ``bisector``; that of shipped prose by default, where the model has a tokenizer.
        progress: Called with the number of even points done and that of all; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``pair``, ``crossing`` (the first is 1; NaN beyond a pair's last): ``place``, in the middle
        of ``place_below`` and ``place_above``; ``slope`` there of the share of the way, by its gradient (negative where
        the output turns back); ``width`` (alpha from a tenth to nine tenths of the way; NaN where the output turns back
        before); ``distance`` from A; ``normal``, the unit gradient, and ``angle`` between it and the path, in radians.
        With dim ``pair``: ``crossings`` (their number), ``found`` (whether there is any), ``peak_at``
        (where the output moves fastest, refined to 0.001 around the fastest of the even steps), ``token_at`` (where the
        predicted token stops being A's for good; NaN where it does not), ``bisector``
        (``|A - mean| / (|A - mean| + |B - mean|)``), and the flags ``degenerate`` (both ends give the same output) and
        ``non_finite``, for which nothing is found.

    Raises:
        TypeError: ``mean`` is no tensor of real numbers.
        ValueError: A prompt, block, path, position or setting is not valid.
        RemoteError: The model runs elsewhere.
    """
    check_here(check_model(model), "boundary")
    tolerance, steps = check_number(tolerance, "tolerance", FINEST, 0.5), check_whole(steps, "steps", 5, 10**6)
    (reads,) = check_names(reads, READS, "reads")
    centre = None if mean is None else _check_mean(model, mean)
    walk = set_out(model, pairs, layer=layer, alphas=torch.linspace(0, 1, steps), path=path, position=position)
    longest = max(map(len, walk.pairs.tokens_a))
    at_once = min(contexts_that_fit(model, longest, 4), pairs_that_fit(model, steps, with_logprobs=True))
    found = list[tuple[list[int], Crossings, _Faces]]()
    for batch in walk.batches(at_once, in_rounds=True, progress=progress):
        crossings = _locate(walk, batch, reads, steps, tolerance)
        found.append((batch.rows, crossings, _faces(walk, batch, crossings, reads)))
    data = _table(len(walk.pairs), model.d_model, found)
    if centre is None and model.tokenizer is not None:
        centre = prose_mean(model, walk.layer)
    data["bisector"] = _bisector(walk, centre)
    variables = {name: (("pair", "crossing", "d_model")[: values.ndim], values) for name, values in data.items()}
    numbers = {"crossing": np.arange(1, data["place"].shape[1] + 1)}
    settings = {"steps": steps, "tolerance": tolerance, "reads": reads}
    dataset = walk.to_dataset(variables, numbers, data["non_finite"], **settings)
    for name, words in _LONG_NAMES.items():
        dataset[name].attrs["long_name"] = words
    return dataset


def _locate(walk: Walk, batch: Batch, reads: str, steps: int, tolerance: float) -> Crossings:
    """The crossings of some pairs' paths, whose prefixes stay at hand from round to round."""
    model, wanted = walk.model, tuple(dict.fromkeys((reads, "logits")))
    run = Rounds(model, batch.context, layer=walk.layer, reads=wanted, position=batch.position, method=batch.method)

    def seen_at(rows: Int[Tensor, " place"], alphas: Float[Tensor, " place"]) -> Seen:
        read = run(rows, _points(walk, batch.rows, rows, alphas))
        return Seen(_as_vectors(read[reads], reads), read["logits"].argmax(dim=-1))

    same = max(DEGENERATE, 10 * torch.finfo(model.hf.dtype).eps)
    return locate(seen_at, len(batch.rows), steps, tolerance, same)


def _as_vectors(read: Float[Tensor, "place width"], reads: str) -> Float[Tensor, "place width"]:
    """Outputs as vectors whose L2 distance is how far apart they are; of predictions, the Hellinger distance."""
    return read if reads != "logits" else (read.log_softmax(dim=-1) / 2).exp() / 2**0.5


def _points(
    walk: Walk, pairs: Sequence[int], rows: Int[Tensor, " place"], alphas: Float[Tensor, " place"]
) -> Float[Tensor, "place d_model"]:
    """Points at places of each pair's own path, which need not be the same on all."""
    points = torch.empty(len(rows), walk.a.shape[1], dtype=walk.a.dtype, device=walk.a.device)
    for row in rows.unique().tolist():
        pair, here = pairs[row], rows == row
        points[here.to(points.device)] = walk.points_on(walk.a[pair : pair + 1], walk.b[pair : pair + 1], alphas[here])[
            0
        ].to(points)
    return points


def _faces(walk: Walk, batch: Batch, found: Crossings, reads: str) -> _Faces:
    """Normals of the boundaries, by the gradient of the share of the way, and how the paths meet them."""
    rows, place = torch.from_numpy(found.row), torch.from_numpy((found.low + found.high) / 2)
    if not len(rows):
        none = np.zeros(0)
        return _Faces(none, none, none, np.zeros((0, walk.a.shape[1])))
    points = _points(walk, batch.rows, rows, place)

    def share(index: Int[Tensor, " row"], outputs: Float[Tensor, "row width"]) -> Float[Tensor, " row"]:
        return way_gone(_as_vectors(outputs, reads), found.ends[rows[index].to(found.ends.device)].to(outputs))

    steepest = gradient(
        walk.model, batch.context[rows], points, share, layer=walk.layer, position=walk.position, reads=reads
    ).double().cpu()  # fmt: skip
    before, after = (place - NEARBY).clamp_min(0), (place + NEARBY).clamp_max(1)
    ahead, behind = (_points(walk, batch.rows, rows, at).double().cpu() for at in (after, before))
    way = (ahead - behind) / (after - before)[:, None]
    slope, size = (steepest * way).sum(dim=-1), steepest.norm(dim=-1)
    starts = walk.a[[batch.rows[row] for row in rows.tolist()]]
    normal = steepest / size[:, None]  # NaN where the output does not move at all
    cosine = (slope / size / way.norm(dim=-1)).clamp(-1, 1)
    distance = (points - starts).double().norm(dim=-1).cpu()
    return _Faces(slope.numpy(), cosine.arccos().numpy(), distance.numpy(), normal.numpy())


def _table(n: int, d_model: int, found: list[tuple[list[int], Crossings, _Faces]]) -> dict[str, Any]:
    """Values of all pairs by name, in their order."""
    most = max((int(np.bincount(one.row).max()) for _, one, _ in found if len(one.row)), default=1)
    table: dict[str, Any] = {"crossings": np.zeros(n, dtype=int)}
    table |= {name: np.full((n, most), np.nan) for name in ("place", "place_below", "place_above", "width")}
    table |= {name: np.full((n, most), np.nan) for name in ("slope", "angle", "distance")}
    table["normal"] = np.full((n, most, d_model), np.nan)
    table |= {name: np.full(n, np.nan) for name in ("peak_at", "token_at")}
    table |= {name: np.zeros(n, dtype=bool) for name in ("degenerate", "non_finite")}
    for rows, one, faces in found:
        pair = np.array(rows)[one.row]
        number = np.arange(len(one.row)) - np.searchsorted(one.row, one.row)
        of_crossings = {"place": (one.low + one.high) / 2, "place_below": one.low, "place_above": one.high}
        for name, values in (of_crossings | {"width": one.width} | faces._asdict()).items():
            table[name][pair, number] = values
        of_pairs = {"peak_at": one.peak_at, "token_at": one.token_at, "degenerate": one.degenerate}
        for name, values in (of_pairs | {"non_finite": ~one.finite}).items():
            table[name][rows] = values
        table["crossings"][rows] = np.bincount(one.row, minlength=len(rows))
    table["found"] = table["crossings"] > 0
    return table


def _bisector(walk: Walk, mean: Float[Tensor, " d_model"] | None) -> Float[np.ndarray, " pair"]:
    """Where the line from the mean that halves the angle between A and B meets the straight path between them."""
    if mean is None:
        return np.full(len(walk.pairs), np.nan)
    from_a, from_b = ((end.double() - mean.to(end.device, torch.float64)).norm(dim=-1) for end in (walk.a, walk.b))
    return (from_a / (from_a + from_b)).cpu().numpy()


def _check_mean(model: Model, mean: Any) -> Float[Tensor, " d_model"]:
    """Refuse what is no activation of the model."""
    if not isinstance(mean, Tensor) or not mean.is_floating_point():
        raise TypeError(f"mean: expected a float tensor [{model.d_model}], got {type(mean).__name__}.")
    if mean.shape != (model.d_model,) or not bool(mean.isfinite().all()):
        raise ValueError(
            f"mean: expected one finite activation [{model.d_model}] of {model.name}, got shape {list(mean.shape)}; "
            "the mean of activations is srt.capture(model, tokens, layer=layer).mean(0)."
        )
    return mean
