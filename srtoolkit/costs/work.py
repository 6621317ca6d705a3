"""One call on one model, described by what its cost depends on: the passes it makes, and how to make the call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from srtoolkit.costs.architecture import Architecture
from srtoolkit.costs.passes import capturing, choosing, patching
from srtoolkit.measures.curves import interpolate
from srtoolkit.measures.gate_flips import count_gate_flips
from srtoolkit.measures.read_points import READS
from srtoolkit.measures.slices import slice_plane
from srtoolkit.models.model import Model
from srtoolkit.patching.choice import choose_method
from srtoolkit.patching.methods.method import Pass
from srtoolkit.patching.patch import capture, patch
from srtoolkit.prompts.pairs import PromptPairs
from srtoolkit.validation import check_names

#: Calls whose cost is known. ``"load"`` is part of every other.
CALLS = ("load", "capture", "patch", "interpolate", "slice_plane", "count_gate_flips")


@dataclass(frozen=True)
class Work:
    """One call on one model, described by what its cost depends on; fields that do not concern the call are ignored.

    Attributes:
        model: Name of the model, as :func:`srtoolkit.load_model` takes it; it is neither loaded nor downloaded.
        revision: Branch, tag or commit of the model.
        call: Name of the call: ``"load"``, ``"capture"``, ``"patch"``, ``"interpolate"``, ``"slice_plane"`` or
            ``"count_gate_flips"``.
        pairs: Number of pairs of prompts; of prompts for ``"capture"``, contexts for ``"patch"``, triples for
            ``"slice_plane"``.
        steps: Number of points of each path, or in each context.
        length: Number of tokens of each prompt.
        layer: Block whose output is replaced.
        reads: Outputs to measure: one or more of ``"final_norm"``, ``"resid"``, ``"logits"``.
        resolution: Number of points along each axis of a slice.

    Raises:
        ValueError: A field is not valid; the message says which.
    """

    model: str
    revision: str | None = None
    call: str = "interpolate"
    pairs: int = 1
    steps: int = 50
    length: int = 10
    layer: int = 0
    reads: tuple[str, ...] = READS
    resolution: int = 61

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model.strip():
            raise ValueError(f"model={self.model!r}: expected a model's name, as load_model takes it.")
        check_names(self.call, CALLS, "call")
        object.__setattr__(self, "reads", check_names(self.reads, READS, "reads"))
        least = {"pairs": 1, "steps": 1 if self.call == "patch" else 2, "length": 1, "layer": 0, "resolution": 2}
        for name, low in least.items():
            given = getattr(self, name)
            if isinstance(given, bool) or not hasattr(given, "__index__") or given < low:
                raise ValueError(f"{name}={given!r}: expected a whole number from {low} on.")

    @property
    def label(self) -> str:
        """The call, the model and its revision, as a row of a table names them."""
        return f"{self.call} {self.model}{f'@{self.revision}' if self.revision else ''}"

    @property
    def reads_logits(self) -> bool:
        """Whether the unembedding runs."""
        return "logits" in self.reads and self.call in ("patch", "interpolate", "slice_plane")

    @property
    def points(self) -> int:
        """Number of points that are patched in, over all contexts; for ``"capture"``, number of tokens."""
        each = {"load": 0, "capture": self.length, "slice_plane": 3 * self.resolution**2}
        return self.pairs * each.get(self.call, self.steps)

    @property
    def contexts(self) -> tuple[int, int]:
        """Number of contexts that points are patched into, and number of points in each."""
        if self.call == "slice_plane":
            # Each prompt's own activation and the three anchors are measured beside the grid.
            return 3 * self.pairs, self.resolution**2 + 5
        return self.pairs, self.steps

    def without_logits(self) -> Work:
        """The same call without logits among its reads."""
        return replace(self, reads=tuple(read for read in self.reads if read != "logits") or ("final_norm",))

    def smaller(self, share: float) -> Work:
        """A smaller call of the same kind, with fewer pairs or a coarser plane.

        Args:
            share: Approximate size, as a share of this call.
        """
        if self.call == "slice_plane":
            points = share * self.pairs * self.resolution**2
            return replace(self, pairs=1, resolution=max(3, min(self.resolution, round(points**0.5))))
        return replace(self, pairs=max(1, min(self.pairs, round(share * self.pairs))))


def passes(model: Architecture, work: Work, first: bool = True, method: str | None = None) -> list[Pass]:
    """Every forward pass that a call makes through a model.

    Args:
        model: Architecture of the call's own model, or of one that stands in for it.
        work: The call.
        first: Whether the model has not run before, so that its patching method has yet to be chosen.
        method: Name of the patching method; the one that the configuration lets expect where ``None``.

    Raises:
        ValueError: The model has no such block.
    """
    if work.call == "load":
        return []
    if work.layer >= model.n_layers:
        raise ValueError(f"layer={work.layer}: {model.name} has blocks 0 to {model.n_layers - 1}.")
    n, length = work.pairs, work.length
    if work.call == "capture":
        return capturing(n, length, work.layer)
    contexts, points = work.contexts
    prompts = {"patch": 0, "slice_plane": 3 * n}.get(work.call, 2 * n)
    method = method or model.method(length, points)
    return [
        *(choosing(model, length, points, work.layer, method) if first else []),
        *(capturing(prompts, length, work.layer) if prompts else []),
        *patching(model, contexts, length, points, work.layer, logits=work.reads_logits, method=method),
    ]


@torch.no_grad()
def run(model: Model, work: Work, seed: int = 0) -> None:
    """Make a call on a model, with prompts of random tokens.

    Args:
        model: From :func:`srtoolkit.load_model`, or a miniature; it need not be the call's own model.
        work: The call.
        seed: Seed of the random prompts.
    """
    generator = torch.Generator().manual_seed(seed)
    n = work.pairs if work.call != "slice_plane" else 3 * work.pairs
    prompts = torch.randint(model.vocab_size, (n + 1, work.length), generator=generator)
    if work.call == "capture":
        capture(model, prompts[:-1], layer=work.layer)
    elif work.call == "patch":
        points = torch.randn(n, work.steps, model.d_model, generator=generator)
        patch(model, prompts[:-1], points, layer=work.layer, reads=work.reads)
    elif work.call == "slice_plane":
        reads = tuple(read for read in work.reads if read != "resid")
        for triple in prompts[:-1].split(3):
            settings: dict[str, Any] = {"layer": work.layer, "resolution": work.resolution}
            slice_plane(model, list(triple), reads=reads, progress=_silent, **settings)
    elif work.call != "load":
        pairs = _consecutive(prompts)
        options: dict[str, Any] = {"layer": work.layer, "steps": work.steps, "progress": _silent}
        if work.call == "interpolate":
            interpolate(model, pairs, reads=work.reads, **options)
        else:
            count_gate_flips(model, pairs, **options)


def method_of(model: Model, work: Work, seed: int = 0) -> str | None:
    """Name of the patching method that a model chooses for a call; ``None`` where the call patches nothing.

    Args:
        model: From :func:`srtoolkit.load_model`, or a miniature.
        work: The call.
        seed: Seed of the random prompts.
    """
    if work.call in ("load", "capture"):
        return None
    contexts, points = work.contexts
    generator = torch.Generator().manual_seed(seed)
    prompts = torch.randint(model.vocab_size, (min(contexts, 2), work.length), generator=generator)
    return str(choose_method(model, prompts, points, layer=work.layer).method)


def _silent(_done: int, _total: int) -> None:
    """No bar is shown: of the calls that measure a machine there are many, and none is the user's."""


def _consecutive(prompts: torch.Tensor) -> PromptPairs:
    """Pairs in which prompt B is prompt A of the next, as random pairs are drawn."""
    names = tuple(str(index) for index in range(len(prompts) - 1))
    return PromptPairs(tuple(prompts[:-1]), tuple(prompts[1:]), names, names, names, bos=False, source="random tokens")
