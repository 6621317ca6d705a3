"""Maps with boundaries at known places, to try estimators of boundaries on: half-space, ball, cone, staircase."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Tensor

from srtoolkit.measures.directions import Directions
from srtoolkit.measures.perturb import check_sizes, response_dataset
from srtoolkit.validation import check_number, listed

#: From points [..., d_model] to outputs [..., width].
Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class BoundaryMap:
    """A map that is flat but at its boundaries, where its one output rises by 1 within about ``1 / sharpness``.

    Attributes:
        distance: Signed distance from each boundary, 0 on it, as a function of points: ``[..., boundary]``.
        sharpness: How steep the rise is: its slope on the boundary is a quarter of this.
    """

    distance: Callable[[Float[Tensor, "*point d_model"]], Float[Tensor, "*point boundary"]]
    sharpness: float

    def __call__(self, points: Float[Tensor, "*point d_model"]) -> Float[Tensor, "*point 1"]:
        """Outputs at some points: how many boundaries lie behind them, with soft steps.

        Args:
            points: Any number of them.
        """
        return torch.sigmoid(self.sharpness * self.distance(points.double())).sum(-1, keepdim=True)

    def first_crossing(
        self, point: Float[Tensor, " d_model"], direction: Float[Tensor, " d_model"], up_to: float = 10.0
    ) -> float:
        """How far the first boundary is along a direction, in its lengths; infinite where there is none within reach.

        Args:
            point: Where to begin.
            direction: The direction, of any length.
            up_to: How far to look. Two crossings closer than a thousandth of this may be missed.
        """

        def sides(size: float) -> np.ndarray:
            return self.distance((point + size * direction).double()).numpy()

        places = np.linspace(0, up_to, 1001)
        signs = np.sign([sides(size) for size in places])
        crossed = [
            brentq(lambda size, b=boundary: sides(size)[b], places[step], places[step + 1])
            for step, boundary in np.argwhere((signs[1:] != signs[:-1]) & (signs[:-1] != 0))
        ]
        return float(min(crossed, default=np.inf))


def half_space(normal: Sequence[float], offset: float = 0.0, *, sharpness: float = 50.0) -> BoundaryMap:
    """A map with one flat boundary: where the part along ``normal`` is ``offset``.

    Args:
        normal: Direction across the boundary, of any length.
        offset: Distance of the boundary from the origin.
        sharpness: See :class:`BoundaryMap`.
    """
    return staircase(normal, [offset], sharpness=sharpness)


def staircase(normal: Sequence[float], offsets: Iterable[float], *, sharpness: float = 50.0) -> BoundaryMap:
    """A map with several flat boundaries behind each other.

    Args:
        normal: Direction across them, of any length.
        offsets: Their distances from the origin, along the normal.
        sharpness: See :class:`BoundaryMap`.

    Raises:
        ValueError: The normal has no length, there are no offsets, or a number is not finite.
    """
    across, levels = _unit(normal, "normal"), _vector(offsets, "offsets")
    return BoundaryMap(lambda x: (x @ across)[..., None] - levels, _sharpness(sharpness))


def ball(centre: Sequence[float], radius: float = 1.0, *, sharpness: float = 50.0) -> BoundaryMap:
    """A map whose boundary is a sphere.

    Args:
        centre: Its centre.
        radius: Its radius, above 0.
        sharpness: See :class:`BoundaryMap`.

    Raises:
        ValueError: The radius is not above 0, or a number is not finite.
    """
    middle, reach = _vector(centre, "centre"), check_number(radius, "radius", 1e-12)
    return BoundaryMap(lambda x: (x - middle).norm(dim=-1, keepdim=True) - reach, _sharpness(sharpness))


def cone(
    axis: Sequence[float], angle: float, *, apex: Sequence[float] | None = None, sharpness: float = 50.0
) -> BoundaryMap:
    """A map whose boundary is a cone: every point as far from the axis, seen from its apex, as ``angle``.

    Args:
        axis: Direction of the axis, of any length.
        angle: Between axis and boundary, in radians, above 0 and below half of pi.
        apex: Its tip; the origin by default.
        sharpness: See :class:`BoundaryMap`.

    Raises:
        ValueError: The axis has no length, the angle is out of range, or a number is not finite.
    """
    along, half = _unit(axis, "axis"), check_number(angle, "angle", 1e-6, np.pi / 2 - 1e-6)
    tip = torch.zeros_like(along) if apex is None else _vector(apex, "apex")

    def distance(points: Float[Tensor, "*point d_model"]) -> Float[Tensor, "*point 1"]:
        rest = points - tip
        height = rest @ along
        width = (rest - height[..., None] * along).norm(dim=-1)
        return (width * np.cos(half) - height * np.sin(half))[..., None]  # to the flank, extended beyond the tip

    return BoundaryMap(distance, _sharpness(sharpness))


def respond(
    mapping: Map, points: Float[Tensor, "point d_model"], directions: Directions, sizes: Iterable[float | int]
) -> xr.Dataset:
    """What :func:`srtoolkit.perturb` gives, of a map in the place of a model: sizes are absolute, prompts are points.

    Args:
        mapping: Any function from points to outputs.
        points: Where to begin.
        directions: From :mod:`srtoolkit.directions`.
        sizes: Sizes of the push, positive and increasing.

    Raises:
        ValueError: Sizes are not positive and increasing, or directions have another width than the points.
    """
    far = check_sizes(sizes)
    if directions.places or directions.vectors.shape[1] != points.shape[-1]:
        raise ValueError(
            f"directions of width {directions.vectors.shape[1]}{' that lead to places' * directions.places}: expected "
            f"directions of width {points.shape[-1]}, as the points have."
        )
    start = points.double()[:, None, None]
    pushes = torch.tensor(far, dtype=torch.float64)[:, None] * directions.vectors.double()[:, None]
    own = mapping(points.double())
    moved = (mapping(start + pushes) - own[:, None, None]).norm(dim=-1)
    found = {"distance": moved.numpy(), "output": own.numpy()}
    return response_dataset(found, directions, far, [f"point {i}" for i in range(len(points))], {"unit": "absolute"})


def _vector(given: Iterable[float], what: str) -> Float[Tensor, " width"]:
    numbers = [check_number(number, what) for number in listed(given) or []]
    if not numbers:
        raise ValueError(f"{what}={str(given)[:100]!r}: expected finite numbers in a list.")
    return torch.tensor(numbers, dtype=torch.float64)


def _unit(given: Iterable[float], what: str) -> Float[Tensor, " d_model"]:
    found = _vector(given, what)
    if not found.norm():
        raise ValueError(f"{what}={str(given)[:100]!r}: a direction of length 0.")
    return found / found.norm()


def _sharpness(given: float) -> float:
    return check_number(given, "sharpness", 1e-6)
