"""Warnings and errors for activations that overflow a number format, and so are NaN or infinite."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.patch import capture

logger = logging.getLogger(__name__)

#: Prompts that are looked at for the block in which they overflow.
_LOOKED_AT = 3


def warn_of_overflow(
    model: Model, prompts: Sequence[Int[Tensor, " _pos"]], undefined: Bool[np.ndarray, " prompt"], layer: int
) -> None:
    """Log a warning that says how many prompts have non-finite outputs, in which block that begins, and what to do.

    Args:
        model: The model that was patched.
        prompts: Token ids of the prompts in whose contexts it was patched.
        undefined: Whether some output of each prompt is NaN or infinite.
        layer: Block whose output was replaced.
    """
    if not undefined.any():
        return
    own = (first_overflow(model, prompts[index]) for index in np.flatnonzero(undefined)[:_LOOKED_AT])
    first = next((block for block in own if block is not None), None)
    where = f"first after block {first} of {model.n_layers}" if first is not None else "at some of the points put in"
    logger.warning(
        "%s: %d of %d prompts have outputs that are NaN or infinite, patched after block %d: activations leave the "
        "range of %s, %s. These are flagged non_finite and left out of what follows; %s.",
        *(model.name, undefined.sum(), len(undefined), layer, model.dtype, where, what_to_do(model)),
    )


def check_activations(
    model: Model, activations: Float[Tensor, "prompt d_model"], layer: int
) -> Float[Tensor, "prompt d_model"]:
    """The activations themselves, after a check that they are finite and so can be patched in.

    Args:
        model: The model that they were captured from.
        activations: Residual streams, from :func:`srtoolkit.capture`.
        layer: Block after which they were captured.

    Raises:
        ValueError: Some activations are NaN or infinite.
    """
    bad = int((~torch.isfinite(activations)).any(-1).sum())
    if bad:
        raise ValueError(
            f"{model.name}: after block {layer}, the activations of {bad} of {len(activations)} prompts are NaN or "
            f"infinite, out of the range of {model.dtype}; {what_to_do(model)}."
        )
    return activations


def first_overflow(model: Model, prompt: Int[Tensor, " _pos"]) -> int | None:
    """The first block after which a prompt's own activation is not finite; ``None`` where all are finite.

    Args:
        model: From :func:`srtoolkit.load_model`.
        prompt: Token ids of the prompt.
    """
    for layer in range(model.n_layers):
        if not torch.isfinite(capture(model, prompt[None], layer=layer)).all():
            return layer
    return None


def what_to_do(model: Model) -> str:
    """Advice, in words, for a model whose activations overflow its number format.

    Args:
        model: The model that overflows.
    """
    wider = {"float16": "float32", "bfloat16": "float32", "float32": "float64"}.get(model.dtype)
    return f"load it with dtype={wider!r}" if wider else "its weights may be damaged"
