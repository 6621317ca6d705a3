"""Random pairs of unrelated prompts, cut from prose."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from srtoolkit.models.checks import check_model
from srtoolkit.models.model import Model
from srtoolkit.prompts.pairs import PromptPairs, check_flag, check_lengths
from srtoolkit.validation import check_whole

#: Where random prompts come from: prose shipped with the package, or the paper's data set on the hub.
SOURCES = ("prose", "gutenberg")

GUTENBERG = "sedthh/gutenberg_english"

#: The shipped prose as the tokenizer that asked for it last reads it: a third of a second that each of a sweep's models
#: would take, several times.
_PROSE: dict[tuple[type, bytes] | None, list[tuple[str, Int[Tensor, " pos"]]]] = {}


class Window(NamedTuple):
    """A piece of prose.

    Attributes:
        ids: Its token ids.
        document: Name of the document that it is cut from; empty where the source does not tell documents apart.
    """

    ids: Int[Tensor, " _pos"]
    document: str

    @property
    def key(self) -> tuple[int, ...]:
        """Equal for windows of equal tokens."""
        return tuple(self.ids.tolist())


def sample_pairs(
    model: Model,
    n: int,
    length: int = 10,
    bos: bool = False,
    seed: int = 0,
    source: str = "prose",
    same_last_token: bool = False,
    consecutive: bool = False,
) -> PromptPairs:
    """Pairs of unrelated prompts of one length, drawn at random from English prose; no prompt is used twice.

    Prose is cut into windows of ``length`` tokens, which are put into random order; the first two different ones are a
    pair, the next two another. So pairs are independent of each other, and fewer pairs of one seed are the first of
    more. Models of one tokenizer get the same pairs.

    Args:
        model: The model whose tokenizer is used.
        n: Number of pairs.
        length: Number of tokens of every prompt, a BOS token included.
        bos: Start every prompt with the tokenizer's BOS token; the paper does not.
        seed: Seed of the random draw.
        source: The text that prompts are cut from: ``"prose"``, shipped with the package, or ``"gutenberg"``, the
            paper's data set, fetched from the hub.
        same_last_token: Draw pairs whose prompts end in the same token.
        consecutive: Draw a chain, as the paper's scripts do: prompt B of a pair is prompt A of the next. It takes half
            as many prompts, but neighbours then share one, and intervals get wider: see
            :func:`srtoolkit.analysis.resampling.bootstrap_weights`.

    Raises:
        ValueError: The text has too few windows for ``n`` pairs, ``same_last_token`` of a chain, or an argument is out
            of range.
    """
    model, seed = check_model(model), check_whole(seed, "seed")
    if not isinstance(source, str) or source not in SOURCES:
        raise ValueError(f"source={source!r} is not one of {SOURCES}.")
    n, length, bos = check_whole(n, "n", 1), check_whole(length, "length", 1), check_flag(bos, "bos")
    if check_flag(consecutive, "consecutive") and same_last_token:
        raise ValueError("consecutive and same_last_token: all prompts of a chain would end alike; give one of them.")
    words = length - bos
    if words < 1:
        raise ValueError(f"n={n}, length={length}, bos={bos}: at least one pair and one token of text are needed.")
    windows = list(_prose_windows(model, words) if source == "prose" else _gutenberg_windows(model, words))
    how = "same last token" if same_last_token else "consecutive" if consecutive else "disjoint"
    couples = list(itertools.islice(_couples(windows, n, how, random.Random(seed)), n))
    if n > len(couples):
        raise ValueError(
            f"n={n} pairs of prompts of {words} tokens{' with the same last token' * same_last_token}: "
            f"source={source!r} has {len(couples)}{'' if consecutive else ' in which no prompt comes twice'}."
        )
    start = model.tokenize("", bos=True) if bos else windows[0].ids[:0]
    a, b = (tuple(torch.cat([start, window.ids]) for window in side) for side in zip(*couples, strict=True))
    check_lengths(model, (*a, *b))
    documents = [tuple(window.document for window in side) for side in zip(*couples, strict=True)]
    return PromptPairs(
        tokens_a=a,
        tokens_b=b,
        text_a=tuple(str(model.tokenizer.decode(ids.tolist())) for ids in a),
        text_b=tuple(str(model.tokenizer.decode(ids.tolist())) for ids in b),
        labels=tuple(str(index) for index in range(n)),
        bos=bos,
        source=f"{source}, length {length}, seed {seed}, {how}",
        document_a=documents[0] if source == "prose" else (),
        document_b=documents[1] if source == "prose" else (),
    )


def _couples(windows: list[Window], n: int, how: str, draw: random.Random) -> Iterator[tuple[Window, Window]]:
    """Pairs of windows in random order, as many as there are; of a chain ``n``, whose draw depends on it."""
    if how == "consecutive":
        return itertools.pairwise(draw.sample(windows, min(n + 1, len(windows))))
    distinct = _distinct(draw.sample(windows, len(windows)))
    return _with_same_last_token(distinct) if how == "same last token" else zip(distinct, distinct, strict=False)


def _distinct(windows: Iterable[Window]) -> Iterator[Window]:
    """The first window of each content; a text may say the same twice."""
    seen = set()
    for window in windows:
        if window.key not in seen:
            seen.add(window.key)
            yield window


def _with_same_last_token(windows: Iterable[Window]) -> Iterator[tuple[Window, Window]]:
    """Two windows at a time that end alike, in the order in which the second of them comes."""
    waiting: dict[int, Window] = {}
    for window in windows:
        last = int(window.ids[-1])
        if last in waiting:
            yield waiting.pop(last), window
        else:
            waiting[last] = window


def _prose_windows(model: Model, length: int) -> Iterator[Window]:
    """Every document of the shipped prose, cut into consecutive windows; what is left at its end is dropped."""
    for document, ids in _tokenised_prose(model):
        pieces = ids[: len(ids) // length * length].split(length)
        yield from (Window(piece, document) for piece in pieces)


def _tokenised_prose(model: Model) -> list[tuple[str, Int[Tensor, " pos"]]]:
    """Names and token ids of the shipped documents, kept by what the tokenizer is: checkpoints bring the same one."""
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    known = None if backend is None else (type(model.tokenizer), hashlib.sha256(backend.to_str().encode()).digest())
    found = _PROSE.get(known)
    if found is None:
        folder = files("srtoolkit.prompts").joinpath("data/prose")
        paths = sorted((path for path in folder.iterdir() if path.name.endswith(".txt")), key=lambda path: path.name)
        found = [(path.name.removesuffix(".txt"), model.tokenize(path.read_text(encoding="utf-8"))) for path in paths]
        if known is not None:
            _PROSE.clear()  # of several tokenizers, one is in use at a time
            _PROSE[known] = found
    return found


def _gutenberg_windows(model: Model, length: int) -> Iterator[Window]:
    """The first 100 books of the paper's data set, joined by the tokenizer's end-of-text token, cut into windows.

    The paper's scripts shuffle the books but drop the result, so the first hundred of the first shard are what they
    used.
    """
    import pandas as pd
    from huggingface_hub import snapshot_download

    pattern = "data/train-00000-of-*.parquet"
    folder = snapshot_download(GUTENBERG, repo_type="dataset", allow_patterns=pattern)
    (shard,) = Path(folder).glob(pattern)
    books = pd.read_parquet(shard, columns=["TEXT"])["TEXT"].head(100)
    text = str(model.tokenizer.eos_token or "\n\n").join(books)
    # Tokenised in twenty pieces, as TransformerLens does; the seams shift a few tokens and keep memory flat.
    size = (len(text) - 1) // 20 + 1
    ids = torch.cat([model.tokenize(text[start : start + size]) for start in range(0, len(text), size)])
    yield from (Window(piece, "") for piece in ids[: len(ids) // length * length].split(length))
