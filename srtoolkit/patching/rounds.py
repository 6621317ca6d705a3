"""Points that are patched round after round into the same contexts, where each round depends on what the last gave.

:func:`srtoolkit.patch` puts in all points of a call at once. Here the keys and values of prefixes stay between rounds
where the method keeps any, so that a round costs its points alone.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.checks import check_layer, check_points, check_position, check_tokens
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import in_batches, named
from srtoolkit.patching.by_name import check_named
from srtoolkit.patching.choice import Chosen, choose_method
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.methods.method import Batch
from srtoolkit.patching.patch import patch
from srtoolkit.patching.reads import Readout, Reads, check_reads, derive


class Rounds:
    """Contexts that stay at hand, into which single points are patched as often as one likes.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the contexts, which have one length; few enough that all their prefixes fit in memory, of
            which :meth:`contexts_that_fit` says how many.
        layer: Block whose output is replaced.
        reads: What to read, as :func:`srtoolkit.patch` takes it; no gates.
        position: Which token's activation is replaced.
        method: Patching method; for ``"auto"``, the fastest that agrees with whole prompts and keeps prefixes.

    Attributes:
        method: Name of the method that is used.

    Raises:
        ValueError: The tokens, block, position or read point do not suit the model, or the method cannot run it, or
            gives something else than whole prompts do.
    """

    def __init__(
        self,
        model: Model,
        context: Int[Tensor, "context pos"],
        *,
        layer: int,
        reads: tuple[str, ...],
        position: int = -1,
        method: str = "auto",
    ) -> None:
        self._model, self._context = model, check_tokens(model, context, "context")
        length = context.shape[1]
        behind, layer = length - 1 - check_position(length, position), check_layer(model, layer)
        wanted, sites = check_reads(model, reads, layer)
        self._readout = Readout(wanted, layer, sites=sites, behind=behind)
        self.method = method_for_rounds(model, self._context, behind, layer) if method == "auto" else method
        way = METHODS[self.method]
        if not model.remote:
            with model.lock, torch.no_grad(), named():
                if not isinstance(self.method, Chosen):
                    check_named(model, self.method, self._context, 1, self._readout)
                way.check(model, length, 1, self._readout)
            self._context = self._context[:, -way.tokens_needed(length, layer, model.n_layers) :]
            self._run = way.start(model, self._context, behind, contexts_that_fit(model, length))

    def __call__(self, rows: Int[Tensor, " point"], points: Float[Tensor, "point d_model"]) -> Reads:
        """What is read of some points, ``[point, width]`` each, in float32 or wider.

        Args:
            rows: Index of each point's context; points of one context may be several.
            points: The points.
        """
        model = self._model
        if model.remote:
            of_point = self._context[rows.to(self._context.device)]
            found = patch(
                model, of_point, points[:, None], layer=self._readout.layer, reads=self._readout.reads,
                position=-1 - self._readout.behind, method=self.method,
            )  # fmt: skip
            return {name: values[:, 0] for name, values in found.items()}
        points = check_points(model, points[:, None], len(points))
        rows = rows.to(self._context.device)
        fitting = METHODS[self.method].points_that_fit(model, self._context.shape[1], 1, self._readout)

        def run(which: Tensor, some: Tensor) -> Reads:
            of_point = rows[which]
            found = self._run(Batch(of_point, self._context[of_point], some, self._readout))
            return derive(found, self._readout.reads)

        def shrink() -> None:
            model.memory_budget //= 2

        with model.lock, torch.no_grad(), named():
            found = in_batches(run, points, fitting, 1, on_shrink=shrink)
        return {name: values[:, 0].to(model.device) for name, values in found.items()}


def contexts_that_fit(model: Model, length: int, each: int = 1) -> int:
    """Number of contexts of one :class:`Rounds`, so that a round is one pass, and its prefixes stay.

    Args:
        model: From :func:`srtoolkit.load_model`.
        length: Number of tokens of each context.
        each: Most points of a context in one round.
    """
    fitting = METHODS["parallel"].points_that_fit(model, length, 1, Readout(("final_norm",), 0))
    return max(1, fitting // each)


def method_for_rounds(model: Model, context: Int[Tensor, "context pos"], behind: int = 0, layer: int = 0) -> str:
    """Name of the fastest method that agrees with whole prompts, among those which need not run prefixes again.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the contexts.
        behind: Number of tokens behind the patched one.
        layer: Block whose output is replaced.
    """
    # A context that comes again shares its prefix with itself: so the choice is told.
    again = torch.cat([context[:1], context[:1]])
    return choose_method(model, again, 1, behind, layer).method
