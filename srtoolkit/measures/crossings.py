"""Where a path crosses from one end's output to the other's, of any map from places to outputs.

A coarse grid says between which points something changes; halving then narrows each of these brackets, all of them in
common rounds. What changes and changes back between two points of the grid is not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

#: Shares of the way from one end's output to the other's: the boundary, and what its width lies between.
HALFWAY, LEAVING, ARRIVING = 0.5, 0.1, 0.9

#: Narrowest step between two outputs whose speeds are compared: a peak is flat on top, so that rounding would say
#: which of two narrower steps is the faster.
NARROWEST = 1e-3


class Seen(NamedTuple):
    """What a map gives at some places.

    Attributes:
        outputs: Outputs, whose L2 distance is how far apart they are.
        tokens: The predicted token.
    """

    outputs: Float[Tensor, "place width"]
    tokens: Int[Tensor, " place"]


#: A map: from indices of paths and a place on each of them, 0 to 1, to what is seen there.
SeenAt = Callable[[Int[Tensor, " place"], Float[Tensor, " place"]], Seen]


class Crossings(NamedTuple):
    """What :func:`locate` finds.

    Attributes:
        row: Path of every crossing, in order, and in the order of places on a path.
        low: Place below each crossing: the output is on one side there,
        high: and here, above it, on the other.
        width: From a tenth to nine tenths of the way, around the crossing; NaN where the output turns back before.
        peak_at: Place of each path's fastest motion.
        token_at: Place where the predicted token stops being the first one for good; NaN where it does not.
        ends: Outputs at both ends of each path.
        finite: Whether all outputs of the coarse grid are finite.
        degenerate: Whether both ends of each path give the same output.
    """

    row: Int[np.ndarray, " crossing"]
    low: Float[np.ndarray, " crossing"]
    high: Float[np.ndarray, " crossing"]
    width: Float[np.ndarray, " crossing"]
    peak_at: Float[np.ndarray, " pair"]
    token_at: Float[np.ndarray, " pair"]
    ends: Float[Tensor, "pair 2 width"]
    finite: Bool[np.ndarray, " pair"]
    degenerate: Bool[np.ndarray, " pair"]


class _Brackets(NamedTuple):
    """Intervals in which something changes: the share of the way reaches a level, or (level NaN) the token changes."""

    row: Int[Tensor, " bracket"]
    step: Int[Tensor, " bracket"]
    level: Float[Tensor, " bracket"]


def locate(seen_at: SeenAt, pairs: int, steps: int, tolerance: float, same: float = 0.0) -> Crossings:
    """Every place of some paths where the output is as far from one end's output as from the other's.

    Args:
        seen_at: The map.
        pairs: Number of paths.
        steps: Points of the coarse grid, 5 or more.
        tolerance: Widest bracket of a crossing, of the path's length 1.
        same: Both ends give the same output where these are no further apart than this share of the first one's norm.
    """
    grid = torch.linspace(0, 1, steps, dtype=torch.float64)
    coarse = seen_at(torch.arange(pairs).repeat_interleave(steps), grid.repeat(pairs))
    outputs, tokens = coarse.outputs.unflatten(0, (pairs, steps)), coarse.tokens.unflatten(0, (pairs, steps)).cpu()
    ends, finite = outputs[:, [0, -1]], outputs.isfinite().flatten(1).all(1).cpu()
    degenerate = finite & ~(ends.diff(dim=1)[:, 0].norm(dim=-1) > same * ends[:, 0].norm(dim=-1)).cpu()
    measured = finite & ~degenerate
    found = _brackets(way_gone(outputs, ends[:, None]).cpu(), tokens, measured)

    def on_first_side(index: Int[Tensor, " place"], places: Float[Tensor, " place"]) -> Bool[Tensor, " place"]:
        row, level = found.row[index], found.level[index]
        seen = seen_at(row, places)
        below = way_gone(seen.outputs, ends[row.to(ends.device)]).cpu() < level
        return torch.where(level.isnan(), seen.tokens.cpu() == tokens[row, 0], below)

    low, high = halve(on_first_side, grid[found.step], grid[found.step + 1], tolerance)
    peak_at, rows = torch.full((pairs,), torch.nan, dtype=torch.float64), torch.nonzero(measured)[:, 0]
    if len(rows):
        peak_at[rows] = fastest(seen_at, rows, outputs[rows.to(outputs.device)], max(tolerance, NARROWEST))
    token_at, is_token = torch.full((pairs,), torch.nan, dtype=torch.float64), found.level.isnan()
    token_at[found.row[is_token]] = (low + high)[is_token] / 2
    row, level = found.row.numpy(), found.level.numpy()
    order = np.lexsort((low.numpy(), row))
    half, width = order[level[order] == HALFWAY], _widths(row, level, (low + high).numpy() / 2)
    return Crossings(
        row[half], low.numpy()[half], high.numpy()[half], width[half], peak_at.numpy(), token_at.numpy(), ends,
        finite.numpy(), degenerate.numpy(),
    )  # fmt: skip


def way_gone(outputs: Float[Tensor, "*place width"], ends: Float[Tensor, "*#place 2 width"]) -> Float[Tensor, "*place"]:
    """Share of the way from one end's output to the other's, ``(1 + (d_0 - d_1) / d) / 2``: 0 and 1 at the ends.

    ``d_0`` and ``d_1`` are the distances of an output from those at both ends, and ``d`` is the distance between these.
    On the straight line between them it is the share of the line.

    Args:
        outputs: Outputs at some places.
        ends: Outputs at both ends of each one's path.
    """
    first, last = ends.unbind(-2)
    further = (outputs - first).norm(dim=-1) - (outputs - last).norm(dim=-1)
    return (1 + further / (last - first).norm(dim=-1)) / 2


def halve(
    on_first_side: Callable[[Int[Tensor, " place"], Float[Tensor, " place"]], Bool[Tensor, " place"]],
    low: Float[Tensor, " bracket"],
    high: Float[Tensor, " bracket"],
    tolerance: float,
) -> tuple[Float[Tensor, " bracket"], Float[Tensor, " bracket"]]:
    """Narrower brackets, at whose ends a question has different answers, as it has at the ends of those given.

    Args:
        on_first_side: The question, of indices of brackets and a place in each.
        low: Lower ends of the brackets.
        high: Upper ends; the answer is another one there.
        tolerance: How wide a bracket may remain.
    """
    low, high = low.clone(), high.clone()
    if not len(low):
        return low, high
    start = on_first_side(torch.arange(len(low)), low)
    while len(wide := torch.nonzero(high - low > tolerance)[:, 0]):
        middle = (low[wide] + high[wide]) / 2
        as_low = on_first_side(wide, middle) == start[wide]
        low[wide[as_low]], high[wide[~as_low]] = middle[as_low], middle[~as_low]
    return low, high


def fastest(
    seen_at: SeenAt, rows: Int[Tensor, " pair"], outputs: Float[Tensor, "pair step width"], tolerance: float
) -> Float[Tensor, " pair"]:
    """Place of fastest motion of some paths: the fastest step of an even grid, refined with its neighbours.

    Of three steps each is halved, and the fastest of the six is kept with those beside it. A speed with one peak within
    the first three steps has it there to the end.

    Args:
        seen_at: The map.
        rows: Indices of the paths.
        outputs: Outputs on an even grid of four points or more.
        tolerance: Width of the last steps.
    """
    pairs, points = outputs.shape[:2]
    width = 1 / (points - 1)
    lowest = torch.zeros(pairs, dtype=torch.float64)
    while True:
        ways = outputs.diff(dim=1).norm(dim=-1)
        best = ways.argmax(dim=1)
        first = (best - 1).clamp(0, ways.shape[1] - 3)
        outputs = outputs.gather(
            1, (first[:, None] + torch.arange(4, device=first.device))[..., None].expand(-1, -1, outputs.shape[2])
        )
        if width <= tolerance:
            return lowest + (best.cpu() + 0.5) * width
        lowest = lowest + first.cpu() * width
        middles = lowest[:, None] + (torch.arange(3, dtype=torch.float64) + 0.5) * width
        new = seen_at(rows.repeat_interleave(3), middles.flatten()).outputs.unflatten(0, (pairs, 3))
        between = torch.stack([outputs[:, :-1], new], dim=2).flatten(1, 2)
        outputs, width = torch.cat([between, outputs[:, -1:]], dim=1), width / 2


def _brackets(
    share: Float[Tensor, "pair step"], tokens: Int[Tensor, "pair step"], measured: Bool[Tensor, " pair"]
) -> _Brackets:
    """Steps of the grid in which the share of the way reaches a level, or the first token is left for good."""
    is_first = tokens == tokens[:, :1]
    left = torch.nonzero(measured & ~is_first[:, -1])[:, 0]
    rows, steps = [left], [tokens.shape[1] - 1 - is_first[left].flip(1).int().argmax(dim=1)]
    levels = [torch.full((len(left),), torch.nan, dtype=torch.float64)]
    for level in (HALFWAY, LEAVING, ARRIVING):
        below = share < level
        row, step = torch.nonzero((below[:, 1:] != below[:, :-1]) & measured[:, None]).T
        rows.append(row)
        steps.append(step)
        levels.append(torch.full((len(row),), level, dtype=torch.float64))
    return _Brackets(torch.cat(rows), torch.cat(steps), torch.cat(levels))


def _widths(
    row: Int[np.ndarray, " bracket"], level: Float[np.ndarray, " bracket"], place: Float[np.ndarray, " bracket"]
) -> Float[np.ndarray, " bracket"]:
    """Width around every crossing: between the nearest places of the outer levels, and not beyond other crossings.

    Paths begin on the first side, so that their crossings lead there and back in turn.
    """
    found = np.full(len(row), np.nan)
    for path in np.unique(row):
        crossings = np.flatnonzero((row == path) & (level == HALFWAY))
        crossings = crossings[place[crossings].argsort()]
        limits = np.concatenate([[-np.inf], place[crossings], [np.inf]])
        for number, crossing in enumerate(crossings):
            behind, ahead = (LEAVING, ARRIVING) if number % 2 == 0 else (ARRIVING, LEAVING)
            before, here, after = limits[number : number + 3]
            starts = place[(row == path) & (level == behind) & (place >= before) & (place <= here)]
            stops = place[(row == path) & (level == ahead) & (place >= here) & (place <= after)]
            if len(starts) and len(stops):
                found[crossing] = stops.min() - starts.max()
    return found
