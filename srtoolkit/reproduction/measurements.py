"""What the figures measure: one call of the library on one model each, with every setting in its name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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

#: Prompts of Figs. 5 to 22; each three that follow each other span a plane.
SLICED_PROMPTS = 20

_DRAWN: WeakKeyDictionary[Model, dict[tuple[int, str], prompts.PromptPairs]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Measurement:
    """One measurement, whichever models it is made on.

    Attributes:
        name: What it is, in a word that can name a folder.
        measure: From a model to a Dataset; its settings are keywords.
        work: The call whose cost this is, without the model: what :class:`srtoolkit.Work` takes.
    """

    name: str
    measure: partial[xr.Dataset]
    work: Mapping[str, Any] = field(hash=False, compare=False)

    @property
    def key(self) -> str:
        """A folder's name that another version of this package, or another setting, does not have."""
        said = f"{__version__} {self.measure.func.__name__} {sorted(self.measure.keywords.items())!r}"
        return f"{self.name}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"

    @property
    def words(self) -> str:
        """What is measured, with its counts."""
        work: dict[str, Any] = {"layer": 0, **self.work}
        after = f"{work['length']} tokens, after block {work['layer'] + 1}"
        if work["call"] == "slice_plane":
            return f"slices, 3 contexts × {work['resolution']} × {work['resolution']} points, {after}"
        return f"{self.name}, {work['pairs']:,} pairs × {work['steps']} steps, {after}"

    def store(self, output: Path) -> Store:
        """Where its results lie.

        Args:
            output: Folder of the reproduction.
        """
        return Store((output / "measurements" / self.key).absolute())


@dataclass(frozen=True)
class Need:
    """What one figure needs: a measurement on some models.

    Attributes:
        measurement: What is measured.
        roles: On which models.
    """

    measurement: Measurement
    roles: tuple[Role, ...]

    def works(self) -> list[Work]:
        """The calls, for :func:`srtoolkit.estimate_cost`."""
        return [work_of(self.measurement, role) for role in self.roles]


def work_of(measurement: Measurement, role: Role) -> Work:
    """One call on one model, for :func:`srtoolkit.estimate_cost`.

    Args:
        measurement: What is measured.
        role: On which model.
    """
    return Work(model=role.name, revision=role.revision, **measurement.work)


def curves(profile: Profile, roles: Sequence[Role], pairs: int, **changes: Any) -> Need:
    """Curves of random pairs.

    Args:
        profile: Where prompts come from.
        roles: The models.
        pairs: How many.
        changes: To the paper's settings of :func:`srtoolkit.interpolate`.
    """
    asked = {**PAPER["interpolate"], "reads": ("final_norm",), **changes}
    work = {**_work_of_curves(asked), "call": "interpolate", "pairs": pairs, "length": PAPER["sample_pairs"]["length"]}
    drawn: dict[str, Any] = {"pairs": pairs, "source": profile.source}
    return Need(Measurement("curves", partial(_measure_curves, **drawn, **asked), work), tuple(roles))


def paper_pairs(roles: Sequence[Role]) -> Need:
    """Curves of the paper's own six pairs.

    Args:
        roles: The models.
    """
    asked = PAPER["interpolate"]
    work = {**_work_of_curves(asked), "call": "interpolate", "pairs": 6, "length": 11}
    return Need(Measurement("paper-pairs", partial(_measure_paper_pairs, **asked), work), tuple(roles))


def gate_flips(profile: Profile, roles: Sequence[Role]) -> Need:
    """Gates of the last two blocks whose sign differs between the ends of random pairs' paths.

    Args:
        profile: How many pairs, and from where.
        roles: The models.
    """
    # The paper looks at the ends only, and so the path has two points.
    asked = {**PAPER["count_gate_flips"], "steps": 2}
    work = {
        **{key: asked[key] for key in ("layer", "steps")},
        "call": "count_gate_flips",
        "pairs": profile.pairs,
        "length": PAPER["sample_pairs"]["length"],
    }
    drawn: dict[str, Any] = {"pairs": profile.pairs, "source": profile.source}
    return Need(Measurement("gate-flips", partial(_measure_gate_flips, **drawn, **asked), work), tuple(roles))


def plane(profile: Profile, roles: Sequence[Role], triple: int) -> Need:
    """The plane through three consecutive ones of twenty random prompts.

    Args:
        profile: Points along each axis, and where prompts come from.
        roles: The models.
        triple: Number of the first of the three prompts.
    """
    asked = {**PAPER["slice_plane"], "resolution": profile.resolution, "reads": ("final_norm",)}
    work = {
        **{key: asked[key] for key in ("layer", "resolution", "reads")},
        "call": "slice_plane",
        "pairs": 1,
        "length": PAPER["sample_pairs"]["length"],
    }
    measure = partial(_measure_plane, triple=triple, source=profile.source, **asked)
    return Need(Measurement(f"slice-{triple:02}", measure, work), tuple(roles))


def _work_of_curves(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {key: asked[key] for key in ("steps", "layer", "reads")}


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
