"""The sets ``last_words`` and ``classes``, made from hand-written sentences, word frequencies and a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from srtoolkit.stimuli.lexicon import WordNet
from srtoolkit.stimuli.sets import KINDS

Tokenize = Callable[[str], list[int]]


def last_words(
    frames: pd.DataFrame, tokenize: Tokenize, wordnet: WordNet, frequencies: Mapping[str, float]
) -> pd.DataFrame:
    """Make the set :func:`srtoolkit.stimuli.last_words`, without its column ``similarity``.

    Args:
        frames: The sentences of ``frames.csv``: ``frame`` (up to the last word), ``base``, and a word of each kind.
        tokenize: Function that returns the token ids of a text.
        wordnet: The dictionary.
        frequencies: Zipf value of each word.

    Raises:
        ValueError: A last word is not exactly one token.
    """
    rows = [
        {
            "frame": number,
            "text_a": prompt(frame["frame"], frame["base"], tokenize),
            "text_b": prompt(frame["frame"], frame[kind], tokenize),
            "word_a": frame["base"],
            "word_b": frame[kind],
            "kind": kind,
            "wordnet": wordnet.relation(frame["base"], frame[kind]),
            "zipf_a": frequencies[frame["base"].lower()],
            "zipf_b": frequencies[frame[kind].lower()],
        }
        for number, frame in frames.iterrows()
        for kind in KINDS
        if frame[kind]
    ]
    return pd.DataFrame(rows)


def classes(words: pd.DataFrame, tokenize: Tokenize, frequencies: Mapping[str, float]) -> pd.DataFrame:
    """Make the set :func:`srtoolkit.stimuli.classes`.

    Args:
        words: The table ``words.csv``: each row is a ``frame``, every other column a class, and its cell a last word.
        tokenize: Function that returns the token ids of a text.
        frequencies: Zipf value of each word.

    Raises:
        ValueError: A last word is not exactly one token.
    """
    rows = [
        {
            "text": prompt(row["frame"], row[label], tokenize),
            "word": row[label],
            "label": label,
            "frame": number,
            "zipf": frequencies[row[label]],
        }
        for label in words.columns.drop("frame")
        for number, row in words.iterrows()
    ]
    return pd.DataFrame(rows)


def prompt(frame: str, word: str, tokenize: Tokenize) -> str:
    """A prompt: a sentence frame with its last word, and one leading space.

    Args:
        frame: The sentence up to its last word.
        word: The last word.
        tokenize: Function that returns the token ids of a text.

    Raises:
        ValueError: The last word is not exactly one token.
    """
    text = f" {frame} {word}"
    *start, _ = tokenize(text)
    if start != tokenize(f" {frame}"):
        raise ValueError(f"'{word}' after '{frame}' is not one token; choose another word.")
    return text
