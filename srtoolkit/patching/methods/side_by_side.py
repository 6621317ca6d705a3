"""What the methods share whose points stand side by side in one sequence, each blind to the others."""

from __future__ import annotations

from abc import abstractmethod

from jaxtyping import Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import PARALLEL_POINTS
from srtoolkit.patching.methods.method import Batch, Contexts, Method, Run
from srtoolkit.patching.methods.prefix import each_alone
from srtoolkit.patching.prefixes import check_side_by_side
from srtoolkit.patching.reads import Reads


class SideBySide(Method):
    """All points of a context are tokens of one sequence, at the same position."""

    side_by_side = True

    def unsuited(self, contexts: Contexts) -> str:
        """Points side by side cannot follow local attention that is narrower than the sequence."""
        tokens = contexts.length - 1 + min(contexts.n_points, PARALLEL_POINTS)
        narrow = contexts.window is not None and tokens > contexts.window
        return f"a block attends to {contexts.window} tokens, and prefix and points are {tokens}" if narrow else ""

    def check(self, model: Model, length: int, n_points: int, layer: int) -> None:
        """Refuse a model with blocks that do more than attend to all that came before."""
        super().check(model, length, n_points, layer)
        past = self.tokens_needed(length, layer, model.n_layers) - 1
        check_side_by_side(model, past + min(n_points, PARALLEL_POINTS))

    def tokens_needed(self, length: int, layer: int, n_layers: int) -> int:
        """The last alone behind the last block, where no block is left that would look back."""
        return 1 if layer == n_layers - 1 else length

    @abstractmethod
    def start_together(self, model: Model, context: Int[Tensor, "context pos"]) -> Run:
        """As :meth:`start`, for points that stay finite."""

    def start(self, model: Model, context: Int[Tensor, "context pos"]) -> Run:
        """Points side by side in one sequence, but where one overflows, that sequence's points run each by itself.

        Else it would take the others with it: what attention masks out counts 0 times, and 0 times infinity is NaN.
        """
        together = self.start_together(model, context)

        def run(batch: Batch) -> Reads:
            reads = tuple(dict.fromkeys((*batch.readout.reads, "resid")))
            found = together(batch._replace(readout=batch.readout._replace(reads=reads)))
            bad = ~found["resid"].isfinite().flatten(1).all(1)
            if bad.any():
                some = batch._replace(rows=batch.rows[bad], context=batch.context[bad], points=batch.points[bad])
                for name, values in each_alone(model, some).items():
                    found[name][bad] = values
            return found

        return run


def rows_for(n_points: int) -> tuple[int, int]:
    """Number of sequences that hold the points of one context, and of points in each.

    Points in one sequence are kept from seeing each other by a mask, and paid for all the same.
    """
    sequences = -(-n_points // PARALLEL_POINTS)
    return sequences, -(-n_points // sequences)
