"""What every source of a model can do: describe the model before anything is loaded, and load it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from srtoolkit.models.options import Options


class Loaded(NamedTuple):
    """A transformers model as its source loads it, before it is moved to its device.

    Attributes:
        hf: The transformers model.
        tokenizer: The model's tokenizer.
        missing: Names of weights that the files lack, and that were drawn.
        revision: Revision of the model; ``None`` where the source has no revisions.
        commit: Commit that the revision resolved to; ``None`` where the source has no commits.
    """

    hf: Any
    tokenizer: Any
    missing: tuple[str, ...] = ()
    revision: str | None = None
    commit: str | None = None


class Size(NamedTuple):
    """Size of a model's files, in bytes.

    Attributes:
        download: Bytes to download before the model can be loaded on this machine.
        disk: Bytes of the model's files on the disk.
        origin: Where these numbers are from: ``"package"``, ``"files"`` on this machine, the ``"hub"``, or the number
            of ``"parameters"``.
    """

    download: int
    disk: int
    origin: str


@dataclass(frozen=True)
class Source(ABC):
    """Where a model comes from.

    Attributes:
        name: Name of the model, as :func:`srtoolkit.load_model` takes it.
        hashed: Whether loading reads every file twice, once to check its hash.
    """

    name: str
    hashed: ClassVar[bool] = False

    @property
    def family(self) -> str:
        """Name of the model's family; empty where it is not known without the model's files."""
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
        """Whether the model loads without a network, on this machine as it is now."""

    def revisions(self) -> list[str]:
        """The revisions that are known without a network, the finished model last; empty where there are none."""
        return []

    def checkpoints(self) -> dict[str, float]:
        """Number of training tokens that each checkpoint has seen, by its revision.

        Raises:
            ValueError: The model has no checkpoints.
        """
        raise ValueError(f"{self.name} has no checkpoints: it is {self.origin}, with one version only.")

    def known_configuration(self) -> Any:
        """The transformers configuration that is known without the model's files, or ``None``."""
        return None

    @abstractmethod
    def configuration(self, revision: str | None = None) -> Any:
        """The transformers configuration, read from the model's own files, which are fetched if need be.

        Args:
            revision: Branch, tag or commit; the main one where ``None``.

        Raises:
            ValueError: The configuration cannot be fetched or read.
        """

    @abstractmethod
    def size(self, revision: str | None = None) -> Size | None:
        """Bytes of the model's files, and of those still to be downloaded; ``None`` where they are not known.

        Args:
            revision: Branch, tag or commit; the main one where ``None``.
        """

    @abstractmethod
    def load(self, revision: str | None, options: Options) -> Loaded:
        """Load the model, after fetching its files if need be.

        Args:
            revision: Branch, tag or commit; the main one where ``None``.
            options: How to load the model: weights, number format, placement.

        Raises:
            ValueError: There is no such revision, an option does not suit this source, or the model is no causal
                decoder.
        """

    def _refuse_revision(self, revision: str | None) -> None:
        if revision is not None:
            raise ValueError(
                f"{self.name}: revision={revision!r}, but this model has one version only; leave revision out."
            )


def weight_bytes(folder: Path) -> int:
    """Bytes of the safetensors files in a folder.

    Args:
        folder: The folder of one model.
    """
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
