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
    """Values of ``measure`` on an ``n`` x ``n`` grid, measured where needed and interpolated elsewhere.

    Starts on a coarse grid. A cell is cut in four where the second difference of ``bends`` at one of its corners says
    that bilinear interpolation would be off by more than ``tolerance`` of the largest value, or where the corners'
    ``label`` differ. In other cells what lies between is interpolated; whole numbers are those of a corner.

    Args:
        measure: Takes flat indices into the grid, row by row.
        n: Points along each side.
        tolerance: Largest error of interpolation that is aimed at, as a share of the largest value; nothing is
            interpolated where ``None``.
        bends: Which of the values decides.
        label: Which of them changes in jumps, if one does.

    Returns:
        The values, [row, column], and which points were measured.
    """
    strides = [stride for stride in STRIDES if (n - 1) % stride == 0 and (n - 1) // stride >= 2]
    strides = [1] if tolerance is None or not strides else strides
    known = np.zeros((n, n), dtype=bool)
    values: Values = {}
    _measure_at(measure, _on_grid(n, strides[0]), known, values)
    for stride in strides[:-1]:
        half = stride // 2
        wanted = _on_grid(n, half) & ~_on_grid(n, stride)
        assert tolerance is not None
        bad = _bad_cells({name: grid[::stride, ::stride] for name, grid in values.items()}, tolerance, bends, label)
        cut = np.zeros((n, n), dtype=bool)
        for row, column in np.argwhere(bad):
            cut[row * stride : (row + 1) * stride + 1, column * stride : (column + 1) * stride + 1] = True
        for grid in values.values():
            _interpolate(grid, stride, nearest=grid.dtype.kind in "iub")
        _measure_at(measure, wanted & cut, known, values)
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
        values.setdefault(name, np.zeros(mask.shape, dtype=found.dtype)).reshape(-1)[flat] = found
    known |= mask


def _bad_cells(corners: Values, tolerance: float, bends: str, label: str | None) -> Bool[np.ndarray, "row column"]:
    """Cells of the coarse grid whose inside cannot be had from their corners."""
    surface = corners[bends].astype(np.float64)
    # A parabola is off a chord by an eighth of its second difference.
    error = np.zeros_like(surface)
    error[1:-1] = np.abs(np.diff(surface, 2, axis=0)) / 8
    error[:, 1:-1] = np.maximum(error[:, 1:-1], np.abs(np.diff(surface, 2, axis=1)) / 8)
    bad = _any_corner(error > tolerance * np.abs(surface).max())
    if label is not None:
        names = corners[label]
        bad |= (
            (names[:-1, :-1] != names[1:, :-1])
            | (names[:-1, :-1] != names[:-1, 1:])
            | (names[:-1, :-1] != names[1:, 1:])
        )
    return bad


def _any_corner(points: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, "cell_row cell_column"]:
    return points[:-1, :-1] | points[1:, :-1] | points[:-1, 1:] | points[1:, 1:]


def _interpolate(grid: np.ndarray, stride: int, nearest: bool) -> None:
    """Fill, in place, the points half-way between those of a coarse grid."""
    half = stride // 2
    coarse = grid[::stride, ::stride].copy()
    if nearest:
        grid[half::stride, ::stride] = coarse[:-1]
        grid[::stride, half::stride] = coarse[:, :-1]
        grid[half::stride, half::stride] = coarse[:-1, :-1]
        return
    grid[half::stride, ::stride] = (coarse[:-1] + coarse[1:]) / 2
    grid[::stride, half::stride] = (coarse[:, :-1] + coarse[:, 1:]) / 2
    grid[half::stride, half::stride] = (coarse[:-1, :-1] + coarse[1:, :-1] + coarse[:-1, 1:] + coarse[1:, 1:]) / 4
