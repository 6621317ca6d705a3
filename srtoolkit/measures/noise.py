"""What a result must exceed: how far outputs move by rounding alone, and how far they spread over prompts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from srtoolkit.measures.dataset import pairs_dataset
from srtoolkit.measures.walk import PAIRS_AT_ONCE, Batch, Rows, Walk, set_out
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress
from srtoolkit.patching.not_finite import warn_of_overflow
from srtoolkit.patching.patch import capture, patch
from srtoolkit.prompts.pairs import PromptPairs, as_pairs, by_length
from srtoolkit.validation import check_whole, former_spellings

#: Points of a path at which the floor is taken.
PLACES = 9


@former_spellings("layer", "neighbours", "seed")
@torch.no_grad()
def noise_floor(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    layer: int = 0,
    neighbours: int = 15,
    seed: int = 0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Largest distance by which rounding moves an output on the path, L2 after the final norm, and its share of d(1).

    Nine points of the straight line from A to B, both ends among them, are patched into A's prompt three times: each
    alone, by the full path and by the method that ``"auto"`` chooses, and by the latter all together, among
    ``neighbours`` random points. In exact arithmetic the three outputs agree. Curves mean nothing below this floor; it
    is what half precision costs. At A alone it can be lower: between prompts, a router of experts, or whatever else
    decides, stands on the edge more often.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B); a few dozen are enough.
        layer: Block whose output is replaced.
        neighbours: Number of random points beside those of the path in their batch.
        seed: Seed of the random points.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dim ``pair``: ``noise`` (largest distance between outputs of one point), ``d1`` (distance between
        A's and B's outputs), and ``relative_noise`` (their ratio, without unit; NaN where ``d1`` is 0).

    Raises:
        ValueError: A prompt, block, number of neighbours or seed is not valid.
    """
    neighbours, seed = check_whole(neighbours, "neighbours", 0, 10**6), check_whole(seed, "seed", 0, 2**63)
    walk = set_out(model, pairs, layer=layer, alphas=torch.linspace(0, 1, PLACES), path="linear")
    company = _company(walk, neighbours, seed)
    found = Rows(len(walk.pairs))
    for batch in walk.batches(PAIRS_AT_ONCE, progress=progress):
        among = torch.cat([batch.points, company[batch.rows].to(batch.points)], dim=1)
        alone = [_each_alone(walk, batch, method) for method in ("full", batch.method)]
        together = patch(model, batch.context, among, layer=walk.layer, method=batch.method)[:, :PLACES]
        of_point = torch.stack([*alone, together], dim=2).flatten(0, 1)
        apart = torch.cdist(of_point, of_point, compute_mode="donot_use_mm_for_euclid_dist").amax((1, 2))
        found.put(batch.rows, {
            "noise": apart.unflatten(0, (-1, PLACES)).amax(1),
            "d1": (together[:, 0] - together[:, -1]).norm(dim=-1),
        })  # fmt: skip
    noise, d1 = (torch.from_numpy(found[name]) for name in ("noise", "d1"))
    data = {
        "noise": ("pair", noise.numpy()),
        "d1": ("pair", d1.numpy()),
        "relative_noise": ("pair", torch.where(d1 > 0, noise / d1, torch.nan).numpy()),
    }
    return pairs_dataset(model, walk.pairs, data, layer=walk.layer, neighbours=neighbours, draw_seed=seed)


def _each_alone(walk: Walk, batch: Batch, method: str) -> Float[Tensor, "pair place d_model"]:
    """Outputs of the points of a batch, each patched in as its prompt's only point."""
    outputs = [
        patch(walk.model, batch.context, point, layer=walk.layer, method=method)
        for point in batch.points.split(1, dim=1)
    ]
    return torch.cat(outputs, dim=1)


def _company(walk: Walk, neighbours: int, seed: int) -> Float[Tensor, "pair neighbour d_model"]:
    """Random points beside each A, as far from the origin as it; they do not depend on how pairs are batched."""
    generator = torch.Generator().manual_seed(seed)
    draws = [torch.randn(neighbours, walk.model.d_model, generator=generator) for _ in range(len(walk.pairs))]
    return walk.a[:, None] + walk.a.std(-1)[:, None, None] * torch.stack(draws).to(walk.a)


@torch.no_grad()
def output_spread(model: Model, pairs: PromptPairs | Sequence[tuple[str, str]]) -> xr.Dataset:
    """Distance of each prompt's output from the mean of all prompts' outputs, L2 after the final norm.

    Where prompts hardly differ in their outputs, ``d(1)`` is small for every pair, and a large slope of ``d / d(1)``
    says little: an early checkpoint that knows frequencies of tokens and nothing of context is like that.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B). Only the prompts A are used.

    Returns:
        A Dataset with dim ``pair``: ``from_mean``, ``output_norm``, and ``relative_spread``, their ratio, without unit.
        Outputs that are NaN or infinite are flagged ``non_finite``, have NaN as values, and do not count towards the
        mean.
    """
    pairs = as_pairs(model, pairs)
    last = model.n_layers - 1
    outputs = torch.empty(len(pairs), model.d_model)
    for indices, tokens in by_length(pairs.tokens_a):
        own = capture(model, tokens, layer=last)
        undefined = ~own.isfinite().all(-1, keepdim=True)
        points = own.masked_fill(undefined, 0)[:, None]  # patch takes finite points only
        found = patch(model, tokens, points, layer=last)[:, 0]
        outputs[indices] = found.masked_fill(undefined, torch.nan).float().cpu()
    finite = outputs.isfinite().all(-1)
    warn_of_overflow(model, pairs.tokens_a, ~finite.numpy(), last)
    outputs[~finite] = torch.nan
    from_mean, norm = (outputs - outputs[finite].mean(0)).norm(dim=-1).numpy(), outputs.norm(dim=-1).numpy()
    data = {
        "from_mean": ("pair", from_mean, {"long_name": "distance of A's output from the mean output"}),
        "output_norm": ("pair", norm),
        "relative_spread": ("pair", from_mean / norm),
        "non_finite": ("pair", ~finite.numpy()),
    }
    return pairs_dataset(model, pairs, data)
