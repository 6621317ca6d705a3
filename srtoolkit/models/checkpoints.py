"""Which checkpoints of its training a model has, by the tokens that each has seen."""

from __future__ import annotations

from collections.abc import Sequence

from srtoolkit.models.sources import find_source
from srtoolkit.validation import check_number, listed


def checkpoints(name: str, near: Sequence[float] | None = None) -> dict[str, float]:
    """Number of training tokens that each checkpoint of a model has seen, by revision, earliest first.

    Args:
        name: A model of the nano suite, or a repository on the hub whose branches are named ``step<n>-tokens<n>B``, as
            OLMo's are; there the number of tokens is as exact as the name.
        near: Numbers of training tokens; only the checkpoints nearest to them are returned. Where ``None``, all are.

    Raises:
        TypeError: ``name`` is no string.
        ValueError: The model has no checkpoints, or its repository cannot be reached.
    """
    if not isinstance(name, str):
        raise TypeError(f"name={name!r}: expected the name of a model as a string.")
    wanted = None if near is None else [check_number(tokens, "near", 0.0) for tokens in listed(near) or [near]]
    found = dict(sorted(find_source(name).checkpoints().items(), key=lambda item: item[1]))
    if wanted is None:
        return found
    nearest = {min(found, key=lambda revision: abs(found[revision] - tokens)) for tokens in wanted}
    return {revision: tokens for revision, tokens in found.items() if revision in nearest}
