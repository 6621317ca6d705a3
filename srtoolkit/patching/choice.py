"""Choosing a patching method: the fastest that agrees with whole prompts on the model, block and contexts at hand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress, is_out_of_memory
from srtoolkit.patching.length_classes import length_class
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.methods.method import Contexts, rows_for
from srtoolkit.patching.prefixes import Unsupported
from srtoolkit.patching.reads import Readout, Reads
from srtoolkit.patching.trial import AGREEMENT, set_up

logger = logging.getLogger(__name__)

#: Errors that show that a method does not work on this model; any other may be passing, the first time.
_OF_THE_MODEL = (Unsupported, TypeError, AttributeError, LookupError, NotImplementedError)


class Chosen(str):
    """Name of a method that ``"auto"`` has chosen: where it fails in use, another takes its place.

    Attributes:
        ran: Names of the methods that results under this choice came from, once there are any.
    """

    ran: dict[str, None]

    def __new__(cls, name: str) -> Chosen:
        """A choice under which nothing has run yet."""
        chosen = super().__new__(cls, name)
        chosen.ran = {}
        return chosen


@dataclass(frozen=True)
class Choice:
    """The patching method that ``"auto"`` chose for one kind of context.

    Attributes:
        method: Name of the method, one of ``METHODS``.
        why: In words, the measured agreement, and why faster methods were refused.
        difference: Largest error of the outputs against the full path's, relative to the largest distance that they
            move.
        lasts: Whether the choice holds for the next context of the kind. It does not where this context's outputs
            overflow, or where a method failed for a reason other than the model.
    """

    method: Chosen
    why: str
    difference: float
    lasts: bool = True


class Kind(NamedTuple):
    """Everything that the answer to "which method?" can depend on, for one model."""

    layer: int
    number_format: str
    has_prefix: bool
    goes_on_behind: bool
    lengths: tuple[int, ...]
    points: int
    methods: tuple[str, ...]


def choose_method(
    model: Model, context: Int[Tensor, "context pos"], n_points: int = 1, behind: int = 0, layer: int = 0
) -> Choice:
    """The fastest method that agrees with the full path; tried once per kind of context.

    A kind is all that the answer can depend on: the patched block, the number format, the number of points up to a
    factor of two, whether there is a prefix and tokens behind, which methods suit, and where the contexts lie among
    the lengths at which the model's configuration says that it changes
    (:mod:`srtoolkit.patching.length_classes`).

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the contexts; two of them are tried.
        n_points: Number of points of each context.
        behind: Number of tokens behind the patched one, which run again for every point.
        layer: Block whose output is replaced.
    """
    if model.remote:
        return Choice(Chosen("full"), "the others run prompts in parts, and the model runs elsewhere.", 0.0)
    contexts, kind = describe(model, context, n_points, behind, layer)
    with model.lock:
        if kind not in model.methods:
            choice = _try_out(model, context, contexts, layer)
            if not choice.lasts:
                return choice
            model.methods[kind] = choice
            level = logging.INFO if METHODS[choice.method].side_by_side else logging.WARNING
            _say(model, level, f"patching by {choice.method!r}: {choice.why}")
        found: Choice = model.methods[kind]
        return replace(found, method=Chosen(found.method))  # what runs under it is this caller's


def names_of(methods: Iterable[str]) -> str:
    """Which methods gave results, for an attribute of these: those that took a failed one's place among them.

    Args:
        methods: The methods that were given or chosen.
    """
    return ", ".join(dict.fromkeys(name for one in methods for name in (getattr(one, "ran", None) or (str(one),))))


def run_chosen(
    model: Model,
    method: Chosen,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    readout: Readout,
    reduce: Callable[[Reads], Reads] | None = None,
    progress: Progress | None = None,
) -> Reads:
    """What a chosen method reads; where it fails, what the fastest of the others reads that agrees, with a warning.

    Args:
        model: From :func:`srtoolkit.load_model`.
        method: The chosen method; it is told what has run.
        context: Token ids of the contexts.
        points: Points that replace the residual stream.
        readout: What to read, and after which block and at which position the points go in.
        reduce: Function that shrinks what each batch has read; what it raises is the caller's.
        progress: Called after each batch; what it raises is the caller's.
    """
    theirs: list[Exception] = []
    reduce, progress = _noting(reduce, theirs), _noting(_rising(progress), theirs)
    budget, failed, name = model.memory_budget, dict[str, Exception](), str(method)
    while True:
        try:
            found = METHODS[name].run(model, context, points, readout, reduce, progress)
        except Exception as error:
            if name == "full" or error in theirs:
                raise
            failed[name] = error.with_traceback(None)  # which holds the tensors of the pass that failed
        else:
            method.ran[name] = None
            return found
        name = _instead(model, name, context, points.shape[1], readout, failed)
        model.memory_budget = budget  # a want of memory that another method may not have


def candidates(contexts: Contexts) -> tuple[str, ...]:
    """Names of the patching methods to try in turn, the fastest first.

    Args:
        contexts: Lengths and numbers by which a method is worth a try.
    """
    return tuple(name for name, method in METHODS.items() if not method.unsuited(contexts))


def _instead(
    model: Model,
    method: str,
    context: Int[Tensor, "context pos"],
    n_points: int,
    readout: Readout,
    failed: dict[str, Exception],
) -> str:
    """The method that takes the place of one that failed in use; kept where the failure is the model's own."""
    contexts, kind = describe(model, context, n_points, readout.behind, readout.layer)
    choice = _try_out(model, context, contexts, readout.layer, without=failed)
    model.methods.pop(kind, None)
    if choice.lasts and all(isinstance(error, _OF_THE_MODEL) for error in failed.values()):
        model.methods[kind] = choice
    said = f"patching by {method!r} failed in use ({_short(failed[method])}); {choice.method!r} takes its place"
    _say(model, logging.WARNING, said, once=kind)
    return choice.method


def describe(
    model: Model, context: Int[Tensor, "context pos"], n_points: int, behind: int, layer: int
) -> tuple[Contexts, Kind]:
    """The contexts' lengths and numbers, and their kind, under which a model keeps what was found of its methods.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the contexts.
        n_points: Number of points of each context.
        behind: Number of tokens behind the patched one.
        layer: Block whose output is replaced.
    """
    shared = _share_prefixes(context[:, : context.shape[1] - behind])
    contexts = Contexts(context.shape[1], n_points, model.attention_window, shared, behind)
    _, in_one = rows_for(n_points, behind)
    lengths = length_class(model.hf.config.get_text_config(), contexts)
    about = (layer, str(model.hf.dtype), contexts.past > 0, behind > 0, lengths)
    return contexts, Kind(*about, in_one.bit_length(), candidates(contexts))


def _share_prefixes(context: Int[Tensor, "context pos"]) -> bool:
    """Whether contexts are the same up to their last token so often that half of the prefixes or fewer differ."""
    return min(context.shape) > 1 and 2 * len(torch.unique(context[:, :-1], dim=0)) <= len(context)


def _try_out(
    model: Model, context: Int[Tensor, "context pos"], contexts: Contexts, layer: int, without: Collection[str] = ()
) -> Choice:
    """Try the methods in order on two of the contexts (:mod:`srtoolkit.patching.trial`)."""
    trial = set_up(model, context, contexts, layer)
    if not trial.finite:
        why = "outputs are NaN or infinite here, so nothing can be compared."
        return Choice(Chosen("full"), why, float("nan"), False)
    fast = [name for name in candidates(contexts) if name != "full" and name not in without]
    beside = any(METHODS[name].side_by_side for name in fast)
    refused = "" if beside or without else "points side by side cannot follow local attention here; "
    lasts = True
    for name in fast:
        budget = model.memory_budget
        try:
            difference = trial.error(name).share
        except Exception as error:  # families fail in their own ways; whatever it is, the full path still works
            lasts &= isinstance(error, _OF_THE_MODEL) or _failed_before(model, name, error)
            refused += f"{name!r} failed ({_short(error)}); "
            if is_out_of_memory(error):
                _say(model, logging.WARNING, f"memory ran out while {name!r} was tried; it is tried again", once=name)
            model.memory_budget = budget
            continue
        if difference <= AGREEMENT[model.dtype]:
            why = f"{refused}it agrees with the full path to {difference:.1e} of how far the outputs move."
            return Choice(Chosen(name), why, difference, lasts)
        refused += f"{name!r} differs from the full path by {difference:.1e} of how far the outputs move; "
    return Choice(Chosen("full"), f"{refused}the full path is always right.", 0.0, lasts)


def _failed_before(model: Model, method: str, error: Exception) -> bool:
    """Whether a trial ended by the same error before: then it is the model's own, unless it is a want of memory."""
    key = ("failed", method, _short(error))
    before = key in model.methods
    model.methods[key] = True
    return before and not is_out_of_memory(error)


def _noting(call: Callable[..., Any] | None, errors: list[Exception]) -> Callable[..., Any] | None:
    """A caller's function that notes what it raises, other than a want of memory, which makes batches smaller."""
    if call is None:
        return None

    def noting(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except Exception as error:
            if not is_out_of_memory(error):
                errors.append(error)
            raise

    return noting


def _rising(progress: Progress | None) -> Progress | None:
    """Says nothing of points that another method has done before."""
    if progress is None:
        return None
    most = 0

    def rising(done: int, total: int) -> None:
        nonlocal most
        if done > most:
            most = done
            progress(done, total)

    return rising


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:120]}"


def _say(model: Model, level: int, message: str, once: Any = None) -> None:
    """Log a message about a model; one that is to be said once is kept with its choices."""
    if once is not None:
        if ("said", once) in model.methods:
            return
        model.methods["said", once] = message
    logger.log(level, "%s: %s", model.name, message)
