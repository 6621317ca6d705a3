"""Verdicts: a statistic with its interval and its null, judged by a criterion that was written before.

A verdict shows as a table in a notebook. It also leaves its numbers in the cell's output under a MIME type of its own,
from which the report collects all of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, SupportsFloat, SupportsIndex, TypeVar, cast

from scipy import stats

from srtoolkit.analysis.estimates import Estimate
from srtoolkit.reference import Criterion
from srtoolkit.reference import criterion as find_criterion
from srtoolkit.validation import as_float, check_number, check_whole

#: Under which a notebook's output carries its verdicts, as a list of objects; those of before named no criterion.
MIME = "application/vnd.srtoolkit.verdicts.v2+json"

#: What a claim gets that is met and could not have failed.
BY_CONSTRUCTION = "true by construction"

_NUMBERS = ("value", "low", "high", "null", "null_low", "null_high", "paper", "p")
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Verdict:
    """One claim as measured on one model.

    Attributes:
        criterion: Name of the criterion.
        of: Which of the paper's claims it is about.
        claim: The claim, in a sentence.
        model: The model on which it was measured.
        statistic: What ``value`` is, with its unit.
        n: How many units were measured: of what is resampled.
        value: The statistic as measured.
        low: Lower end of the interval, of the criterion's ``level``.
        high: Upper end of the interval.
        null: The same statistic where the claim should not hold.
        null_low: Lower end of the null's interval.
        null_high: Upper end of the null's interval.
        paper: The paper's value, where it has one.
        p: Two-sided probability of a value as far from the threshold, if that were true.
        rule: Where the interval must lie, in words.
        date: Day on which the criterion was written.
        informative: Whether the claim could have failed.
        outcome: ``"holds"``, ``"does not hold"``, ``"undecided"``, or ``"true by construction"``.
    """

    criterion: str
    of: str
    claim: str
    model: str
    statistic: str
    n: int
    value: float
    low: float | None
    high: float | None
    null: float | None
    null_low: float | None
    null_high: float | None
    paper: float | None
    p: float | None
    rule: str
    date: str
    informative: bool
    outcome: str

    @property
    def holds(self) -> bool:
        """Whether the claim holds, and could have failed."""
        return self.outcome == "holds"

    def as_json(self) -> dict[str, Any]:
        """What a notebook keeps. JSON knows no infinity, so that one is a text, such as ``"-inf"``."""
        cells = {**asdict(self), "holds": self.holds}.items()
        return {name: str(cell) if isinstance(cell, float) and math.isinf(cell) else cell for name, cell in cells}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Verdict:
        """A verdict as a notebook kept it.

        Args:
            kept: From :meth:`as_json`; what else is there, such as the name of the notebook, is left out.
        """
        cells = {item.name: kept[item.name] for item in fields(cls)}
        infinite = {name: float(cells[name]) for name in _NUMBERS if isinstance(cells[name], str)}
        return cls(**{**cells, **infinite})

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from srtoolkit.analysis.scorecards import Scorecard  # which is made of verdicts

        return Scorecard((self,))._repr_mimebundle_()


def _bound_to_a_criterion(function: _Function) -> _Function:
    """Refuse calls that bring their own rule, as they all did before."""

    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        if own := {"holds", "statistic", "claim"} & named.keys():
            raise TypeError(
                f"verdict({', '.join(f'{name}=...' for name in sorted(own))}): a verdict is bound to a criterion. Give "
                "the name of an entry of srtoolkit/reference/criteria as the first argument; claim, statistic and "
                "threshold stand there, and whether the claim holds is computed from value, low and high."
            )
        return function(*given, **named)

    return cast(_Function, call)


@_bound_to_a_criterion
def verdict(
    criterion: str,
    *,
    model: Any,
    value: SupportsFloat,
    low: SupportsFloat | None = None,
    high: SupportsFloat | None = None,
    n: SupportsIndex,
    null: SupportsFloat | Estimate | None = None,
    paper: SupportsFloat | None = None,
    p: SupportsFloat | None = None,
) -> Verdict:
    """Judge what was measured by a criterion; as a cell's last value it shows as a table and enters the report.

    Args:
        criterion: Name of an entry of ``srtoolkit/reference/criteria``, which says what is measured and where the
            threshold lies. :func:`srtoolkit.reference.criteria` has all of them.
        model: The model on which it was measured, or its name.
        value: The statistic as measured.
        low: Lower end of the interval of ``value``, of 95% unless the criterion names another ``level``. Only criteria
            of what is not sampled do without.
        high: Upper end of the interval.
        n: How many units were measured: of what the interval resamples, such as pairs or runs.
        null: The same statistic where the claim should not hold: a number, or an :class:`srtoolkit.Estimate`.
        paper: The paper's value, where it has one; the criterion's own where that names one.
        p: Two-sided probability of a value as far from the threshold, if that were true. Taken from the interval where
            ``None``: as of a normal statistic whose interval reaches as far towards the threshold, and, if the null
            must be beaten, the larger of this and the same for the difference from the null. What is not sampled has
            none; a scorecard takes its criterion's ``chance``.

    Returns:
        The verdict. ``outcome`` is ``"holds"`` where the whole interval meets the criterion, ``"does not hold"`` where
        the whole interval violates it, and else ``"undecided"``.

    Raises:
        TypeError: A model or number that is none; a rule of the caller's own (``holds=``).
        ValueError: No such criterion; ``value`` is NaN, so that nothing was measured; no interval, or no null, where
            the criterion needs one.
    """
    entry = find_criterion(criterion)
    name = _model_name(model)
    here = _number(value, "value")
    if math.isnan(here):
        raise ValueError(
            f"{criterion} ({entry.claim!r}) on {name}: the value is NaN, so nothing was measured. Were all pairs "
            "excluded? srtoolkit.summarise counts them; degenerate and non_finite say why."
        )
    lower, upper = (None if end is None else _number(end, what) for end, what in ((low, "low"), (high, "high")))
    middle = _null(null)
    if entry.rule.beats_null and middle is None:
        raise ValueError(f"{criterion}: null=None: this claim must beat its null ({entry.nulls}); give null=.")
    outcome: str = entry.judge(here, lower, upper, middle)
    if outcome == "holds" and not entry.informative:
        outcome = BY_CONSTRUCTION
    if paper is None and len(entry.paper_values) == 1:
        paper = entry.paper_values[0]
    return Verdict(
        criterion=entry.name,
        of=entry.of,
        claim=entry.claim,
        model=name,
        statistic=entry.statistic,
        n=check_whole(n, "n", 1),
        value=here,
        low=lower,
        high=upper,
        null=middle.value if middle else None,
        null_low=middle.low if middle else None,
        null_high=middle.high if middle else None,
        paper=None if paper is None else check_number(paper, "paper"),
        p=_p(entry, here, lower, upper, middle) if p is None else check_number(p, "p", 0.0, 1.0),
        rule=entry.rule_text,
        date=entry.date,
        informative=entry.informative,
        outcome=outcome,
    )


def _model_name(model: Any) -> str:
    """How a model is called: by its name, with revision and kind of weights where these are not the usual."""
    name = model if isinstance(model, str) else getattr(model, "name", None)
    if not isinstance(name, str) or not name:
        raise TypeError(f"model={repr(model)[:100]}: expected a model, or the name of one.")
    if isinstance(model, str):
        return model
    revision, init = getattr(model, "revision", None), getattr(model, "init", "pretrained")
    name += f", {revision}" if revision else ""
    usual = init in ("pretrained", "given") or init in name  # null_model says it in the name
    return name if usual else f"{name}, {init} {getattr(model, 'seed', 0)}"


def _null(null: Any) -> Estimate | None:
    """The null with its interval; a number is one without width."""
    if null is None:
        return None
    if isinstance(null, Estimate):
        return Estimate(*(_number(number, "null") for number in null))
    number = _number(null, "null")
    return Estimate(number, number, number)


def _number(value: Any, name: str) -> float:
    number = as_float(value)
    if number is None:
        raise TypeError(f"{name}={str(value)[:100]!r}: expected a single number.")
    return number


def _p(entry: Criterion, value: float, low: float | None, high: float | None, null: Estimate | None) -> float | None:
    """Two-sided p against the threshold, of which there are two where the statistic is to lie between them."""
    if low is None or high is None:
        return None
    here = Estimate(value, low, high)
    found = [
        _p_against(here, Estimate(bound, bound, bound), entry.level)
        for bound in (entry.rule.low, entry.rule.high)
        if bound is not None
    ]
    if entry.rule.beats_null and null is not None:
        found.append(_p_against(here, null, entry.level))
    return max(found)


def _p_against(here: Estimate, there: Estimate, level: float) -> float:
    """Two-sided p of a difference: of each, the half of its interval that faces the other says its standard error."""
    if not (math.isfinite(here.value) and math.isfinite(there.value)):
        return 1.0
    lower, upper = sorted((here, there))
    distance = upper.value - lower.value
    reach = math.hypot(_half(lower, lower.high - lower.value), _half(upper, upper.value - upper.low))
    if distance == 0:
        return 1.0
    standard_errors = stats.norm.ppf((1 + level) / 2)  # so many to either side, for a normal statistic
    return float(2 * stats.norm.sf(standard_errors * distance / reach)) if reach else 0.0


def _half(estimate: Estimate, facing: float) -> float:
    """Half of an interval: that which faces the other, unless resamples of few values left nothing on that side."""
    return facing if facing > 0 else (estimate.high - estimate.low) / 2
