"""Paths between two activations: how ``X(alpha)`` gets from A to B."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Path = Callable[
    [Float[Tensor, "pair d_model"], Float[Tensor, "pair d_model"], Float[Tensor, " alpha"]],
    Float[Tensor, "pair alpha d_model"],
]


def linear(
    a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"], alphas: Float[Tensor, " alpha"]
) -> Float[Tensor, "pair alpha d_model"]:
    """``X(alpha) = A + alpha (B - A)``; Janiak et al. 2024, Section 3. Both ends come out exactly."""
    return torch.lerp(a[:, None], b[:, None], alphas.to(a)[None, :, None])


#: Paths that have a name.
PATHS: dict[str, Path] = {"linear": linear}


def find_path(path: str | Path) -> tuple[str, Path]:
    """Name and function of ``path``, which is a name in ``PATHS`` or a function of (A, B, alphas).

    Raises:
        ValueError: An unknown name.
    """
    if callable(path):
        return getattr(path, "__name__", "custom"), path
    if path not in PATHS:
        raise ValueError(f"path={path!r} is not one of {tuple(PATHS)}, nor a function of (A, B, alphas).")
    return path, PATHS[path]
