"""What a result must be held against: how far numbers move for reasons that are not the model's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import xarray as xr

from srtoolkit.models import Model
from srtoolkit.patching import capture, patch
from srtoolkit.prompts import PromptPairs, as_pairs, by_length
from srtoolkit.results import describe_pairs, provenance


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
        Dim ``pair``: ``noise`` (largest distance between the four outputs), ``d1``, ``relative_noise``.
    """
    pairs = as_pairs(model, pairs)
    noise, d1 = torch.empty(len(pairs)), torch.empty(len(pairs))
    generator = torch.Generator().manual_seed(seed)
    for index in range(len(pairs)):
        context = pairs.tokens_a[index][None]
        ((_, tokens_b),) = by_length([pairs.tokens_b[index]])
        a, b = capture(model, context, layer), capture(model, tokens_b, layer)
        company = a + a.std() * torch.randn(neighbours, model.d_model, generator=generator).to(a)
        crowd = torch.cat([a, b, company])[None]
        alone = [patch(model, context, a[None], layer, method=method) for method in ("full", "auto")]
        among = [patch(model, context, crowd, layer, method=method) for method in ("full", "auto")]
        outputs = torch.stack([found[0, 0] for found in (*alone, *among)])  # type: ignore[index]
        noise[index] = torch.cdist(outputs[None], outputs[None], compute_mode="donot_use_mm_for_euclid_dist").max()
        d1[index] = (among[0][0, 0] - among[0][0, 1]).norm()  # type: ignore[index]
    about = describe_pairs(pairs)
    coords = {name: about.pop(name) for name in ("pair", "text_a", "text_b")}
    data = {
        "noise": ("pair", noise.numpy()),
        "d1": ("pair", d1.numpy()),
        "relative_noise": ("pair", (noise / d1).numpy()),
    }
    return xr.Dataset(data | about, coords, provenance(model, pairs, layer=layer, neighbours=neighbours))
