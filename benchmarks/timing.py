"""Timing: every way does its part of the work in turn, several times over, and all results are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.calls import NAMES, call, summary
from benchmarks.contestants import PlainHooks, Way
from benchmarks.roofline import MatrixProducts, needed, now
from benchmarks.table import ROOFLINE, Row
from benchmarks.work import Problem, Work

#: Pairs and points of the first, untimed run, in which everybody compiles, caches and chooses.
WARM_UP = (1, 2)

#: Does the first so many pairs, and the first so many points of each.
Run = Callable[[int, int], Tensor]


@dataclass(frozen=True)
class Contestant:
    """Somebody who does some of a piece of work.

    Attributes:
        name: As shown.
        pairs: How many it is timed on.
        points: How many of each pair.
        run: The work, for so many pairs and points.
        most: Most runs.
        summarised: Whether it gives only what ``summary`` makes of the others' results.
    """

    name: str
    pairs: int
    points: int
    run: Run
    most: int | None = None
    summarised: bool = False


def running(way: Way, work: Work, problem: Problem) -> Run:
    """A way's doing of the first so many pairs, and of the first so many points of each."""
    do = way.gates if work.reads_gates else way.outputs
    return lambda pairs, points: do(problem.context[:pairs], problem.points[:pairs, :points], work.layer)


def contestants(model: Any, ways: list[Way], work: Work, problem: Problem) -> list[Contestant]:
    """All who do this work: the ways that are timed on it, and srtoolkit's own call where there is one."""
    found = [
        Contestant(way.name, *work.sizes[way.reuse], running(way, work, problem), work.repeats.get(way.reuse))
        for way in ways
        if way.reuse in work.sizes
    ]
    if work.kind in NAMES:

        def whole(pairs: int, _: int) -> Tensor:
            return call(model, work, problem, pairs)

        pairs, _ = work.sizes["srtoolkit"]
        found.append(Contestant(NAMES[work.kind], pairs, work.points, whole, work.repeats.get("call"), True))
    return found


def measure(
    work: Work, those: list[Contestant], reference: Run, products: MatrixProducts, config: Any, repeats: int
) -> list[Row]:
    """One row for each contestant and repeat, and one for the rate of matrix products at that time.

    Args:
        work: What is done.
        those: Who does it.
        reference: Plain hooks, whose result all are compared with; runs here where they are not timed.
        products: Measured along with the contestants.
        config: The model's, for what the work needs.
        repeats: How often each one runs.
    """
    for one in those:
        if not one.summarised:
            one.run(*WARM_UP)
    results: dict[str, Tensor] = {}
    times: list[tuple[Contestant, int, float]] = []
    rows = []
    for repeat in range(repeats):
        turn = repeat % len(those)
        for one in those[turn:] + those[:turn]:
            if one.most is not None and repeat >= one.most:
                continue
            start = now()
            result = one.run(one.pairs, one.points)
            times.append((one, repeat, now() - start))
            results.setdefault(one.name, result)
        rows.append(Row.of(work, ROOFLINE, 0, 0, repeat, 1.0, products.rate() / 1e9))
    expected = results[PlainHooks.name] if PlainHooks.name in results else reference(*WARM_UP)
    differ = {one.name: difference(work, results[one.name], expected, one.summarised) for one in those}
    for one, repeat, seconds in times:
        rows.append(Row.of(work, one.name, one.pairs, one.points, repeat, seconds, gflop(work, one, config)))
        rows[-1].difference = differ[one.name]
    return rows


def gflop(work: Work, one: Contestant, config: Any) -> float:
    """What a contestant's part of the work needs, with its share of prefixes that serve all points of their pairs."""
    flops = needed(config, one.pairs, work.tokens, work.points, work.layer, gates=work.reads_gates)
    return flops.total * one.points / work.points / 1e9


def difference(work: Work, found: Tensor, expected: Tensor, summarised: bool = False) -> float:
    """Largest difference on what both have done, relative to the largest value expected there."""
    expected = summary(work, expected) if summarised else expected
    pairs, points = min(len(found), len(expected)), min(found.shape[1], expected.shape[1])
    found, expected = (one[:pairs, :points].double().cpu() for one in (found, expected))
    worst = float((found - expected).abs().max() / expected.abs().max())
    return worst if torch.isfinite(found).all() else float("inf")
