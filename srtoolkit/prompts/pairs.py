"""Pairs of prompts: the paper's own, random ones from prose, and the user's."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from srtoolkit import reference
from srtoolkit.models.checks import check_model, check_tokens
from srtoolkit.models.model import Model
from srtoolkit.prompts import chat as chats
from srtoolkit.prompts import showing
from srtoolkit.validation import listed


@dataclass(frozen=True, repr=False)
class PromptPairs:
    """Pairs of prompts A and B, tokenised for one model. Prompts may differ in length; none is padded.

    Attributes:
        tokens_a: Token ids of each pair's prompt A, in whose context the path runs.
        tokens_b: Token ids of each pair's prompt B.
        text_a: Text of each pair's prompt A.
        text_b: Text of each pair's prompt B.
        labels: A name for each pair, unique.
        bos: Whether the token ids start with a BOS token.
        source: Where the prompts are from and how they were drawn, in words.
        document_a: Name of the document that each pair's prompt A is cut from; empty where nobody knows.
        document_b: The same of prompt B.
    """

    tokens_a: tuple[Int[Tensor, " _pos"], ...]
    tokens_b: tuple[Int[Tensor, " _pos"], ...]
    text_a: tuple[str, ...]
    text_b: tuple[str, ...]
    labels: tuple[str, ...]
    bos: bool
    source: str
    document_a: tuple[str, ...] = ()
    document_b: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sides = (self.tokens_a, self.tokens_b, self.text_a, self.text_b, self.labels)
        if any(not isinstance(side, tuple) for side in sides) or len({len(side) for side in sides}) != 1:
            raise ValueError(
                "PromptPairs: expected five tuples with one entry a pair (tokens_a, tokens_b, text_a, text_b, labels), "
                f"got {[f'{len(s)} in a tuple' if isinstance(s, tuple) else type(s).__name__ for s in sides]}."
            )
        if len(self.document_a) != len(self.document_b) or len(self.document_a) not in (0, len(self.labels)):
            raise ValueError(
                f"PromptPairs: expected document_a and document_b with one entry for each of {len(self.labels)} pairs, "
                f"or both empty, got {len(self.document_a)} and {len(self.document_b)}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: slice) -> PromptPairs:
        """The pairs of a slice.

        Args:
            key: The slice; one pair is ``pairs[i : i + 1]``.

        Raises:
            TypeError: ``key`` is not a slice.
        """
        if not isinstance(key, slice):
            raise TypeError(f"pairs[{key!r}]: expected a slice; one pair is pairs[i : i + 1].")
        cut = (self.tokens_a[key], self.tokens_b[key], self.text_a[key], self.text_b[key], self.labels[key])
        return PromptPairs(*cut, self.bos, self.source, self.document_a[key], self.document_b[key])

    @property
    def lengths_differ(self) -> tuple[bool, ...]:
        """For each pair, whether its prompts have different numbers of tokens."""
        return tuple(len(a) != len(b) for a, b in zip(self.tokens_a, self.tokens_b, strict=True))

    @property
    def last_token_only(self) -> tuple[bool, ...]:
        """For each pair, whether its prompts are the same up to the last token, and differ there."""
        both = zip(self.tokens_a, self.tokens_b, strict=True)
        return tuple(len(a) == len(b) and torch.equal(a[:-1], b[:-1]) and not torch.equal(a, b) for a, b in both)

    @property
    def same_last_token(self) -> tuple[bool, ...]:
        """For each pair, whether its prompts end in the same token: after an early block their ends are then close."""
        return tuple(
            bool(len(a) and len(b) and a[-1] == b[-1]) for a, b in zip(self.tokens_a, self.tokens_b, strict=True)
        )

    def __repr__(self) -> str:
        return showing.line(self)

    def _repr_html_(self) -> str:
        return showing.table(self)

    def swapped(self) -> PromptPairs:
        """The same pairs with A and B exchanged: the path then runs in the other prompt's context."""
        sides = (self.tokens_b, self.tokens_a, self.text_b, self.text_a)
        return PromptPairs(*sides, self.labels, self.bos, self.source, self.document_b, self.document_a)


def paper_pairs(model: Model, bos: bool = False) -> PromptPairs:
    """The paper's six pairs of prompts, which differ in the last word only: S1 to S3 similar, D1 to D3 dissimilar.

    Janiak et al. 2024, Appendices B and C. The paper's tokenizers make one token of each last word. Where this one does
    not, a warning names the pair, and results have ``last_token_only`` false for it.

    Args:
        model: The model whose tokenizer is used.
        bos: Start every prompt with the tokenizer's BOS token; the paper does not.
    """
    pairs = reference.janiak2024()["prompt_pairs"]
    names = sorted(pairs, key=lambda name: ("SD".index(name[0]), name))
    texts = [(pairs[name]["a"], pairs[name]["b"]) for name in names]
    found = _from_text(model, texts, names, bos, "Janiak et al. 2024, Appendices B and C")
    sides = zip(found.labels, found.tokens_a, found.tokens_b, found.last_token_only, strict=True)
    if other := [f"{name} ({len(a)} and {len(b)} tokens)" for name, a, b, alike in sides if not alike]:
        warnings.warn(
            f"{model.name}: in the paper, the prompts of a pair differ in the last token only; with this tokenizer, "
            f"they do not in {', '.join(other)}. Compare these with care; results have last_token_only=False for them.",
            stacklevel=2,
        )
    return found


def from_text(
    model: Model,
    pairs: Sequence[tuple[str | chats.Turns, str | chats.Turns]],
    labels: Sequence[str] | None = None,
    bos: bool = False,
    chat: bool = False,
) -> PromptPairs:
    """Pairs of prompts from your own texts, of any lengths; or from conversations, in the model's own chat format.

    Args:
        model: The model whose tokenizer is used.
        pairs: The texts (A, B) of each pair. Most tokenizers want a leading space before the first word.
        labels: A name for each pair; by default its number.
        bos: Start every prompt with the tokenizer's BOS token.
        chat: Put every prompt into the frame that the tokenizer's chat template writes; text and token ids of the
            pairs, and of every result, are those with the frame. A prompt is a text, which is the user's turn, or a
            list of turns ``{"role": "user", "content": "..."}``. After the user's turn the frame asks for an answer;
            where the last turn is the assistant's, it is the beginning of one, and the prompt ends there. A BOS token
            that the template writes gets no second by ``bos``.

    Raises:
        TypeError: A prompt is no text, nor turns where ``chat`` is true.
        ValueError: There are no pairs, a prompt is empty or too long, labels are not one for each pair and all
            different, or the tokenizer has no chat format that takes these turns.
    """
    if not check_flag(chat, "chat"):
        return _from_text(model, pairs, labels, bos, "user")
    model, bos, couples = check_model(model), check_flag(bos, "bos"), _couples(pairs)
    framed = [(chats.frame(model, a, bos), chats.frame(model, b, bos)) for a, b in couples]
    source = f"user, in the tokenizer's chat format {chats.format_name(model)}"
    found = _from_text(model, framed, labels, False, source)
    first = {int(ids[0]) for ids in (*found.tokens_a, *found.tokens_b)}
    return replace(found, bos=first == {model.tokenizer.bos_token_id})


def all_pairs(model: Model, texts: Sequence[str], bos: bool = False) -> PromptPairs:
    """Every pair of two prompts of a list, once: A is the earlier one, in whose context the path runs.

    Args:
        model: The model whose tokenizer is used.
        texts: Texts of two or more different prompts.
        bos: Start every prompt with the tokenizer's BOS token.

    Raises:
        TypeError: ``texts`` is no list of strings.
        ValueError: There are fewer than two prompts, one stands twice, or one is empty or too long.
    """
    given, texts = texts, listed(texts) or []
    if isinstance(given, str) or any(not isinstance(text, str) for text in texts):
        raise TypeError(f"texts: expected a list of strings, got {_described(given)}.")
    if len(texts) < 2 or len(set(texts)) != len(texts):
        raise ValueError(
            f"{len(texts)} prompts, {len(set(texts))} of them different: expected two or more, all different."
        )
    places = list(itertools.combinations(range(len(texts)), 2))
    pairs = [(texts[a], texts[b]) for a, b in places]
    return _from_text(model, pairs, [f"{a}-{b}" for a, b in places], bos, "user, all pairs")


def as_pairs(model: Model, pairs: PromptPairs | Sequence[tuple[str, str]]) -> PromptPairs:
    """Pairs of prompts for a model: checked where they are pairs already, else made from their texts.

    Args:
        model: The model that is to run them.
        pairs: Pairs of prompts, or a list of their texts (A, B).

    Raises:
        ValueError: There are no pairs, or a prompt does not suit the model.
    """
    if not isinstance(pairs, PromptPairs):
        return from_text(model, pairs)
    model = check_model(model)
    if not len(pairs):
        raise ValueError("no pairs: an empty PromptPairs, perhaps a slice beyond its end.")
    check_lengths(model, (*pairs.tokens_a, *pairs.tokens_b))
    return pairs


def by_length(prompts: Iterable[Int[Tensor, " _pos"]]) -> Iterator[tuple[list[int], Int[Tensor, "prompt pos"]]]:
    """Prompts of one length at a time, shortest first: their places in the list, and their token ids as one tensor.

    Args:
        prompts: Token ids of each prompt.
    """
    prompts = list(prompts)
    for length in sorted({len(ids) for ids in prompts}):
        places = [index for index, ids in enumerate(prompts) if len(ids) == length]
        yield places, torch.stack([prompts[index] for index in places])


def _from_text(
    model: Model, pairs: Sequence[tuple[Any, Any]], labels: Sequence[str] | None, bos: bool, source: str
) -> PromptPairs:
    model, bos, pairs = check_model(model), check_flag(bos, "bos"), _couples(pairs)
    if labels is None:
        labels = [str(index) for index in range(len(pairs))]
    names = tuple([] if isinstance(labels, str) else listed(labels) or [])
    if any(not isinstance(name, str) for name in names):
        raise TypeError(f"labels: expected a list of strings, got {str(labels)[:200]!r}.")
    if len(names) != len(pairs) or len(set(names)) != len(names):
        raise ValueError(f"{len(pairs)} pairs need as many different labels, got {list(names)[:10]}.")
    sides = [[model.tokenize(text, bos) for text in side] for side in zip(*pairs, strict=True)]
    for side in sides:
        check_lengths(model, side)
    text_a, text_b = zip(*pairs, strict=True)
    return PromptPairs(tuple(sides[0]), tuple(sides[1]), text_a, text_b, names, bos, source)


def _couples(pairs: Any) -> list[tuple[Any, Any]]:
    """Pairs as a list of tuples, whatever these hold."""
    _refuse_two_lists(pairs)
    couples = [] if isinstance(pairs, str) else [_couple(pair) for pair in listed(pairs) or []]
    found = [couple for couple in couples if couple is not None]
    if not found or len(found) < len(couples):
        raise ValueError(f"expected a non-empty list of (text, text) pairs, got {str(pairs)[:200]!r}.")
    return found


def _refuse_two_lists(pairs: Any) -> None:
    """Refuse all prompts A in one list and all B in another: two of each would be taken for two pairs.

    Pairs as lists in a list, as JSON has them, are left alone.
    """
    two = isinstance(pairs, list | tuple) and len(pairs) == 2 and all(isinstance(side, list | tuple) for side in pairs)
    if not two or any(not isinstance(text, str) for side in pairs for text in side):
        return
    lengths = {len(side) for side in pairs}
    if lengths != {2} or (isinstance(pairs, tuple) and all(isinstance(side, list) for side in pairs)):
        raise ValueError(
            f"pairs: expected a list of (A, B), got two lists of {len(pairs[0])} and {len(pairs[1])} texts. "
            "If these are all prompts A and all prompts B, give list(zip(a, b, strict=True)); if each is a pair, write "
            "them as tuples: [(a, b), (a, b)]."
        )


def _described(given: Any) -> str:
    kind = "one text" if isinstance(given, str) else type(given).__name__
    return f"{kind}: {str(given)[:200]!r}"


def _couple(pair: Any) -> tuple[Any, Any] | None:
    """``pair`` as a tuple of two, whatever these are; ``None`` for anything else."""
    both = None if isinstance(pair, str | bytes | dict | set) else listed(pair)
    return (both[0], both[1]) if both is not None and len(both) == 2 else None


def check_flag(value: Any, what: str) -> bool:
    """A truth value, after a check that it is one.

    Args:
        value: The value to check.
        what: Name of the argument, for the error message.

    Raises:
        TypeError: The value is neither ``True`` nor ``False``.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{what}={value!r}: expected one of True and False.")
    return bool(value)


def check_lengths(model: Model, prompts: Sequence[Int[Tensor, " _pos"]]) -> None:
    """Refuse prompts that a model cannot take: empty or too long ones, or ids outside its vocabulary.

    Args:
        model: From :func:`srtoolkit.load_model`.
        prompts: Token ids of each prompt.

    Raises:
        TypeError: A prompt is no tensor of whole numbers.
        ValueError: A prompt is empty, too long, or holds ids outside the vocabulary.
    """
    for index, ids in enumerate(prompts):
        check_tokens(model, ids[None] if isinstance(ids, Tensor) else ids, f"prompt {index}")
