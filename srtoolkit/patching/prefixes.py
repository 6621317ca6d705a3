"""Keys and values of a prompt's prefix, all but its last token: computed once, shared by all points of a context."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from srtoolkit.models.model import Model

#: Kinds of block, as configurations name them, in which a mask decides what a token sees.
_ATTENTION = ("full_attention", "sliding_attention", "chunked_attention")


class Unsupported(ValueError):
    """A patching method cannot run this model or context; ``"auto"`` then tries the next method."""


class Prefixes:
    """Keys and values of the prefixes of some contexts, held while batches of points need them.

    Consecutive batches mostly need the same contexts, so what the last batch had is kept and the rest is dropped: the
    memory is that of one batch's prefixes, and each is computed once however many points its context has. Where batches
    come back to contexts, some of the rest can be kept.

    Args:
        model: The model that computes the keys and values.
        context: Token ids of the contexts, two or more each; contexts that differ in the last token alone share a
            prefix.
        tokens_at_once: Most tokens in one forward pass.
        keep: Number of prefixes that are held though a batch does without some of them.
    """

    def __init__(self, model: Model, context: Int[Tensor, "context pos"], tokens_at_once: int, keep: int = 0) -> None:
        self._model, self._keep = model, keep
        self._unique, self._number = torch.unique(context[:, :-1], dim=0, return_inverse=True)
        self._at_once = max(1, tokens_at_once // self._unique.shape[1])
        self._held: list[int] = []
        self._blocks: list[tuple[Tensor, Tensor]] = []

    def of(self, contexts: Int[Tensor, " row"]) -> Cache:
        """The prefixes' keys and values for the rows of a batch, in every block; a forward pass reads them only.

        Args:
            contexts: Index of each row's context.

        Raises:
            Unsupported: The model caches something else than keys and values of all tokens.
        """
        numbers = self._number[contexts].tolist()
        self._hold(list(dict.fromkeys(numbers)))
        places = {number: place for place, number in enumerate(self._held)}
        rows = torch.tensor([places[number] for number in numbers])
        return Cache(layers=[_SharedPrefix(_rows(keys, rows), _rows(values, rows)) for keys, values in self._blocks])

    def _hold(self, wanted: list[int]) -> None:
        """Compute what is missing; of what is held keep the wanted ones, and of the others as many as may be."""
        missing = [number for number in wanted if number not in self._held]
        others = [number for number in self._held if number not in wanted]
        dropped = set(others[: max(0, len(others) - max(0, self._keep - len(wanted)))])
        if not missing and not dropped:
            return
        keep = torch.tensor([place for place, number in enumerate(self._held) if number not in dropped]).long()
        kept = [number for number in self._held if number not in dropped]
        parts = [[(keys[keep], values[keep]) for keys, values in self._blocks]] if kept else []
        self._blocks = []
        for start in range(0, len(missing), self._at_once):
            parts.append(keys_and_values(self._model, self._unique[missing[start : start + self._at_once]]))
        self._held = kept + missing
        if len(parts) == 1:
            (self._blocks,) = parts
            return
        while parts[0]:  # block by block, so that little is held twice
            block = [part.pop(0) for part in parts]
            self._blocks.append((torch.cat([keys for keys, _ in block]), torch.cat([values for _, values in block])))


def _rows(held: Float[Tensor, "context head pos d_head"], rows: Int[Tensor, " row"]) -> Tensor:
    """One prefix a row, without a copy where that can be."""
    if len(held) == 1:
        return held.expand(len(rows), -1, -1, -1)
    return held if rows.tolist() == list(range(len(held))) else held[rows.to(held.device)]


class _SharedPrefix(DynamicLayer):
    """Keys and values of the prefix in one block, read but never appended to."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        assert self.keys is not None and self.values is not None
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


def check_side_by_side(model: Model, tokens: int) -> None:
    """Refuse to put points side by side in one sequence where some block is not plain attention to all earlier tokens.

    Args:
        model: From :func:`srtoolkit.load_model`.
        tokens: Number of tokens of the prefix and the points together.

    Raises:
        Unsupported: Some block is not; the message says what it is.
    """
    if "position_ids" not in model.forward_arguments:
        raise Unsupported("the model derives positions itself, so points cannot share one")
    config = model.hf.config.get_text_config()
    kinds = [kind for kind in getattr(config, "layer_types", None) or () if kind not in _ATTENTION]
    layers = list[Any](DynamicCache(config=config).layers)
    kinds += [type(layer).__name__ for layer in layers if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer)]
    if kinds:
        raise Unsupported(f"a block is {kinds[0]}, in which tokens side by side are not apart")
    windows = [model.attention_window, *(getattr(layer, "sliding_window", None) for layer in layers)]
    window = min((int(one) for one in windows if one), default=tokens)
    if tokens > window:
        raise Unsupported(f"a block attends to {window} tokens, and prefix and points are {tokens}")


def check_one_rope(model: Model, past: int, length: int) -> None:
    """Refuse to run a prompt in parts where its last tokens have other rotary factors than its prefix would have alone.

    Args:
        model: From :func:`srtoolkit.load_model`.
        past: Number of tokens that run by themselves.
        length: Number of tokens of the prompt.

    Raises:
        Unsupported: They have; the message says from which length on.
    """
    config = model.hf.config.get_text_config()
    ropes = getattr(config, "rope_parameters", None) or {}
    for rope in (ropes, *(one for one in ropes.values() if isinstance(one, dict))):
        kind, most = rope.get("rope_type"), getattr(config, "max_position_embeddings", None)
        change = rope.get("original_max_position_embeddings") or getattr(
            config, "original_max_position_embeddings", most
        )
        if change and ((kind == "longrope" and past <= change < length) or (kind == "dynamic" and change < length)):
            raise Unsupported(f"its rotary factors change behind {change} tokens, and the prompt has {length}")


class _Enough(Exception):
    """The last block has its keys and values; nothing behind them is needed."""


def keys_and_values(model: Model, ids: Int[Tensor, "context pos"]) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of some tokens in every block, ``[context, head, pos, d_head]`` each.

    The forward pass ends once the last block has computed its keys and values, before its attention and MLP.

    Args:
        model: From :func:`srtoolkit.load_model`.
        ids: Token ids of the prefixes.

    Raises:
        Unsupported: The model caches something else than keys and values of all tokens.
    """
    cache = DynamicCache(config=model.hf.config.get_text_config())
    if len(cache.layers) != model.n_layers:
        raise Unsupported(f"its cache has {len(cache.layers)} layers for {model.n_layers} blocks")
    last: Any = cache.layers[-1]

    def update_and_end(*arguments: Any, **options: Any) -> None:
        type(last).update(last, *arguments, **options)
        raise _Enough

    last.update = update_and_end
    try:
        with contextlib.suppress(_Enough):
            model.hf.get_submodule(model.anatomy.base)(input_ids=ids, past_key_values=cache, use_cache=True)
    finally:
        del last.update  # which refers to ``last``: a cycle would keep the keys until Python's collector runs
    found = []
    for layer in list[Any](cache.layers):
        keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
        if keys is None or values is None or keys.shape[-2] != ids.shape[1]:
            raise Unsupported(f"a block keeps {type(layer).__name__}, not the keys and values of all its tokens")
        found.append((keys, values))
    return found


def sees_prefix_and_itself(k: int, past: int, like: Tensor, each: int = 1) -> Float[Tensor, "1 1 pos key"]:
    """Additive attention mask of points side by side, and of the tokens that follow each.

    It is 0 for the prefix, the point itself and what has followed it so far, and the lowest number for the others.

    Args:
        k: Number of points in the sequence.
        past: Number of tokens of the prefix.
        like: A tensor whose number format and device the mask takes.
        each: Number of tokens of each point, with itself.
    """
    n = k * each
    point = torch.arange(n, device=like.device) // each
    seen = (point[:, None] == point) & torch.ones(n, n, dtype=torch.bool, device=like.device).tril()
    among = like.new_zeros(n, n).masked_fill(~seen, torch.finfo(like.dtype).min)
    return torch.cat([among.new_zeros(n, past), among], dim=1)[None, None]


def sees_what_came_before(past: int, k: int, like: Tensor) -> Float[Tensor, "1 1 pos key"]:
    """Additive attention mask of the prefix's own tokens: each attends to itself and those before it, to no point.

    Args:
        past: Number of tokens of the prefix.
        k: Number of points after them in the sequence.
        like: A tensor whose number format and device the mask takes.
    """
    lowest = torch.finfo(like.dtype).min
    return torch.full((past, past + k), lowest, dtype=like.dtype, device=like.device).triu(1)[None, None]


def copied_cache(model: Model, ids: Int[Tensor, "context pos"], rows: Int[Tensor, " row"]) -> Cache:
    """The model's cache of some prefixes, with one copy for each row, which a forward pass may extend.

    Args:
        model: From :func:`srtoolkit.load_model`.
        ids: Token ids of the prefixes.
        rows: Index of each row's context.

    Raises:
        Unsupported: The model caches something that cannot be copied.
    """
    unique, number = torch.unique(ids, dim=0, return_inverse=True)
    cache = model.hf.get_submodule(model.anatomy.base)(input_ids=unique, use_cache=True).past_key_values
    check_copied(cache)
    for (
        layer
    ) in cache.layers:  # what beam search does: a row of keys, values and states for each index, wherever they are
        layer.reorder_cache(number[rows])
    return cache


def check_copied(cache: Any) -> None:
    """Refuse to copy a model's cache of a prefix where some block caches something that cannot be copied.

    Args:
        cache: The model's cache.

    Raises:
        Unsupported: Some block does; the message says what it caches.
    """
    others = [type(layer).__name__ for layer in cache.layers if not hasattr(layer, "reorder_cache")]
    if others:
        raise Unsupported(f"a block keeps {others[0]}, which cannot be copied for each point")
