"""Folders of files with a manifest of their hashes, written whole by one process or not at all."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs
from filelock import FileLock

from srtoolkit.files import disk
from srtoolkit.files.disk import MOVE_THE_CACHE, CacheError
from srtoolkit.files.hashes import file_sha256

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"


def cache_root() -> Path:
    """The folder that keeps converted models: ``$SRT_CACHE``, else the platform's cache folder."""
    return Path(os.environ.get("SRT_CACHE") or platformdirs.user_cache_dir("srtoolkit"))


def cached_whole(name: str, directory: Path, fill: Callable[[Path, Path], None], needs: int) -> Path:
    """A folder of the cache, every file as it was written; filled on first use, and anew where it is damaged.

    Args:
        name: What the folder holds, for the warning that a damaged one gets.
        directory: The folder.
        fill: Function that fills an empty folder, the first that it is called with. The second is for what is needed
            meanwhile; it lies beside the first, so that one disk alone must have room.
        needs: Bytes that must be free before anything is written.

    Raises:
        CacheError: There is not enough room, or filling failed. What was written so far is deleted.
    """
    problem = damage(directory)
    if problem is None:
        return directory
    if directory.exists():
        logger.warning(
            "%s: the cached copy in %s is not as it was written (%s); making it anew.", name, directory, problem
        )

    def write(target: Path) -> None:
        # Named as the folder is, so that the next run finds what a killed one left.
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as scratch:
            fill(target, Path(scratch))

    return write_verified(directory, write, needs)


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
        raise CacheError(disk.describe(number, directory, MOVE_THE_CACHE, needs)) from error
    return directory


def _write_alone(directory: Path, write: Callable[[Path], None], needs: int) -> None:
    """:func:`write_verified` with no other process at it."""
    for old in (directory, *directory.parent.glob(f".{directory.name}-*")):
        shutil.rmtree(old, ignore_errors=not old.exists())
    if disk.free_near(directory) < needs:
        raise CacheError(disk.describe(errno.ENOSPC, directory, MOVE_THE_CACHE, needs))
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
