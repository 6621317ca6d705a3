"""A model of the Hugging Face hub, at any revision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from srtoolkit.models.hub import cache, snapshots
from srtoolkit.models.options import Options
from srtoolkit.models.pretrained import Files
from srtoolkit.models.sources import paper
from srtoolkit.models.sources.source import Loaded, Size, Source, weight_bytes


@dataclass(frozen=True)
class Hub(Source):
    """A repository of the hub. Its files are fetched and checked first; transformers then reads them from the cache.

    The sizes of the paper's models are known without asking the hub.
    """

    @property
    def family(self) -> str:
        return paper.family(self.name)

    @property
    def parameters(self) -> int | None:
        return paper.parameters(self.name)

    @property
    def origin(self) -> str:
        return f"Hugging Face hub{' (Janiak et al. 2024)' if self.family else ''}"

    def works_offline(self) -> bool:
        return cache.cached_commit(self.name, None) is not None

    def revisions(self) -> list[str]:
        return ["main"]

    def checkpoints(self) -> dict[str, float]:
        return cache.branch_tokens(self.name)

    def known_configuration(self) -> Any:
        return paper.configuration(self.name)

    def configuration(self, revision: str | None = None) -> Any:
        snapshot = snapshots.snapshot(self.name, revision)
        snapshot.fetch_texts()
        return self.files(snapshot).configuration()

    def size(self, revision: str | None = None) -> Size | None:
        if commit := cache.cached_commit(self.name, revision):
            folder = Path(constants.HF_HUB_CACHE) / f"models--{self.name.replace('/', '--')}" / "snapshots" / commit
            if here := weight_bytes(folder):
                return Size(0, here, "files")
        size = cache.download_size(self.name, revision)
        return Size(size, size, "hub") if size else None

    def load(self, revision: str | None, options: Options) -> Loaded:
        snapshot = snapshots.snapshot(self.name, revision)
        snapshot.fetch_texts(code=options.trust_remote_code)
        files = self.files(snapshot, options.trust_remote_code)
        return Loaded(*files.load(options, snapshot.fetch_weights), revision, snapshot.commit)

    def files(self, snapshot: snapshots.Snapshot, code: bool = False) -> Files:
        """The files of one commit, as transformers reads them from the cache.

        Args:
            snapshot: The commit whose files to read.
            code: Whether Python files that the repository brings along may run.
        """
        what = f"revision {snapshot.revision!r} of {self.name!r}" if snapshot.revision else repr(self.name)
        return Files(self.name, what, self.name, code, snapshot.commit)
