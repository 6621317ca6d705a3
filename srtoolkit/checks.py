"""Refusing bad input by name, before any model runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models import Model


def check_tokens(model: Model, tokens: Any, what: str = "tokens") -> Int[Tensor, "prompt pos"]:
    """``tokens`` as a LongTensor [prompt, pos] that ``model`` can take.

    Raises:
        TypeError: Not a tensor of whole numbers.
        ValueError: Wrong number of dimensions, empty, longer than the model's context, or ids outside the vocabulary.
    """
    if not isinstance(tokens, Tensor) or tokens.is_floating_point() or tokens.dtype == torch.bool:
        kind = f"a {tokens.dtype} tensor" if isinstance(tokens, Tensor) else type(tokens).__name__
        raise TypeError(
            f"{what}: expected a LongTensor [prompt, pos] of token ids, got {kind}; model.tokenize(text) makes ids."
        )
    if tokens.ndim != 2:
        raise ValueError(
            f"{what}: expected shape [prompt, pos], got {list(tokens.shape)}; a single prompt is tokens[None]."
        )
    n, length = tokens.shape
    if not n or not length:
        raise ValueError(f"{what}: an empty prompt (shape {[n, length]}); every prompt needs at least one token.")
    limit = model.context_length
    if limit is not None and length > limit:
        raise ValueError(f"{what}: prompts of {length} tokens, but {model.name} takes at most {limit}; shorten them.")
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= model.vocab_size:
        raise ValueError(
            f"{what}: token ids from {low} to {high}, but {model.name} has ids 0 to {model.vocab_size - 1}; "
            "were these made by another model's tokenizer?"
        )
    return tokens.long().to(model.device)


def check_layer(model: Model, layer: Any) -> int:
    """``layer`` as the index of one of the model's blocks.

    Raises:
        ValueError: Not a whole number from 0 to ``n_layers - 1``.
    """
    if isinstance(layer, bool) or not hasattr(layer, "__index__") or not 0 <= layer.__index__() < model.n_layers:
        raise ValueError(
            f"layer={layer!r}: {model.name} has blocks 0 to {model.n_layers - 1}; "
            "layer=0 is the output of the first block."
        )
    return int(layer.__index__())


def check_gates(model: Model, layer: int) -> None:
    """Refuse to read MLP pre-activations where there are none behind block ``layer``.

    Raises:
        ValueError: The blocks have no MLP that is known, or ``layer`` is the last.
    """
    if model.anatomy.gate is None:
        raise ValueError(
            f"{model.name}: its blocks ({type(model.hf).__name__}) have no MLP whose pre-activations are known, so "
            "there are no gates to read."
        )
    if layer == model.n_layers - 1:
        raise ValueError(f"layer={layer}: the last block of {model.name}, so no block behind it has gates to read.")


def check_points(
    model: Model, points: Any, n_contexts: int, what: str = "points"
) -> Float[Tensor, "context point d_model"]:
    """``points`` as a tensor [context, point, d_model] of finite numbers.

    Raises:
        TypeError: Not a tensor of real numbers.
        ValueError: Wrong shape or width, no points, or NaN or infinite values.
    """
    if not isinstance(points, Tensor) or not points.is_floating_point():
        kind = f"a {points.dtype} tensor" if isinstance(points, Tensor) else type(points).__name__
        raise TypeError(f"{what}: expected a float tensor [context, point, d_model], got {kind}.")
    expected = f"[{n_contexts}, point, {model.d_model}] for {n_contexts} contexts of {model.name}"
    if points.ndim != 3 or points.shape[0] != n_contexts or points.shape[2] != model.d_model or not points.shape[1]:
        raise ValueError(f"{what}: expected shape {expected}, got {list(points.shape)}.")
    bad = int((~torch.isfinite(points)).sum())
    if bad:
        raise ValueError(f"{what}: {bad} of {points.numel()} values are NaN or infinite; points must be finite.")
    return points


def check_names(given: str | Iterable[str], known: Iterable[str], what: str) -> tuple[str, ...]:
    """``given`` as a tuple of names out of ``known``.

    Raises:
        ValueError: No name, a name twice, or one that is not known.
    """
    names = (given,) if isinstance(given, str) else tuple(given)
    known = tuple(known)
    unknown = [name for name in names if name not in known]
    if unknown or not names or len(set(names)) != len(names):
        problem = f"unknown {unknown}" if unknown else "empty" if not names else "a name stands twice"
        raise ValueError(f"{what}={given!r}: {problem}; known are {known}.")
    return names
