"""Points where they matter: intervals of a path are halved until none can hide a steeper step than those found.

A curve of 50 even points spends most of them on plateaus. Here a pair starts with ``FIRST`` points of the same grid. Of
every interval one knows its rise; a curve that rises all along has no step inside it that rises by more. So only
intervals that rise by more than the steepest step found so far are halved, the one that rises most first: what remains
cannot hide a steeper step, and the largest slope is that of the whole grid, exactly.

In a wide interval a curve may rise and fall again unseen. There the distance between the outputs at its ends counts,
where it is more than the rise.

On a grid finer than 1/49 all this would take most points of a jump, for a smooth peak is made of many steps that are
nearly as steep. There intervals of 1/49 or less are taken to bend no more inside than their neighbours' slopes differ
from their own (:func:`_hidden`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.patching.batches import Progress

#: Points that every pair starts with, both ends included.
FIRST = 4

#: Scale in alpha, the step of the paper's grid, down to which a curve is only taken to rise. Below, it is taken to bend
#: no more inside an interval than around it.
COARSE = 1 / 49

#: An interval wider than this share of the path is halved where its outputs are further apart than the steepest step
#: found rises, even if the curve rises less. Of 256 pairs on SmolLM2, one had its jump and a fall hidden in a third of
#: the path; this finds it, for half a point a pair.
WIDE = 0.2

#: Intervals halved in one round: those whose bound exceeds this times the steepest slope found, and the highest. Lower
#: values take fewer rounds and more points.
EAGER = 2.0

Places = Int[np.ndarray, " point"]


class Found(NamedTuple):
    """What ran of one pair's path.

    Attributes:
        places: Points of the grid that ran, in order.
        outputs: What was read of them, by read point.
        certified: Whether the curve rose all along, and no part of an interval by more than the whole: what the bound
            takes for granted, as far as was seen.
    """

    places: Places
    outputs: dict[str, Float[Tensor, "point _width"]]
    certified: bool


def first_places(steps: int) -> Places:
    """Points of the grid that every pair starts with: both ends, and those that cut the path most evenly.

    Args:
        steps: Number of points of the grid.
    """
    return np.unique(np.linspace(0, steps - 1, FIRST).round().astype(int))


class Moves(NamedTuple):
    """How a curve and its output move between points that ran.

    Attributes:
        rises: By how much the curve rises over each interval, in any unit.
        ways: How far apart the outputs at its ends are, in the same unit.
    """

    rises: Float[np.ndarray, " step"]
    ways: Float[np.ndarray, " step"]


def next_places(places: Places, moves: Moves, steps: int, tolerance: float) -> Int[np.ndarray, " new"]:
    """Middles of the intervals to be halved now; empty where none can hide a steeper step.

    Args:
        places: Points of the grid that ran, in order.
        moves: How the curve moves from each to the next.
        steps: Number of points of the grid.
        tolerance: Share of the steepest slope by which a hidden step may be steeper.
    """
    bound, best = _hidden(places, moves, steps), (moves.rises / np.diff(places)).max()
    halved = bound > best * (1 + tolerance)
    if not halved.any():
        return places[:0]
    halved &= bound >= min(bound[halved].max(), EAGER * best)
    return (places[:-1][halved] + places[1:][halved]) // 2


def _hidden(places: Places, moves: Moves, steps: int) -> Float[np.ndarray, " step"]:
    """The largest slope that each interval could hide, per step of the grid; 0 where it hides nothing.

    A wide interval may have all its rise within ``COARSE`` (one step, on a grid that is no finer). A narrow one has
    inside at most its neighbours' slopes, or as much above its own as the lower of them is below.
    """
    gaps, coarse = np.diff(places), max(1.0, COARSE * (steps - 1))
    slopes = moves.rises / gaps
    most = np.where(gaps > WIDE * (steps - 1), np.maximum(moves.rises, moves.ways), moves.rises)
    before, behind = np.append(slopes[:1], slopes[:-1]), np.append(slopes[1:], slopes[-1:])
    bending = np.maximum(np.maximum(before, behind), 2 * slopes - np.minimum(before, behind))
    bound = np.where(gaps <= coarse, bending, most / coarse)
    return np.where(gaps > 1, bound, 0.0)


#: Runs points of some pairs: indices of the pairs and the places of the grid, one each; what is read, by read point.
RunPlaces = Callable[[Int[Tensor, " point"], Int[Tensor, " point"]], dict[str, Tensor]]

#: How a curve moves between points of one pair, from its outputs in order.
MovesOf = Callable[[Float[Tensor, "point width"]], Moves]


def refine(
    run: RunPlaces,
    pairs: int,
    steps: int,
    read: str,
    moves_of: MovesOf,
    *,
    tolerance: float = 0.0,
    progress: Progress | None = None,
) -> Iterator[Found]:
    """The points of every pair that decide its steepest step, with what was read of them; all pairs in common rounds.

    Args:
        run: Runs points of some pairs.
        pairs: Number of pairs.
        steps: Number of points of the grid.
        read: The read point whose curve counts.
        moves_of: How that curve moves from point to point of one pair.
        tolerance: Share of the steepest slope by which a hidden step may be steeper.
        progress: Called after each round with the number of points of the grid that are settled, and that of all.
    """
    paths = [_Path(steps, read, moves_of, tolerance) for _ in range(pairs)]
    while wanted := [(pair, path.wanted) for pair, path in enumerate(paths) if len(path.wanted)]:
        rows = torch.tensor([pair for pair, places in wanted for _ in places])
        found = run(rows, torch.from_numpy(np.concatenate([places for _, places in wanted])))
        parts = {name: values.split([len(places) for _, places in wanted]) for name, values in found.items()}
        for number, (pair, _) in enumerate(wanted):
            paths[pair].take({name: part[number] for name, part in parts.items()})
        if progress is not None:
            progress(sum(path.settled for path in paths), pairs * steps)
    return (path.found() for path in paths)


class _Path:
    """One pair's path while it is refined: what ran of it, and what is to run next."""

    def __init__(self, steps: int, read: str, moves_of: MovesOf, tolerance: float) -> None:
        self._steps, self._read, self._moves_of, self._tolerance = steps, read, moves_of, tolerance
        self._ran, self._rises, self._certified = np.zeros(0, dtype=int), np.zeros(0), True
        self._parts = list[dict[str, Tensor]]()
        self.wanted = first_places(steps)

    @property
    def settled(self) -> int:
        """Number of points of the grid that ran, or need not run any more."""
        return len(self._ran) if len(self.wanted) else self._steps

    def take(self, part: dict[str, Tensor]) -> None:
        """Put points that just ran among the others, and find what is to run next."""
        before, rises = np.sort(self._ran), self._rises
        self._ran = np.concatenate([self._ran, self.wanted])
        self._parts.append(part)
        places, moves = np.sort(self._ran), self._moves_of(self._in_order(self._read))
        self._rises = moves.rises
        whole = rises[np.searchsorted(before, places[1:]) - 1] if len(before) else np.inf
        self._certified &= bool(((self._rises >= 0) & (self._rises <= whole)).all())
        finite = bool(np.isfinite(self._rises).all())
        self.wanted = next_places(places, moves, self._steps, self._tolerance) if finite else places[:0]

    def found(self) -> Found:
        """What ran, in order; once, for it lets go of it."""
        outputs = {name: self._in_order(name) for name in self._parts[0]}
        self._parts.clear()
        return Found(np.sort(self._ran), outputs, self._certified)

    def _in_order(self, name: str) -> Tensor:
        """What was read of all points that ran at one read point."""
        ran = torch.cat([part[name] for part in self._parts])
        return ran[torch.from_numpy(self._ran.argsort()).to(ran.device)]
