"""Which models play the paper's: themselves in the profile ``paper``, packaged stand-ins in the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

from srtoolkit import reference
from srtoolkit.models.checkpoints import checkpoints
from srtoolkit.profiles import Profile
from srtoolkit.sweeps.sweep import label

#: The paper's models by the order of ``Profile.growth``.
GROWN = ("OLMo-7B", "OLMo-1B")

#: Models whose checkpoints were assumed to be the paper's, while a plan is made.
_assumed: ContextVar[list[str] | None] = ContextVar("assumed", default=None)


@dataclass(frozen=True)
class Role:
    """A model at one point of its training, and the paper's model that it is or stands for.

    Attributes:
        name: As :func:`srtoolkit.load_model` takes it.
        revision: Likewise.
        paper: The paper's model, or empty where nothing in the paper corresponds.
        billions: Billions of tokens that the paper's model had seen, as the digitised numbers call it.
        tokens: Tokens that this one had seen, where that matters.
    """

    name: str
    revision: str | None = None
    paper: str = ""
    billions: str = ""
    tokens: float = 0.0

    @property
    def member(self) -> dict[str, Any]:
        """As :func:`srtoolkit.sweep` takes it."""
        return {"name": self.name} | ({"revision": self.revision} if self.revision else {})

    @property
    def label(self) -> str:
        """Its name in a sweep."""
        return label(self.member)


def is_paper(profile: Profile) -> bool:
    """Whether the models are the paper's own."""
    return profile.name == "paper"


def main_role(profile: Profile, paper: str) -> Role:
    """One of the paper's Qwen2 models, or the profile's model in its stead.

    Args:
        profile: How much is measured, and on what.
        paper: The paper's name of the model.
    """
    return Role(_hub_id(paper) if is_paper(profile) else profile.model, paper=paper)


def families(profile: Profile) -> dict[str, list[Role]]:
    """Models that differ in size, smallest first, by family; with what in the paper corresponds to each.

    Args:
        profile: How much is measured, and on what.
    """
    names = {spec["hf"]: name for name, spec in reference.janiak2024()["models"].items()}
    return {
        family: [Role(model, paper=names.get(model, "")) for model in models]
        for family, models in profile.families.items()
    }


def training(profile: Profile, paper: str, billions: Sequence[str]) -> list[Role]:
    """A model through its training: the paper's checkpoints, or those of a stand-in.

    The paper's last checkpoint is the finished model. A stand-in has checkpoints of its own: as many of them as are
    asked for, evenly spaced and with both ends, of which the ends correspond to the paper's.

    Args:
        profile: How much is measured, and on what.
        paper: The paper's name of the model, one of ``GROWN``.
        billions: Billions of tokens that the paper's checkpoints had seen, earliest first.

    Raises:
        ValueError: The model's checkpoints cannot be listed.
    """
    if not is_paper(profile):
        found = all_checkpoints(profile, paper, billions)
        count = min(len(billions), len(found))
        return [found[round(index * (len(found) - 1) / max(count - 1, 1))] for index in range(count)]
    name = _hub_id(paper)
    try:
        listed = _checkpoints(name)
    except ValueError:
        assumed = _assumed.get()
        if assumed is None:
            raise
        assumed.append(name)
        listed = {f"tokens{wanted}B": 1e9 * float(wanted) for wanted in billions[:-1]}
    taken: dict[str, str] = {}
    for wanted in billions[:-1]:
        away = {revision: abs(tokens - 1e9 * float(wanted)) for revision, tokens in listed.items()}
        revision = min(away, key=lambda revision: away[revision])
        # A checkpoint that is the nearest to two of the paper's is the nearer one.
        if revision not in taken or away[revision] < abs(listed[revision] - 1e9 * float(taken[revision])):
            taken[revision] = wanted
    roles = [Role(name, revision, paper, wanted, listed[revision]) for revision, wanted in taken.items()]
    return [*roles, Role(name, None, paper, billions[-1], 1e9 * float(billions[-1]))]


def all_checkpoints(profile: Profile, paper: str, billions: Sequence[str]) -> list[Role]:
    """As :func:`training`, with every checkpoint that a stand-in has.

    Args:
        profile: How much is measured, and on what.
        paper: The paper's name of the model, one of ``GROWN``.
        billions: Billions of tokens that the paper's checkpoints had seen, earliest first.
    """
    if is_paper(profile):
        return training(profile, paper, billions)
    name = profile.growth[GROWN.index(paper)]
    every = list(_checkpoints(name).items())
    ends = {0: billions[0], len(every) - 1: billions[-1]}
    return [Role(name, revision, paper, ends.get(place, ""), seen) for place, (revision, seen) in enumerate(every)]


@contextlib.contextmanager
def assuming_checkpoints() -> Iterator[list[str]]:
    """Within this, checkpoints that cannot be listed are taken to be the paper's: enough for a plan, not for a run.

    Yields:
        The models of which that was assumed, as they come.
    """
    names: list[str] = []
    token = _assumed.set(names)
    try:
        yield names
    finally:
        _assumed.reset(token)


@cache
def _checkpoints(name: str) -> dict[str, float]:
    """A hub is asked once, not for each figure."""
    return checkpoints(name)


def _hub_id(paper: str) -> str:
    return str(reference.janiak2024()["models"][paper]["hf"])
