"""What a model writes once a point has been put in: later tokens attend to the patched stream, as to any other."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache

from srtoolkit.models.checks import check_position
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import PARALLEL_POINTS, Progress, in_batches, is_out_of_memory, named
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.methods.method import Batch
from srtoolkit.patching.passes import logits_at, trace
from srtoolkit.patching.prefixes import copied_cache
from srtoolkit.patching.reads import Readout, Reads
from srtoolkit.patching.remote_passes import patch_there
from srtoolkit.patching.trial import AGREEMENT

#: Picks the next token of every point from its logits; takes the logits, the index of each row's context, and the
#: number of tokens that are written already.
Pick = Callable[[Float[Tensor, "row point d_vocab"], Int[Tensor, " row"], int], Int[Tensor, "row point"]]


def write_on(
    model: Model,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    *,
    layer: int,
    position: int,
    tokens: int,
    pick: Pick,
    progress: Progress | None = None,
) -> Reads:
    """The tokens that follow each context when each point is put into it, and their log-probabilities in nats.

    Keys and values of the patched pass are kept, and every new token continues them. Where a model keeps something
    else, or what it keeps does not give what whole prompts give, all tokens run again for each new one.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the contexts, checked.
        points: Points that replace the residual stream after the block, checked.
        layer: Block whose output is replaced.
        position: Which token's activation is replaced.
        tokens: Number of tokens to write.
        pick: Function that chooses the next token.
        progress: Called after each batch with the number of points done and that of all points.

    Returns:
        ``token``, ``[context, point, tokens]`` ids, which go on behind an end-of-text token; ``logprob``, the same.
    """
    length = context.shape[1]
    behind = length - 1 - check_position(length, position)
    readout = Readout(("logits",), layer, behind=behind)
    fit = METHODS["prefix"].points_that_fit(model, length + tokens, points.shape[1], readout)
    with model.lock, named():
        kept = _keeps_a_cache(model, context, points, readout)
        next_logits = functools.partial(_by_cache if kept else _by_whole_prompts, model)

        def run(rows: Tensor, some: Tensor) -> Reads:
            return _write(Batch(rows, context[rows], some, readout), tokens, next_logits, pick)

        return in_batches(run, points, fit, PARALLEL_POINTS, progress=progress)


#: Gives the logits behind the tokens written so far, and what is kept for the next time.
_Next = Callable[[Batch, Int[Tensor, "row point _pos"], Any], tuple[Float[Tensor, "row point d_vocab"], Any]]


def _write(batch: Batch, tokens: int, next_logits: _Next, pick: Pick) -> Reads:
    """One batch, token by token."""
    rows, k = batch.points.shape[:2]
    written, kept = torch.empty(rows, k, 0, dtype=torch.long, device=batch.context.device), None
    logprobs = []
    for number in range(tokens):
        logits, kept = next_logits(batch, written, kept)
        chosen = pick(logits, batch.rows, number)[..., None]
        logprobs.append(logits.float().log_softmax(-1).gather(-1, chosen))
        written = torch.cat([written, chosen.to(written)], dim=-1)
    return {"token": written, "logprob": torch.cat(logprobs, dim=-1)}


def _by_cache(
    model: Model, batch: Batch, written: Int[Tensor, "row point _pos"], cache: Cache | None
) -> tuple[Float[Tensor, "row point d_vocab"], Cache]:
    """Logits from keys and values that are kept: at first the patched pass's, then also those of what is written."""
    rows, k = batch.points.shape[:2]
    if cache is not None:
        options = logits_at(model, batch.readout, 1, slice(-1, None))
        out = model.hf(input_ids=written[..., -1].flatten()[:, None], past_key_values=cache, use_cache=True, **options)
        return out.logits[:, -1].unflatten(0, (rows, k)), cache
    ids, past, last = batch.context, batch.past, slice(-1, None)
    if past:
        each = torch.arange(rows, device=ids.device).repeat_interleave(k)
        cache = copied_cache(model, ids[:, :past], each)
    else:
        cache = DynamicCache(config=model.hf.config.get_text_config())
    inputs: dict[str, Any] = {
        "input_ids": ids[:, past:].repeat_interleave(k, dim=0),
        "past_key_values": cache,
        "use_cache": True,
    } | logits_at(model, batch.readout, ids.shape[1] - past, last)
    out = trace(model, inputs, batch.points.flatten(0, 1)[:, None], batch.readout, skip=False, at=last)
    return out["logits"][:, -1].unflatten(0, (rows, k)), cache


def _by_whole_prompts(
    model: Model, batch: Batch, written: Int[Tensor, "row point _pos"], _: None
) -> tuple[Float[Tensor, "row point d_vocab"], None]:
    """Logits of the whole prompt and all that is written, with the point put in where it was."""
    rows, k = batch.points.shape[:2]
    grown = torch.cat([batch.context[:, None].expand(-1, k, -1), written], dim=-1).flatten(0, 1)
    points = batch.points.flatten(0, 1)[:, None]
    readout = batch.readout._replace(behind=batch.readout.behind + written.shape[-1])
    if model.remote:
        at_once = max(1, METHODS["full"].points_that_fit(model, grown.shape[1], 1, readout))
        logits = patch_there(model, grown, points, readout, at_once)["logits"]
    else:
        logits = METHODS["full"].run(model, grown, points, readout)["logits"]
    return logits[:, 0].unflatten(0, (rows, k)), None


def _keeps_a_cache(
    model: Model,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    readout: Readout,
) -> bool:
    """Whether a model's cache gives what whole prompts give; tried with one point of one context, for two tokens."""
    if model.remote:
        return False
    batch = Batch(torch.zeros(1, dtype=torch.long), context[:1], points[:1, :1], readout)
    written, cache = torch.empty(1, 1, 0, dtype=torch.long, device=context.device), None
    try:
        METHODS["prefix"].check(model, context.shape[1] + 1, 1, readout)
        for _ in range(2):
            logits, cache = _by_cache(model, batch, written, cache)
            written = torch.cat([written, logits.argmax(-1, keepdim=True)], dim=-1)
    except Exception as error:  # families fail in their own ways; whatever it is, whole prompts still work
        if is_out_of_memory(error):
            raise
        return False
    expected, _ = _by_whole_prompts(model, batch, written[..., :1], None)
    return bool((logits - expected).abs().max() <= AGREEMENT[model.dtype] * expected.abs().max())
