"""Who makes a jump: curves with what attention or MLPs add to the stream held at its value at one point of the path."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from srtoolkit.measures.along_path import PointTable
from srtoolkit.measures.curves import curves_dataset
from srtoolkit.measures.even_curves import run_even
from srtoolkit.measures.paths import Path
from srtoolkit.measures.read_points import READS, check_outputs
from srtoolkit.measures.walk import Batch, Rows, Walk, pairs_that_fit, set_out
from srtoolkit.models.checks import check_layer, check_model
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import check_here
from srtoolkit.patching.batches import Progress, named
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.patch import patch
from srtoolkit.patching.reads import check_reads
from srtoolkit.prompts.pairs import PromptPairs, as_pairs
from srtoolkit.validation import check_names, check_whole, listed

#: What can be held, and what its read points are called.
PARTS = {"mlp": "mlp", "attention": "attn"}

#: Points of the path at whose values it is held, by their alpha.
PLACES = {"a": 0.0, "middle": 0.5, "b": 1.0}


@torch.no_grad()
def freeze(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    what: str | Sequence[str] = "mlp",
    at: str = "middle",
    blocks: Sequence[int] | None = None,
    layer: int = 0,
    steps: int = 50,
    path: str | Path = "linear",
    reads: str | Sequence[str] = READS,
    method: str = "auto",
    progress: Progress | None = None,
) -> xr.Dataset:
    """Distance of the output from A's, as :func:`srtoolkit.interpolate` gives it, with parts of later blocks held.

    A part that is held adds to the stream, at every point of a path, what it adds at one point of that path. What is
    left of motion's peak (:func:`srtoolkit.motion`) was made without the part's answer to the path. With MLPs and
    attention of all later blocks held, the stream moves evenly, and only the final norm can bend its way.

    Held values are those of the whole model at that point: where the path passes it, the output is the whole model's.

    Args:
        model: From :func:`srtoolkit.load_model`; it must run here.
        pairs: Pairs of prompts, or a list of their texts (A, B); every point is patched into prompt A's context.
        what: ``"mlp"``, ``"attention"``, or both. Attention is held at the patched position, the last one; earlier
            positions do not see the point.
        at: At whose values: ``"middle"`` (alpha = 1/2), ``"a"`` or ``"b"``, the ends of the path.
        blocks: Blocks whose parts are held, counted from 0; all behind ``layer`` where ``None``.
        layer: Block whose output is replaced.
        steps: Number of points of the path, both ends included.
        path: ``"linear"``; ``"slerp"``, whose direction turns evenly; ``"arc"``, the same about the model's mean
            activation; or a function of (A, B, alphas) that returns points, as :func:`srtoolkit.paths.linear` does.
        reads: Outputs to measure, as :func:`srtoolkit.interpolate` takes them.
        method: Patching method, as :func:`srtoolkit.patch` takes it.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset as :func:`srtoolkit.interpolate` returns it; its attributes ``frozen``, ``frozen_at`` and
        ``frozen_blocks`` say what was held. Distances are those between outputs of the held model.

    Raises:
        ValueError: A prompt, part, block, number of steps, path, read point or method is not valid, or a block has no
            such part that is known.
        RemoteError: The model runs elsewhere.
    """
    check_here(check_model(model), "freeze")
    parts, (at,) = check_names(what, tuple(PARTS), "what"), check_names(at, tuple(PLACES), "at")
    reads = check_outputs(model, reads, layer)
    check_names(method, (*METHODS, "auto"), "method")
    steps, layer = check_whole(steps, "steps", 2, 10**6), check_layer(model, layer)
    held_blocks = _blocks(model, layer, blocks)
    names = tuple(f"{PARTS[part]}.{block}" for block in held_blocks for part in parts)
    check_reads(model, names, layer)
    pairs = as_pairs(model, pairs)
    walk = set_out(model, pairs, layer=layer, alphas=torch.linspace(0, 1, steps), path=path)
    found = Rows(len(pairs))
    at_once = pairs_that_fit(model, steps, with_logprobs="logits" in reads)
    for batch in walk.batches(at_once, method=method, progress=progress):
        with named():
            held = _values_at(walk, batch, names, PLACES[at])
            table = PointTable(*batch.points.shape[:2])
            run_even(model, batch, walk.layer, reads, table, held=held)
            found.put(batch.rows, table)
    about = {"frozen": ", ".join(parts), "frozen_at": at, "frozen_blocks": ", ".join(map(str, held_blocks))}
    return curves_dataset(walk, found, reads).assign_attrs(about)


def _blocks(model: Model, layer: int, blocks: Sequence[int] | None) -> list[int]:
    """Blocks whose parts are held, each behind the patch."""
    last = model.n_layers - 1
    if layer == last:
        raise ValueError(f"layer={layer} is the last block of {model.name}: there is none behind it to hold.")
    given = range(layer + 1, last + 1) if blocks is None else listed(blocks) or ()
    chosen = [check_whole(block, "blocks", layer + 1, last) for block in given]
    if not chosen or len(set(chosen)) != len(chosen):
        raise ValueError(f"blocks={blocks!r}: expected different blocks of {layer + 1} to {last} in a list.")
    return sorted(chosen)


def _values_at(
    walk: Walk, batch: Batch, names: tuple[str, ...], alpha: float
) -> dict[str, Float[Tensor, "pair _width"]]:
    """What parts add to the stream at one point of each path of a batch, by read point."""
    place = torch.tensor([alpha], dtype=walk.alphas.dtype)
    points = walk.points_on(walk.a[batch.rows], walk.b[batch.rows], place)
    found = patch(walk.model, batch.context, points, layer=walk.layer, reads=names, method=batch.method)
    return {name: values[:, 0] for name, values in found.items()}
