"""What every measurement on pairs does: check, capture both ends, walk the paths in batches, describe what ran."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.overflow import check_activations
from srtoolkit.patching.patch import capture
from srtoolkit.prompts.pairs import by_length


def capture_all(model: Model, prompts: Sequence[Int[Tensor, " _pos"]], layer: int) -> Float[Tensor, "prompt d_model"]:
    """Activations of prompts of any lengths, in their order."""
    out = torch.empty(len(prompts), model.d_model, dtype=model.hf.dtype, device=model.device)
    for places, tokens in by_length(prompts):
        out[places] = capture(model, tokens, layer)
    return check_activations(model, out, layer)
