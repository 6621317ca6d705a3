"""From the hand-written sentences to the sets ``last_words`` and ``classes``: prompts, word frequencies, dictionary."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from srtoolkit.stimuli.lexicon import WordNet
from srtoolkit.stimuli.sets import KINDS

Tokenize = Callable[[str], list[int]]


def last_words(
    frames: pd.DataFrame, tokenize: Tokenize, wordnet: WordNet, frequencies: Mapping[str, float]
) -> pd.DataFrame:
    """The set :func:`srtoolkit.stimuli.last_words`, without its column ``similarity``.

    Args:
        frames: The sentences of ``frames.csv``: ``frame`` (up to the last word), ``base``, and a word of each kind.
        tokenize: From a text to its token ids.
        wordnet: The dictionary.
        frequencies: Zipf values of words.

    Raises:
        ValueError: A last word is not one token more.
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
    """The set :func:`srtoolkit.stimuli.classes`.

    Args:
        words: The table ``words.csv``: a row is a ``frame``, every other column a class, a cell its last word.
        tokenize: From a text to its token ids.
        frequencies: Zipf values of words.

    Raises:
        ValueError: A last word is not one token more.
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
    """A sentence frame with its last word, and one leading space.

    Raises:
        ValueError: The tokens are not those of the frame and one more.
    """
    text = f" {frame} {word}"
    *start, _ = tokenize(text)
    if start != tokenize(f" {frame}"):
        raise ValueError(f"'{word}' after '{frame}' is not one token; choose another word.")
    return text
