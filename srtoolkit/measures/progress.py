"""Progress of a measurement: a bar, or calls of the user's own function."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

from tqdm.auto import tqdm

from srtoolkit.patching.batches import Progress


@contextlib.contextmanager
def reporting(progress: Progress | None, total: int, what: str) -> Iterator[Callable[[int], None]]:
    """A context that gives a function, which the measurement calls with the number of points done so far.

    Args:
        progress: Called with the number of points done and that of all points. What it raises ends the measurement,
            which is how to cancel one. Where ``None``, a progress bar is shown.
        total: Number of points of the whole measurement.
        what: What is being measured, as the bar says.
    """
    if progress is not None:
        progress(0, total)
        yield functools.partial(_call, progress, total)
        return
    unwanted = bool(os.environ.get("TQDM_DISABLE"))  # which tqdm's bars for notebooks do not heed
    with tqdm(total=total, desc=what, unit="point", leave=False, disable=unwanted) as bar:
        yield functools.partial(_move, bar)


def _call(progress: Progress, total: int, done: int) -> None:
    progress(done, total)


def _move(bar: tqdm[Any], done: int) -> None:
    bar.update(done - bar.n)
