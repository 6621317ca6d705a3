"""Choosing a patching method: the fastest that agrees with whole prompts on the model at hand."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import is_out_of_memory
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.methods.method import Contexts
from srtoolkit.patching.passes import stream
from srtoolkit.patching.prefixes import Unsupported
from srtoolkit.patching.reads import Readout

logger = logging.getLogger(__name__)

#: Largest difference, relative to the largest value, at which a method counts as agreeing with the full path.
AGREEMENT = {"float64": 1e-8, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


#: Errors that show that a method does not work on this model; any other may be passing.
_OF_THE_MODEL = (Unsupported, TypeError, AttributeError, LookupError, NotImplementedError)


@dataclass(frozen=True)
class Choice:
    """The patching method that ``"auto"`` chose for one kind of context.

    Attributes:
        method: Name of the method, one of ``METHODS``.
        why: In words, the measured agreement, and why faster methods were refused.
        difference: Largest difference of the outputs from the full path's, relative to the largest output value.
        lasts: Whether the choice holds for the next context of the kind. It does not where this context's outputs
            overflow, or where a method failed for a reason other than the model.
    """

    method: str
    why: str
    difference: float
    lasts: bool = True


def choose_method(model: Model, context: Int[Tensor, "context pos"], n_points: int = 1, behind: int = 0) -> Choice:
    """The fastest method that agrees with the full path on three points; tried once per kind of context.

    Contexts are of one kind when they have the same answer to three questions: is there a prefix at all, does local
    attention reach over all of it, and is it one pass's work together with its points?

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the contexts; the first one is tried.
        n_points: Number of points of each context.
        behind: Number of tokens behind the patched one, which run again for every point.
    """
    if model.remote:
        return Choice("full", "the others run prompts in parts, and the model runs elsewhere.", 0.0)
    shared = _share_prefixes(context[:, : context.shape[1] - behind])
    contexts = Contexts(context.shape[1], n_points, model.attention_window, shared, behind)
    methods = candidates(contexts)
    kind = (contexts.past > 0, behind > 0, methods)
    with model.lock:
        if kind not in model.methods:
            choice = _compare(model, context[:1], contexts)
            if not choice.lasts:
                return choice
            model.methods[kind] = choice
            level = logging.INFO if METHODS[choice.method].side_by_side else logging.WARNING
            logger.log(level, "%s: patching by %r: %s", model.name, choice.method, choice.why)
        return model.methods[kind]


def candidates(contexts: Contexts) -> tuple[str, ...]:
    """Names of the patching methods to try in turn, the fastest first.

    Args:
        contexts: Lengths and numbers by which a method is worth a try.
    """
    return tuple(name for name, method in METHODS.items() if not method.unsuited(contexts))


def _share_prefixes(context: Int[Tensor, "context pos"]) -> bool:
    """Whether contexts are the same up to their last token so often that half of the prefixes or fewer differ."""
    return min(context.shape) > 1 and 2 * len(torch.unique(context[:, :-1], dim=0)) <= len(context)


def _compare(model: Model, context: Int[Tensor, "context pos"], contexts: Contexts) -> Choice:
    """Try the methods in order against the full path, on the context's own activation and two points around it."""
    readout = Readout(("final_norm",), 0, behind=contexts.behind)
    own = stream(model, context, 0, last=1 + contexts.behind)[:, 0]
    noise = torch.randn(2, model.d_model, generator=torch.Generator().manual_seed(0)).to(own)
    around = own + 0.5 * own.norm() * noise / noise.norm(dim=-1, keepdim=True)
    points = torch.cat([own, around])[None]
    expected = METHODS["full"].run(model, context, points, readout)["final_norm"]
    if not expected.isfinite().all():
        return Choice("full", "outputs are NaN or infinite here, so nothing can be compared.", float("nan"), False)
    *fast, _ = candidates(contexts)
    beside = any(METHODS[name].side_by_side for name in fast)
    refused = "" if beside else "points side by side cannot follow local attention here; "
    lasts = True
    for name in fast:
        try:
            found = METHODS[name].run(model, context, points, readout)["final_norm"]
        except Exception as error:  # families fail in their own ways; whatever it is, the full path still works
            if is_out_of_memory(error):
                raise  # a passing want of memory says nothing of the method
            lasts &= isinstance(error, _OF_THE_MODEL)
            refused += f"{name!r} failed ({type(error).__name__}: {str(error)[:120]}); "
            continue
        difference = float((found - expected).abs().max() / expected.abs().max())
        if difference <= AGREEMENT[model.dtype]:
            return Choice(
                name, f"{refused}it agrees with the full path to {difference:.1e} relative.", difference, lasts
            )
        refused += f"{name!r} differs from the full path by {difference:.1e} relative; "
    return Choice("full", f"{refused}the full path is always right.", 0.0, lasts)
