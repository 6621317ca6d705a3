"""The passes that a call makes through a model, and what each costs in matrix products; no weights are needed.

A token costs a multiplication and an addition for each weight of the maps it goes through, and, in attention, twice the
query width for each key it is compared with: once for the scores, once for the values.
"""

from __future__ import annotations

from srtoolkit.costs.architecture import Architecture
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.methods.method import Pass


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
    how = METHODS[method]
    needed = how.tokens_needed(length, layer, model.n_layers)
    return how.passes(model.n_layers, contexts, needed, points, layer, logits=logits)


def choosing(model: Architecture, length: int, method: str) -> list[Pass]:
    """Passes by which ``"auto"`` holds its method against the full path, on one context and three points.

    Args:
        model: Whose blocks they go through.
        length: Tokens of the context.
        method: What it settles on.
    """
    fast = patching(model, 1, length, 3, 0, logits=False, method=method) if method != "full" else []
    return [*capturing(1, length, 0), *patching(model, 1, length, 3, 0, logits=False, method="full"), *fast]
