"""Random pairs of unrelated prompts, cut from prose."""

from __future__ import annotations

import random
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

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


def sample_pairs(
    model: Model,
    n: int,
    length: int = 10,
    bos: bool = False,
    seed: int = 0,
    source: str = "prose",
    same_last_token: bool = False,
) -> PromptPairs:
    """Pairs of unrelated prompts of one length, drawn at random from English prose.

    Prose is cut into windows of ``length`` tokens, ``n + 1`` of them are drawn, and consecutive draws make a pair, as
    in the paper's scripts: prompt B of a pair is prompt A of the next.

    Args:
        model: The model whose tokenizer is used.
        n: Number of pairs.
        length: Number of tokens of every prompt, a BOS token included.
        bos: Start every prompt with the tokenizer's BOS token; the paper does not.
        seed: Seed of the random draw.
        source: The text that prompts are cut from: ``"prose"``, shipped with the package, or ``"gutenberg"``, the
            paper's data set, fetched from the hub.
        same_last_token: Draw pairs whose prompts end in the same token; no two pairs share a prompt.

    Raises:
        ValueError: The text has too few windows for ``n`` pairs, or an argument is out of range.
    """
    model, seed = check_model(model), check_whole(seed, "seed")
    if not isinstance(source, str) or source not in SOURCES:
        raise ValueError(f"source={source!r} is not one of {SOURCES}.")
    n, length, bos = check_whole(n, "n", 1), check_whole(length, "length", 1), check_flag(bos, "bos")
    words = length - bos
    if words < 1:
        raise ValueError(f"n={n}, length={length}, bos={bos}: at least one pair and one token of text are needed.")
    windows = list(_prose_windows(model, words) if source == "prose" else _gutenberg_windows(model, words))
    drawn = random.Random(seed).sample(windows, len(windows) if same_last_token else min(n + 1, len(windows)))
    sides = _with_same_last_token(drawn) if same_last_token else (drawn[:-1], drawn[1:])
    if n > len(sides[0]):
        raise ValueError(
            f"n={n} pairs of prompts of {words} tokens{' with the same last token' * same_last_token}: "
            f"source={source!r} has {len(sides[0])}."
        )
    start = model.tokenize("", bos=True) if bos else windows[0][:0]
    a, b = (tuple(torch.cat([start, window]) for window in side[:n]) for side in sides)
    check_lengths(model, (*a, *b))
    return PromptPairs(
        tokens_a=a,
        tokens_b=b,
        text_a=tuple(str(model.tokenizer.decode(ids.tolist())) for ids in a),
        text_b=tuple(str(model.tokenizer.decode(ids.tolist())) for ids in b),
        labels=tuple(str(index) for index in range(n)),
        bos=bos,
        source=f"{source}, length {length}, seed {seed}, {'same last token' if same_last_token else 'consecutive'}",
    )


def _with_same_last_token(windows: list[Int[Tensor, " _pos"]]) -> tuple[list[Tensor], list[Tensor]]:
    """Two windows at a time that end alike, in the order in which the second of them comes."""
    waiting: dict[int, Tensor] = {}
    a, b = [], []
    for window in windows:
        other = waiting.pop(int(window[-1]), None)
        if other is None:
            waiting[int(window[-1])] = window
        elif not torch.equal(other, window):
            a.append(other)
            b.append(window)
    return a, b


def _prose_windows(model: Model, length: int) -> Iterator[Int[Tensor, " _pos"]]:
    """Every document of the shipped prose, cut into consecutive windows; what is left at its end is dropped."""
    folder = files("srtoolkit.prompts").joinpath("data/prose")
    for document in sorted(folder.iterdir(), key=lambda path: path.name):
        if document.name.endswith(".txt"):
            ids = model.tokenize(document.read_text(encoding="utf-8"))
            yield from ids[: len(ids) // length * length].split(length)


def _gutenberg_windows(model: Model, length: int) -> Iterator[Int[Tensor, " _pos"]]:
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
    yield from ids[: len(ids) // length * length].split(length)
