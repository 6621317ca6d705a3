"""The methods whose points are tokens of one sequence, which do not attend to each other: what they share."""

from __future__ import annotations

from abc import abstractmethod

from jaxtyping import Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.methods.method import Batch, Contexts, Method, Run, rows_for
from srtoolkit.patching.methods.prefix import each_alone
from srtoolkit.patching.prefixes import check_one_rope, check_side_by_side
from srtoolkit.patching.reads import Readout, Reads


class SideBySide(Method):
    """All points of a context are tokens of one sequence, at the same position; so are the tokens behind each."""

    side_by_side = True

    def unsuited(self, contexts: Contexts) -> str:
        """Why ``"auto"`` should not try it: some attention window is narrower than the sequence."""
        tokens = contexts.past + tokens_beside(contexts.n_points, contexts.behind)
        narrow = contexts.window is not None and tokens > contexts.window
        return f"a block attends to {contexts.window} tokens, and prefix and points are {tokens}" if narrow else ""

    def check(self, model: Model, length: int, n_points: int, readout: Readout) -> None:
        """Refuse a model with blocks that are not plain attention to all earlier tokens."""
        super().check(model, length, n_points, readout)
        past = self.tokens_needed(length, readout.layer, model.n_layers) - 1 - readout.behind
        check_side_by_side(model, past + tokens_beside(n_points, readout.behind))
        if past > 0:
            check_one_rope(model, past, past + 1 + readout.behind)

    def tokens_needed(self, length: int, layer: int, n_layers: int) -> int:
        """All tokens; after the last block only the last token, because no block is left to attend to the others."""
        return 1 if layer == n_layers - 1 else length

    @abstractmethod
    def start_together(self, model: Model, context: Int[Tensor, "context pos"], behind: int, keep: int = 0) -> Run:
        """A function that runs the batches of one call, for points whose outputs stay finite."""

    def start(self, model: Model, context: Int[Tensor, "context pos"], behind: int, keep: int = 0) -> Run:
        """A function that runs the batches of one call; where a point overflows, its sequence's points run one by one.

        Otherwise it would spoil the others: what attention masks out counts 0 times, and 0 times infinity is NaN.
        """
        together = self.start_together(model, context, behind, keep)

        def run(batch: Batch) -> Reads:
            reads = tuple(dict.fromkeys((*batch.readout.reads, "resid")))
            found = together(batch._replace(readout=batch.readout._replace(reads=reads)))
            # On the CPU a mask fits tensors of every device: blocks may be on several, outputs on the last one's.
            bad = ~found["resid"].isfinite().flatten(1).all(1).cpu()
            if bad.any():
                some = batch._replace(rows=batch.rows[bad], context=batch.context[bad], points=batch.points[bad])
                for name, values in each_alone(model, some).items():
                    found[name][bad] = values
            return found

        return run


def tokens_beside(n_points: int, behind: int) -> int:
    """Number of tokens that stand side by side in a sequence: points, each with the tokens behind it.

    Args:
        n_points: Number of points of the context.
        behind: Number of tokens behind the patched one.
    """
    _, in_each = rows_for(n_points, behind)
    return in_each * (1 + behind)
