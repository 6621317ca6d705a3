"""The shipped sets of prompts, as tables.

What they say of a prompt's meaning comes from people, a dictionary and a small sentence encoder, never from the models
that are measured.
"""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

#: How the last word of a sentence may differ, from the closest in meaning to what is no sentence any more.
KINDS = ("synonym", "category", "antonym", "unrelated", "odd", "function")


def last_words() -> pd.DataFrame:
    """Pairs of sentences that differ in the last word only, which is one token to SmolLM2.

    Returns:
        One row for each pair. Every sentence frame has one pair of each kind; antonyms only where there is a natural
        one.

        - ``frame``: number of the sentence frame; its pairs share ``text_a``.
        - ``text_a``, ``text_b``: the prompts, with one leading space; ``word_a``, ``word_b``: their last words.
        - ``kind``: one of ``KINDS``. ``synonym``: the same meaning in this sentence. ``category``: another thing of
          the same sort. ``antonym``: the opposite. ``unrelated``: another plausible word. ``odd``: the right part of
          speech, but senseless. ``function``: a function word, which breaks or changes the syntax.
        - ``wordnet``: what the dictionary WordNet says of the two words: synonym, antonym, related or none.
        - ``zipf_a``, ``zipf_b``: frequency of the last words, log10 of occurrences in 10**9 words.
        - ``similarity``: cosine of the two sentences' embeddings by all-MiniLM-L6-v2, -1 to 1.
    """
    return _read("last_words")


def verses() -> pd.DataFrame:
    """Openings of Bible verses in two translations: the same verse (paraphrases), or another verse of the same book.

    Returns:
        One row for each pair.

        - ``match``: number of a matched couple of rows, one paraphrase and one not. They share ``text_a``; their
          ``text_b`` come from the same book and translation, end in the same word, and are equally long to one word.
        - ``text_a``, ``text_b``: the prompts, 8 to 14 words, with one leading space.
        - ``kind``: ``paraphrase`` or ``other``.
        - ``same_last_word``: whether both end in the same word.
        - ``verse_a``, ``verse_b``: where they stand, ``Genesis 1:3``; ``translation_a``, ``translation_b``: ``kjv`` …
        - ``zipf_a``, ``zipf_b``, ``similarity``: as in :func:`last_words`.
    """
    return _read("verses")


def exchanged_verses() -> pd.DataFrame:
    """A positive control for :func:`verses`: each opening, and the same with its last word exchanged.

    A paraphrase and the other pair of its couple may walk the same path, for their last words are the same. A test that
    finds no difference between them has to find one here.

    Returns:
        One row for each couple, with its ``match`` and ``text_a``, and ``kind`` ``exchanged``. ``text_b`` is ``text_a``
        up to its last word, then the last word of another couple that is closest to it in frequency; ``verse_b`` and
        ``translation_b`` say where that word stands. ``same_last_word`` is false. Other columns are as in
        :func:`verses`; for similarities there is :func:`similarity`.
    """
    couples = verses().drop_duplicates("match").sort_values("zipf_a", kind="stable", ignore_index=True)
    openings, words = zip(*(text.rsplit(" ", 1) for text in couples["text_a"]), strict=True)
    ends = couples["text_b"].str.rsplit(" ", n=1).str[1]
    donors = [
        next(other for other in _nearest(row, len(couples)) if words[other] not in (words[row], ends[row]))
        for row in range(len(couples))
    ]
    given = couples.iloc[donors].reset_index(drop=True)
    found = couples.assign(
        text_b=[f"{opening} {words[donor]}" for opening, donor in zip(openings, donors, strict=True)],
        kind="exchanged",
        same_last_word=False,
        verse_b=given["verse_a"],
        translation_b=given["translation_a"],
        zipf_b=given["zipf_a"],
    )
    return found.drop(columns="similarity").sort_values("match", ignore_index=True)


def _nearest(row: int, rows: int) -> list[int]:
    """All other rows, the nearest first."""
    return sorted({*range(rows)} - {row}, key=lambda other: abs(other - row))


def classes() -> pd.DataFrame:
    """Prompts that end in a word of one of eight classes, each class in the same sixteen sentence frames.

    Returns:
        One row for each prompt: ``text`` with one leading space, its last ``word`` (one token to SmolLM2, never used
        twice), its ``label`` (the class of the word, 16 prompts each), the number of its ``frame`` (8 prompts each),
        and the word's frequency ``zipf``, as in :func:`last_words`. A frame says nothing of the class.
    """
    return _read("classes")


def contrasts() -> pd.DataFrame:
    """Sentences in which the last word alone makes a contrast: six contrasts, each in eight frames of its own.

    They are what directions are made of: ``srt.directions.contrastive`` of the column ``positive`` and the column
    ``negative`` of one contrast.

    Returns:
        One row for each frame: ``contrast`` (``register``, ``tense``, ``number``, ``sentiment``, ``gender``,
        ``size``), the prompts ``positive`` and ``negative`` with one leading space, the last words ``word_positive``
        and ``word_negative``, and what the two sides are: ``label_positive``, ``label_negative``.
    """
    table = _read("contrasts")
    sides = {f"word_{side}": table[side] for side in ("positive", "negative")}
    texts = {side: table["frame"] + " " + table[side] for side in ("positive", "negative")}
    return table.assign(**sides, **texts).drop(columns="frame")


def numerals() -> pd.DataFrame:
    """Steps from a number that ends in nines to the next one: to one more digit, and to as many.

    Returns:
        Two rows for each of 48 sentences that end in a number, half of them with two digits and half with three:
        ``frame`` (number of the sentence), ``kind`` (``"more digits"``, as 99 to 100, or ``"as many digits"``, as 59 to
        60), the numbers ``number_a`` and ``number_b``, and the prompts ``text_a`` and ``text_b`` with one leading
        space. A model that reads digits one by one reads the same last digits in both rows.
    """
    table = _read("numerals")
    nines = table["other"].map(lambda other: 10 ** len(str(other)) - 1)
    kinds = {"more digits": nines, "as many digits": table["other"]}
    rows = [table[["frame"]].assign(kind=kind, number_a=one, number_b=one + 1) for kind, one in kinds.items()]
    found = pd.concat(rows).sort_values("frame", kind="stable", ignore_index=True)
    sentences = table.set_index("frame")["text"][found["frame"]].to_numpy()
    return found.assign(**{f"text_{side}": sentences + " " + found[f"number_{side}"].astype(str) for side in "ab"})


def _read(name: str) -> pd.DataFrame:
    with (files("srtoolkit.stimuli") / "data" / f"{name}.csv").open() as file:
        return pd.read_csv(file, keep_default_na=False)
