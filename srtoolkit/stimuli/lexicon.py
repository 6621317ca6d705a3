"""Relations of words in the dictionary WordNet, and word frequencies.

Both are read from pinned archives as data. Neither depends on any language model.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srtoolkit.suite import corpus

#: What the column ``wordnet`` says of two words, from the closest relation to none.
RELATIONS = ("synonym", "antonym", "related", "none")

_HYPERNYMS = ("@", "@i")
_SIMILAR = "&"
_ANTONYM = "!"


@dataclass(frozen=True)
class WordNet:
    """The senses of words and the pointers between them. A sense is a part of speech and an offset, ``n02084071``.

    Attributes:
        senses: The senses of each word.
        pointers: The symbols and targets of each sense's pointers.
        antonyms: Pairs of words; in WordNet a word is the antonym of a word, not of a sense.
    """

    senses: dict[str, set[str]] = field(default_factory=dict)
    pointers: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    antonyms: set[frozenset[str]] = field(default_factory=set)

    def relation(self, a: str, b: str) -> str:
        """The closest of ``RELATIONS`` that any senses of two words have.

        Synonyms share a sense, or have senses that WordNet calls similar (the clusters of its adjectives). Related
        words have senses joined by any other pointer, or senses of one kind (a common hypernym one step up).

        Args:
            a: One word.
            b: The other word.
        """
        ours, theirs = self.senses.get(a, set()), self.senses.get(b, set())
        symbols = set(self._between(ours, theirs)) | set(self._between(theirs, ours))
        if ours & theirs or _SIMILAR in symbols:
            return "synonym"
        if frozenset((a, b)) in self.antonyms:
            return "antonym"
        return "related" if symbols or self.path_similarity(a, b) >= 1 / 3 else "none"

    def path_similarity(self, a: str, b: str) -> float:
        """Path similarity of two words, from 0 (no common hypernym) to 1 (a common sense), without unit.

        It is 1 / (1 + steps) for the shortest way over hypernyms between any of their senses.

        Args:
            a: One word.
            b: The other word.
        """
        above, over = (self._above(self.senses.get(word, ())) for word in (a, b))
        return max((1 / (1 + above[sense] + over[sense]) for sense in above.keys() & over.keys()), default=0.0)

    def _between(self, ours: set[str], theirs: set[str]) -> Iterator[str]:
        return (symbol for sense in ours for symbol, target in self.pointers[sense] if target in theirs)

    def _above(self, senses: Iterable[str]) -> dict[str, int]:
        """The fewest steps from any of ``senses`` to each of their hypernyms."""
        steps: dict[str, int] = {}
        now, count = set(senses), 0
        while now:
            steps |= dict.fromkeys(now, count)
            above = {target for sense in now for symbol, target in self.pointers[sense] if symbol in _HYPERNYMS}
            now, count = above - steps.keys(), count + 1
        return steps


def read_wordnet(lines: Iterable[str]) -> WordNet:
    """WordNet from the lines of its data files (``man 5 wndb``).

    Args:
        lines: The lines; each is one sense, with its words and pointers.
    """
    wordnet, words, opposites = WordNet(), {}, []
    for line in lines:
        if line.startswith(" "):  # the licence, at the head of each file
            continue
        fields = line.partition(" | ")[0].split()
        count = int(fields[3], 16)
        sense = _part(fields[2]) + fields[0]
        # An adjective may say where it stands: galore(ip).
        words[sense] = [word.partition("(")[0].lower() for word in fields[4 : 4 + 2 * count : 2]]
        wordnet.pointers[sense] = []
        at = 5 + 2 * count
        for symbol, offset, part, ends in zip(*[iter(fields[at : at + 4 * int(fields[at - 1])])] * 4, strict=True):
            wordnet.pointers[sense].append((symbol, _part(part) + offset))
            if symbol == _ANTONYM:
                opposites.append((sense, int(ends[:2], 16) - 1, _part(part) + offset, int(ends[2:], 16) - 1))
        for word in words[sense]:
            wordnet.senses.setdefault(word, set()).add(sense)
    wordnet.antonyms.update(frozenset((words[a][i], words[b][j])) for a, i, b, j in opposites)
    return wordnet


def open_wordnet(package: Path) -> WordNet:
    """WordNet from the Debian package ``wordnet-base``.

    Args:
        package: The package.
    """
    with tarfile.open(fileobj=io.BytesIO(corpus.ar_member(package.read_bytes(), "data.tar.xz"))) as data:
        members = [data.extractfile(f"./usr/share/wordnet/data.{part}") for part in ("noun", "verb", "adj", "adv")]
        return read_wordnet(line for member in members if member for line in io.TextIOWrapper(member))


def _part(letter: str) -> str:
    """A part of speech; an adjective that is the satellite of another is an adjective."""
    return "a" if letter == "s" else letter


def open_frequencies(wheel: Path) -> dict[str, float]:
    """Zipf values of English words, log10 of the occurrences in 10**9 words, from the wheel of ``wordfreq``.

    Args:
        wheel: The wheel, which is read as data.
    """
    with zipfile.ZipFile(wheel) as archive:
        return read_frequencies(gzip.decompress(archive.read("wordfreq/data/large_en.msgpack.gz")))


def read_frequencies(packed: bytes) -> dict[str, float]:
    """Zipf values of words, log10 of the occurrences in 10**9 words, from a list in wordfreq's format ``cB``.

    After a header come lists of words; those in list n occur 10**(-n/100) times per word.

    Args:
        packed: Content of the list, as msgpack data.

    Raises:
        ValueError: The header is that of another format.
    """
    header, *bins = _unpack(io.BytesIO(packed))
    if header != {"format": "cB", "version": 1}:
        raise ValueError(f"a list of word frequencies with the header {header}; expected format cB, version 1.")
    return {word: round(9 - place / 100, 2) for place, words in enumerate(bins) for word in words}


def _unpack(file: io.BytesIO) -> Any:
    """The next value of msgpack data, of the kinds that lists of words need: lists, strings, maps, small numbers."""
    kind = file.read(1)[0]
    if kind < 0x80:
        return kind
    if kind < 0x90:
        return {_unpack(file): _unpack(file) for _ in range(kind & 0x0F)}
    if kind < 0xA0:
        return [_unpack(file) for _ in range(kind & 0x0F)]
    if kind < 0xC0:
        return file.read(kind & 0x1F).decode()
    if kind in _LENGTH_BYTES:
        length = int.from_bytes(file.read(_LENGTH_BYTES[kind]), "big")
        return file.read(length).decode() if kind < 0xDC else [_unpack(file) for _ in range(length)]
    raise ValueError(f"byte {kind:#x} starts no list, string, map or small number of msgpack.")


#: How many bytes say the length of a longer string (0xd9 to 0xdb) or list (0xdc, 0xdd).
_LENGTH_BYTES = {0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4}
