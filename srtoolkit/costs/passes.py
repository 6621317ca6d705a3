"""The passes that a call makes through a model, and what each costs in matrix products; no weights are needed.

A token costs a multiplication and an addition for each weight of the maps it goes through, and, in attention, twice the
query width for each key it is compared with: once for the scores, once for the values.
"""

from __future__ import annotations

from typing import NamedTuple

from srtoolkit.costs.architecture import Architecture
from srtoolkit.patching.batches import PARALLEL_POINTS
from srtoolkit.patching.methods import SIDE_BY_SIDE


class Pass(NamedTuple):
    """Tokens that go through some of a model's blocks together.

    Attributes:
        tokens: How many.
        keys: How many keys each is compared with.
        start: First block they go through.
        stop: The block after the last.
        logits: Of how many the logits are computed.
        then_keys: Whether the block ``stop`` makes its keys and values as well.
        again: How many of them another pass has taken through the blocks before.
    """

    tokens: int
    keys: int
    start: int
    stop: int
    logits: int = 0
    then_keys: bool = False
    again: int = 0


def block_flops(model: Architecture, one: Pass) -> int:
    """Floating-point operations of a pass's matrix products within blocks.

    Args:
        model: Whose blocks it goes through.
        one: The pass.
    """
    blocks = range(one.start, one.stop)
    inside = sum(model.weights[block] + 2 * model.query_width * one.keys for block in blocks)
    return 2 * one.tokens * (inside + 2 * model.d_model * model.key_width * one.then_keys)


def logit_flops(model: Architecture, one: Pass) -> int:
    """Floating-point operations of a pass's unembedding.

    Args:
        model: Whose unembedding it is.
        one: The pass.
    """
    return 2 * one.logits * model.d_model * model.vocab_size


def capturing(prompts: int, length: int, layer: int) -> list[Pass]:
    """Passes that capture the activation after block ``layer`` of prompts of ``length`` tokens.

    Args:
        prompts: How many.
        length: Tokens of each.
        layer: Block whose output is read.
    """
    return [Pass(prompts * length, length, 0, layer + 1)]


def patching(
    model: Architecture, contexts: int, length: int, points: int, layer: int, *, logits: bool, method: str
) -> list[Pass]:
    """Passes that patch ``points`` points into each of some contexts.

    Args:
        model: Whose blocks they go through.
        contexts: How many.
        length: Tokens of each.
        points: Points of each.
        layer: Block whose output is replaced.
        logits: Whether logits are read.
        method: One of :data:`srtoolkit.patching.methods.METHODS`.
    """
    n, last = contexts * points, model.n_layers
    if method == "full":
        return [Pass(n * length, length, 0, last, n * logits)]
    if layer == last - 1 and method in SIDE_BY_SIDE:
        length = 1  # no prefix runs where no block looks back on it
    # Points in one sequence are kept from seeing each other by a mask, and paid for all the same.
    rows = -(-points // PARALLEL_POINTS)
    beside = -(-points // rows) if method in SIDE_BY_SIDE else 1
    if method == "joint":
        before = contexts * rows * (length - 1)
        starts = [Pass(before, length - 1, 0, layer + 1)] if before else []
        return [*starts, Pass(before + n, length - 1 + beside, layer + 1, last, n * logits, again=before)]
    parallel = method == "parallel"  # nothing looks back on what the last block makes of a prefix beside its keys
    prefix = Pass(contexts * (length - 1), length - 1, 0, last - parallel, then_keys=parallel)
    return [*([prefix] if length > 1 else []), Pass(n, length - 1 + beside, layer + 1, last, n * logits)]


def choosing(model: Architecture, length: int, method: str) -> list[Pass]:
    """Passes by which ``"auto"`` holds its method against the full path, on one context and three points.

    Args:
        model: Whose blocks they go through.
        length: Tokens of the context.
        method: What it settles on.
    """
    fast = patching(model, 1, length, 3, 0, logits=False, method=method) if method != "full" else []
    return [*capturing(1, length, 0), *patching(model, 1, length, 3, 0, logits=False, method="full"), *fast]
