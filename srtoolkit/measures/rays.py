"""Rays from prompts' activations: the prompts, the directions and the sizes, checked and in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.measures.walk import capture_all, wide
from srtoolkit.models.checks import check_layer, check_model
from srtoolkit.models.model import Model
from srtoolkit.prompts.pairs import check_lengths
from srtoolkit.validation import check_number, listed
from srtoolkit.version import __version__


class Rays(NamedTuple):
    """Rays from the activation of every prompt.

    Attributes:
        tokens: Token ids of each prompt.
        texts: Texts of the prompts.
        layer: Block whose output the activations are.
        starts: The activations, in float32 or wider.
        directions: Unit vectors.
    """

    tokens: list[Int[Tensor, " _pos"]]
    texts: list[str]
    layer: int
    starts: Float[Tensor, "prompt d_model"]
    directions: Float[Tensor, "prompt direction d_model"]

    def to_dataset(self, model: Model, data: dict[str, Any], **settings: Any) -> xr.Dataset:
        """Values along (prompt, direction) as a Dataset with the prompts and the model."""
        norm = self.starts.double().norm(dim=-1).cpu().numpy()
        coords = {
            "prompt": np.arange(len(self.texts)),
            "text": ("prompt", self.texts),
            "direction": np.arange(self.directions.shape[1]),
        }
        about = {**model.provenance(), "srtoolkit": __version__, "layer": self.layer, **settings}
        return xr.Dataset(data | {"norm": ("prompt", norm, {"long_name": "L2 norm of the activation"})}, coords, about)


def cast(model: Model, prompts: Sequence[str], directions: Tensor, layer: int) -> Rays:
    """Rays from the activations of prompts, checked.

    Args:
        model: From :func:`srtoolkit.load_model`.
        prompts: Texts.
        directions: Directions of any length above 0, ``[direction, d_model]`` for all prompts or ``[prompt, direction,
            d_model]``.
        layer: Block whose output is moved.

    Raises:
        TypeError: ``prompts`` is no list of texts, or ``directions`` no tensor of real numbers.
        ValueError: A prompt or block is not valid, or a direction has the wrong width, length 0 or is not finite.
    """
    layer, texts = check_layer(check_model(model), layer), listed(prompts)
    if not texts or any(not isinstance(text, str) for text in texts):
        raise TypeError(f"prompts: expected a list of one text or more, got {str(prompts)[:200]!r}.")
    tokens = [model.tokenize(text) for text in texts]
    check_lengths(model, tokens)
    units = _units(model, directions, len(texts))
    starts = wide(capture_all(model, tokens, layer))
    return Rays(tokens, texts, layer, starts, units.to(starts))


def check_delta(delta: float) -> float:
    """A distance as a float, after a check that it is above 0.

    Args:
        delta: The distance.

    Raises:
        ValueError: It is no number above 0.
    """
    number = check_number(delta, "delta", 0.0)
    if not number:
        raise ValueError("delta=0: expected a distance above 0; an output has always moved by 0.")
    return number


def _units(model: Model, directions: Any, prompts: int) -> Float[Tensor, "prompt direction d_model"]:
    """Directions of every prompt, of length 1."""
    if not isinstance(directions, Tensor) or not directions.is_floating_point():
        raise TypeError(
            f"directions: expected a float tensor [direction, {model.d_model}], got {type(directions).__name__}."
        )
    shape, expected = list(directions.shape), f"[direction, {model.d_model}] or [{prompts}, direction, {model.d_model}]"
    each = directions.expand(prompts, *shape) if directions.ndim == 2 else directions
    if each.ndim != 3 or each.shape[0] != prompts or each.shape[2] != model.d_model or not each.shape[1]:
        raise ValueError(f"directions: expected shape {expected} for {prompts} prompts of {model.name}, got {shape}.")
    lengths = each.double().norm(dim=-1, keepdim=True)
    if not lengths.isfinite().all() or not (lengths > 0).all():
        bad = int((~(lengths.isfinite() & (lengths > 0))).sum())
        raise ValueError(
            f"directions: {bad} of {lengths.numel()} have length 0 or hold NaN or infinity; leave them out."
        )
    return each.double() / lengths
