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


def random_direction(like: Float[Tensor, "prompt d_model"] | None = None, base: str = "a", seed: int = 0) -> Path:
    """Paths from A in a random direction, as long as the way from A to B: a null for the direction towards B.

    Heimersheim & Mendel 2024 ("Interim report: Activation plateaus in residual stream activations of GPT2") perturb
    activations so.

    Args:
        like: Activations that fix the covariance of the directions; all directions are equally likely where ``None``.
        base: ``"a"`` starts at A. ``"random"`` starts at a draw with the mean and covariance of ``like``, scaled to A's
            norm: a null for the place, which no prompt leads to.
        seed: Of the draws.

    Raises:
        ValueError: An unknown base, or a random one without ``like``.
    """
    if base not in ("a", "random") or (base == "random" and like is None):
        raise ValueError(f"base={base!r}: expected 'a', or 'random' together with activations that it is to be like.")
    centred = None if like is None else like - like.mean(0)

    def path(
        a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"], alphas: Float[Tensor, " alpha"]
    ) -> Float[Tensor, "pair alpha d_model"]:
        length, direction = (b - a).norm(dim=-1, keepdim=True), _draws(b - a, centred, 2 * seed)
        if base == "random" and like is not None:
            start = like.mean(0).to(a) + _draws(a, centred, 2 * seed + 1)
            a = start * a.norm(dim=-1, keepdim=True) / start.norm(dim=-1, keepdim=True)
        return linear(a, a + direction * length / direction.norm(dim=-1, keepdim=True), alphas)

    kind = "every direction" if like is None else "covariance of activations"
    path.__name__ = f"random direction ({kind}, base {base}, seed {seed})"
    return path


def _draws(
    of: Float[Tensor, "pair d_model"], centred: Float[Tensor, "prompt d_model"] | None, seed: int
) -> Float[Tensor, "pair d_model"]:
    """A Gaussian draw for each pair: of unit covariance, or that of ``centred``.

    One random matrix, the same for every pair, is applied to the pair's own vector, so that a draw depends neither on
    the pairs that it is made with nor on their order.
    """
    generator = torch.Generator().manual_seed(seed)
    unit = of / of.norm(dim=-1, keepdim=True)
    if centred is None:
        return unit @ torch.randn(of.shape[1], of.shape[1], generator=generator).to(of)
    mixing = torch.randn(of.shape[1], len(centred), generator=generator).to(of)
    return unit @ mixing @ centred.to(of) / (len(centred) - 1) ** 0.5


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
