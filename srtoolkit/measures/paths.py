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


def slerp(
    a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"], alphas: Float[Tensor, " alpha"]
) -> Float[Tensor, "pair alpha d_model"]:
    """The path whose direction turns evenly from A's to B's, in their plane, while its length goes linearly to B's.

    A straight line turns fastest in its middle, and a model whose norms remove length sees directions alone; here even
    steps of alpha are even steps of angle. Shoemake 1985, with lengths. Both ends are met exactly.

    Args:
        a: Activations A, where the paths start.
        b: Activations B, where the paths end.
        alphas: Places on the path, from A (0) to B (1).

    Raises:
        TypeError: The arguments are not tensors of real numbers.
        ValueError: A and B have different shapes, or ``alphas`` has not one dimension; A or B is zero, so that it has
            no direction; or they point opposite ways, so that no plane is theirs.
    """
    _check_ends(a, b, alphas)
    wide_a, wide_b, places = a.double(), b.double(), alphas.double().to(a.device)[None, :, None]
    _check_turn(wide_a, wide_b)
    length_a, length_b = (end.norm(dim=-1)[:, None, None] for end in (wide_a, wide_b))
    unit_a, unit_b = wide_a[:, None] / length_a, wide_b[:, None] / length_b
    # Twice the arc tangent is exact for small angles, where an arc cosine is not.
    half = torch.atan2((unit_b - unit_a).norm(dim=-1, keepdim=True), (unit_b + unit_a).norm(dim=-1, keepdim=True))
    turn = 2 * half / torch.pi
    # sin(alpha angle) / sin(angle), which is alpha where the angle is 0; sinc(x) is sin(pi x) / (pi x).
    towards_a, towards_b = (share * torch.sinc(share * turn) / torch.sinc(turn) for share in (1 - places, places))
    points = torch.lerp(length_a, length_b, places) * (towards_a * unit_a + towards_b * unit_b)
    at_a, at_b = (alphas == end for end in (0, 1))
    points = points.to(a)
    points[:, at_a], points[:, at_b] = a[:, None], b[:, None]
    return points


def arc(about: Float[Tensor, " d_model"]) -> Path:
    """A path whose direction, seen from a given point, turns evenly from A's to B's: :func:`slerp` about ``about``.

    Activations lie about a mean far from zero, which an arc about zero swings around. ``path="arc"`` takes the mean
    of the model's own activations at the block, over shipped prose.

    Args:
        about: The point to turn about, such as the mean of a model's activations after the block.

    Returns:
        The path, a function of (A, B, alphas) that measurements take as ``path``.

    Raises:
        TypeError: ``about`` is no tensor of real numbers.
        ValueError: ``about`` is not one finite activation.
    """
    if not isinstance(about, Tensor) or not about.is_floating_point():
        raise TypeError(f"about: expected a float tensor [d_model], got {type(about).__name__}.")
    if about.ndim != 1 or not len(about) or not bool(torch.isfinite(about).all()):
        raise ValueError(
            f"about: expected one finite activation [d_model], got shape {list(about.shape)}; the mean of activations "
            "is srt.capture(model, tokens, layer=layer).mean(0)."
        )

    def path(
        a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"], alphas: Float[Tensor, " alpha"]
    ) -> Float[Tensor, "pair alpha d_model"]:
        _check_ends(a, b, alphas)
        if len(about) != a.shape[1]:
            raise ValueError(f"about: an activation of width {len(about)}, but those of the model have {a.shape[1]}.")
        centre = about.to(a.device, torch.float64)
        points = (slerp(a.double() - centre, b.double() - centre, alphas) + centre).to(a)
        at_a, at_b = (alphas == end for end in (0, 1))
        points[:, at_a], points[:, at_b] = a[:, None], b[:, None]  # which the sum with the centre has rounded
        return points

    path.__name__ = f"arc about {hashlib.sha256(repr(about.tolist()).encode()).hexdigest()[:8]}"
    return path


#: Paths that have a name; "arc" has one, too, and takes its centre from the model.
PATHS: dict[str, Path] = {"linear": linear, "slerp": slerp}

#: Directions whose units add up to less than this are opposite: rounding alone would choose the plane to turn in.
OPPOSITE = 1e-4

#: Number of waves from which random draws are mixed, and their frequency: high enough that vectors a hundredth of
#: their length apart have draws of their own, low enough that the rounding of activations does not matter.
_WAVES, _FREQUENCY = 1024, 100.0


def random_direction(like: Float[Tensor, "prompt d_model"] | None = None, base: str = "a", seed: int = 0) -> Path:
    """A path from A in a random direction, as long as that from A to B: a null for the direction towards B.

    Heimersheim & Mendel 2024 ("Interim report: Activation plateaus in residual stream activations of GPT2") perturb
    activations so.

    Args:
        like: Activations whose covariance the directions have; all directions are equally likely where ``None``.
        base: Where the path starts: ``"a"`` at A; ``"midpoint"`` in the middle between A and B, ``"random"`` at a
            random point with the mean and covariance of ``like``, both scaled to A's norm. The latter two are nulls
            for the place, which no prompt leads to; the middle is the stricter one: it is made of real activations.
        seed: Seed of the random draws.

    Returns:
        The path, a function of (A, B, alphas) that measurements take as ``path``.

    Raises:
        ValueError: ``base`` is unknown, or it is random without ``like``.
    """
    if not isinstance(base, str) or base not in ("a", "midpoint", "random") or (base == "random" and like is None):
        raise ValueError(
            f"base={base!r}: expected 'a', 'midpoint', or 'random' together with activations that it is to be like."
        )
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
        if base != "a":
            start = (a + b) / 2
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

    A draw is a function of the pair's own vector, so that it depends neither on the pairs that it is made with nor on
    their order: random waves over all vectors, of so high a frequency that two pairs' heights on them have nothing to
    do with each other, mixed by a Gaussian matrix. The matrix alone would keep the angles between the pairs' vectors:
    B - A and C - B, neighbours in a chain of prompts, would get nearly opposite draws.
    """
    generator = torch.Generator().manual_seed(seed)
    unit = (of / of.norm(dim=-1, keepdim=True)).double().cpu()
    waves = _FREQUENCY * torch.randn(of.shape[1], _WAVES, generator=generator, dtype=torch.float64)
    phases = 2 * torch.pi * torch.rand(_WAVES, generator=generator, dtype=torch.float64)
    heights = torch.cos(unit @ waves + phases) * (2 / _WAVES) ** 0.5
    width = of.shape[1] if centred is None else len(centred)
    drawn = (heights @ torch.randn(_WAVES, width, generator=generator, dtype=torch.float64)).to(of)
    return drawn if centred is None else drawn @ centred.to(of) / (len(centred) - 1) ** 0.5


def find_path(path: str | Path, centre: Callable[[], Float[Tensor, " d_model"]]) -> tuple[str, Path]:
    """Name and function of a path.

    Args:
        path: A name in ``PATHS``, ``"arc"``, or a function of (A, B, alphas).
        centre: What gives the point that the arc of this name turns about; called for that one alone.

    Raises:
        ValueError: The name is unknown.
    """
    if callable(path) and not isinstance(path, type):
        return name_of(path), _checked(path)
    if isinstance(path, str) and path == "arc":
        return path, arc(centre())
    if not isinstance(path, str) or path not in PATHS:
        raise ValueError(f"path={path!r} is not one of {(*PATHS, 'arc')}, nor a function of (A, B, alphas).")
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


def _check_turn(a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"]) -> None:
    """Refuse ends between which no direction can turn."""
    for name, end in (("A", a), ("B", b)):
        if bool((end == 0).all(-1).any()):
            raise ValueError(
                f"slerp or arc: activation {name} of some pair is the very point to turn about, and has no direction; "
                "take path='linear', or paths.arc about another point."
            )
    units = [end / end.norm(dim=-1, keepdim=True) for end in (a, b)]
    opposite = int(((units[0] + units[1]).norm(dim=-1) < OPPOSITE).sum())
    if opposite:
        raise ValueError(
            f"slerp or arc: A and B of {opposite} of {len(a)} pairs point opposite ways, and there is no one plane to "
            "turn in; take path='linear', or paths.arc about another point."
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
