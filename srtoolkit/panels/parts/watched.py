"""A path that watches over the measurement along it."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from srtoolkit.measures.paths import Path, linear
from srtoolkit.panels.parts.worker import Cancelled


def watched(cancelled: Cancelled, progress: Callable[[float | int], None], total: int) -> Path:
    """The linear path, which says how far a measurement is, and ends it when nobody wants it any more.

    Args:
        cancelled: Whether the result is no longer wanted; asked at every batch.
        progress: Takes the share of pairs that came before.
        total: Number of pairs.
    """
    done = 0

    def path(
        a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"], alphas: Float[Tensor, " alpha"]
    ) -> Float[Tensor, "pair alpha d_model"]:
        nonlocal done
        if cancelled():
            raise InterruptedError("cancelled")
        progress(done / total)
        done += len(a)
        return linear(a, b, alphas)

    path.__name__ = linear.__name__
    return path
