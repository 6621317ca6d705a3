"""Where a value first reaches a level along a ray: a ladder of places, then halving between two rungs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

#: Values at some places, one place of one ray each.
ValuesAt = Callable[[Int[Tensor, " place"], Float[Tensor, " place"]], Float[Tensor, " place"]]


def first_reach(
    values_at: ValuesAt, ladder: Float[Tensor, " rung"], rays: int, level: float, tolerance: float
) -> tuple[Float[Tensor, " ray"], Float[Tensor, " ray"]]:
    """Two places of every ray, in the ladder's unit: at the first the value is below a level, at the second it is not.

    The rungs are walked upwards, up to the first at which the level is reached; between it and the one before, the
    interval is halved. So a value that rises above the level and falls again between two rungs is not seen; what comes
    back is a bracket in any case.

    Args:
        values_at: Values at some places; they are below the level at 0. One that is NaN counts as not below.
        ladder: Places in increasing order, all above 0.
        rays: Number of rays.
        level: The level.
        tolerance: Widest bracket, as a share of its upper place.

    Returns:
        Lower and upper places. Where no rung reaches the level: the last rung and infinity.
    """
    low, high = torch.zeros(rays, dtype=torch.float64), torch.full((rays,), torch.inf, dtype=torch.float64)
    climbing = torch.arange(rays)
    for rung in ladder.double():
        if not len(climbing):
            break
        below = values_at(climbing, rung.expand(len(climbing))).double().cpu() < level
        low[climbing[below]], high[climbing[~below]] = rung, rung
        climbing = climbing[below]
    while len(wide := torch.nonzero(high.isfinite() & (high - low > tolerance * high))[:, 0]):
        middle = (low[wide] + high[wide]) / 2
        below = values_at(wide, middle).double().cpu() < level
        low[wide[below]], high[wide[~below]] = middle[below], middle[~below]
    return low, high
