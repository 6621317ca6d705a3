"""The forward passes that a call makes through a model, and what each costs in matrix products, without weights.

A token costs a multiplication and an addition for each weight of the maps it goes through, and, in attention, twice the
query width for each key that it attends to: once for the scores, once for the values.
"""

from __future__ import annotations

from srtoolkit.costs.architecture import Architecture
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.methods.method import Pass, rows_for


def block_flops(model: Architecture, one: Pass) -> int:
    """Floating-point operations of a pass's matrix products within blocks.

    Args:
        model: Architecture of the model.
        one: The pass.
    """
    blocks = range(one.start, one.stop)
    inside = sum(model.weights[block] + 2 * model.query_width * one.keys for block in blocks)
    return 2 * one.tokens * (inside + 2 * model.d_model * model.key_width * one.then_keys)


def logit_flops(model: Architecture, one: Pass) -> int:
    """Floating-point operations of a pass's unembedding.

    Args:
        model: Architecture of the model.
        one: The pass.
    """
    return 2 * one.logits * model.d_model * model.vocab_size


def capturing(prompts: int, length: int, layer: int) -> list[Pass]:
    """Passes that capture the residual stream of some prompts after one block.

    Args:
        prompts: Number of prompts.
        length: Number of tokens of each prompt.
        layer: Block whose output is read.
    """
    return [Pass(prompts * length, length, 0, layer + 1)]


def patching(
    model: Architecture, contexts: int, length: int, points: int, layer: int, *, logits: bool, method: str
) -> list[Pass]:
    """Passes that patch points into some contexts.

    Args:
        model: Architecture of the model.
        contexts: Number of contexts.
        length: Number of tokens of each context.
        points: Number of points of each context.
        layer: Block whose output is replaced.
        logits: Whether logits are read.
        method: Name of the patching method, one of :data:`srtoolkit.patching.methods.METHODS`.
    """
    how = METHODS[method]
    needed = how.tokens_needed(length, layer, model.n_layers)
    return how.passes(model.n_layers, contexts, needed, points, layer, logits=logits)


def choosing(model: Architecture, length: int, points: int, layer: int, method: str) -> list[Pass]:
    """Passes by which ``"auto"`` compares its method with the full path, on two contexts.

    The method runs as many points as one sequence will have, the full path three points in all, or four where a
    sequence has one.

    Args:
        model: Architecture of the model.
        length: Number of tokens of each context.
        points: Number of points of each context.
        layer: Block whose output is replaced.
        method: Name of the method that is chosen.
    """
    side_by_side = rows_for(points)[1]
    whole = patching(model, 1, length, 3 if side_by_side > 1 else 4, layer, logits=False, method="full")
    # Without attention, a single token is tried as the continuation of an empty state, which costs as much.
    another = method != "full" or (length == 1 and not model.query_width)
    fast = patching(model, 2, length, side_by_side, layer, logits=False, method=method) if another else []
    return [*capturing(2, length, layer), *whole, *fast]
