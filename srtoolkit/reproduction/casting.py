"""The models of each figure: the paper's own in the profile ``paper``, packaged stand-ins in the others."""

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
        name: Name of the model, as :func:`srtoolkit.load_model` takes it.
        revision: Branch, tag or commit; the main one where ``None``.
        paper: Name of the paper's model; empty where none corresponds.
        billions: Billions of training tokens that the paper's model had seen, as a key of the digitised numbers.
        tokens: Number of training tokens that this model had seen, where that matters.
        family: Name shared by models that differ in size only, where that matters.
    """

    name: str
    revision: str | None = None
    paper: str = ""
    billions: str = ""
    tokens: float = 0.0
    family: str = ""

    @property
    def member(self) -> dict[str, Any]:
        """The model as :func:`srtoolkit.sweep` takes it."""
        return {"name": self.name} | ({"revision": self.revision} if self.revision else {})

    @property
    def label(self) -> str:
        """Label of the model in a sweep's result."""
        return label(self.member)


def is_paper(profile: Profile) -> bool:
    """Whether a profile measures the paper's own models.

    Args:
        profile: The profile.
    """
    return profile.name == "paper"


class AssumedCheckpoints:
    """A listing of checkpoints that assumes the paper's where they cannot be listed, for a plan without a hub.

    Attributes:
        models: Names of the models whose checkpoints were assumed.
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
    """Number of training tokens that each checkpoint of a model had seen, by revision.

    Args:
        name: Name of the model, as :func:`srtoolkit.load_model` takes it.
        billions: Billions of training tokens that the paper's checkpoints had seen; other listings need them.

    Raises:
        ValueError: The model's checkpoints cannot be listed.
    """
    return _checkpoints(name)


@dataclass(frozen=True)
class Cast:
    """The models that are measured for, or in place of, the paper's.

    Attributes:
        profile: The profile, which names the models.
        listing: Function that lists a model's checkpoints, as :func:`list_checkpoints` does.
    """

    profile: Profile
    listing: Callable[[str, Sequence[str]], dict[str, float]] = list_checkpoints

    def main_role(self, paper: str) -> Role:
        """One of the paper's Qwen2 models, or the profile's stand-in.

        Args:
            paper: Name of the paper's model.
        """
        return Role(_hub_id(paper) if is_paper(self.profile) else self.profile.model, paper=paper)

    def families(self) -> list[Role]:
        """Models that differ in size, family by family, smallest first, with the paper's model that corresponds."""
        names = {spec["hf"]: name for name, spec in reference.janiak2024()["models"].items()}
        return [
            Role(model, paper=names.get(model, ""), family=family)
            for family, models in self.profile.families.items()
            for model in models
        ]

    def training(self, paper: str, billions: Sequence[str]) -> list[Role]:
        """Checkpoints of a model's training: the paper's, or those of a stand-in.

        The paper's last checkpoint is the finished model. Of a stand-in's checkpoints, as many are taken, evenly
        spaced; the first and the last correspond to the paper's.

        Args:
            paper: Name of the paper's model, one of ``GROWN``.
            billions: Billions of training tokens that the paper's checkpoints had seen, earliest first.

        Raises:
            ValueError: The model's checkpoints cannot be listed.
        """
        if is_paper(self.profile):
            return self._papers_checkpoints(paper, billions)
        return evenly(self.all_checkpoints(paper, billions), len(billions))

    def all_checkpoints(self, paper: str, billions: Sequence[str]) -> list[Role]:
        """Checkpoints of a model's training: the paper's, or all those of a stand-in.

        Args:
            paper: Name of the paper's model, one of ``GROWN``.
            billions: Billions of training tokens that the paper's checkpoints had seen, earliest first.
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
        count: Most checkpoints to take.
    """
    count = min(count, len(roles))
    return [roles[round(index * (len(roles) - 1) / max(count - 1, 1))] for index in range(count)]


@cache
def _checkpoints(name: str) -> dict[str, float]:
    """A hub is asked once, not for each figure."""
    return checkpoints(name)


def _hub_id(paper: str) -> str:
    return str(reference.janiak2024()["models"][paper]["hf"])
