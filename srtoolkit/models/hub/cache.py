"""The Hugging Face hub's cache: what a sweep will download, and dropping it again; branches by tokens."""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import huggingface_hub
from filelock import FileLock, Timeout
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError

from srtoolkit.files import disk

logger = logging.getLogger(__name__)

#: How OLMo names the branches of its training checkpoints: step, and billions of tokens.
_BRANCH = re.compile(r"step(\d+)-tokens(\d+)B")


def cached_commit(name: str, revision: str | None) -> str | None:
    """The commit of a revision in the local cache, or ``None`` where it is not there.

    Args:
        name: Id of the repository.
        revision: Branch, tag or commit; the main branch where ``None``.
    """
    try:
        found = huggingface_hub.snapshot_download(
            name, revision=revision, local_files_only=True, allow_patterns="config.json",
            cache_dir=constants.HF_HUB_CACHE,
        )  # fmt: skip
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    return Path(found).name


def announce(wanted: Sequence[tuple[str, str | None]]) -> None:
    """Log a warning, before a sweep, that says how much disk its hub models will need, one at a time.

    Args:
        wanted: Pairs of a repository's id and a revision.
    """
    missing = [(name, revision) for name, revision in wanted if not cached_commit(name, revision)]
    if not missing:
        return
    sizes = [download_size(name, revision) for name, revision in missing]
    known = [size for size in sizes if size is not None]
    largest = f"up to {max(known) / 1e9:.1f} GB at a time" if known else "an unknown amount"
    free = disk.free_near(Path(constants.HF_HUB_CACHE))
    logger.warning(
        "%d of these models are fetched from the hub, one by one: %s of disk, %.1f GB in all to download; %.1f GB are "
        "free in %s.", len(missing), largest, sum(known) / 1e9, free / 1e9, constants.HF_HUB_CACHE,
    )  # fmt: skip


def download_size(name: str, revision: str | None) -> int | None:
    """Bytes of a revision's safetensors files on the hub, or ``None`` where the hub cannot be asked.

    Args:
        name: Id of the repository.
        revision: Branch, tag or commit; the main branch where ``None``.
    """
    try:
        info = huggingface_hub.HfApi().model_info(name, revision=revision, files_metadata=True)
    except Exception:  # no hub, no such model, or no leave: the client has a type of its own for each
        return None
    files = [file for file in info.siblings or [] if file.rfilename.endswith(".safetensors")]
    return sum(file.size or 0 for file in files) or None


@contextlib.contextmanager
def borrowed(name: str, revision: str | None, keep: bool) -> Iterator[None]:
    """A context in which a hub model may be downloaded; what was downloaded is deleted at its end unless ``keep``.

    Several processes may borrow the same revision; the last of them drops it.

    Args:
        name: Id of the repository.
        revision: Branch, tag or commit.
        keep: Leave what was downloaded on the disk.
    """
    if keep:
        yield
        return
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", revision or "main")
    borrowing = notes(name) / f"{stem}.borrowed"
    mine = FileLock(notes(name) / f"{stem}+{uuid.uuid4().hex}.using")
    with no_drop(name), contextlib.suppress(OSError):  # a cache that cannot be written will hold nothing new
        if cached_commit(name, revision) is None:
            borrowing.touch()
        if borrowing.exists():
            mine.acquire()
    if not mine.is_locked:
        yield
        return
    try:
        yield
    finally:
        with no_drop(name):
            mine.release()
            Path(mine.lock_file).unlink(missing_ok=True)
            others = any(_held(path) for path in notes(name).glob(f"{stem}+*.using"))
            commit = None if others else cached_commit(name, revision)
            if commit is not None:
                _drop(commit)
            if not others:
                borrowing.unlink(missing_ok=True)


@contextlib.contextmanager
def no_drop(name: str) -> Iterator[None]:
    """A context in which no process of this package deletes files of a repository from the cache.

    Args:
        name: Id of the repository.
    """
    try:
        notes(name).mkdir(parents=True, exist_ok=True)
        lock = FileLock(notes(name) / "drop.srtoolkit")
        lock.acquire()
    except OSError as error:
        if disk.refusal(error) is None:
            raise
        yield  # from a cache that cannot be written, nothing is deleted either
        return
    try:
        yield
    finally:
        lock.release()


def notes(name: str) -> Path:
    """Folder in the hub's cache for this package's locks and notes on a repository, beside the client's own.

    Args:
        name: Id of the repository.
    """
    return Path(constants.HF_HUB_CACHE, ".locks", f"models--{name.replace('/', '--')}")


def _held(path: Path) -> bool:
    """Whether a living process holds this lock; the system opens the locks of dead ones."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    path.unlink(missing_ok=True)
    return False


def _drop(commit: str) -> None:
    """Delete one commit, and what no other commit shares with it, from the local cache."""
    strategy = huggingface_hub.scan_cache_dir(constants.HF_HUB_CACHE).delete_revisions(commit)
    logger.info("dropping %s again: %s", commit[:12], strategy.expected_freed_size_str)
    try:
        strategy.execute()
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        logger.info("%s: a folder is in use again by another load, so it stays", commit[:12])


def branch_tokens(name: str) -> dict[str, float]:
    """Number of training tokens by branch, for a repository whose branches are named ``step<n>-tokens<n>B``.

    Args:
        name: Id of the repository.

    Raises:
        ValueError: The repository has no such branches, or cannot be reached.
    """
    found = {branch: float(match[2]) * 1e9 for branch in _branches(name) if (match := _BRANCH.fullmatch(branch))}
    if not found:
        raise ValueError(f"{name} has no branches named step<n>-tokens<n>B, here or on the hub.")
    return found


def _branches(name: str) -> list[str]:
    """Branches of a repository: the hub's, or those that the local cache knows where the hub cannot be reached."""
    try:
        return [branch.name for branch in huggingface_hub.HfApi().list_repo_refs(name).branches]
    except Exception:  # no hub, no such model, or no leave: the client has a type of its own for each
        refs = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "refs"
        return sorted(path.name for path in refs.iterdir()) if refs.is_dir() else []
