"""Keys and values of what comes before a prompt's last token: computed once a context, shared by all of its points."""

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
    """A model or context cannot be run by a method of patching; ``"auto"`` then tries the next."""


class Prefixes:
    """The prefixes of some contexts, held while batches of points need them.

    Consecutive batches mostly need the same contexts, so what the last batch had is kept and the rest is dropped: the
    memory is that of one batch's prefixes, and each is computed once however many points its context has.

    Args:
        model: Whose keys and values.
        context: Token ids of the contexts, of two tokens or more; those that differ in the last token alone share a
            prefix.
        tokens_at_once: Tokens in one pass.
    """

    def __init__(self, model: Model, context: Int[Tensor, "context pos"], tokens_at_once: int) -> None:
        self._model = model
        self._unique, self._number = torch.unique(context[:, :-1], dim=0, return_inverse=True)
        self._at_once = max(1, tokens_at_once // self._unique.shape[1])
        self._held: list[int] = []
        self._blocks: list[tuple[Tensor, Tensor]] = []

    def of(self, contexts: Int[Tensor, " row"]) -> Cache:
        """What the rows of a batch look back on, in every block; read by the pass, and not added to.

        Args:
            contexts: Index of each row's context.

        Raises:
            Unsupported: The model keeps something else than keys and values of all tokens.
        """
        numbers = self._number[contexts].tolist()
        self._hold(list(dict.fromkeys(numbers)))
        rows = torch.tensor([self._held.index(number) for number in numbers])
        return Cache(layers=[_SharedPrefix(_rows(keys, rows), _rows(values, rows)) for keys, values in self._blocks])

    def _hold(self, wanted: list[int]) -> None:
        """Keep the wanted ones of those held, drop the others and compute what is missing."""
        if wanted == self._held:
            return
        kept = [number for number in self._held if number in wanted]
        keep = torch.tensor([self._held.index(number) for number in kept], dtype=torch.long)
        missing = [number for number in wanted if number not in kept]
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
    """Refuse to put points side by side behind a prefix where a block does more than attend to all that came before.

    Args:
        model: Whose blocks.
        tokens: Of the prefix and the points together.

    Raises:
        Unsupported: It does; the message says what.
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


class _Enough(Exception):
    """The last block has its keys and values; nothing behind them is needed."""


def keys_and_values(model: Model, ids: Int[Tensor, "context pos"]) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of ``ids`` in every block, ``[context, head, pos, d_head]`` each.

    The pass ends where the last block has made its own, before that block's attention, MLP and all that follows.

    Args:
        model: Whose.
        ids: Token ids.

    Raises:
        Unsupported: The model keeps something else than keys and values of all tokens.
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


def sees_prefix_and_itself(k: int, past: int, like: Tensor) -> Float[Tensor, "1 1 point key"]:
    """Additive attention mask: 0 where a point may look (prefix, itself), the lowest number where it may not.

    Args:
        k: Points that share a sequence.
        past: Tokens of the prefix.
        like: Of the model's number format and device.
    """
    lowest = torch.finfo(like.dtype).min
    among = torch.full((k, k), lowest, dtype=like.dtype, device=like.device).fill_diagonal_(0)
    return torch.cat([among.new_zeros(k, past), among], dim=1)[None, None]


def sees_what_came_before(past: int, k: int, like: Tensor) -> Float[Tensor, "1 1 pos key"]:
    """Additive attention mask of the prefix's own tokens: each looks at itself and those before it, at no point.

    Args:
        past: Tokens of the prefix.
        k: Points that stand behind them.
        like: Of the model's number format and device.
    """
    lowest = torch.finfo(like.dtype).min
    return torch.full((past, past + k), lowest, dtype=like.dtype, device=like.device).triu(1)[None, None]


def copied_cache(model: Model, ids: Int[Tensor, "context pos"], rows: Int[Tensor, " row"]) -> Cache:
    """Whatever the model keeps of ``ids``, with a copy of one of its contexts for each row, to be added to.

    Args:
        model: Whose.
        ids: Token ids.
        rows: Index of each row's context.

    Raises:
        Unsupported: The model keeps something that cannot be copied.
    """
    unique, number = torch.unique(ids, dim=0, return_inverse=True)
    cache = model.hf.get_submodule(model.anatomy.base)(input_ids=unique, use_cache=True).past_key_values
    check_copied(cache)
    cache.batch_select_indices(number[rows].cpu())  # its layers may be on several devices
    return cache


def check_copied(cache: Any) -> None:
    """Refuse to copy what a model keeps of a prefix where it is something else than keys and values.

    Args:
        cache: What it keeps.

    Raises:
        Unsupported: It is; the message says what.
    """
    others = [type(layer).__name__ for layer in cache.layers if not hasattr(layer, "batch_select_indices")]
    if others:
        raise Unsupported(f"a block keeps {others[0]}, which cannot be copied for each point")
