"""Points where they matter: intervals of a path are halved until none can hide a steeper step than those found.

A curve of 50 even points spends most of them on plateaus. Here a pair starts with ``FIRST`` points of the same grid. Of
every interval one knows by how much the curve rises, and how far apart the outputs at its ends are. Only intervals that
could hide a steeper step than the steepest found so far are halved, those that could hide most first.

What an interval can hide is a matter of what one takes for granted (:func:`could_hide`). A wide one may have all its
rise in a single step. A narrow one is taken to bend inside at most so many times as much as around it. And an
interval over which the output itself moves faster than the curve ever rises is not trusted: the curve may rise and fall
again inside it, unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.patching.batches import Progress

#: Points that every pair starts with, both ends included.
FIRST = 5


class Granted(NamedTuple):
    """What is taken for granted of the parts of a path that did not run.

    Attributes:
        smooth: Widest interval, as a share of the path, that is taken to bend inside no more than around it.
        bending: How many times as much it may bend.
    """

    smooth: float
    bending: float


#: What is granted, by what is asked: chosen on 1,000 pairs of SmolLM2 and right on all of 1,000 others. An output's way
#: turns where its chords do not show it, so less is granted where the way itself counts.
GRANTED = {"max_slope": Granted(1 / 8, 1.5), "peak": Granted(1 / 24, 2.0)}

#: Step of the paper's grid, in alpha. Outputs that are closer than this say enough of what lies between them.
COARSE = 1 / 49

#: As long as fewer points of a path ran, only the interval that could hide most is halved in a round, for what it shows
#: may spare others; then all that could hide a steeper step are. It takes few points, and few rounds.
EARLY = 12

#: Share of a bound by which a slope may exceed it: the rounding of differences.
ROUNDING = 1e-6

Places = Int[np.ndarray, " point"]


class Found(NamedTuple):
    """What ran of one pair's path.

    Attributes:
        places: Points of the grid that ran, in order.
        outputs: What was read of them, by read point.
        certified: Whether the curve rose all along, and no part of an interval by more than the whole, nor more
            steeply than granted: what the bound takes for granted, as far as was seen.
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


def next_places(
    places: Places, slopes: Float[np.ndarray, " step"], bound: Float[np.ndarray, " step"], tolerance: float
) -> Int[np.ndarray, " new"]:
    """Middles of the intervals to be halved now; empty where none can hide a steeper step.

    Args:
        places: Points of the grid that ran, in order.
        slopes: By how much the curve rises from each to the next, per step of the grid.
        bound: The largest slope that each interval could hide; see :func:`could_hide`.
        tolerance: Share of the steepest slope by which a hidden step may be steeper.
    """
    best = slopes.max()
    halved = (np.diff(places) > 1) & (bound > best * (1 + tolerance))
    if not halved.any():
        return places[:0]
    if len(places) < EARLY:
        halved &= bound == bound[halved].max()
    return (places[:-1][halved] + places[1:][halved]) // 2


def could_hide(places: Places, moves: Moves, steps: int, granted: Granted) -> Float[np.ndarray, " step"]:
    """The largest slope that each interval could hide, per step of the grid.

    Args:
        places: Points of the grid that ran, in order.
        moves: How the curve moves from each to the next.
        steps: Number of points of the grid.
        granted: What is taken for granted; an interval bends around it as its slope differs from its neighbours'.
    """
    gaps, ends = np.diff(places), steps - 1
    slopes, speeds = moves.rises / gaps, moves.ways / gaps
    before, behind = np.append(slopes[:1], slopes[:-1]), np.append(slopes[1:], slopes[-1:])
    bent = slopes + granted.bending * np.maximum(np.abs(before - slopes), np.abs(behind - slopes))
    bound = np.where(gaps > granted.smooth * ends, np.maximum(moves.rises, moves.ways), np.minimum(bent, moves.rises))
    return np.where(gaps > COARSE * ends, np.maximum(bound, speeds), bound)


#: Runs points of some pairs: indices of the pairs and the places of the grid, one each; what is read, by read point.
RunPlaces = Callable[[Int[Tensor, " point"], Int[Tensor, " point"]], dict[str, Tensor]]

#: How a curve moves between points of one pair, from its outputs in order.
MovesOf = Callable[[Float[Tensor, "point width"]], Moves]


class Room(NamedTuple):
    """What one round has room for.

    Attributes:
        pairs: Most pairs that are on their way.
        points: Most points, of pairs that begin and of those that are on their way.
    """

    pairs: int
    points: int

    def for_others(self, wanted: Sequence[int]) -> int:
        """Number of pairs that may begin; 1 at least where none is on its way.

        Args:
            wanted: Number of points that each pair wants which is on its way.
        """
        places = min(self.pairs - len(wanted), (self.points - sum(wanted)) // FIRST)
        return max(places, 0 if wanted else 1)


def refine(
    run: RunPlaces,
    pairs: int,
    steps: int,
    read: str,
    moves_of: MovesOf,
    *,
    granted: Granted,
    room: Room | None = None,
    tolerance: float = 0.0,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Found]]:
    """The points of every pair that decide its steepest step, with what was read of them; pairs as they are settled.

    All pairs run in common rounds. Where there is no room for all, others begin as some end, so that rounds stay full:
    a pass of a few points costs nearly as much as one of many.

    Args:
        run: Runs points of some pairs.
        pairs: Number of pairs.
        steps: Number of points of the grid.
        read: The read point whose curve counts.
        moves_of: How that curve moves from point to point of one pair.
        granted: What is taken for granted of what does not run.
        room: How many pairs may be on their way at a time; any number where ``None``.
        tolerance: Share of the steepest slope by which a hidden step may be steeper.
        progress: Called after each round with the number of points of the grid that are settled, and that of all.
    """
    room, begun = room or Room(pairs, pairs * steps), 0
    going: dict[int, _Path] = {}
    while going or begun < pairs:
        new = range(begun, min(pairs, begun + room.for_others([len(path.wanted) for path in going.values()])))
        going |= {pair: _Path(steps, read, moves_of, granted, tolerance) for pair in new}
        begun += len(new)
        sizes = [len(path.wanted) for path in going.values()]
        rows = torch.tensor(list(going)).repeat_interleave(torch.tensor(sizes))
        found = run(rows, torch.from_numpy(np.concatenate([path.wanted for path in going.values()])))
        parts = {name: values.split(sizes) for name, values in found.items()}
        for number, path in enumerate(going.values()):
            path.take({name: part[number] for name, part in parts.items()})
        settled = [pair for pair, path in going.items() if not len(path.wanted)]
        yield from ((pair, going.pop(pair).found()) for pair in settled)
        if progress is not None:
            progress((begun - len(going)) * steps + sum(path.ran for path in going.values()), pairs * steps)


class _Path:
    """One pair's path while it is refined: what ran of it, and what is to run next."""

    def __init__(self, steps: int, read: str, moves_of: MovesOf, granted: Granted, tolerance: float) -> None:
        self._steps, self._read, self._moves_of = steps, read, moves_of
        self._granted, self._tolerance = granted, tolerance
        self._ran, self._rises, self._bound = np.zeros(0, dtype=int), np.zeros(0), np.zeros(0)
        self._certified, self._parts = True, list[dict[str, Tensor]]()
        self.wanted = first_places(steps)

    @property
    def ran(self) -> int:
        """Number of points that ran."""
        return len(self._ran)

    def take(self, part: dict[str, Tensor]) -> None:
        """Put points that just ran among the others, and find what is to run next."""
        before = np.sort(self._ran)
        self._ran = np.concatenate([self._ran, self.wanted])
        self._parts.append(part)
        places, moves = np.sort(self._ran), self._moves_of(self._in_order(self._read))
        slopes, bound = moves.rises / np.diff(places), could_hide(places, moves, self._steps, self._granted)
        self._certified &= bool((moves.rises >= 0).all())
        if len(before):
            whole = np.searchsorted(before, places[1:]) - 1
            as_granted = (moves.rises <= self._rises[whole]) & (slopes <= self._bound[whole] * (1 + ROUNDING))
            self._certified &= bool(as_granted.all())
        self._rises, self._bound = moves.rises, bound
        finite = bool(np.isfinite(moves.rises).all())
        self.wanted = next_places(places, slopes, bound, self._tolerance) if finite else places[:0]

    def found(self) -> Found:
        """What ran, in order; once, for it lets go of it."""
        outputs = {name: self._in_order(name) for name in self._parts[0]}
        self._parts.clear()
        return Found(np.sort(self._ran), outputs, self._certified)

    def _in_order(self, name: str) -> Tensor:
        """What was read of all points that ran at one read point."""
        ran = torch.cat([part[name] for part in self._parts])
        return ran[torch.from_numpy(self._ran.argsort()).to(ran.device)]
