"""Lengths at which a model changes what it does, by its own configuration, and where contexts lie among them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from srtoolkit.patching.methods.method import Contexts, rows_for

#: Names under which configurations keep lengths: ``sliding_window``, ``original_max_position_embeddings``,
#: ``attention_chunk_size``, ``floor_scale``, ``index_topk`` and the like; not those that count layers or sizes.
_LENGTH = re.compile(r"window|chunk|position|seq|length|context|block_size|floor_scale|topk", re.IGNORECASE)
_NO_LENGTH = re.compile(r"layers|experts|^moe|type|dim", re.IGNORECASE)


def length_class(config: Any, contexts: Contexts) -> tuple[int, ...]:
    """Where contexts lie among the lengths at which a model changes: contexts of one class are treated alike.

    What counts is the number of tokens before the point, up to it, up to the end, and with all points beside it in one
    sequence, in multiples of each length. A window of some tokens may count one more or one less, so the numbers beside
    a multiple have classes of their own.

    Args:
        config: The decoder's transformers configuration.
        contexts: The lengths of the contexts and their number of points.
    """
    _, in_one = rows_for(contexts.n_points, contexts.behind)
    beside = contexts.past + in_one * (1 + contexts.behind)
    ends = (contexts.past, contexts.past + 1, contexts.length, beside)
    changes = sorted(set(lengths_of_change(vars(config))))
    return tuple((end + near) // change for change in changes for end in ends for near in (-1, 0, 1))


def lengths_of_change(settings: dict[str, Any]) -> Iterator[int]:
    """Numbers of tokens that a configuration names, such as the width of an attention window.

    Args:
        settings: The configuration's settings by name; those in dicts within count as well.
    """
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from lengths_of_change({str(key): one for key, one in value.items()})
        elif type(value) is int and value > 1 and _LENGTH.search(name) and not _NO_LENGTH.search(name):
            yield value
