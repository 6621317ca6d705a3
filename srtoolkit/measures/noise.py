"""What a result must be held against: how far numbers move for reasons that are not the model's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from srtoolkit.measures.dataset import describe_pairs, provenance
from srtoolkit.measures.walk import capture_all
from srtoolkit.models.checks import check_layer
from srtoolkit.models.model import Model
from srtoolkit.patching.overflow import warn_of_overflow
from srtoolkit.patching.patch import capture, patch
from srtoolkit.prompts.pairs import PromptPairs, as_pairs, by_length
from srtoolkit.validation import check_whole


@torch.no_grad()
def noise_floor(
    model: Model, pairs: PromptPairs | Sequence[tuple[str, str]], layer: int = 0, neighbours: int = 15, seed: int = 0
) -> xr.Dataset:
    """How far A's output moves when nothing but its company in the batch changes, over ``d(1)``: a number without unit.

    Each A is patched into its own prompt alone and again among ``neighbours`` random points, by the full path and by
    the method that ``"auto"`` takes. In exact arithmetic all four agree. Curves mean nothing below this floor; it is
    what half precision costs.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of (text, text); a few dozen are enough.
        layer: Block whose output is replaced.
        neighbours: Random points in the batch beside A.
        seed: Of the random points.

    Returns:
        Dim ``pair``: ``noise`` (largest distance between the four outputs), ``d1``, ``relative_noise``, which is NaN
        where ``d1`` is 0.

    Raises:
        ValueError: Bad prompts, block, number of neighbours or seed.
    """
    neighbours, seed = check_whole(neighbours, "neighbours", 0, 10**6), check_whole(seed, "seed", 0, 2**63)
    layer, pairs = check_layer(model, layer), as_pairs(model, pairs)
    noise, d1 = torch.empty(len(pairs)), torch.empty(len(pairs))
    generator = torch.Generator().manual_seed(seed)
    all_a, all_b = (capture_all(model, side, layer) for side in (pairs.tokens_a, pairs.tokens_b))
    for index in range(len(pairs)):
        context = pairs.tokens_a[index][None]
        a, b = all_a[index : index + 1], all_b[index : index + 1]
        company = a + a.std() * torch.randn(neighbours, model.d_model, generator=generator).to(a)
        crowd = torch.cat([a, b, company])[None]
        alone = [patch(model, context, a[None], layer, method=method) for method in ("full", "auto")]
        among = [patch(model, context, crowd, layer, method=method) for method in ("full", "auto")]
        outputs = torch.stack([found[0, 0] for found in (*alone, *among)])  # type: ignore[index]
        noise[index] = torch.cdist(outputs[None], outputs[None], compute_mode="donot_use_mm_for_euclid_dist").max()
        d1[index] = (among[0][0, 0] - among[0][0, 1]).norm()  # type: ignore[index]
    data = {
        "noise": ("pair", noise.numpy()),
        "d1": ("pair", d1.numpy()),
        "relative_noise": ("pair", torch.where(d1 > 0, noise / d1, torch.nan).numpy()),
    }
    return _dataset(model, pairs, data, layer=layer, neighbours=neighbours)


@torch.no_grad()
def output_spread(model: Model, pairs: PromptPairs | Sequence[tuple[str, str]]) -> xr.Dataset:
    """How far each prompt's output lies from the mean of all prompts' outputs: L2 after the final norm.

    Where prompts hardly differ in their outputs, ``d(1)`` is small for every pair, and a large slope of ``d / d(1)``
    says little: an early checkpoint that knows frequencies of tokens and nothing of context is like that.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of (text, text); their A is what counts.

    Returns:
        Dim ``pair``: ``from_mean``, ``output_norm``, and ``relative_spread``, their ratio, without unit. Outputs that
        are NaN or infinite are flagged ``non_finite``, have NaN, and do not count towards the mean.
    """
    pairs = as_pairs(model, pairs)
    last = model.n_layers - 1
    outputs = torch.empty(len(pairs), model.d_model)
    for indices, tokens in by_length(pairs.tokens_a):
        own = capture(model, tokens, last)
        undefined = ~own.isfinite().all(-1, keepdim=True)
        found = patch(model, tokens, own.masked_fill(undefined, 0)[:, None], last)  # which takes finite points only
        assert isinstance(found, Tensor)
        outputs[indices] = found[:, 0].masked_fill(undefined, torch.nan).float().cpu()
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
    return _dataset(model, pairs, data)


def _dataset(model: Model, pairs: PromptPairs, data: dict[str, Any], **settings: Any) -> xr.Dataset:
    about = describe_pairs(pairs)
    coords = {name: about.pop(name) for name in ("pair", "text_a", "text_b")}
    return xr.Dataset(data | about, coords, provenance(model, pairs, **settings))
