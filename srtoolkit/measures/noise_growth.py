"""What blocks do to a small disturbance: by how much each of them makes it grow or shrink, along a path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from srtoolkit.measures.paths import Path
from srtoolkit.measures.walk import LOGPROB_BYTES, PAIRS_AT_ONCE, Batch, Rows, Walk, set_out
from srtoolkit.models.checks import check_layer, check_model
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress, named
from srtoolkit.patching.patch import patch
from srtoolkit.prompts.pairs import PromptPairs
from srtoolkit.validation import as_float, check_whole

_LONG_NAMES = {
    "growth": "length of the disturbance after a block over that after the block before",
    "relative": "disturbance's share of the stream's norm, over the same where it was put in",
}


@torch.no_grad()
def noise_growth(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    layer: int = 0,
    steps: int = 11,
    draws: int = 4,
    size: float = 0.02,
    seed: int = 0,
    path: str | Path = "linear",
    progress: Progress | None = None,
) -> xr.Dataset:
    """Growth of a small random disturbance from block to block, ``|dx_l| / |dx_(l-1)|``, without unit.

    At every point of a path from A to B, some random directions are added, and the stream after every later block is
    compared with that without them. A block that corrects errors makes the disturbance smaller, or lets it grow by
    less than the stream itself grows, so that its share of the stream falls.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B); every point is patched into prompt A's context.
        layer: Block whose output is replaced, and disturbed.
        steps: Number of points of the path, both ends included.
        draws: Number of random directions at every point, all equally likely. Lengths are root mean squares over them.
        size: Length of the disturbance, as a share of the distance between A and B; it should be small enough to stay
            within a region.
        seed: Seed of the directions; the same for every model of that width.
        path: ``"linear"``; ``"slerp"``, whose direction turns evenly; ``"arc"``, the same about the model's mean
            activation; or a function of (A, B, alphas) that returns points, as :func:`srtoolkit.paths.linear` does.
        progress: Called with the number of points of paths done and that of all; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``pair``, ``alpha``, ``read`` (the later blocks): ``growth``, and ``relative``, the
        disturbance's share of the stream's norm after that block over the same after block ``layer``. They are NaN,
        and the pair is ``excluded``, where A and B are the same, or where outputs are NaN or infinite.

    Raises:
        ValueError: A prompt, block, path or number is not valid, or no block is behind ``layer``.
    """
    layer, steps = check_layer(check_model(model), layer), check_whole(steps, "steps", 2, 10**6)
    draws, seed = check_whole(draws, "draws", 1, 10**4), check_whole(seed, "seed", 0, 2**63 - 1)
    length = as_float(size)
    if length is None or not 1e-6 <= length <= 1e3:
        raise ValueError(f"size={size!r}: expected a share of the distance between A and B, such as 0.02.")
    if layer == model.n_layers - 1:
        raise ValueError(f"layer={layer} is the last block of {model.name}: there is none behind it to read.")
    walk = set_out(model, pairs, layer=layer, alphas=torch.linspace(0, 1, steps), path=path)
    behind = list(range(layer + 1, model.n_layers))
    fitting = LOGPROB_BYTES // (4 * model.d_model * len(behind) * steps * (1 + draws))
    found = Rows(len(walk.pairs))
    for batch in walk.batches(max(1, min(PAIRS_AT_ONCE, fitting)), progress=progress):
        with named():
            found.put(batch.rows, _grown(walk, batch, behind, _directions(walk, batch, draws, seed), length))
    over = "pair", "alpha", "read"
    data: dict[str, Any] = {name: (over, found[name], {"long_name": said}) for name, said in _LONG_NAMES.items()}
    still = (walk.a == walk.b).all(dim=-1).cpu().numpy()
    undefined = np.isnan(found["growth"]).any(axis=(1, 2))
    for values in found.values():
        values[undefined | still] = np.nan
    data["excluded"] = "pair", undefined | still, {"long_name": "whether nothing is known of the pair"}
    coords: dict[str, Any] = {"alpha": walk.alphas.double().numpy(), "read": behind}
    return walk.to_dataset(data, coords, undefined & ~still, steps=steps, draws=draws, size=length, draw_seed=seed)


def _directions(walk: Walk, batch: Batch, draws: int, seed: int) -> Float[Tensor, "pair alpha draw d_model"]:
    """Random unit directions at every point; they do not depend on how pairs are batched."""
    shape = len(walk.alphas), draws, walk.model.d_model
    each = [torch.randn(shape, generator=torch.Generator().manual_seed(seed + row)) for row in batch.rows]
    drawn = torch.stack(each)
    return (drawn / drawn.norm(dim=-1, keepdim=True)).to(walk.a)


def _grown(
    walk: Walk, batch: Batch, behind: list[int], directions: Float[Tensor, "pair alpha draw d_model"], size: float
) -> dict[str, Float[Tensor, "pair alpha read"]]:
    """Growth and relative growth after every block behind the patched one."""
    _, steps, draws, _ = directions.shape
    apart = (walk.b - walk.a)[batch.rows].norm(dim=-1)
    moved = batch.points[:, :, None] + size * apart[:, None, None, None] * directions
    points = torch.cat([batch.points[:, :, None], moved], dim=2)
    said = patch(
        walk.model, batch.context, points.flatten(1, 2), layer=walk.layer, method=batch.method,
        reads=tuple(f"resid.{block}" for block in behind), progress=batch.progress,
    )  # fmt: skip
    streams = [points, *(values.unflatten(1, (steps, 1 + draws)) for values in said.values())]
    norm = torch.stack([stream[:, :, 0].double().norm(dim=-1) for stream in streams], dim=-1)
    lengths = [(stream[:, :, 1:] - stream[:, :, :1]).double().norm(dim=-1) for stream in streams]
    spread = torch.stack([each.square().mean(dim=-1).sqrt() for each in lengths], dim=-1)
    share = spread / norm
    found = {"growth": spread[..., 1:] / spread[..., :-1], "relative": share[..., 1:] / share[..., :1]}
    return {name: values.where(values.isfinite(), torch.nan) for name, values in found.items()}
