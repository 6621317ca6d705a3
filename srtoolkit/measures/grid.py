"""Filling a square grid with a function's values, finely only where the function bends or its label changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

#: Strides of the grid, coarse to fine; one that does not divide the number of steps is left out.
STRIDES = (4, 2, 1)

Values = dict[str, np.ndarray]
Grid = Float[np.ndarray, "row column"]


def fill_grid(
    measure: Callable[[Int[np.ndarray, " point"]], Values],
    n: int,
    tolerance: float | None,
    bends: str,
    label: str | None,
) -> tuple[Values, Bool[np.ndarray, "row column"]]:
    """Values of a function on a square grid, measured where needed and interpolated elsewhere.

    Starts on a coarse grid, and halves its spacing twice. A point half-way between two known ones is measured where
    the second difference of ``bends`` at either says that a straight line would be off by more than ``tolerance`` of
    the largest value, or where their ``label`` differs; a point amid four, where this holds on any side of their
    square. The others are interpolated by cubics, which are off by less than a straight line where it is trusted; whole
    numbers are those of a neighbour. Values that are lists are not interpolated: they are -1 or NaN where the function
    was not measured.

    Args:
        measure: The function; it takes flat indices into the grid, row by row, and returns values by name.
        n: Number of points along each side.
        tolerance: Largest error of a straight line between known points that is left to interpolation, as a share of
            the largest value; nothing is interpolated where ``None``.
        bends: Name of the value whose bending decides where to measure.
        label: Name of the value that changes in jumps, if there is one.

    Returns:
        The values by name, [row, column], and which points were measured.
    """
    strides = [stride for stride in STRIDES if (n - 1) % stride == 0 and (n - 1) // stride >= 2]
    strides = [1] if tolerance is None or not strides else strides
    known = np.zeros((n, n), dtype=bool)
    values: Values = {}
    _measure_at(measure, _on_grid(n, strides[0]), known, values)
    for stride in strides[:-1]:
        assert tolerance is not None
        half, coarse = stride // 2, {name: grid[::stride, ::stride].copy() for name, grid in values.items()}
        wanted = np.zeros((n, n), dtype=bool)
        wanted[::half, ::half] = _doubtful(coarse, tolerance, bends, label)
        for name, grid in values.items():
            if grid.ndim == 2:
                grid[::half, ::half] = _halved(_halved(coarse[name]).T).T
        _measure_at(measure, wanted, known, values)
    return values, known


def _on_grid(n: int, stride: int) -> Bool[np.ndarray, "row column"]:
    mask = np.zeros((n, n), dtype=bool)
    mask[::stride, ::stride] = True
    return mask


def _measure_at(
    measure: Callable[..., Values], mask: Bool[np.ndarray, "row column"], known: np.ndarray, values: Values
) -> None:
    flat = np.flatnonzero(mask)
    if not len(flat):
        return
    for name, found in measure(flat).items():
        if name not in values:
            values[name] = np.full((*mask.shape, *found.shape[1:]), _filler(found), dtype=found.dtype)
        values[name].reshape(-1, *found.shape[1:])[flat] = found
    known |= mask


def _filler(found: np.ndarray) -> float | int:
    """What stands for a list of values where the function was not measured."""
    return np.nan if found.dtype.kind == "f" else -1


def _doubtful(coarse: Values, tolerance: float, bends: str, label: str | None) -> Bool[np.ndarray, "row column"]:
    """Points of the grid of half the spacing that cannot be had from those that are known."""
    surface = coarse[bends].astype(np.float64)
    limit = tolerance * np.abs(surface[np.isfinite(surface)]).max(initial=0)
    names = np.zeros_like(surface) if label is None else coarse[label]
    # Written so that beside a value which is NaN everything is measured.
    down = ~(_chord_error(surface) <= limit) | (names[1:] != names[:-1])
    across = (~(_chord_error(surface.T) <= limit) | (names.T[1:] != names.T[:-1])).T
    fine = np.zeros(tuple(2 * side - 1 for side in surface.shape), dtype=bool)
    fine[1::2, ::2], fine[::2, 1::2] = down, across
    fine[1::2, 1::2] = down[:, 1:] | down[:, :-1] | across[1:] | across[:-1]
    return fine


def _bend(grid: Grid) -> Grid:
    """Second difference down the rows; the outermost rows have their neighbours'."""
    return np.pad(np.diff(grid, 2, axis=0), ((1, 1), (0, 0)), mode="edge")


def _chord_error(grid: Grid) -> Float[np.ndarray, "step column"]:
    """How far a parabola is off the straight line half-way between rows: an eighth of its second difference."""
    bend = np.abs(_bend(grid)) / 8
    return np.maximum(bend[1:], bend[:-1])


def _halved(grid: np.ndarray) -> np.ndarray:
    """The grid with a row put in between any two: on the cubic through the nearest four, or as the row before it."""
    between = grid[:-1]
    if grid.dtype.kind not in "iub":
        bend = _bend(grid)
        between = (grid[1:] + grid[:-1]) / 2 - (bend[1:] + bend[:-1]) / 16
    out = np.empty((2 * len(grid) - 1, grid.shape[1]), dtype=grid.dtype)
    out[::2], out[1::2] = grid, between
    return out
