"""What every source of a model can say, before anything is loaded, and do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from srtoolkit.models.options import Options


class Loaded(NamedTuple):
    """A model as its source gives it, not yet on its device.

    Attributes:
        hf: The transformers model.
        tokenizer: Its tokenizer.
        revision: The revision that it is, where its source has revisions.
        commit: The commit that this resolved to, where its source has commits.
    """

    hf: Any
    tokenizer: Any
    revision: str | None = None
    commit: str | None = None


class Size(NamedTuple):
    """A model's weights as files.

    Attributes:
        download: Bytes to fetch before it can be loaded here.
        disk: Bytes of its files.
        origin: Where these are from: ``"package"``, ``"files"``, ``"hub"`` or ``"parameters"``.
    """

    download: int
    disk: int
    origin: str


@dataclass(frozen=True)
class Source(ABC):
    """Where the model of one name comes from.

    Attributes:
        name: As :func:`srtoolkit.load_model` takes it.
        hashed: Whether loading reads every file twice, once to compare its hash.
    """

    name: str
    hashed: ClassVar[bool] = False

    @property
    def family(self) -> str:
        """The family of the model, empty where it is not known without the model's files."""
        return ""

    @property
    def parameters(self) -> int | None:
        """Number of parameters, or ``None`` where it is not known without the model's files."""
        return None

    @property
    @abstractmethod
    def origin(self) -> str:
        """Where the model comes from, in words."""

    @abstractmethod
    def works_offline(self) -> bool:
        """Whether the model loads without a network, now and on this machine."""

    def revisions(self) -> list[str]:
        """The revisions that are known without a network, the finished model last; empty where there is one only."""
        return []

    def checkpoints(self) -> dict[str, float]:
        """Tokens of training that each checkpoint has seen, by its revision.

        Raises:
            ValueError: The model has no checkpoints.
        """
        raise ValueError(f"{self.name} has no checkpoints: it is {self.origin}, with one version only.")

    def known_configuration(self) -> Any:
        """The transformers configuration as this package knows it without the model's files, or ``None``."""
        return None

    @abstractmethod
    def configuration(self, revision: str | None = None) -> Any:
        """The transformers configuration, read from the model's own files, which are fetched if need be.

        Raises:
            ValueError: It cannot be had or read.
        """

    @abstractmethod
    def size(self, revision: str | None = None) -> Size | None:
        """How large the model's files are, and how much of them has yet to be fetched; ``None`` where nobody says."""

    @abstractmethod
    def load(self, revision: str | None, options: Options) -> Loaded:
        """The model, fetched if need be.

        Raises:
            ValueError: There is no such revision, the model cannot be loaded so, or it is no causal decoder.
        """

    def _refuse_revision(self, revision: str | None) -> None:
        if revision is not None:
            raise ValueError(
                f"{self.name}: revision={revision!r}, but this model has one version only; leave revision out."
            )


def weight_bytes(folder: Path) -> int:
    """Bytes of the safetensors files in a folder.

    Args:
        folder: Of one model.
    """
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
