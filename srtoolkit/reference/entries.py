"""Criteria of claims: what is measured, against which null, and where the threshold lies, written before it is run.

Each is an entry of its own, ``reference/criteria/<name>.json``. :func:`srtoolkit.verdict` takes nothing else.
"""

from __future__ import annotations

import datetime
import difflib
import html
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

from srtoolkit.reference.rules import Interval, Outcome, Rule, as_number

#: Where the entries lie.
FOLDER: Traversable = files("srtoolkit.reference").joinpath("criteria")

#: The paper's claims, and ``"beyond"`` for what it does not ask.
CLAIMS = {
    "exist": "Stable regions exist",
    "emerge": "Regions emerge in training",
    "sharpen": "Regions get sharper with training",
    "size": "Regions get sharper with model size",
    "polytopes": "Regions are much larger than polytopes",
    "similar": "Similar prompts share a region",
    "predictions": "Points of one region give similar next-token predictions",
    "beyond": "Beyond the paper",
}


@dataclass(frozen=True)
class Criterion:
    """What one claim is judged by: statistic, null, unit and threshold, with their reasons.

    Attributes:
        name: Name of the entry.
        claim: The claim, in a sentence.
        of: Which of the paper's claims this is about, a key of ``CLAIMS``.
        source: Where the claim and the statistic come from.
        date: Day on which the entry was written, as ``2026-11-26``.
        written: What had been run by then, and what had not.
        models: On which models the claim is asked.
        statistic: What is measured, with its unit.
        pairs: Over which pairs of prompts.
        nulls: Against what.
        unit: What is independent of each other, and so is resampled and counted.
        rule: Where the interval must lie.
        reason: Why there.
        could_fail: How the claim could have failed.
        informative: Whether it could have failed at all. What cannot is true by construction, and never "holds".
        known_beforehand: What had been seen of the result when the entry was written.
        short: The statistic in a few words, for tables.
        paper: The paper's own values of the statistic (``"values"``), and what they are of (``"of"``).
        exact: Whether nothing is sampled, so that a value needs no interval.
        pending: Whether no notebook asks this yet.
        level: Coverage of the interval that is judged; 0.9 where a claim is one of two one-sided tests at 5%.
        needs: Name of the criterion of a positive control: where that does not hold on the same model, nothing follows.
        chance: How often the rule would be met by chance, where nothing is sampled and that is known; it serves as p.
        extra: What else the entry says.
    """

    name: str
    claim: str
    of: str
    source: str
    date: str
    written: str
    models: str
    statistic: str
    pairs: str
    nulls: str
    unit: str
    rule: Rule
    reason: str
    could_fail: str
    informative: bool
    known_beforehand: str = ""
    short: str = ""
    paper: Mapping[str, Any] | None = None
    exact: bool = False
    pending: bool = False
    level: float = 0.95
    needs: str = ""
    chance: float | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def rule_text(self) -> str:
        """The rule in words, as ``interval above 2 and above the null's``."""
        return self.rule.text.replace("interval", "value") if self.exact else self.rule.text

    @property
    def paper_values(self) -> tuple[float, ...]:
        """The paper's own values of the statistic; none where it has none."""
        return tuple(map(float, self.paper["values"])) if self.paper else ()

    def told(self) -> Iterator[tuple[str, str]]:
        """All that the entry says, as headings and texts for a page."""
        yield "claim", self.claim
        yield "statistic", self.statistic
        yield "holds where", self.rule_text + ("" if self.informative else "; it cannot fail, so it is no evidence")
        if self.needs:
            yield "needs", f"{self.needs}, a positive control; where it does not hold, this is undecided"
        if self.level != Criterion.level:
            yield "interval", f"{self.level:.0%}"
        if self.chance is not None:
            yield "by chance", f"met with probability {self.chance:g}, which serves as p"
        yield "reason", self.reason
        yield "nulls", self.nulls
        yield "models", self.models
        yield "pairs", self.pairs
        yield "what is resampled and counted", self.unit
        yield "how it could fail", self.could_fail
        if self.known_beforehand:
            yield "known beforehand", self.known_beforehand
        if self.paper:
            yield "in the paper", f"{', '.join(f'{value:g}' for value in self.paper_values)} ({self.paper['of']})"
        yield "written", f"{self.date}, {self.written}"
        if "corrected" in self.extra:
            yield "corrected", self.extra["corrected"]
        yield "source", self.source

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{html.escape(head)}</th><td>{html.escape(text)}</td></tr>" for head, text in self.told())
        return f'<table style="text-align:left"><caption>{html.escape(self.name)}</caption>{"".join(rows)}</table>'

    def judge(
        self,
        value: float | int,
        low: float | int | None = None,
        high: float | int | None = None,
        null: Any = None,
    ) -> Outcome:
        """What a measured value with its interval says about the claim.

        Args:
            value: As measured.
            low: Lower end of its interval.
            high: Upper end.
            null: The same of the null: a number, or value, low and high. Without it a claim that must beat its null can
                fail and cannot hold.

        Raises:
            ValueError: No interval, although something is sampled; or numbers that are none.
        """
        if (low is None) != (high is None) or (low is None and not self.exact):
            raise ValueError(
                f"{self.name}: low={low!r}, high={high!r}: expected both ends of the interval of {value!r}; only an "
                'entry that says "exact": true is judged by a value alone.'
            )
        ends = (value, value) if low is None else (low, high)
        return self.rule.judge(_interval(ends, self.name, "interval"), _null_interval(null, self.name))


def criteria() -> dict[str, Criterion]:
    """All criteria, by name, in the order of the paper's claims.

    Raises:
        ValueError: An entry is incomplete or wrong; the message names it and the field.
    """
    found = [_read(name) for name in _names()]
    return {entry.name: entry for entry in sorted(found, key=lambda entry: list(CLAIMS).index(entry.of))}


def criterion(name: str) -> Criterion:
    """The criterion of a claim, as it was written before the claim was measured.

    Args:
        name: Name of its entry: ``"exist-peak"`` for ``reference/criteria/exist-peak.json``.

    Raises:
        ValueError: There is no such entry, or it is incomplete.
    """
    names = list(_names())
    if not isinstance(name, str) or name not in names:
        near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5) or names
        raise ValueError(
            f"criterion={str(name)[:100]!r}: there is no such entry in srtoolkit/reference/criteria; near it are "
            f"{near}. A verdict needs a criterion that was written before: add <name>.json there."
        )
    return _read(name)


def _names() -> Iterator[str]:
    return iter(sorted(path.name.removesuffix(".json") for path in FOLDER.iterdir() if path.name.endswith(".json")))


def _read(name: str) -> Criterion:
    """One entry, after a check that it is complete."""
    where = f"reference/criteria/{name}.json"
    given = json.loads(FOLDER.joinpath(f"{name}.json").read_text(encoding="utf-8"))
    known = {item.name: item for item in fields(Criterion) if item.name != "extra"}
    for key, item in known.items():
        if key not in given and item.default is MISSING:
            raise ValueError(f"{where} has no {key!r}; srtoolkit.reference.Criterion says what every entry needs.")
        kind = {"bool": bool, "str": str}.get(str(item.type))
        if key in given and kind and (not isinstance(given[key], kind) or given[key] == ""):
            raise ValueError(f"{where}: {key}={given[key]!r}: expected {'a text' if kind is str else 'true or false'}.")
    if given["name"] != name or given["of"] not in CLAIMS:
        raise ValueError(f"{where}: name={given['name']!r} must be {name!r}, of={given['of']!r} one of {[*CLAIMS]}.")
    for key in ("level", "chance"):
        number = as_number(given.get(key, 0.5))
        if number is None or not 0 < number < 1:
            raise ValueError(f"{where}: {key}={given[key]!r}: expected a number between 0 and 1.")
    _check_date(given["date"], where)
    _check_paper(given.get("paper"), where)
    own = {key: given[key] for key in known if key in given}
    rest = MappingProxyType({key: entry for key, entry in given.items() if key not in known})
    return Criterion(**{**own, "rule": Rule.read(given["rule"], where)}, extra=rest)


def _check_date(date: str, where: str) -> None:
    try:
        datetime.date.fromisoformat(date)
    except ValueError:
        raise ValueError(f"{where}: date={date!r}: expected a day, such as 2026-11-26.") from None


def _check_paper(paper: Any, where: str) -> None:
    """The paper's values are numbers, and it is said what of."""
    if paper is None:
        return
    values = paper.get("values") if isinstance(paper, Mapping) else None
    numbers = isinstance(values, list) and values and all(as_number(value) is not None for value in values)
    if not numbers or not isinstance(paper.get("of"), str):
        raise ValueError(f'{where}: paper={paper!r}: expected {{"values": [numbers], "of": "what they are of"}}.')


def _interval(ends: Any, name: str, what: str) -> Interval:
    low, high = (as_number(end) for end in ends)
    if low is None or high is None or math.isnan(low) or math.isnan(high) or low > high:
        raise ValueError(f"{name}: {what} from {ends[0]!r} to {ends[1]!r}: expected two numbers, the lower one first.")
    return low, high


def _null_interval(null: Any, name: str) -> Interval | None:
    """The null's interval; a number is one without width."""
    if null is None:
        return None
    three = isinstance(null, tuple) and len(null) == 3
    return _interval(null[1:] if three else (null, null), name, "null")
