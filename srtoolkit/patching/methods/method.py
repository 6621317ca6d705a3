"""What a patching method is: the contexts it suits, the points it takes at once, how it runs, and what that costs."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import PARALLEL_POINTS, Progress, in_batches
from srtoolkit.patching.prefixes import Unsupported
from srtoolkit.patching.reads import Readout, Reads, derive

logger = logging.getLogger(__name__)


class Contexts(NamedTuple):
    """Lengths and numbers by which a method is worth a try, known without the weights.

    Attributes:
        length: Number of tokens of each context.
        n_points: Number of points of each context.
        window: Number of tokens in the narrowest attention window of any block; ``None`` where attention is global.
        prefixes_shared: Whether several contexts have the same prefix.
        behind: Number of tokens behind the patched one, which run again for every point.
    """

    length: int
    n_points: int
    window: int | None = None
    prefixes_shared: bool = False
    behind: int = 0

    @property
    def past(self) -> int:
        """Number of tokens before the patched one."""
        return self.length - 1 - self.behind


class Batch(NamedTuple):
    """Points that are patched into their contexts in one batch.

    Attributes:
        rows: Index of each row's context, ``[row]``.
        context: Token ids of each row's context, ``[row, pos]``.
        points: Points that replace the residual stream at the patched position, ``[row, point, d_model]``.
        readout: What to read, and after which block and at which position the points go in.
    """

    rows: Tensor
    context: Tensor
    points: Tensor
    readout: Readout

    @property
    def past(self) -> int:
        """Number of tokens before the patched one."""
        return self.context.shape[1] - 1 - self.readout.behind


#: Runs one batch, and gives what was read as ``[row, point, width]``.
Run = Callable[[Batch], Reads]


class Pass(NamedTuple):
    """Tokens that go through some of a model's blocks together, from which a cost is counted.

    Attributes:
        tokens: Number of tokens.
        keys: Number of keys that each token attends to.
        start: First block that the tokens go through.
        stop: Block after the last one that they go through.
        logits: Number of tokens for which logits are computed.
        then_keys: Whether the block ``stop`` computes its keys and values as well.
        again: Number of these tokens that another pass took through the earlier blocks.
    """

    tokens: int
    keys: int
    start: int
    stop: int
    logits: int = 0
    then_keys: bool = False
    again: int = 0


class Method(ABC):
    """A patching method. It keeps nothing about a model or a call, so that one object serves all.

    Attributes:
        name: Name of the method, as the argument ``method`` takes it.
        needs: Arguments that the model's forward pass must take.
        side_by_side: Whether all points of a context are tokens of one sequence.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    side_by_side: ClassVar[bool] = False

    def unsuited(self, contexts: Contexts) -> str:
        """Why ``"auto"`` should not try the method on some contexts, in words; empty where it should.

        Args:
            contexts: The lengths and numbers that decide.
        """
        return ""

    def check(self, model: Model, length: int, n_points: int, readout: Readout) -> None:
        """Refuse a model or a context that the method cannot run, as far as this is known before anything runs.

        Args:
            model: From :func:`srtoolkit.load_model`.
            length: Number of tokens of each context.
            n_points: Number of points of each context.
            readout: What to read, and after which block and at which position the points go in.

        Raises:
            Unsupported: The method cannot run it; the message says why.
        """
        if missing := sorted(self.needs - model.forward_arguments):
            raise Unsupported(f"its forward pass does not take {' and '.join(missing)}")

    def tokens_needed(self, length: int, layer: int, n_layers: int) -> int:
        """Number of last tokens of a context that must run to patch after a block.

        Args:
            length: Number of tokens of the context.
            layer: Block whose output is replaced.
            n_layers: Number of the model's blocks.
        """
        return length

    @abstractmethod
    def points_that_fit(self, model: Model, length: int, n_points: int, readout: Readout) -> int:
        """Number of points that fit in the model's memory budget together, and on a CPU in its caches.

        Args:
            model: The model, which has widths and a memory budget.
            length: Number of tokens of each context.
            n_points: Number of points of each context.
            readout: What is read of each point; logits take most memory.
        """

    @abstractmethod
    def start(self, model: Model, context: Int[Tensor, "context pos"], behind: int, keep: int = 0) -> Run:
        """A function that runs the batches of one call; it may keep what consecutive batches share.

        Args:
            model: From :func:`srtoolkit.load_model`.
            context: Token ids of all contexts of the call.
            behind: Number of tokens behind the patched one.
            keep: Number of contexts to which batches come back, so that what is kept of them stays.
        """

    @abstractmethod
    def passes(self, n_layers: int, contexts: int, length: int, points: int, layer: int, *, logits: bool) -> list[Pass]:
        """The forward passes that the method makes, so that their cost can be counted without a model.

        Args:
            n_layers: Number of the model's blocks.
            contexts: Number of contexts.
            length: Number of tokens of each context that must run.
            points: Number of points of each context.
            layer: Block whose output is replaced.
            logits: Whether logits are read.
        """

    def run(
        self,
        model: Model,
        context: Int[Tensor, "context pos"],
        points: Float[Tensor, "context point d_model"],
        readout: Readout,
        reduce: Callable[[Reads], Reads] | None = None,
        progress: Progress | None = None,
    ) -> Reads:
        """What is read of all points of all contexts, which run in batches that fit the memory budget.

        Args:
            model: From :func:`srtoolkit.load_model`.
            context: Token ids of the contexts.
            points: Points that replace the residual stream at the patched position.
            readout: What to read, and after which block and at which position the points go in.
            reduce: Function that shrinks what each batch has read before it is kept.
            progress: Called after each batch with the number of points done and that of all points.

        Raises:
            Unsupported: The method cannot run this model or context.
        """
        n_points = points.shape[1]
        self.check(model, context.shape[1], n_points, readout)
        context = context[:, -self.tokens_needed(context.shape[1], readout.layer, model.n_layers) :]
        run = self.start(model, context, readout.behind)

        def run_batch(rows: Tensor, some: Tensor) -> Reads:
            found = derive(run(Batch(rows, context[rows], some, readout.of_rows(rows))), readout.reads)
            return found if reduce is None else reduce(found)

        def shrink() -> None:
            model.memory_budget //= 2
            logger.warning(
                "%s: out of memory; batches are now bounded by %.0f MB.", model.name, model.memory_budget / 1e6
            )

        per_batch = self.points_that_fit(model, context.shape[1], n_points, readout)
        _, per_row = rows_for(n_points, readout.behind)
        return in_batches(run_batch, points, per_batch, per_row, on_shrink=shrink, progress=progress)


def rows_for(n_points: int, behind: int = 0) -> tuple[int, int]:
    """Number of sequences that hold the points of one context, and number of points in each.

    A mask keeps points of one sequence from attending to each other, but that attention is computed all the same.

    Args:
        n_points: Number of points of the context.
        behind: Number of tokens behind the patched one, which run again for every point.
    """
    sequences = -(-n_points // max(1, PARALLEL_POINTS // (1 + behind)))
    return sequences, -(-n_points // sequences)
