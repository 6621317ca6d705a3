"""Reading and replacing the residual stream at the last position: ``capture`` and ``patch``, the paper's ``F_p``.

Only the last position is ever replaced, so everything before it is the same for all points of one context. The three
methods differ in how much of that they reuse:

``"full"``
    Every point runs the whole prompt. Slow, and right for every architecture: the yardstick of the other two.
``"prefix"``
    Keys and values of the prefix are computed once per context; every point is a sequence of one token that continues a
    copy of them, and starts after block ``layer``.
``"parallel"``
    As ``"prefix"``, but the points of a context are the tokens of *one* sequence, all at the same position, and a mask
    lets each see the prefix and itself. Nothing is copied, and every matrix product has (contexts x points) rows.

``"auto"`` takes the fastest that gives what ``"full"`` gives, on the very model and context at hand.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nnsight
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from srtoolkit import remote
from srtoolkit.batching import PARALLEL_POINTS, Reads, in_batches, points_that_fit
from srtoolkit.checks import check_gates, check_layer, check_names, check_points, check_tokens
from srtoolkit.models import Model

logger = logging.getLogger(__name__)

#: What can be read of the last position: the residual stream after the last block, the same after the final norm (what
#: the paper's scripts read), the next-token logits and log-probabilities.
READS = ("resid", "final_norm", "logits", "logprobs")

#: Read point beside ``READS``: the MLP's pre-activations in every block behind the patch, one block after the other.
GATES = "gates"
METHODS = ("parallel", "prefix", "full")

#: Largest difference, relative to the largest value, at which a method counts as agreeing with the full path.
AGREEMENT = {"float64": 1e-8, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


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


class Unsupported(Exception):
    """A model cannot be run by a fast method; ``"auto"`` then tries the next."""


@torch.no_grad()
def capture(model: Model, tokens: Int[Tensor, "prompt pos"], layer: int = 0) -> Float[Tensor, "prompt d_model"]:
    """Residual stream after block ``layer`` at the last position, in the model's activation units.

    Args:
        model: From :func:`srtoolkit.load_model`.
        tokens: Token ids, prompts of one length.
        layer: Block whose output is read; 0 is the paper's "after the first layer".

    Raises:
        ValueError: Empty or too long prompts, ids outside the vocabulary, no such block.
    """
    tokens, layer = check_tokens(model, tokens), check_layer(model, layer)
    rows = points_that_fit(model, "full", tokens.shape[1], 1, ())
    with model.lock:
        if model.remote:
            return remote.captured(model, tokens.split(max(1, rows)), layer)
        captured = torch.cat([_capture(model, batch, layer) for batch in tokens.split(max(1, rows))])
    return captured.to(model.device)  # a device_map may have put the block on another


@torch.no_grad()
def patch(
    model: Model,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    layer: int = 0,
    read: str | tuple[str, ...] = "final_norm",
    method: str = "auto",
) -> Float[Tensor, "context point width"] | dict[str, Float[Tensor, "context point width"]]:
    """``F_p(X)``: what the model makes of ``X`` in place of the residual stream after block ``layer``, last position.

    All earlier positions keep the context's own activations. Janiak et al. 2024, Section 3; the paper's scripts read
    ``"final_norm"``.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the prompts p, of one length; the last token's own activation is what gets replaced.
        points: The X to put in, any number for each context.
        layer: Block whose output is replaced.
        read: One of ``READS`` or ``GATES``, or several: all come from one pass.
        method: One of ``METHODS``, or ``"auto"``; ``"full"`` is all there is for a model that runs remotely.

    Returns:
        The tensor read, float32 or wider, on the model's device; a dict of them when ``read`` is a tuple.

    Raises:
        ValueError: Bad tokens, block, points, read point or method; said before the model runs.
        RemoteError: A method that cannot run remotely, or a server that cannot be reached.
    """
    context, layer = check_tokens(model, context, "context"), check_layer(model, layer)
    reads = check_names(read, (*READS, GATES), "read")
    if GATES in reads:
        check_gates(model, layer)
    (method,) = check_names(method, (*METHODS, "auto"), "method")
    remote.check_method(model, method)
    points = check_points(model, points, len(context)).to(model.device, model.hf.dtype)
    with model.lock:
        if method == "auto":
            method = choose_method(model, context, points.shape[1]).method
        out = _run(model, method, context, points, layer, reads)
    out = {name: values.to(model.device) for name, values in out.items()}
    return out[reads[0]] if isinstance(read, str) else out


def choose_method(model: Model, context: Int[Tensor, "context pos"], n_points: int = 1) -> Choice:
    """The fastest method that agrees with the full path on three points of ``context``; checked once per kind of
    context.

    Contexts are of one kind when they have the same answer to two questions: is there a prefix at all, and does local
    attention reach over all of it?
    """
    if model.remote:
        return Choice("full", "the others hold keys and values here, and the model runs elsewhere.", 0.0)
    window = model.attention_window
    length = context.shape[1]
    local = window is not None and length - 1 + min(n_points, PARALLEL_POINTS) > window
    kind = (length > 1, local)
    with model.lock:
        if kind not in model.methods:
            model.methods[kind] = _choose(model, context[:1], METHODS[1:] if local else METHODS)
            choice = model.methods[kind]
            slower = choice.method != METHODS[0]
            logger.log(
                logging.WARNING if slower else logging.INFO,
                "%s: patching by %r: %s",
                model.name,
                choice.method,
                choice.why,
            )
    return model.methods[kind]


def _choose(model: Model, context: Tensor, candidates: tuple[str, ...]) -> Choice:
    """Try ``candidates`` in order against the full path, at block 0, on an activation and two points around it."""
    own = _capture(model, context, 0)
    noise = torch.randn(2, model.d_model, generator=torch.Generator().manual_seed(0)).to(own)
    around = own + 0.5 * own.norm() * noise / noise.norm(dim=-1, keepdim=True)
    points = torch.cat([own, around])[None]
    expected = _run(model, "full", context, points, 0, ("final_norm",))["final_norm"]
    refused = "" if candidates[0] == METHODS[0] else f"{METHODS[0]!r} cannot follow local attention here; "
    for method in candidates[:-1]:
        try:
            found = _run(model, method, context, points, 0, ("final_norm",))["final_norm"]
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


def _run(model: Model, method: str, context: Tensor, points: Tensor, layer: int, reads: tuple[str, ...]) -> Reads:
    """One method over all contexts and points, in batches that fit the memory budget."""
    forward: Callable[..., Reads] = {"full": _full, "prefix": _prefix, "parallel": _parallel}[method]
    per_batch = points_that_fit(model, method, context.shape[1], points.shape[1], reads)
    if model.remote:
        return _derive(remote.patched(model, context, points, layer, reads, per_batch), reads)

    def run_batch(rows: Tensor, batch: Tensor) -> Reads:
        return _derive(forward(model, context[rows], batch, layer, reads), reads)

    return in_batches(run_batch, points, per_batch, PARALLEL_POINTS, on_shrink=lambda: _shrink(model))


def _shrink(model: Model) -> None:
    model.memory_budget //= 2
    logger.warning("%s: out of memory; batches are now bounded by %.0f MB.", model.name, model.memory_budget / 1e6)


# --- the three methods: contexts [row, pos], points [row, point, d_model] -> what was read, [row, point, width]
# ---------------


def _full(model: Model, context: Tensor, points: Tensor, layer: int, reads: tuple[str, ...]) -> Reads:
    rows, k = points.shape[:2]
    ids = context.repeat_interleave(k, dim=0)
    options = {"logits_to_keep": 1} if "logits_to_keep" in model.forward_arguments and _wants_logits(reads) else {}
    out = _trace(
        model,
        {"input_ids": ids, "use_cache": False, **options},
        points.flatten(0, 1)[:, None],
        layer,
        reads,
        skip=False,
    )
    return {name: value[:, -1].unflatten(0, (rows, k)) for name, value in out.items()}


def _prefix(model: Model, context: Tensor, points: Tensor, layer: int, reads: tuple[str, ...]) -> Reads:
    rows, k = points.shape[:2]
    inputs: dict[str, Any] = {"input_ids": context[:, -1:].repeat_interleave(k, dim=0), "use_cache": True}
    if context.shape[1] > 1:
        unique, row_of = torch.unique(context, dim=0, return_inverse=True)
        cache = copy.deepcopy(_prefix_cache(model, unique[:, :-1]))
        cache.batch_select_indices(row_of.repeat_interleave(k).cpu())  # its layers may be on several devices
        inputs["past_key_values"] = cache
    out = _trace(model, inputs, points.flatten(0, 1)[:, None], layer, reads, skip=True)
    return {name: value[:, -1].unflatten(0, (rows, k)) for name, value in out.items()}


def _parallel(model: Model, context: Tensor, points: Tensor, layer: int, reads: tuple[str, ...]) -> Reads:
    if "position_ids" not in model.forward_arguments:
        raise Unsupported("the model derives positions itself, so points cannot share one")
    rows, k = points.shape[:2]
    past = context.shape[1] - 1
    inputs: dict[str, Any] = {
        "input_ids": context[:, -1:].expand(rows, k),
        "position_ids": torch.full((rows, k), past, device=context.device),
        "attention_mask": _each_sees_prefix_and_itself(k, past, points).expand(rows, 1, k, past + k),
        "use_cache": past > 0,
    }
    if past:
        unique, row_of = torch.unique(context, dim=0, return_inverse=True)
        inputs["past_key_values"] = _shared(_prefix_cache(model, unique[:, :-1]), row_of, past)
    return _trace(model, inputs, points, layer, reads, skip=True)


class _SharedPrefix(DynamicLayer):
    """Keys and values of the prefix in one block, read but never appended to."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        assert self.keys is not None and self.values is not None
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


def _shared(cache: Cache, row_of: Tensor, past: int) -> Cache:
    """The prefix cache with row ``i`` holding what context ``row_of[i]`` has; refuses caches that are not all keys."""
    layers: list[Any] = []
    for layer in list[Any](cache.layers):
        keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
        if keys is None or values is None or keys.shape[-2] != past:
            raise Unsupported(f"a block keeps {type(layer).__name__}, not the keys and values of all {past} tokens")
        row_of = row_of.to(keys.device)
        layers.append(_SharedPrefix(keys[row_of], values[row_of]))
        layer.keys = layer.values = None  # as large as all activations together: not to be held twice
    return Cache(layers=layers)


def _each_sees_prefix_and_itself(k: int, past: int, like: Tensor) -> Float[Tensor, "1 1 point key"]:
    """Additive attention mask: 0 where a point may look (prefix, itself), the lowest number where it may not."""
    lowest = torch.finfo(like.dtype).min
    among = torch.full((k, k), lowest, dtype=like.dtype, device=like.device).fill_diagonal_(0)
    return torch.cat([among.new_zeros(k, past), among], dim=1)[None, None]


# --- the only places where nnsight traces run
# -------------------------------------------------------------------------------- Each trace is of the base model where
# it can be, so the unembedding runs only for those who read logits, and never uses tracer.stop(), whose exception keeps
# every tensor of the pass alive until Python's cyclic collector runs.


def _trace(
    model: Model, inputs: dict[str, Any], points: Tensor, layer: int, reads: tuple[str, ...], *, skip: bool
) -> Reads:
    """Run ``inputs`` with ``points`` [row, pos, d_model] as the residual stream after block ``layer``.

    With ``skip`` blocks 0 to ``layer`` do not run and ``points`` stand for all positions; else they replace the last
    one.
    """
    whole = _wants_logits(reads)
    root = model.nn if whole else model.nn.get(model.anatomy.base)
    blocks, norm = model.nn.get(model.anatomy.blocks), model.nn.get(model.anatomy.final_norm)
    starts = [_as_block_output(points, n) for n in model.blocks_return_tuples[: layer + 1]] if skip else []
    tail = slice(None) if skip else slice(-1, None)
    with root.trace(**inputs):
        found = nnsight.save({})
        for block, start in zip(blocks, starts, strict=False):
            block.skip(start)
        if not skip:
            _resid(blocks[layer].output)[:, -1:] = points
        if GATES in reads:
            maps = [block.get(model.anatomy.gate) for block in list(blocks)[layer + 1 :]]
            read = [_gate(model, gate.output, len(points))[:, tail].to(points.device) for gate in maps]
            found[GATES] = torch.cat(read, dim=-1)
        if "resid" in reads:
            found["resid"] = _resid(blocks[-1].output)[:, tail].clone()
        if "final_norm" in reads:
            found["final_norm"] = norm.output[:, tail].clone()
        if whole:
            found["logits"] = root.output.logits[:, tail]
    return dict(found)


def _capture(model: Model, tokens: Tensor, layer: int) -> Float[Tensor, "prompt d_model"]:
    """Residual stream after block ``layer`` at the last position; blocks behind it are skipped."""
    blocks = model.nn.get(model.anatomy.blocks)
    lengths = model.blocks_return_tuples
    with model.nn.get(model.anatomy.base).trace(input_ids=tokens, use_cache=False):
        reached = _resid(blocks[layer].output)
        captured = nnsight.save(reached[:, -1].clone())
        for index in range(layer + 1, len(lengths)):
            blocks[index].skip(_as_block_output(reached, lengths[index]))
    return captured


def _prefix_cache(model: Model, ids: Int[Tensor, "context pos"]) -> Cache:
    """Keys and values of ``ids`` in every block."""
    with model.nn.get(model.anatomy.base).trace(input_ids=ids, use_cache=True):
        cache = nnsight.save(model.nn.get(model.anatomy.base).output.past_key_values)
    return cache  # noqa: RET504  what is saved has its value only after the trace


def _resid(output: Tensor | tuple[Tensor | None, ...]) -> Tensor:
    """The residual stream in a block's output: GPT-Neo, GPT-J, Bloom and Falcon return it as the first of a tuple."""
    stream = output if isinstance(output, Tensor) else output[0]
    assert stream is not None
    return stream


def _gate(model: Model, output: Tensor, rows: int) -> Float[Tensor, "row pos gate"]:
    """The gate in the output of its map, which OPT flattens over rows and positions."""
    width = output.shape[-1] // (2 if model.anatomy.gate_is_fused else 1)
    return output.reshape(rows, -1, output.shape[-1])[..., :width]


def _as_block_output(points: Tensor, length: int) -> Tensor | tuple[Tensor | None, ...]:
    """``points`` in the form that a block returns: a tensor, or the first of a tuple of ``length``."""
    return (points, *(None,) * (length - 1)) if length else points


def _wants_logits(reads: tuple[str, ...]) -> bool:
    return "logits" in reads or "logprobs" in reads


def _derive(found: Reads, reads: tuple[str, ...]) -> Reads:
    """What was asked for, in float32 or wider and in the order asked."""
    wide = {name: value.float() if value.dtype.itemsize < 4 else value for name, value in found.items()}
    if "logprobs" in reads:
        wide["logprobs"] = torch.log_softmax(wide["logits"], dim=-1)
    return {name: wide[name] for name in reads}
