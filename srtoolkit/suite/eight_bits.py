"""Weights in eight bits, of which half precision would take twice as many."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_SCALE = "/scale"


def pack(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices as whole numbers from -127 to 127, with one float32 scale a row; vectors in half precision.

    The largest error of an entry is 1/254 of the largest entry of its row.

    Args:
        weights: Floating-point tensors, by name.
    """
    packed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.ndim == 1:
            packed[name] = weight.half()
            continue
        scale = weight.float().abs().amax(dim=1).clamp(min=1e-30) / 127
        packed |= {name: (weight.float() / scale[:, None]).round().to(torch.int8), name + _SCALE: scale}
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in float32, of a file by :func:`pack` or of one in half precision.

    Args:
        packed: Tensors of the file, by name.
    """

    def restored(name: str, weight: Tensor) -> Tensor:
        scale = packed.get(name + _SCALE)
        return weight.float() if scale is None else weight.float() * scale[:, None]

    return {name: restored(name, weight) for name, weight in packed.items() if not name.endswith(_SCALE)}
