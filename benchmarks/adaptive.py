"""Adaptive points beside the whole grid and plain hooks: ``python -m benchmarks.adaptive``, about five minutes.

What is printed is the price of the largest slope: seconds a pair, side by side in one run, and how often it is that of
the whole grid. Plain hooks run a few pairs, for their time grows with the number of pairs alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

import srtoolkit as srt
from benchmarks.__main__ import folder_of
from benchmarks.contestants import PlainHooks
from benchmarks.work import Work, prepare


class Size(NamedTuple):
    """How much of a grid is measured.

    Attributes:
        steps: Number of points of the grid.
        pairs: Number of pairs on which the grid and adaptive points run.
        hooked: Number of pairs on which plain hooks run.
    """

    steps: int
    pairs: int
    hooked: int


FULL = (Size(50, 1000, 10), Size(393, 200, 2))
QUICK = (Size(50, 100, 2), Size(393, 20, 1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adaptive", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer pairs, a minute")
    given = parser.parse_args()
    model = srt.load_model("smollm2-135m")
    srt.interpolate(model, srt.sample_pairs(model, 4, seed=1), reads="final_norm")  # chooses the method
    srt.interpolate(model, srt.sample_pairs(model, 4, seed=1), reads="final_norm", where="adaptive")
    for size in QUICK if given.quick else FULL:
        print(compare(model, size))


def compare(model: srt.Model, size: Size) -> str:
    """What one grid takes in each way, in words.

    Args:
        model: From ``srt.load_model``.
        size: How much is measured.
    """
    pairs = srt.sample_pairs(model, size.pairs, seed=21)
    grid, even = timed(lambda: srt.interpolate(model, pairs, steps=size.steps, reads="final_norm"))
    some, adaptive = timed(
        lambda: srt.interpolate(model, pairs, steps=size.steps, reads="final_norm", where="adaptive")
    )
    each, some_each = grid / size.pairs, some / size.pairs
    by_hooks = hooks(model, size.hooked, size.steps) / size.hooked
    sure = adaptive.certified.values
    off = np.abs(slopes(adaptive) / slopes(even) - 1)
    points = adaptive.evaluated.values.sum(axis=1)
    return (
        f"{size.steps} points, {size.pairs} pairs: plain hooks {by_hooks:.3f} s a pair, grid {each:.4f}, adaptive "
        f"{some_each:.4f}: {each / some_each:.2f} times as fast as the grid, {by_hooks / some_each:.1f} times as "
        f"plain hooks; {points.mean():.1f} points a pair (at most {points.max()}); {sure.mean():.0%} certified, of "
        f"which {np.mean(off[sure] > 2e-3):.2%} are off by more than 0.002 (median {np.median(off[sure]):.0e}, at most "
        f"{off[sure].max():.0e}); of the others {np.mean(off[~sure] > 2e-3):.2%}"
    )


def slopes(curves: xr.Dataset) -> np.ndarray:
    """Largest slope of each pair."""
    return srt.sharpness(curves)["max_slope"].values


def hooks(model: srt.Model, pairs: int, steps: int) -> float:
    """Seconds that plain hooks take for so many pairs."""
    with tempfile.TemporaryDirectory() as scratch:
        way = PlainHooks(folder_of(model, Path(scratch)))
    problem = prepare(model, Work("curves", 10, steps, {"none": (pairs, steps)}))
    return timed(lambda: way.outputs(problem.context, problem.points, 0))[0]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a call takes, and what it gives."""
    started = time.perf_counter()
    found = call()
    return time.perf_counter() - started, found


if __name__ == "__main__":
    main()
