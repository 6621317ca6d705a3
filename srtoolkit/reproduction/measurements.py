"""The measurements of the figures: calls of the library on one model each, with their settings in their names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import xarray as xr

from srtoolkit import prompts
from srtoolkit.costs.work import Work
from srtoolkit.measures.curves import interpolate
from srtoolkit.measures.gate_flips import count_gate_flips
from srtoolkit.measures.slices import slice_plane
from srtoolkit.models.model import Model
from srtoolkit.profiles import Profile
from srtoolkit.reference import presets
from srtoolkit.reproduction.casting import Role
from srtoolkit.sweeps.store import Store
from srtoolkit.version import __version__

PAPER = presets.preset("janiak2024")

#: Tokens of a random prompt.
LENGTH = int(PAPER["sample_pairs"]["length"])

#: Prompts of Figs. 5 to 22; each three that follow each other span a plane.
SLICED_PROMPTS = 20

#: Settings of a measurement on which its cost depends.
_OF_WORK = frozenset(one.name for one in fields(Work))

_DRAWN: WeakKeyDictionary[Model, dict[tuple[int, str], prompts.PromptPairs]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Measurement:
    """One measurement with its settings, on any model.

    Attributes:
        name: Short name of the measurement, which names its folder.
        measure: Function that takes a model and returns a Dataset; its settings are keywords.
        call: Name of the call whose cost it has, one of :data:`srtoolkit.costs.work.CALLS`.
        pairs: Number of pairs of prompts, or of triples.
        length: Number of tokens of each prompt.
    """

    name: str
    measure: partial[xr.Dataset]
    call: str
    pairs: int
    length: int

    @property
    def key(self) -> str:
        """Name of the measurement's folder, which changes with the settings and the version of this package."""
        said = f"{__version__} {self.measure.func.__name__} {sorted(self.measure.keywords.items())!r}"
        return f"{self.name}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"

    @property
    def work(self) -> dict[str, Any]:
        """Arguments of :class:`srtoolkit.Work` for the measurement's cost, without the model."""
        settings = {key: value for key, value in self.measure.keywords.items() if key in _OF_WORK}
        return {"call": self.call, "length": self.length, **settings, "pairs": self.pairs}

    @property
    def words(self) -> str:
        """The measurement with its counts, in words."""
        work: dict[str, Any] = {"layer": 0, **self.work}
        after = f"{work['length']} tokens, after block {work['layer']}"
        if work["call"] == "slice_plane":
            return f"slices, 3 contexts × {work['resolution']} × {work['resolution']} points, {after}"
        return f"{self.name}, {work['pairs']:,} pairs × {work['steps']} steps, {after}"

    def store(self, output: Path) -> Store:
        """The store of the measurement's results.

        Args:
            output: Folder of the reproduction.
        """
        return Store((output / "measurements" / self.key).absolute())


@dataclass(frozen=True)
class Need:
    """A measurement on some models that a figure needs.

    Attributes:
        measurement: The measurement.
        roles: The models.
    """

    measurement: Measurement
    roles: tuple[Role, ...]

    def works(self) -> list[Work]:
        """The calls, for :func:`srtoolkit.estimate_cost`."""
        return [work_of(self.measurement, role) for role in self.roles]


def work_of(measurement: Measurement, role: Role) -> Work:
    """One call on one model, for :func:`srtoolkit.estimate_cost`.

    Args:
        measurement: The measurement.
        role: The model.
    """
    return Work(model=role.name, revision=role.revision, **measurement.work)


def curves(profile: Profile, roles: Sequence[Role], pairs: int, **changes: Any) -> Need:
    """Curves of random pairs: the paper's chain, in which B of a pair is A of the next.

    Args:
        profile: The profile, which names the source of prompts.
        roles: The models.
        pairs: Number of pairs.
        changes: Settings of :func:`srtoolkit.interpolate` that differ from the paper's.
    """
    asked = {**PAPER["interpolate"], "reads": ("final_norm",), **changes}
    drawn: dict[str, Any] = {"pairs": pairs, "source": profile.source}
    measure = partial(_measure_curves, **drawn, **asked)
    return Need(Measurement("curves", measure, "interpolate", pairs, LENGTH), tuple(roles))


def paper_pairs(roles: Sequence[Role]) -> Need:
    """Curves of the paper's own six pairs.

    Args:
        roles: The models.
    """
    measure = partial(_measure_paper_pairs, **PAPER["interpolate"])
    return Need(Measurement("paper-pairs", measure, "interpolate", 6, 11), tuple(roles))


def gate_flips(profile: Profile, roles: Sequence[Role]) -> Need:
    """Gates of the last two blocks whose sign differs between the ends of random pairs' paths.

    Args:
        profile: The profile, which gives the number of pairs and the source of prompts.
        roles: The models.
    """
    # The paper looks at the ends only, and so the path has two points.
    asked = {**PAPER["count_gate_flips"], "steps": 2}
    drawn: dict[str, Any] = {"pairs": profile.pairs, "source": profile.source}
    measure = partial(_measure_gate_flips, **drawn, **asked)
    return Need(Measurement("gate-flips", measure, "count_gate_flips", profile.pairs, LENGTH), tuple(roles))


def plane(profile: Profile, roles: Sequence[Role], triple: int) -> Need:
    """The plane through three consecutive prompts of twenty random ones.

    Args:
        profile: The profile, which gives the number of points along each axis and the source of prompts.
        roles: The models.
        triple: Index of the first of the three prompts.
    """
    asked = {**PAPER["slice_plane"], "resolution": profile.resolution, "reads": ("final_norm",)}
    measure = partial(_measure_plane, triple=triple, source=profile.source, **asked)
    return Need(Measurement(f"slice-{triple:02}", measure, "slice_plane", 1, LENGTH), tuple(roles))


def _measure_curves(model: Model, *, pairs: int, source: str, **asked: Any) -> xr.Dataset:
    return interpolate(model, _draw(model, pairs, source), **asked)


def _measure_paper_pairs(model: Model, **asked: Any) -> xr.Dataset:
    return interpolate(model, prompts.paper_pairs(model, **PAPER["paper_pairs"]), **asked)


def _measure_gate_flips(model: Model, *, pairs: int, source: str, **asked: Any) -> xr.Dataset:
    behind = range(asked["layer"] + 1, model.n_layers)
    return count_gate_flips(model, _draw(model, pairs, source), blocks=behind[-2:], **asked)


def _measure_plane(model: Model, *, triple: int, source: str, **asked: Any) -> xr.Dataset:
    drawn = _draw(model, SLICED_PROMPTS - 1, source)
    return slice_plane(model, (*drawn.tokens_a, drawn.tokens_b[-1])[triple : triple + 3], **asked)


def _draw(model: Model, pairs: int, source: str) -> prompts.PromptPairs:
    """Random pairs, drawn once a model: cutting a hundred books into windows takes longer than a plane."""
    drawn = _DRAWN.setdefault(model, {})
    if (pairs, source) not in drawn:
        drawn[pairs, source] = prompts.sample_pairs(model, **{**PAPER["sample_pairs"], "n": pairs, "source": source})
    return drawn[pairs, source]
