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

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nnsight
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from transformers.cache_utils import Cache

from srtoolkit import remote
from srtoolkit.batching import PARALLEL_POINTS, Reads, in_batches, named, points_that_fit, tokens_that_fit
from srtoolkit.checks import check_gates, check_layer, check_names, check_points, check_tokens
from srtoolkit.models import Model
from srtoolkit.prefixes import Prefixes, Unsupported, copied_cache, sees_prefix_and_itself

logger = logging.getLogger(__name__)

#: What can be read of the last position: the residual stream after the last block, the same after the final norm (what
#: the paper's scripts read), the next-token logits and log-probabilities.
READS = ("resid", "final_norm", "logits", "logprobs")

#: Read points beside ``READS``: the MLP's pre-activations in every block behind the patch, one block after the other,
#: and whether each is above 0.
GATES, OPEN_GATES = "gates", "open_gates"
METHODS = ("parallel", "prefix", "full")

#: Largest difference, relative to the largest value, at which a method counts as agreeing with the full path.
AGREEMENT = {"float64": 1e-8, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


HALVES = (torch.float16, torch.bfloat16)


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
    reduce: Callable[[Reads], Reads] | None = None,
) -> Shaped[Tensor, "context point width"] | dict[str, Shaped[Tensor, "context point _width"]]:
    """``F_p(X)``: what the model makes of ``X`` in place of the residual stream after block ``layer``, last position.

    All earlier positions keep the context's own activations. Janiak et al. 2024, Section 3; the paper's scripts read
    ``"final_norm"``.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the prompts p, of one length; the last token's own activation is what gets replaced.
        points: The X to put in, any number for each context.
        layer: Block whose output is replaced.
        read: One of ``READS``, ``GATES`` and ``OPEN_GATES``, or several: all come from one pass.
        method: One of ``METHODS``, or ``"auto"``; ``"full"`` is all there is for a model that runs remotely.
        reduce: Makes less of what a batch has read, before it is kept: takes and gives a dict of tensors ``[row, point,
            width]``, whose points each stand for themselves. So logits over 50,000 tokens need not be held for all
            points when only the largest matter.

    Returns:
        The tensor read, float32 or wider (``OPEN_GATES``: bool), on the model's device; a dict of them when ``read`` is
        a tuple; what ``reduce`` makes of it, as a dict, where there is one.

    Raises:
        ValueError: Bad tokens, block, points, read point or method; said before the model runs.
        RemoteError: A method that cannot run remotely, or a server that cannot be reached.
    """
    context, layer = check_tokens(model, context, "context"), check_layer(model, layer)
    reads = check_names(read, (*READS, GATES, OPEN_GATES), "read")
    if {GATES, OPEN_GATES} & set(reads):
        check_gates(model, layer)
    (method,) = check_names(method, (*METHODS, "auto"), "method")
    remote.check_method(model, method)
    points = check_points(model, points, len(context))
    with model.lock, named():
        if method == "auto":
            method = choose_method(model, context, points.shape[1]).method
        out = _run(model, method, context, points, layer, reads, reduce)
    out = {name: values.to(model.device) for name, values in out.items()}
    return out[reads[0]] if isinstance(read, str) and reduce is None else out


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
            choice = _choose(model, context[:1], METHODS[1:] if local else METHODS)
            if choice.difference != choice.difference:  # NaN: this context overflows, and the next may not
                return choice
            model.methods[kind] = choice
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
    if not expected.isfinite().all():
        return Choice("full", "outputs are NaN or infinite here, so nothing can be compared.", float("nan"))
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


def _run(
    model: Model,
    method: str,
    context: Tensor,
    points: Tensor,
    layer: int,
    reads: tuple[str, ...],
    reduce: Callable[[Reads], Reads] | None = None,
) -> Reads:
    """One method over all contexts and points, in batches that fit the memory budget."""
    length = context.shape[1]
    per_batch = points_that_fit(model, method, length, points.shape[1], reads)
    if model.remote:
        asked = tuple(dict.fromkeys(GATES if name == OPEN_GATES else name for name in reads))
        found = _derive(remote.patched(model, context, points, layer, asked, per_batch), reads)
        return found if reduce is None else reduce(found)
    if method == "parallel" and "position_ids" not in model.forward_arguments:
        raise Unsupported("the model derives positions itself, so points cannot share one")
    shared = method == "parallel" and length > 1
    prefixes = Prefixes(model, context, tokens_that_fit(model)) if shared else None

    def run_batch(rows: Tensor, batch: Tensor) -> Reads:
        if method == "parallel":
            shared_by = prefixes.of(rows) if prefixes else None
            found = _alone_where_not_finite(model, context[rows], batch, layer, reads, shared_by)
        else:
            found = {"full": _full, "prefix": _prefix}[method](model, context[rows], batch, layer, reads)
        found = _derive(found, reads)
        return found if reduce is None else reduce(found)

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
        each = torch.arange(rows, device=context.device).repeat_interleave(k)
        inputs["past_key_values"] = copied_cache(model, context[:, :-1], each)
    out = _trace(model, inputs, points.flatten(0, 1)[:, None], layer, reads, skip=True)
    return {name: value[:, -1].unflatten(0, (rows, k)) for name, value in out.items()}


def _alone_where_not_finite(
    model: Model, context: Tensor, points: Tensor, layer: int, reads: tuple[str, ...], prefixes: Cache | None
) -> Reads:
    """``_parallel``, but where a point of a sequence overflows, that sequence's points run each by itself.

    Else it would take the others with it: what attention masks out counts 0 times, and 0 times infinity is NaN.
    """
    found = _parallel(model, context, points, layer, tuple(dict.fromkeys((*reads, "resid"))), prefixes)
    bad = ~found["resid"].isfinite().flatten(1).all(1)
    if bad.any():
        again = _prefix(model, context[bad], points[bad], layer, reads)
        for name, values in again.items():
            found[name][bad] = values
    return found


def _parallel(
    model: Model, context: Tensor, points: Tensor, layer: int, reads: tuple[str, ...], prefixes: Cache | None
) -> Reads:
    rows, k = points.shape[:2]
    past = context.shape[1] - 1
    inputs: dict[str, Any] = {
        "input_ids": context[:, -1:].expand(rows, k),
        "position_ids": torch.full((rows, k), past, device=context.device),
        "attention_mask": sees_prefix_and_itself(k, past, points).expand(rows, 1, k, past + k),
        "use_cache": past > 0,
    }
    if prefixes is not None:
        inputs["past_key_values"] = prefixes
    return _trace(model, inputs, points, layer, reads, skip=True)


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
    behind = list(blocks)[layer + 1 :] if {GATES, OPEN_GATES} & set(reads) else []
    maps = [block.get(model.anatomy.gate) for block in behind]
    tail = slice(None) if skip else slice(-1, None)
    with root.trace(**inputs):
        found = nnsight.save({})
        for block, start in zip(blocks, starts, strict=False):
            block.skip(start)
        if not skip:
            _resid(blocks[layer].output)[:, -1:] = points
        if GATES in reads:
            read = [_gate(model, gate.output, len(points))[:, tail].to(points.device) for gate in maps]
            found[GATES] = torch.cat(read, dim=-1)
        elif OPEN_GATES in reads:
            # Block by block, so that never more than one block's pre-activations are held.
            signs = [(_gate(model, gate.output, len(points))[:, tail] > 0).to(points.device) for gate in maps]
            found[OPEN_GATES] = torch.cat(signs, dim=-1)
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
    wide = {name: value.float() if value.dtype in HALVES else value for name, value in found.items()}
    if OPEN_GATES in reads and GATES in found:
        wide[OPEN_GATES] = found[GATES] > 0
    if "logprobs" in reads:
        wide["logprobs"] = torch.log_softmax(wide["logits"], dim=-1)
    return {name: wide[name] for name in reads}
