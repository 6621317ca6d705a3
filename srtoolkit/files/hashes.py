"""Hashes of files, and files refused whose hash is not the expected one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from srtoolkit.files.disk import CacheError


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Args:
        path: The file.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_hash(path: Path, expected: str) -> None:
    """Refuse a file whose SHA-256 is not the expected one.

    Args:
        path: The file.
        expected: The expected SHA-256, in hexadecimal.

    Raises:
        CacheError: The SHA-256 is another one.
    """
    found = file_sha256(path)
    if found != expected:
        raise CacheError(
            f"{path.name}: SHA-256 is {found}, expected {expected}. "
            "The file is not the one this release was tested with; it was not used."
        )


def git_sha1(path: Path) -> str:
    """SHA-1 by which git names a small file.

    Args:
        path: The file.
    """
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
