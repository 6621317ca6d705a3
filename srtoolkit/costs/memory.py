"""The most memory that one call on one model takes, counted from the model's configuration."""

from __future__ import annotations

import torch

from srtoolkit.costs.architecture import Architecture
from srtoolkit.costs.work import Work, passes
from srtoolkit.measures.gate_flips import GATES_AT_ONCE
from srtoolkit.measures.walk import LOGPROB_BYTES, PAIRS_AT_ONCE
from srtoolkit.models.model import MEMORY_BUDGET
from srtoolkit.models.weights import DTYPES
from srtoolkit.patching.batches import CPU_TOKENS

#: Bytes by which a process grows when any model runs: code that is imported then, and the libraries' own buffers.
OVERHEAD = 120 * 2**20


def peak_bytes(model: Architecture, item: Work, dtype: str, device: torch.device, method: str | None = None) -> int:
    """Most bytes by which the process grows when it loads a model and makes one call.

    Args:
        model: Architecture of the model.
        item: The call.
        dtype: Name of the number format.
        device: Device of the model.
        method: Name of the patching method; the one that the configuration lets expect where ``None``.
    """
    width, number = DTYPES[dtype].itemsize, 4
    weights = model.parameters * width
    every = passes(model, item, False, method)
    if not every:
        return OVERHEAD + weights
    tokens = max(one.tokens for one in every)
    gates = model.mlp_width * model.n_layers if item.call == "count_gate_flips" else 0
    logits = model.vocab_size * item.reads_logits
    per_token = width * (6 * model.d_model + 3 * model.mlp_width) + 2 * gates + 2 * number * logits
    per_batch = min(tokens, CPU_TOKENS if device.type == "cpu" else tokens)
    batch = min(per_batch * per_token, MEMORY_BUDGET)
    return OVERHEAD + weights + batch + _results(model, item, number)


def _results(model: Architecture, item: Work, number: int) -> int:
    """Bytes of what a call holds beside the pass that runs: what was read, until it is boiled down."""
    if item.call == "patch":
        width = model.d_model * (1 + len(item.reads)) + model.vocab_size * item.reads_logits
        return number * item.pairs * item.steps * width
    if item.call == "count_gate_flips":
        return 2 * min(item.pairs * item.steps * model.mlp_width * model.n_layers, GATES_AT_ONCE)
    if item.call == "slice_plane":
        return number * item.resolution**2 * 2 * model.d_model
    points = min(item.pairs, PAIRS_AT_ONCE) * item.steps
    if item.reads_logits:
        while_compared = 4 * number * item.steps * model.vocab_size
        return min(number * points * model.vocab_size, LOGPROB_BYTES) + while_compared
    return number * model.d_model * (2 * item.pairs + 2 * points)
