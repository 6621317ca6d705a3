"""Checks of models, tokens, layers and points, before any model runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.models.probe import TOKENS
from srtoolkit.validation import check_whole

#: Devices on which torch.autocast may replace the model's number format.
_AUTOCAST = ("cpu", "cuda", "mps", "xpu")


def check_model(model: Any) -> Model:
    """The model itself, after a check that it is one.

    Args:
        model: From :func:`srtoolkit.load_model`.

    Raises:
        TypeError: ``model`` is something else, such as a model's name.
        RuntimeError: ``torch.autocast`` is on.
    """
    if not isinstance(model, Model):
        raise TypeError(f"model: expected a srtoolkit.Model, got {type(model).__name__}; load_model(name) makes one.")
    if on := [place for place in _AUTOCAST if torch.is_autocast_enabled(place)]:
        raise RuntimeError(
            f"torch.autocast is on for {' and '.join(on)}, so {model.name} would not run in its own {model.dtype}; "
            "leave autocast, and load the model with dtype= where another number format is wanted."
        )
    return model


#: Number formats of token ids; others have no least and largest value in torch, or are no whole numbers.
_IDS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def check_tokens(model: Model, tokens: Any, what: str = "tokens") -> Int[Tensor, "prompt pos"]:
    """Token ids as a LongTensor on the model's device.

    Args:
        model: From :func:`srtoolkit.load_model`.
        tokens: Token ids of the prompts, to be checked.
        what: Name of the argument, for error messages.

    Raises:
        TypeError: ``tokens`` is no tensor of whole numbers.
        ValueError: ``tokens`` has not two dimensions, is empty, is longer than the model's context, or holds ids
            outside the vocabulary.
    """
    model = check_model(model)
    if not isinstance(tokens, Tensor) or tokens.dtype not in _IDS or tokens.layout != torch.strided:
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
    """The index of one of the model's blocks, after a check that it is one.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layer: Index of a block, from 0 on.

    Raises:
        ValueError: ``layer`` is not a whole number from 0 to ``n_layers - 1``.
    """
    model = check_model(model)
    try:
        return check_whole(layer, "layer", 0, model.n_layers - 1)
    except ValueError:
        raise ValueError(
            f"layer={layer!r}: {model.name} has blocks 0 to {model.n_layers - 1}; "
            "layer=0 is the output of the first block."
        ) from None


def check_gates(model: Model, layer: int) -> None:
    """Refuse to read MLP gate pre-activations where no block after ``layer`` has any.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layer: Index of the patched block.

    Raises:
        ValueError: ``layer`` is the last block, or no block behind it has an MLP that is known.
    """
    if layer == model.n_layers - 1:
        raise ValueError(f"layer={layer}: the last block of {model.name}, so no block behind it has gates to read.")
    refuse_gateless(model, range(layer + 1, model.n_layers))


def refuse_gateless(model: Model, blocks: Sequence[int]) -> None:
    """Refuse to read gates of blocks where there are none that every token goes through.

    Args:
        model: From :func:`srtoolkit.load_model`.
        blocks: Blocks whose gates were to be read.

    Raises:
        ValueError: None of these blocks has an MLP that is known; the message says what they have, and which blocks do.
    """
    if any(model.inside[block].gates for block in blocks):
        return
    have = "; ".join(dict.fromkeys(model.inside[block].counted for block in blocks))
    known = [block for block, inside in enumerate(model.inside) if inside.gates]
    raise ValueError(
        f"{model.name}: blocks {list(blocks)} of {type(model.hf).__name__} have no MLP whose pre-activations are known "
        f"for every token (gates there: {have}), so there are no gates to read. "
        + (f"Blocks {known} have some." if known else "Of this model only outputs can be measured.")
    )


#: Steps of the number format, at the size of the largest output, by which rounding may move an output.
_ROUNDING_STEPS = 2


def check_stream(model: Model) -> None:
    """Refuse a model whose residual stream is not one vector a token, or which does not run on a plain prompt.

    Args:
        model: The model as it is loaded.

    Raises:
        ValueError: Its blocks give something else (hyper-connections keep several streams), do not run once each or
            take something else than the one before gives, or its forward pass fails.
    """
    expected = (1, TOKENS, model.d_model)
    seen = any(inside.runs for inside in model.inside) or not model.remote
    for block, inside in enumerate(model.inside):
        if seen and inside.runs != 1:
            raise ValueError(
                f"{model.name}: block {block} of {type(model.hf).__name__} ({model.anatomy.blocks}.{block}) runs "
                f"{inside.runs} times in one pass over a prompt. A point is put in after a block that runs once; take "
                "a model whose blocks follow each other."
            )
        if inside.shape and inside.shape != expected:
            raise ValueError(
                f"{model.name}: block {block} of {type(model.hf).__name__} gives {list(inside.shape)} for one prompt "
                f"of {TOKENS} tokens, not [prompt, pos, d_model] = {list(expected)}: its residual stream is not one "
                "vector a token, which srtoolkit puts in and reads, so there is no one place for a point. Take another "
                "model."
            )
        if not inside.follows:
            raise ValueError(
                f"{model.name}: {model.anatomy.blocks}.{block} of {type(model.hf).__name__} does not take what "
                f"{model.anatomy.blocks}.{block - 1} gives, so these are parts of blocks, and what they give is no "
                "residual stream. Take a model whose blocks are modules of their own."
            )


@torch.no_grad()
def check_causal(model: Model) -> None:
    """Refuse a model in which tokens see those after them, by two prompts that differ in their last token.

    Captures and patches leave out what stands behind the token that is read, which must not matter.

    Args:
        model: The model as it is loaded; one that runs elsewhere is not tried.

    Raises:
        ValueError: The outputs of all earlier tokens change with the last one.
    """
    if model.remote:
        return
    ids = torch.full((2, TOKENS), model.vocab_size - 1, device=model.device)
    ids[1, -1] = model.vocab_size // 2
    with model.lock:
        gives = model.hf.get_submodule(model.anatomy.base)(input_ids=ids, use_cache=False)[0]
    apart = (gives[0, :-1] - gives[1, :-1]).abs().amax(-1)
    rounding = max(1e-4, _ROUNDING_STEPS * torch.finfo(gives.dtype).eps)
    if apart.min() > rounding * gives.abs().max():
        raise ValueError(
            f"{model.name}: in {type(model.hf).__name__} tokens see those after them. srtoolkit needs a decoder that "
            "predicts the next token from those before it; some families are one by a setting of their configuration, "
            "such as is_decoder=True."
        )


def check_points(
    model: Model, points: Any, n_contexts: int, what: str = "points"
) -> Float[Tensor, "context point d_model"]:
    """Points of the residual stream, finite, in the model's number format and on its device.

    Args:
        model: From :func:`srtoolkit.load_model`.
        points: The points of each context, to be checked.
        n_contexts: Number of contexts that ``points`` must have.
        what: Name of the argument, for error messages.

    Raises:
        TypeError: ``points`` is no tensor of real numbers.
        ValueError: ``points`` has the wrong shape, holds NaN or infinite values, or values too large for the model's
            number format.
    """
    if not isinstance(points, Tensor) or not points.is_floating_point() or points.layout != torch.strided:
        kind = f"a {points.dtype} tensor" if isinstance(points, Tensor) else type(points).__name__
        raise TypeError(f"{what}: expected a float tensor [context, point, d_model], got {kind}.")
    expected = f"[{n_contexts}, point, {model.d_model}] for {n_contexts} contexts of {model.name}"
    if points.ndim != 3 or points.shape[0] != n_contexts or points.shape[2] != model.d_model or not points.shape[1]:
        raise ValueError(f"{what}: expected shape {expected}, got {list(points.shape)}.")
    bad = int((~torch.isfinite(points)).sum())
    if bad:
        raise ValueError(f"{what}: {bad} of {points.numel()} values are NaN or infinite; points must be finite.")
    converted = points.to(model.device, model.hf.dtype)
    over = int(torch.isinf(converted).sum()) if points.dtype != converted.dtype else 0
    if over:
        raise ValueError(
            f"{what}: {over} of {points.numel()} values, up to {float(points.abs().max()):.3g}, are too large for the "
            f"{model.dtype} of {model.name}; load the model in a wider dtype, or take smaller points."
        )
    return converted


def check_position(length: int, position: Any, what: str = "position", first: int = 0) -> int:
    """The index of one of a prompt's tokens, counted from 0, after a check that it is one.

    Args:
        length: Number of tokens of the prompt.
        position: Index of a token, counted from the start, or from the end if it is negative.
        what: Name of the argument, for the error message.
        first: Least index that is allowed.

    Raises:
        ValueError: ``position`` is no whole number, or there is no such token.
    """
    number = check_whole(position, what, -(10**9), 10**9)
    found = number + length if number < 0 else number
    if not first <= found < length:
        also = f", and what lies before position {first} does not see the point" if first else ""
        raise ValueError(
            f"{what}={number}: a prompt here has {length} tokens; expected {first} to {length - 1} from its start, or "
            f"{first - length} to -1 from its end{also}."
        )
    return found
