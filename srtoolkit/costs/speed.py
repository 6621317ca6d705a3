"""The time that this machine takes for a call, measured on a miniature of the model with the functions that would run.

Time is proportional to the operations within blocks, and to those of the unembedding. Both factors are measured, and
scaled by the counts of :mod:`srtoolkit.costs.passes`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from srtoolkit.costs.architecture import Architecture
from srtoolkit.costs.miniature import miniature
from srtoolkit.costs.passes import block_flops, logit_flops
from srtoolkit.costs.work import Work, method_of, passes, run
from srtoolkit.models.model import Model

#: Points that are timed at least: with fewer, a large model's weights take longer to fetch than to multiply with.
POINTS = 512


@dataclass(frozen=True)
class Speed:
    """Seconds that a call takes on this machine.

    Attributes:
        start: Seconds that a model takes once, when it first runs.
        fixed: Seconds that do not depend on the number of pairs or points.
        per_block_flop: Seconds for each operation within blocks, all work between matrix products included.
        per_logit_flop: Seconds for each operation of the unembedding, all work on the logits included.
        method: Name of the patching method that the miniature chose; ``None`` where nothing was measured or patched.
    """

    start: float
    fixed: float
    per_block_flop: float
    per_logit_flop: float
    method: str | None = None

    def seconds(self, model: Architecture, work: Work, first: bool = True) -> float:
        """Expected seconds of a call on a model that has been loaded.

        Args:
            model: Architecture of the model.
            work: The call.
            first: Whether the model has not run before.
        """
        blocks, logits = flops(model, work, first, self.method)
        return self.start * first + self.fixed + self.per_block_flop * blocks + self.per_logit_flop * logits


def flops(model: Architecture, work: Work, first: bool = True, method: str | None = None) -> tuple[int, int]:
    """Floating-point operations of a call's matrix products, within blocks and in the unembedding.

    Args:
        model: Architecture of the model.
        work: The call.
        first: Whether the model has not run before.
        method: Name of the patching method; the one that the configuration lets expect where ``None``.
    """
    every = passes(model, work, first, method)
    return sum(block_flops(model, one) for one in every), sum(logit_flops(model, one) for one in every)


def measure_speeds(
    model: Architecture, works: Sequence[Work], budget: float, dtype: str, device: torch.device
) -> list[Speed]:
    """Time several calls on a miniature of a model, each as large as fits the budget.

    Args:
        model: Architecture of the model.
        works: The calls, in the order in which the model makes them.
        budget: Seconds for all calls together; it takes longer where ``POINTS`` points do.
        dtype: Name of the number format.
        device: Device of the miniature.
    """
    small, mini = miniature(model, dtype, device)
    started = time.perf_counter()
    speeds = []
    for number, work in enumerate(works, 1):
        inside = replace(work, layer=round(work.layer / model.n_layers * small.n_layers))
        speed = _measure(small, mini, inside, started + budget * number / len(works))
        speeds.append(replace(speed, fixed=speed.fixed * model.n_layers / small.n_layers))
    return speeds


def _measure(small: Architecture, mini: Model, work: Work, end: float) -> Speed:
    """The speed of one call on a miniature; repeated, where there is time until ``end``, for the shortest of a few."""
    least = work.smaller(0.0)
    bare_least = least.without_logits()
    first = _time(mini, bare_least)
    method = method_of(mini, work)
    fixed = _shortest(mini, bare_least, 2, end)
    some, whole = _largest(small, mini, work, method, (end - time.perf_counter()) / 3)
    bare = some.without_logits()
    blocks = fixed if bare == bare_least else _shortest(mini, bare, 3, end)
    done, done_least = (flops(small, one, False, method)[0] for one in (bare, bare_least))
    # Two points make a line, if they lie apart; what a call takes whatever its size is then not scaled.
    per_block_flop = max(0.0, blocks - fixed) / (done - done_least) if done > 2 * done_least else blocks / done
    per_logit_flop = 0.0
    if work.reads_logits:
        whole = min(whole, _shortest(mini, some, 1, end))
        per_logit_flop = max(0.0, whole - blocks) / flops(small, some, False, method)[1]
    remainder = max(0.0, fixed - per_block_flop * done_least)
    return Speed(max(0.0, first - fixed), remainder, per_block_flop, per_logit_flop, method)


def _largest(small: Architecture, mini: Model, work: Work, method: str | None, seconds: float) -> tuple[Work, float]:
    """A part of a call that takes a miniature some seconds, and the time it took; at least ``POINTS`` points."""
    some = work.smaller(POINTS / work.points)
    taken = _time(mini, some)
    while taken < seconds / 3:
        done = sum(flops(small, some, False, method)) / sum(flops(small, work, False, method))
        more = work.smaller(done * min(8.0, seconds / taken))
        if more == some:
            break
        some, taken = more, _time(mini, more)
    return some, taken


def _shortest(mini: Model, work: Work, times: int, end: float) -> float:
    taken = [_time(mini, work)]
    while len(taken) < times and time.perf_counter() < end:
        taken.append(_time(mini, work))
    return min(taken)


def _time(mini: Model, work: Work) -> float:
    _finish(mini.device)
    start = time.perf_counter()
    run(mini, work)
    _finish(mini.device)
    return time.perf_counter() - start


def _finish(device: torch.device) -> None:
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()
