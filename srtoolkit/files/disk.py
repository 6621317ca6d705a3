"""Files that are there whole or not at all, and errors that say why a disk did not take one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import time
import uuid
from pathlib import Path

_SCRATCH = ".part"

#: Reasons by the system's error number.
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of disk is used up",
    errno.EFBIG: "the system allows no file of that size (`ulimit -f` says how large one may be)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "it is not allowed to this user",
    errno.EPERM: "it is not allowed to this user",
    errno.ENOTDIR: "a file lies where there should be a folder",
    errno.EEXIST: "a file lies where there should be a folder",
}

#: How Python, Rust and HDF5 write an error number into a text.
_NUMBER = re.compile(r"(?:\[Errno |os error |errno = )(\d+)")


class DiskError(OSError):
    """A file could not be written, and an earlier one is as it was. The message says why and what to do."""


def write_whole(path: Path, content: bytes, instead: str) -> None:
    """Write a file that is there whole or not at all.

    It is written under another name and renamed once the disk has all of it: no kill or lost power leaves half a file.

    Args:
        path: Path of the file to write; folders are made as needed.
        content: The content of the file.
        instead: What to do where there is no room, for the error message.

    Raises:
        DiskError: The disk is full, or the folder cannot be written.
    """
    scratch: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not a temporary file of Python's, which nobody else may read: others share a store, or look at a report.
        scratch = path.with_name(f".{path.stem[:80]}-{uuid.uuid4().hex}{_SCRATCH}")
        with scratch.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else power lost now could leave the new name on an empty file
        scratch.replace(path)
    except OSError as error:
        if (number := refusal(error)) is None:
            raise
        raise DiskError(describe(number, path, instead, len(content))) from error
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)


def remove_scratch(folder: Path) -> None:
    """Delete what killed writers left behind in a folder, except files of the last hour, which may be in use.

    Args:
        folder: The folder.
    """
    for path in folder.glob(f".*{_SCRATCH}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > 3600:
                path.unlink()


def refusal(said: BaseException | str) -> int | None:
    """The system's error number where a disk did not take a file; ``None`` for any other failure.

    Args:
        said: An error of any library, or what a program printed.
    """
    number = said.errno if isinstance(said, OSError) else None
    if number is None:
        found = _NUMBER.search(str(said))
        number = int(found[1]) if found else None
    return number if number in _REASONS else None


def describe(number: int, path: Path, instead: str, needs: int = 0) -> str:
    """The error message for a file that could not be written: what, why, and what to do.

    Args:
        number: The system's error number, from :func:`refusal`.
        path: Path of the file.
        instead: What to do where no room can be made.
        needs: Bytes that the file takes; 0 where they are not known.
    """
    free = f"{_size(free_near(path))} are free in {existing(path)}"
    needed = f"it takes {_size(needs)}, {free}" if needs else free
    return (
        f"cannot write {path}: {_REASONS[number]}; {needed}. Nothing half-written is left, and what was there before "
        f"is as it was. Make room or get leave to write there, or {instead}; then call again."
    )


def free_near(path: Path) -> int:
    """Bytes that are free on the disk of a file.

    Args:
        path: Path of the file, which need not exist.
    """
    return shutil.disk_usage(existing(path)).free


def existing(path: Path) -> Path:
    """The nearest folder that exists at or above a path.

    Args:
        path: The path.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100  a link that leads nowhere has no resolved path
    return path if path.is_dir() else existing(path.parent)


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"


def write_text(path: Path, text: str, instead: str = "write elsewhere") -> None:
    """Write a text file, in UTF-8, that is there whole or not at all.

    Args:
        path: Path of the file to write; folders are made as needed.
        text: The content of the file.
        instead: What to do where there is no room, for the error message.

    Raises:
        DiskError: The disk is full, or the folder cannot be written.
    """
    write_whole(path, text.encode(), instead)


#: What to do where the cache of models has no room, for error messages.
MOVE_THE_CACHE = "set SRT_CACHE to a folder elsewhere"


class CacheError(DiskError):
    """A packaged model could not be fetched, converted or written. Nothing half-written is in the cache."""
