"""Choosing among the methods of patching: the fastest that gives what whole prompts give, on the model at hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import PARALLEL_POINTS
from srtoolkit.patching.methods import METHODS, SIDE_BY_SIDE

logger = logging.getLogger(__name__)

#: Largest difference, relative to the largest value, at which a method counts as agreeing with the full path.
AGREEMENT = {"float64": 1e-8, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}

#: Longest prefix that goes through the blocks beside its points. Attention through a mask looks at all of it for each
#: of its tokens: on SmolLM2 a gain at 256 tokens, now a gain and now a loss at 512, and a loss at 1,024.
JOINT_TOKENS = 256

#: Puts points [1, point, d_model] into one context by a method, after block 0, and reads the final norm.
Run = Callable[[str, Float[Tensor, "context point d_model"]], Float[Tensor, "context point d_model"]]


@dataclass(frozen=True)
class Choice:
    """The patching method that ``"auto"`` settled on for one kind of context.

    Attributes:
        method: One of ``METHODS``.
        why: The measured agreement, and what was refused before it.
        difference: Largest difference from the full path, relative to the largest value.
    """

    method: str
    why: str
    difference: float


def choose(
    model: Model, context: Int[Tensor, "context pos"], n_points: int, own: Callable[[], Tensor], run: Run
) -> Choice:
    """The fastest method that agrees with the full path on three points; checked once per kind of context.

    Contexts are of one kind when they have the same answer to three questions: is there a prefix at all, does local
    attention reach over all of it, and is it one pass's work together with its points?

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the contexts.
        n_points: Points of each context.
        own: The context's activation after block 0.
        run: Patches the context.
    """
    if model.remote:
        return Choice("full", "the others run prompts in parts, and the model runs elsewhere.", 0.0)
    length = context.shape[1]
    methods = candidates(length, n_points, model.attention_window, _share_prefixes(context))
    kind = (length > 1, methods)
    if kind not in model.methods:
        choice = _compare(model, own(), run, methods)
        if choice.difference != choice.difference:  # NaN: this context overflows, and the next may not
            return choice
        model.methods[kind] = choice
        level = logging.INFO if choice.method in SIDE_BY_SIDE else logging.WARNING
        logger.log(level, "%s: patching by %r: %s", model.name, choice.method, choice.why)
    return model.methods[kind]


def candidates(length: int, n_points: int, window: int | None, prefixes_shared: bool = False) -> tuple[str, ...]:
    """Patching methods to try in turn, the fastest first.

    Args:
        length: Tokens of the context.
        n_points: Points of each context.
        window: Tokens that the narrowest local attention sees.
        prefixes_shared: Whether one prefix serves several contexts.
    """
    if window is not None and length - 1 + min(n_points, PARALLEL_POINTS) > window:
        return tuple(method for method in METHODS if method not in SIDE_BY_SIDE)
    if n_points <= PARALLEL_POINTS and length - 1 <= JOINT_TOKENS and not prefixes_shared:
        return METHODS
    return tuple(method for method in METHODS if method != "joint")


def _share_prefixes(context: Tensor) -> bool:
    """Whether contexts are the same up to their last token so often that half of the prefixes or fewer differ."""
    return min(context.shape) > 1 and 2 * len(torch.unique(context[:, :-1], dim=0)) <= len(context)


def _compare(model: Model, own: Tensor, run: Run, methods: tuple[str, ...]) -> Choice:
    """Try ``methods`` in order against the full path, on an activation and two points around it."""
    noise = torch.randn(2, model.d_model, generator=torch.Generator().manual_seed(0)).to(own)
    around = own + 0.5 * own.norm() * noise / noise.norm(dim=-1, keepdim=True)
    points = torch.cat([own, around])[None]
    expected = run("full", points)
    if not expected.isfinite().all():
        return Choice("full", "outputs are NaN or infinite here, so nothing can be compared.", float("nan"))
    refused = "" if set(SIDE_BY_SIDE) & set(methods) else "points side by side cannot follow local attention here; "
    for method in methods[:-1]:
        try:
            found = run(method, points)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # families fail in their own ways; whatever it is, the full path still works
            refused += f"{method!r} failed ({type(error).__name__}: {str(error)[:120]}); "
            continue
        difference = float((found - expected).abs().max() / expected.abs().max())
        if difference <= AGREEMENT[model.dtype]:
            return Choice(method, f"{refused}it agrees with the full path to {difference:.1e} relative.", difference)
        refused += f"{method!r} differs from the full path by {difference:.1e} relative; "
    return Choice("full", f"{refused}the full path is always right.", 0.0)
