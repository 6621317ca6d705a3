"""Paths between two activations: how ``X(alpha)`` gets from A to B."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import CodeType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from srtoolkit.validation import check_whole

Path = Callable[
    [Float[Tensor, "pair d_model"], Float[Tensor, "pair d_model"], Float[Tensor, " alpha"]],
    Float[Tensor, "pair alpha d_model"],
]


def linear(
    a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"], alphas: Float[Tensor, " alpha"]
) -> Float[Tensor, "pair alpha d_model"]:
    """The straight line ``X(alpha) = A + alpha (B - A)``, which meets both ends exactly; Janiak et al. 2024, Section 3.

    Args:
        a: Activations A, where the paths start.
        b: Activations B, where the paths end.
        alphas: Places on the path, from A (0) to B (1).

    Raises:
        TypeError: The arguments are not tensors of real numbers.
        ValueError: A and B have different shapes, or ``alphas`` has not one dimension.
    """
    _check_ends(a, b, alphas)
    return torch.lerp(a[:, None], b[:, None], alphas.to(a)[None, :, None])


#: Paths that have a name.
PATHS: dict[str, Path] = {"linear": linear}


def random_direction(like: Float[Tensor, "prompt d_model"] | None = None, base: str = "a", seed: int = 0) -> Path:
    """A path from A in a random direction, as long as that from A to B: a null for the direction towards B.

    Heimersheim & Mendel 2024 ("Interim report: Activation plateaus in residual stream activations of GPT2") perturb
    activations so.

    Args:
        like: Activations whose covariance the directions have; all directions are equally likely where ``None``.
        base: Where the path starts: ``"a"`` at A, ``"random"`` at a random point with the mean and covariance of
            ``like``, scaled to A's norm. The latter is a null for the place, which no prompt leads to.
        seed: Seed of the random draws.

    Returns:
        The path, a function of (A, B, alphas) that measurements take as ``path``.

    Raises:
        ValueError: ``base`` is unknown, or it is random without ``like``.
    """
    if not isinstance(base, str) or base not in ("a", "random") or (base == "random" and like is None):
        raise ValueError(f"base={base!r}: expected 'a', or 'random' together with activations that it is to be like.")
    seed = check_whole(seed, "seed", 0, 2**62)
    if like is not None:
        _check_like(like)
    centred = None if like is None else like - like.mean(0)

    def path(
        a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"], alphas: Float[Tensor, " alpha"]
    ) -> Float[Tensor, "pair alpha d_model"]:
        _check_ends(a, b, alphas)
        if like is not None and like.shape[1] != a.shape[1]:
            raise ValueError(f"like: activations of width {like.shape[1]}, but those of the model have {a.shape[1]}.")
        length, direction = (b - a).norm(dim=-1, keepdim=True), _draws(b - a, centred, 2 * seed)
        if base == "random" and like is not None:
            start = like.mean(0).to(a) + _draws(a, centred, 2 * seed + 1)
            a = start * a.norm(dim=-1, keepdim=True) / start.norm(dim=-1, keepdim=True)
        # From A to itself there is no direction, and no way to go.
        step = torch.where(length > 0, direction * length / direction.norm(dim=-1, keepdim=True), 0.0)
        return linear(a, a + step, alphas)

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
    """Name and function of a path.

    Args:
        path: A name in ``PATHS``, or a function of (A, B, alphas).

    Raises:
        ValueError: The name is unknown.
    """
    if callable(path) and not isinstance(path, type):
        return name_of(path), _checked(path)
    if not isinstance(path, str) or path not in PATHS:
        raise ValueError(f"path={path!r} is not one of {tuple(PATHS)}, nor a function of (A, B, alphas).")
    return path, PATHS[path]


def name_of(path: Path) -> str:
    """Name of a path that no different path has.

    A lambda, and a function that was made by another, gets a hash of what it does and of the values that it was made
    with.

    Args:
        path: A function of (A, B, alphas).
    """
    name = str(getattr(path, "__name__", type(path).__name__))
    code, closure = getattr(path, "__code__", None), getattr(path, "__closure__", None) or ()
    if code is None or name != code.co_name or (name != "<lambda>" and not closure):
        return name  # an object's class, a name that was given, or a function that needs no more than its name
    inside = [cell.cell_contents for cell in closure]
    values = [value.tolist() if isinstance(value, Tensor) else value for value in inside]
    said = (_spelled(code), values, getattr(path, "__defaults__", None))
    return f"{name} {hashlib.sha256(repr(said).encode()).hexdigest()[:8]}"


def _spelled(code: CodeType) -> tuple[Any, ...]:
    """What a function does, without the addresses that are other ones in each process."""
    constants = [_spelled(one) if isinstance(one, CodeType) else one for one in code.co_consts]
    return code.co_code.hex(), constants, code.co_names


def _checked(path: Path) -> Path:
    """A user's path, whose points are looked at before the model runs on them."""

    def checked(
        a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"], alphas: Float[Tensor, " alpha"]
    ) -> Float[Tensor, "pair alpha d_model"]:
        points = path(a, b, alphas)
        expected = (len(a), len(alphas), a.shape[1])
        if not isinstance(points, Tensor) or points.shape != expected:
            got = f"shape {tuple(points.shape)}" if isinstance(points, Tensor) else type(points).__name__
            raise ValueError(
                f"path={name_of(path)}: expected a tensor [pair, alpha, d_model] of shape "
                f"{expected}, got {got}; see srtoolkit.measures.paths.linear."
            )
        return points

    return checked


def _check_ends(a: Tensor, b: Tensor, alphas: Tensor) -> None:
    """Refuse what would be broadcast to something else, or fail in torch's words."""
    if not all(isinstance(value, Tensor) and value.is_floating_point() for value in (a, b, alphas)):
        kinds = [str(value.dtype) if isinstance(value, Tensor) else type(value).__name__ for value in (a, b, alphas)]
        raise TypeError(f"a, b and alphas: expected three float tensors, got {kinds}.")
    if a.ndim != 2 or a.shape != b.shape or a.dtype != b.dtype or alphas.ndim != 1:
        raise ValueError(
            f"a, b and alphas: expected shapes [pair, d_model] twice, of one dtype, and [alpha]; got {list(a.shape)} "
            f"{a.dtype}, {list(b.shape)} {b.dtype} and {list(alphas.shape)}."
        )


def _check_like(like: Tensor) -> None:
    """Refuse activations that have no covariance to draw from."""
    if not isinstance(like, Tensor) or not like.is_floating_point():
        raise TypeError(f"like: expected a float tensor [prompt, d_model], got {type(like).__name__}.")
    if like.ndim != 2 or len(like) < 2 or not bool(torch.isfinite(like).all()) or bool((like == like[0]).all()):
        raise ValueError(
            f"like: expected finite activations [prompt, d_model] of two or more different prompts, got shape "
            f"{list(like.shape)}; a covariance needs them."
        )
