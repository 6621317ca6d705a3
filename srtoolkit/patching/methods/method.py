"""What a method of patching says of itself: whom it fits, how many points it takes at once, what it runs and costs."""

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
    """What decides whether a method is worth a try, known without the weights.

    Attributes:
        length: Tokens of each context.
        n_points: Points of each context.
        window: Tokens that the narrowest local attention of a block sees, or ``None`` where every block sees all.
        prefixes_shared: Whether one prefix serves several contexts.
    """

    length: int
    n_points: int
    window: int | None = None
    prefixes_shared: bool = False


class Batch(NamedTuple):
    """Points that are put into some contexts together.

    Attributes:
        rows: Index of each row's context, ``[row]``.
        context: Token ids ``[row, pos]``.
        points: What replaces the residual stream at the last position, ``[row, point, d_model]``.
        readout: What to read, and after which block the points go in.
    """

    rows: Tensor
    context: Tensor
    points: Tensor
    readout: Readout


#: Runs one batch, and gives what was read as ``[row, point, width]``.
Run = Callable[[Batch], Reads]


class Pass(NamedTuple):
    """Tokens that go through some of a model's blocks together, from which a cost is counted.

    Attributes:
        tokens: How many.
        keys: How many keys each is compared with.
        start: First block they go through.
        stop: The block after the last.
        logits: Of how many the logits are computed.
        then_keys: Whether the block ``stop`` makes its keys and values as well.
        again: How many of them another pass has taken through the blocks before.
    """

    tokens: int
    keys: int
    start: int
    stop: int
    logits: int = 0
    then_keys: bool = False
    again: int = 0


class Method(ABC):
    """A method of patching. It holds nothing of a model or a call, so that one object serves all.

    Attributes:
        name: What the argument ``method`` calls it.
        needs: Arguments that the model's forward pass must take.
        side_by_side: Whether all points of a context are tokens of one sequence.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    side_by_side: ClassVar[bool] = False

    def unsuited(self, contexts: Contexts) -> str:
        """Why ``"auto"`` should not try it on such contexts; empty where it should."""
        return ""

    def check(self, model: Model, length: int, n_points: int, layer: int) -> None:
        """Refuse a model or a context that it cannot run, as far as this is known before anything runs.

        Args:
            model: From :func:`srtoolkit.load_model`.
            length: Tokens of each context.
            n_points: Points of each context.
            layer: Block whose output is replaced.

        Raises:
            Unsupported: It cannot; the message says why.
        """
        if missing := sorted(self.needs - model.forward_arguments):
            raise Unsupported(f"its forward pass does not take {' and '.join(missing)}")

    def tokens_needed(self, length: int, layer: int, n_layers: int) -> int:
        """Number of a context's last tokens that must run, of ``length``, to patch after block ``layer``."""
        return length

    @abstractmethod
    def points_that_fit(self, model: Model, length: int, n_points: int, readout: Readout) -> int:
        """Number of points that fit in the model's memory budget together, and on a CPU in its caches.

        Args:
            model: Whose widths and budget count.
            length: Tokens of each context.
            n_points: Points of each context.
            readout: What is read of each point; logits are the widest.
        """

    @abstractmethod
    def start(self, model: Model, context: Int[Tensor, "context pos"]) -> Run:
        """What runs the batches of one call; it may keep what consecutive batches share.

        Args:
            model: From :func:`srtoolkit.load_model`.
            context: Token ids of all contexts of the call.
        """

    @abstractmethod
    def passes(self, n_layers: int, contexts: int, length: int, points: int, layer: int, *, logits: bool) -> list[Pass]:
        """The passes that it makes, so that their cost can be counted without a model.

        Args:
            n_layers: Number of the model's blocks.
            contexts: How many.
            length: Tokens of each that must run.
            points: Points of each.
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
        """All contexts and points, in batches that fit the memory budget.

        Args:
            model: From :func:`srtoolkit.load_model`.
            context: Token ids.
            points: What replaces the residual stream at the last position.
            readout: What to read, and after which block the points go in.
            reduce: Makes less of what a batch has read.
            progress: Called after each batch.

        Raises:
            Unsupported: It cannot run this model or context.
        """
        n_points = points.shape[1]
        self.check(model, context.shape[1], n_points, readout.layer)
        context = context[:, -self.tokens_needed(context.shape[1], readout.layer, model.n_layers) :]
        run = self.start(model, context)

        def run_batch(rows: Tensor, some: Tensor) -> Reads:
            found = derive(run(Batch(rows, context[rows], some, readout)), readout.reads)
            return found if reduce is None else reduce(found)

        def shrink() -> None:
            model.memory_budget //= 2
            logger.warning(
                "%s: out of memory; batches are now bounded by %.0f MB.", model.name, model.memory_budget / 1e6
            )

        per_batch = self.points_that_fit(model, context.shape[1], n_points, readout)
        return in_batches(run_batch, points, per_batch, PARALLEL_POINTS, on_shrink=shrink, progress=progress)
