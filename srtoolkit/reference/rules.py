"""Rules: where the interval of a statistic must lie for a claim to hold, and where it must lie for it to fail."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["holds", "does not hold", "undecided"]
Interval = tuple[float, float]

_BOUNDS = {"above", "below", "within"}
_BESIDE = {"beats_null", "fails_below", "fails_above"}


@dataclass(frozen=True)
class Rule:
    """Which intervals make a claim hold, and which make it fail; all others leave it undecided.

    A claim holds where the whole interval lies beyond the bounds and, with ``beats_null``, beyond the whole interval of
    the null. It does not hold where the whole interval violates a bound, or lies on the far side of the null's whole
    interval. To lie on a bound is to violate it. ``fails_below`` and ``fails_above`` take the place of the bound in
    failing. They may lie on the side where the claim would hold, for an effect that is there and surely too small:
    failing goes before holding.

    Attributes:
        low: Bound that the interval must exceed; ``None`` where there is none.
        high: Bound that it must stay below; ``None`` where there is none.
        beats_null: Whether the interval must lie beyond the null's, too.
        fails_below: An interval that ends below this fails; ``None`` where ``low`` decides.
        fails_above: An interval that begins above this fails; ``None`` where ``high`` decides.
    """

    low: float | None = None
    high: float | None = None
    beats_null: bool = False
    fails_below: float | None = None
    fails_above: float | None = None

    @classmethod
    def read(cls, given: Any, where: str) -> Rule:
        """A rule as an entry has it: one of ``above``, ``below`` and ``within``, and what goes with it.

        Args:
            given: ``{"above": 2, "beats_null": true}``, or the like.
            where: The entry, for the error message.

        Raises:
            ValueError: No such rule.
        """

        def refuse(what: str) -> ValueError:
            return ValueError(f"{where}: rule={given!r}: {what}.")

        if not isinstance(given, Mapping) or len(set(given) & _BOUNDS) != 1 or set(given) - _BOUNDS - _BESIDE:
            raise refuse(f"expected one of {sorted(_BOUNDS)}, and beside it only {sorted(_BESIDE)}")
        within = given.get("within", [given.get("above"), given.get("below")])
        if not isinstance(within, list) or len(within) != 2:
            raise refuse("expected within to be two numbers, the lower one first")
        beats = given.get("beats_null", False)
        if not isinstance(beats, bool) or (beats and "within" in given):
            raise refuse(
                "beats_null is true or false, and goes with above or below, which say on which side of the null"
            )
        if ("fails_below" in given and "below" in given) or ("fails_above" in given and "above" in given):
            raise refuse("fails_below goes with above or within, fails_above with below or within")
        if not any(end is not None for end in within):
            raise refuse("expected a number")
        ends = [*within, given.get("fails_below"), given.get("fails_above")]
        numbers = [as_number(end) for end in ends]
        wrong = [end for end, number in zip(ends, numbers, strict=True) if end is not None and not _finite(number)]
        low, high, fails_below, fails_above = numbers
        if wrong or ("within" in given and not (low is not None and high is not None and low < high)):
            raise refuse("expected finite numbers, the lower one first")
        return cls(low, high, beats, fails_below, fails_above)

    def judge(self, interval: Interval, null: Interval | None = None) -> Outcome:
        """What an interval says about the claim.

        Args:
            interval: Its lower and upper end.
            null: That of the null. Without it, a claim that must beat the null can fail and cannot hold.
        """
        low, high = interval
        too_low = _below(high, self.low) if self.fails_below is None else high < self.fails_below
        too_high = _below(self.high, low) if self.fails_above is None else low > self.fails_above
        won, lost = self._beside(null, low, high)
        if too_low or too_high or lost:
            return "does not hold"
        inside = (self.low is None or low > self.low) and (self.high is None or high < self.high)
        return "holds" if inside and won else "undecided"

    @property
    def text(self) -> str:
        """The rule in words."""
        if self.low is not None and self.high is not None:
            words = f"interval between {self.low:g} and {self.high:g}"
        else:
            side, bound = ("above", self.low) if self.low is not None else ("below", self.high)
            words = f"interval {side} {bound:g}" + (f" and {side} the null's" if self.beats_null else "")
        words += f"; fails where below {self.fails_below:g}" if self.fails_below is not None else ""
        return words + (f"; fails where above {self.fails_above:g}" if self.fails_above is not None else "")

    def _beside(self, null: Interval | None, low: float, high: float) -> tuple[bool, bool]:
        """Whether an interval lies wholly beyond the null's, and whether wholly on the other side."""
        if not self.beats_null:
            return True, False
        if null is None:
            return False, False
        return (low > null[1], high <= null[0]) if self.low is not None else (high < null[0], low >= null[1])


def as_number(given: Any) -> float | None:
    """A number as a float; ``None`` for what is none, truth values among them.

    Args:
        given: Any value, such as JSON has.
    """
    return float(given) if isinstance(given, int | float) and not isinstance(given, bool) else None


def _below(one: float | None, other: float | None) -> bool:
    """Whether one number is at most another; never, where either is no bound."""
    return one is not None and other is not None and one <= other


def _finite(number: float | None) -> bool:
    return number is not None and math.isfinite(number)
