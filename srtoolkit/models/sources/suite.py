"""A model of the nano suite, whose weights lie in the package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from srtoolkit.models.options import Options
from srtoolkit.models.sources.source import Loaded, Size, Source
from srtoolkit.models.weights import DTYPES
from srtoolkit.suite import shipped
from srtoolkit.suite.configuration import configuration


@dataclass(frozen=True)
class Suite(Source):
    """A model that this project trained, with checkpoints of its training."""

    hashed: ClassVar[bool] = True

    @property
    def family(self) -> str:
        return "nano"

    @property
    def parameters(self) -> int:
        return configuration(self.name).parameters

    @property
    def origin(self) -> str:
        return "trained by srtoolkit, in the package"

    def works_offline(self) -> bool:
        return True

    def revisions(self) -> list[str]:
        return shipped.revisions(self.name)

    def checkpoints(self) -> dict[str, float]:
        per_step = configuration(self.name).tokens_per_step
        return {revision: float(per_step * int(revision.removeprefix("step"))) for revision in self.revisions()}

    def known_configuration(self) -> Any:
        return self.configuration()

    def configuration(self, revision: str | None = None) -> Any:
        shipped.check_revision(self.name, revision)
        return configuration(self.name).architecture()

    def size(self, revision: str | None = None) -> Size:
        file = shipped.DATA / self.name / f"{revision or self.revisions()[-1]}.safetensors"
        return Size(0, file.stat().st_size if file.exists() else 0, "package")

    def load(self, revision: str | None, options: Options) -> Loaded:
        options.placement.refuse_map(repr(self.name))
        hf: Any
        if options.init == "random":
            if revision is not None:
                raise ValueError(
                    f"{self.name}: init='random' has no training, so no revision={revision!r}; leave one of them out."
                )
            hf = shipped.initial_model(configuration(self.name), options.seed)
        else:
            revision = revision or self.revisions()[-1]
            hf = shipped.load_suite_model(self.name, revision)
        return Loaded(hf.to(dtype=DTYPES[options.dtype]), shipped.load_suite_tokenizer(), revision=revision)
