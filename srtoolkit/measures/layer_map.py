"""Where in the depth of a model a jump is made: motion's peak for every block that is patched and every one read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from srtoolkit.analysis.jumps import speed_of
from srtoolkit.measures.curves import DEGENERATE
from srtoolkit.measures.dataset import pairs_dataset
from srtoolkit.measures.paths import Path
from srtoolkit.measures.progress import reporting
from srtoolkit.measures.rounding import SHARE, rounding_share, warn_of_rounding
from srtoolkit.measures.walk import LOGPROB_BYTES, PAIRS_AT_ONCE, Rows, Walk, set_out
from srtoolkit.models.checks import check_model
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress
from srtoolkit.patching.not_finite import warn_of_overflow
from srtoolkit.patching.patch import patch
from srtoolkit.patching.reads import check_reads
from srtoolkit.prompts.pairs import PromptPairs, as_pairs
from srtoolkit.validation import check_names, check_whole, listed

#: What can be read of a block: the stream after it, or what its attention or its MLP adds to the stream.
PARTS = ("resid", "attn", "mlp")


@torch.no_grad()
def layer_map(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    steps: int = 50,
    writes: Sequence[int] | None = None,
    reads: str = "resid",
    path: str | Path = "linear",
    progress: Progress | None = None,
) -> xr.Dataset:
    """Motion's peak, without unit, for every block that a path is put in after and every later block that is read.

    The peak is the largest speed of what is read along its own path; even motion has 1. All later blocks are read in
    one pass for each block that is patched. A jump that is made in one block shows as a column from which on all values
    are high.

    On SmolLM2-135M (``sample_pairs(model, 12, length=10, seed=7)``, block 0 patched) the median peak grows in nearly
    every block, from 1.13 after block 1 to 3.16 after block 24. With the same weights in another order
    (``null_model(model, "permuted")``), which keep depth, scale and norms, it grows from 1.21 to 1.48 at most: depth
    alone bends a path a little, and makes no jump of it. On nano-1m (20 such pairs) it grows from 1.35 to 1.89, and
    with permuted weights, of two seeds, from 1.15 to 1.30 and from 1.17 to 1.35.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B); every point is patched into prompt A's context.
        steps: Number of points of each path, both ends included.
        writes: Blocks whose output is replaced, counted from 0, in any order; all but the last where ``None``.
        reads: What is read of each later block: ``"resid"``, the residual stream after it, or what its attention
            (``"attn"``) or its MLP (``"mlp"``) adds to the stream.
        path: ``"linear"``; ``"slerp"``, whose direction turns evenly; ``"arc"``, the same about the model's mean
            activation; or a function of (A, B, alphas) that returns points, as :func:`srtoolkit.paths.linear` does.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``pair``, ``write``, ``read``: ``peak``, and ``peak_at``, the alpha at which it is. They are
        NaN where the block that is read is not behind the patched one, where outputs are NaN or infinite, where both
        ends of a path give the same, and where steps are so small that rounding could explain a good part of the
        steepest: these are flagged ``rounded``, as :func:`srtoolkit.interpolate` does it.

    Raises:
        ValueError: A prompt, block, number of steps or path is not valid, or a block has no part that is asked for.
    """
    steps = check_whole(steps, "steps", 2, 10**6)
    blocks, pairs = _check_writes(check_model(model), writes), as_pairs(model, pairs)
    (part,) = check_names(reads, PARTS, "reads")
    behind = list(range(min(blocks) + 1, model.n_layers))
    check_reads(model, [f"{part}.{block}" for block in behind], min(blocks))
    alphas = torch.linspace(0, 1, steps)
    shape = len(pairs), len(blocks), len(behind)
    found: dict[str, Any] = {name: np.full(shape, np.nan) for name in ("peak", "peak_at")}
    found["rounded"] = np.zeros(shape, dtype=bool)
    each = len(pairs) * steps
    with reporting(progress, each * len(blocks), "layer map") as report:
        for row, block in enumerate(blocks):
            walk = set_out(model, pairs, layer=block, alphas=alphas, path=path)
            measured = _read_behind(walk, part, functools.partial(_onwards, report, row * each))
            for name, values in found.items():
                values[:, row, block + 1 - behind[0] :] = measured[name]
            warn_of_overflow(model, pairs.tokens_a, measured["undefined"], block)
    warn_of_rounding(model, found["rounded"].any(axis=(1, 2)), steps)
    words = {
        "peak": "largest speed along its own path (even motion has 1)",
        "peak_at": "alpha of the largest speed",
        "rounded": "whether rounding could explain a good part of the steepest step",
    }
    data = {name: (("pair", "write", "read"), values, {"long_name": words[name]}) for name, values in found.items()}
    about: dict[str, Any] = {"steps": steps, "reads": part, "path": walk.path}
    return pairs_dataset(model, pairs, data, {"write": blocks, "read": behind}, **about)


def _check_writes(model: Model, writes: Sequence[int] | None) -> list[int]:
    """Blocks to patch, each with one behind it."""
    last = model.n_layers - 1
    if not last:
        raise ValueError(f"{model.name} has one block, so there is none to read behind a patched one.")
    given = range(last) if writes is None else listed(writes) or ()
    blocks = [check_whole(block, "writes", 0, last - 1) for block in given]
    if not blocks or len(set(blocks)) != len(blocks):
        raise ValueError(f"writes={writes!r}: expected different blocks of 0 to {last - 1} in a list.")
    return blocks


def _onwards(report: Callable[[int], None], before: int, done: int, _: int) -> None:
    """The progress of one patched block as part of the whole."""
    report(before + done)


def _read_behind(walk: Walk, part: str, progress: Progress) -> Rows:
    """Peaks of every block behind the patched one, ``[pair, read]``, and which pairs are undefined."""
    model, steps, alphas = walk.model, len(walk.alphas), walk.alphas.double().numpy()
    names = tuple(f"{part}.{block}" for block in range(walk.layer + 1, model.n_layers))
    fitting = LOGPROB_BYTES // (4 * model.d_model * len(names) * steps)
    found = Rows(len(walk.pairs))
    for batch in walk.batches(max(1, min(PAIRS_AT_ONCE, fitting)), progress=progress):
        said = patch(
            model, batch.context, batch.points, layer=walk.layer, reads=names, method=batch.method,
            progress=batch.progress,
        )  # fmt: skip
        peaks = [
            _peak(said[name], alphas, batch.points, walk, walk.layer + 1 + place) for place, name in enumerate(names)
        ]
        finite = torch.stack([values.isfinite().flatten(1).all(1) for values in said.values()]).all(0)
        each = {name: torch.stack([peak[name] for peak in peaks], dim=1) for name in peaks[0]}
        found.put(batch.rows, {**each, "undefined": ~finite})
    return found


def _peak(
    outputs: Float[Tensor, "pair alpha width"],
    alphas: Float[np.ndarray, " alpha"],
    points: Float[Tensor, "pair alpha width"],
    walk: Walk,
    read: int,
) -> dict[str, Tensor]:
    """The largest speed of each path and where it is, NaN where its ends are the same, it is rounded or not finite."""
    steps = _steps(outputs)
    apart, norm = (outputs[:, -1] - outputs[:, 0]).norm(dim=-1), outputs[:, 0].norm(dim=-1)
    speed = speed_of(alphas, steps)
    steepest = speed.argmax(axis=1)
    places = (alphas[steepest] + alphas[steepest + 1]) / 2
    tiny = max(DEGENERATE, 10 * torch.finfo(walk.model.hf.dtype).eps)
    moves = (apart > tiny * norm).cpu().numpy() & np.isfinite(steps).all(axis=1)
    share = rounding_share(walk.model, walk.layer, _steps(points), _largest(points), steps, _largest(outputs), read)
    rounded = moves & (share > SHARE)
    peaks = {"peak": speed.max(axis=1), "peak_at": places}
    told = {name: torch.from_numpy(np.where(moves & ~rounded, values, np.nan)) for name, values in peaks.items()}
    return {**told, "rounded": torch.from_numpy(rounded)}


def _steps(points: Float[Tensor, "pair alpha width"]) -> Float[np.ndarray, "pair step"]:
    return points.diff(dim=1).norm(dim=-1).double().cpu().numpy()


def _largest(points: Float[Tensor, "pair alpha width"]) -> Float[np.ndarray, " pair"]:
    return points.norm(dim=-1).amax(dim=1).double().cpu().numpy()
