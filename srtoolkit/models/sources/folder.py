"""A model in a local folder, as transformers saves one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srtoolkit.models.options import Options
from srtoolkit.models.pretrained import Files
from srtoolkit.models.sources.source import Loaded, Size, Source, weight_bytes


@dataclass(frozen=True)
class Folder(Source):
    """A folder with ``config.json``, the tokenizer's files and ``*.safetensors``; the name is its path."""

    @property
    def origin(self) -> str:
        return "a local folder"

    def works_offline(self) -> bool:
        return True

    def configuration(self, revision: str | None = None) -> Any:
        self._refuse_revision(revision)
        return self._files().configuration()

    def size(self, revision: str | None = None) -> Size:
        self._refuse_revision(revision)
        return Size(0, weight_bytes(Path(self.name)), "files")

    def load(self, revision: str | None, options: Options) -> Loaded:
        self._refuse_revision(revision)
        return Loaded(*self._files(options.trust_remote_code).load(options))

    def _files(self, code: bool = False) -> Files:
        return Files(self.name, repr(self.name), self.name, code)
