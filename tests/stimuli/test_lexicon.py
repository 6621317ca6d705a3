"""Dictionaries and lists of words are read rightly out of their archives."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from itertools import pairwise

import pytest

from srtoolkit.stimuli import lexicon
from tiny_wordnet import ADJECTIVES, LICENCE, NOUNS, VERBS, wordnet


@pytest.mark.parametrize(
    ("a", "b", "relation"),
    [
        ("dog", "hound", "synonym"),
        ("stone", "rock", "synonym"),
        ("big", "large", "synonym"),
        ("big", "great", "synonym"),
        ("dog", "run", "synonym"),
        ("big", "small", "antonym"),
        ("large", "little", "related"),
        ("dog", "animal", "related"),
        ("dog", "cat", "related"),
        ("puppy", "cat", "none"),
        ("dog", "stone", "none"),
        ("dog", "unheard", "none"),
    ],
)
def test_the_dictionary_relates_words(a, b, relation):
    assert wordnet().relation(a, b) == wordnet().relation(b, a) == relation


def test_path_similarity_counts_the_steps():
    chain = ["dog", "animal", "cat"]
    assert [wordnet().path_similarity(*pair) for pair in pairwise(chain)] == [1 / 2, 1 / 2]
    assert wordnet().path_similarity("puppy", "puppy") == 1
    assert wordnet().path_similarity("puppy", "cat") == 1 / 4
    assert wordnet().path_similarity("stone", "thing") == 1 / 2
    assert wordnet().path_similarity("stone", "cat") == 0


def test_the_dictionary_comes_out_of_its_debian_package(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        for part, lines in {"noun": NOUNS, "verb": VERBS, "adj": ADJECTIVES, "adv": ""}.items():
            info = tarfile.TarInfo(f"./usr/share/wordnet/data.{part}")
            info.size = len(LICENCE + lines)
            archive.addfile(info, io.BytesIO((LICENCE + lines).encode()))
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": buffer.getvalue()}
    package = b"!<arch>\n"
    for name, content in members.items():
        package += f"{name:<48}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
    (tmp_path / "wordnet.deb").write_bytes(package)
    assert lexicon.open_wordnet(tmp_path / "wordnet.deb") == wordnet()


HEADER = b"\x82\xa6format\xa2cB\xa7version\x01"


def test_word_frequencies_are_unpacked(tmp_path):
    long = "w" * 40
    lists = [b"\x90", b"\x91\xa3the", b"\xdc\x00\x02\xa2of" + b"\xd9\x28" + long.encode()]
    packed = b"\x94" + HEADER + b"".join(lists)
    assert lexicon.read_frequencies(packed) == {"the": 8.99, "of": 8.98, long: 8.98}
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as wheel:
        wheel.writestr("wordfreq/data/large_en.msgpack.gz", gzip.compress(packed))
    assert lexicon.open_frequencies(tmp_path / "w.whl")["the"] == 8.99


def test_other_lists_of_words_are_refused():
    with pytest.raises(ValueError, match="expected format cB, version 1"):
        lexicon.read_frequencies(b"\x91\x81\xa6format\xa2xx")
    with pytest.raises(ValueError, match="byte 0xc0"):
        lexicon.read_frequencies(b"\x91\xc0")
