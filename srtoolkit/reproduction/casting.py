"""Which models play the paper's: themselves in the profile ``paper``, packaged stand-ins in the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from srtoolkit import reference
from srtoolkit.models.checkpoints import checkpoints
from srtoolkit.profiles import Profile
from srtoolkit.sweeps.members import label

#: The paper's models by the order of ``Profile.growth``.
GROWN = ("OLMo-7B", "OLMo-1B")


@dataclass(frozen=True)
class Role:
    """A model at one point of its training, and the paper's model that it is or stands for.

    Attributes:
        name: As :func:`srtoolkit.load_model` takes it.
        revision: Likewise.
        paper: The paper's model, or empty where nothing in the paper corresponds.
        billions: Billions of tokens that the paper's model had seen, as the digitised numbers call it.
        tokens: Tokens that this one had seen, where that matters.
        family: Models that differ from it in size alone have the same, where that matters.
    """

    name: str
    revision: str | None = None
    paper: str = ""
    billions: str = ""
    tokens: float = 0.0
    family: str = ""

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


class AssumedCheckpoints:
    """A listing that takes checkpoints that cannot be listed to be the paper's: enough for a plan, not for a run.

    Attributes:
        models: Those of which that was assumed, as they came.
    """

    def __init__(self) -> None:
        self.models: list[str] = []

    def __call__(self, name: str, billions: Sequence[str]) -> dict[str, float]:
        try:
            return list_checkpoints(name, billions)
        except ValueError:
            if name not in self.models:
                self.models.append(name)
            return {f"tokens{wanted}B": 1e9 * float(wanted) for wanted in billions}


def list_checkpoints(name: str, billions: Sequence[str]) -> dict[str, float]:  # noqa: ARG001, other listings need it
    """Tokens that each checkpoint of a model had seen, by revision.

    Args:
        name: As :func:`srtoolkit.load_model` takes it.
        billions: Billions of tokens that the paper's checkpoints had seen.

    Raises:
        ValueError: The model's checkpoints cannot be listed.
    """
    return _checkpoints(name)


@dataclass(frozen=True)
class Cast:
    """Who plays the paper's models.

    Attributes:
        profile: How much is measured, and on what.
        listing: From a model and the paper's billions of tokens to the checkpoints that there are.
    """

    profile: Profile
    listing: Callable[[str, Sequence[str]], dict[str, float]] = list_checkpoints

    def main_role(self, paper: str) -> Role:
        """One of the paper's Qwen2 models, or the profile's model in its stead.

        Args:
            paper: The paper's name of the model.
        """
        return Role(_hub_id(paper) if is_paper(self.profile) else self.profile.model, paper=paper)

    def families(self) -> list[Role]:
        """Models that differ in size, family by family, smallest first; with what in the paper corresponds to each."""
        names = {spec["hf"]: name for name, spec in reference.janiak2024()["models"].items()}
        return [
            Role(model, paper=names.get(model, ""), family=family)
            for family, models in self.profile.families.items()
            for model in models
        ]

    def training(self, paper: str, billions: Sequence[str]) -> list[Role]:
        """A model through its training: the paper's checkpoints, or those of a stand-in.

        The paper's last checkpoint is the finished model. A stand-in has checkpoints of its own: as many of them as
        are asked for, evenly spaced and with both ends, of which the ends correspond to the paper's.

        Args:
            paper: The paper's name of the model, one of ``GROWN``.
            billions: Billions of tokens that the paper's checkpoints had seen, earliest first.

        Raises:
            ValueError: The model's checkpoints cannot be listed.
        """
        if is_paper(self.profile):
            return self._papers_checkpoints(paper, billions)
        return evenly(self.all_checkpoints(paper, billions), len(billions))

    def all_checkpoints(self, paper: str, billions: Sequence[str]) -> list[Role]:
        """As :meth:`training`, with every checkpoint that a stand-in has.

        Args:
            paper: The paper's name of the model, one of ``GROWN``.
            billions: Billions of tokens that the paper's checkpoints had seen, earliest first.
        """
        if is_paper(self.profile):
            return self._papers_checkpoints(paper, billions)
        name = self.profile.growth[GROWN.index(paper)]
        every = list(self.listing(name, billions).items())
        ends = {0: billions[0], len(every) - 1: billions[-1]}
        return [Role(name, revision, paper, ends.get(place, ""), seen) for place, (revision, seen) in enumerate(every)]

    def _papers_checkpoints(self, paper: str, billions: Sequence[str]) -> list[Role]:
        name = _hub_id(paper)
        listed = self.listing(name, billions[:-1])
        taken: dict[str, str] = {}
        for wanted in billions[:-1]:
            away = {revision: abs(tokens - 1e9 * float(wanted)) for revision, tokens in listed.items()}
            revision = min(away, key=lambda revision: away[revision])
            # A checkpoint that is the nearest to two of the paper's is the nearer one.
            if revision not in taken or away[revision] < abs(listed[revision] - 1e9 * float(taken[revision])):
                taken[revision] = wanted
        roles = [Role(name, revision, paper, wanted, listed[revision]) for revision, wanted in taken.items()]
        return [*roles, Role(name, None, paper, billions[-1], 1e9 * float(billions[-1]))]


def evenly(roles: Sequence[Role], count: int) -> list[Role]:
    """Some of a model's checkpoints, evenly spaced in their order and with both ends.

    Args:
        roles: The checkpoints.
        count: How many, at most.
    """
    count = min(count, len(roles))
    return [roles[round(index * (len(roles) - 1) / max(count - 1, 1))] for index in range(count)]


@cache
def _checkpoints(name: str) -> dict[str, float]:
    """A hub is asked once, not for each figure."""
    return checkpoints(name)


def _hub_id(paper: str) -> str:
    return str(reference.janiak2024()["models"][paper]["hf"])
