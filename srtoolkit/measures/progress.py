"""How far a measurement is: a bar, or whatever the caller makes of it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from tqdm.auto import tqdm

from srtoolkit.patching.batches import Progress


@contextlib.contextmanager
def reporting(progress: Progress | None, total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Within this, the function that it gives is to be called with the number of points done so far.

    Args:
        progress: Called with the points done and those of all. What it raises ends the measurement, which is how one is
            cancelled. A bar is shown where ``None``.
        total: Points of the whole measurement.
        what: Is being measured, for the bar.
    """
    if progress is not None:
        progress(0, total)
        yield functools.partial(_call, progress, total)
        return
    with tqdm(total=total, desc=what, unit="point", leave=False) as bar:
        yield functools.partial(_move, bar)


def _call(progress: Progress, total: int, done: int) -> None:
    progress(done, total)


def _move(bar: tqdm[Any], done: int) -> None:
    bar.update(done - bar.n)
