"""One commit of a model on the Hugging Face hub, fetched file by file; nothing that fails its hash is used or kept.

The hub's own client does the work: it resumes a dropped download, repeats a request that failed, and keeps the cache.
Added here are what it leaves open: hashes are compared (the client compares sizes), a wait that the hub asks for has a
bound, and a failure says what was asked, what came back, and what to do, without a word that could hold a token.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

from srtoolkit.files import disk
from srtoolkit.files.hashes import file_sha256, git_sha1
from srtoolkit.models.hub.cache import cached_commit, no_drop, notes
from srtoolkit.models.hub.errors import HubError, refusal, status, where
from srtoolkit.models.hub.offline_checks import damage_of

logger = logging.getLogger(__name__)

#: Seconds before a request that failed for a passing reason is repeated; after the last, the failure stands.
PAUSES = (1.0, 2.0, 4.0)
#: Most seconds that one wait may take which the hub asks for; its own windows are of five minutes.
LONGEST_WAIT = 360

_PLAIN = re.compile(r"[^/]+\.(json|txt|model|jinja|tiktoken)")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")

_INSTEAD = "set HF_HUB_CACHE (or HF_HOME) to a folder elsewhere"

T = TypeVar("T")


@dataclass(frozen=True)
class Snapshot:
    """The files of a repository at one commit.

    Attributes:
        name: Id of the repository on the hub.
        revision: Branch, tag or commit that was asked for.
        commit: Commit that the revision resolved to.
        files: Files that the hub lists, by path; ``None`` where the hub cannot be asked and only the local cache is
            used.
    """

    name: str
    revision: str | None
    commit: str
    files: Mapping[str, Any] | None

    def fetch_texts(self, *, code: bool = False) -> None:
        """Fetch this commit's configuration and tokenizer into the local cache, where they are not there yet.

        Args:
            code: Fetch the repository's Python files, too.

        Raises:
            HubError: A file cannot be fetched, or is not what the hub lists.
            DiskError: The cache is full or cannot be written.
        """
        wanted = [path for path in self.files or () if _PLAIN.fullmatch(path) or (code and path.endswith(".py"))]
        if self.files is None:
            self._check_cached(_PLAIN.fullmatch)
        # One of them by its revision's name, so that the cache knows the name when the hub cannot be reached.
        self._fetch({path: self.revision if path == "config.json" else self.commit for path in wanted})

    def fetch_weights(self) -> None:
        """Fetch this commit's weights into the local cache, where they are not there yet.

        Raises:
            HubError: A file cannot be fetched, or is not what the hub lists, or the repository has no weights.
            DiskError: The cache is full or cannot be written.
        """
        if self.files is None:
            self._check_cached(lambda path: path.endswith(".safetensors"))
            return
        wanted = self._weights()
        missing = [path for path in wanted if self._kept(path) is None]
        needs = sum(self.files[path].size or 0 for path in missing)
        if needs > disk.free_near(self._folder):
            raise disk.DiskError(disk.describe(errno.ENOSPC, self._folder, _INSTEAD, needs))
        self._fetch(dict.fromkeys(wanted, self.commit))

    def _fetch(self, wanted: Mapping[str, str | None]) -> None:
        """Each file, by the revision to ask for it; again what another process dropped from the cache meanwhile."""
        lost = list(wanted)
        for _ in PAUSES:
            for path in lost:
                with contextlib.suppress(FileNotFoundError):  # dropped while it was linked
                    self._file(path, wanted[path])
            with no_drop(self.name):
                # From here on these are links of this commit, and no drop of another one takes what they lead to.
                lost = [path for path in wanted if self._kept(path) is None]
            if not lost:
                return
        raise HubError(
            f"cannot load {_what(self.name, self.revision)}: {lost} were fetched and are gone again from "
            f"{self._folder}. Another program clears this cache; stop it, or set HF_HUB_CACHE to another folder."
        )

    @property
    def _folder(self) -> Path:
        """The files of this commit in the cache."""
        return Path(constants.HF_HUB_CACHE, f"models--{self.name.replace('/', '--')}", "snapshots", self.commit)

    def _kept(self, path: str) -> Path | None:
        """A file in the cache, if it is there; a link that leads nowhere is not."""
        found = self._folder / path
        return found if found.exists() else None

    def _check_cached(self, chosen: Callable[[str], Any]) -> None:
        """Refuse files that were cut short or changed in the cache, as far as can be told without the hub."""
        for found in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if chosen(found.name) and (problem := damage_of(found)):
                raise HubError(
                    f"cannot load {_what(self.name, self.revision)}: {found} in the cache is not the file it should "
                    f"be: {problem}. It was not used. Delete {found.resolve()}, and load again where the hub can be "
                    "reached."
                )

    def _weights(self) -> list[str]:
        """Paths of the weights: safetensors where there are any, in one file or as their index names them."""
        assert self.files is not None
        for whole in _WEIGHTS:
            if whole in self.files:
                return [whole]
            if (index := f"{whole}.index.json") in self.files:
                self._fetch({index: self.commit})
                return sorted(set(json.loads((self._folder / index).read_text())["weight_map"].values()))
        raise HubError(
            f"cannot load {_what(self.name, self.revision)}: at commit {self.commit} it has no {_WEIGHTS[0]}, only "
            f"{sorted(self.files)[:20]}. Name a repository of transformers weights."
        )

    def _file(self, path: str, revision: str | None) -> None:
        """See to one file in the cache; new ones are compared with the hub's hash, all with its size.

        Raises:
            FileNotFoundError: Another process dropped it meanwhile.
        """
        assert self.files is not None
        asked = f"{path} of {_what(self.name, self.revision)}"
        # While a file is new there is a note of it: of a process that is killed before it compared, the next one knows.
        unchecked = notes(self.name) / f"{hashlib.sha256(f'{self.commit}/{path}'.encode()).hexdigest()[:16]}.unchecked"
        try:
            if self._kept(path) is None:
                unchecked.parent.mkdir(parents=True, exist_ok=True)
                unchecked.touch()
            found = Path(
                _patiently(
                    asked,
                    lambda: huggingface_hub.hf_hub_download(
                        self.name, path, revision=revision, cache_dir=constants.HF_HUB_CACHE
                    ),
                )
            )
        except HubError:
            raise
        except Exception as error:  # the client has a type of its own for each failure
            if isinstance(error, FileNotFoundError) and error.errno == errno.ENOENT:
                raise
            if (number := disk.refusal(error)) is not None:
                needs = self.files[path].size or 0
                raise disk.DiskError(
                    f"cannot load {asked}: {disk.describe(number, self._folder / path, _INSTEAD, needs)}"
                ) from None
            raise refusal(error, self.name, self.revision, path) from None
        if found.parents[len(Path(path).parents) - 1].name != self.commit:
            raise HubError(f"cannot load {asked}: the branch moved on while it was read. Load it again.")
        fresh = unchecked.exists()
        self._check(found, path, fresh)
        if fresh:
            unchecked.unlink(missing_ok=True)

    def _check(self, found: Path, path: str, fresh: bool) -> None:
        """Refuse and delete a file that is not what the hub lists."""
        assert self.files is not None
        listed = self.files[path]
        if listed.size is not None and found.stat().st_size != listed.size:
            problem = f"it has {found.stat().st_size} bytes, the hub lists {listed.size}"
        elif not fresh:
            return
        elif listed.lfs is not None and file_sha256(found) != listed.lfs.sha256:
            problem = f"its SHA-256 is {file_sha256(found)}, the hub lists {listed.lfs.sha256}"
        elif listed.lfs is None and listed.blob_id is not None and git_sha1(found) != listed.blob_id:
            problem = f"its git hash is {git_sha1(found)}, the hub lists {listed.blob_id}"
        else:
            return
        found.resolve().unlink(missing_ok=True)
        found.unlink(missing_ok=True)
        raise HubError(
            f"{path} of {_what(self.name, self.revision)} at commit {self.commit} is not the file it should be: "
            f"{problem}. It was not used and is deleted from the cache. Load again; if this stays so, a proxy or "
            "mirror between here and the hub changes files."
        )


def snapshot(name: str, revision: str | None) -> Snapshot:
    """The commit that a revision of a repository points to now, and its files.

    Where the hub does not answer, or no longer has the repository, the commit in the local cache is taken.

    Args:
        name: Id of the repository on the hub.
        revision: Branch, tag or commit; the main branch where ``None``.

    Raises:
        HubError: The hub has no such repository or revision, does not allow access, or does not answer.
        DiskError: The home folder cannot hold what the hub's client keeps there.
    """
    commit = cached_commit(name, revision)
    if constants.HF_HUB_OFFLINE and commit is not None:
        return Snapshot(name, revision, commit, None)

    def ask() -> Any:
        return huggingface_hub.HfApi().model_info(
            name, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )

    try:
        info = _patiently(_what(name, revision), ask, pauses=PAUSES if commit is None else ())
    except Exception as error:  # the client has a type of its own for each failure
        problem: Exception = error if isinstance(error, HubError) else refusal(error, name, revision)
        if (number := disk.refusal(error)) is not None:  # the client looks for a token in the home folder
            where_it_looked = Path(getattr(error, "filename", None) or constants.HF_HUB_CACHE)
            problem = disk.DiskError(
                f"cannot load {_what(name, revision)}: {disk.describe(number, where_it_looked, _INSTEAD)}"
            )
        if commit is None or isinstance(error, RevisionNotFoundError):
            raise problem from None
        logger.warning("%s Commit %s lies in the cache and is used.", problem, commit)
        return Snapshot(name, revision, commit, None)
    files = {file.rfilename: file for file in info.siblings or []}
    if any(file.lfs is None and file.blob_id is None for file in files.values()):
        logger.warning("%s: %s lists no hashes, so they are not compared.", name, where())
    return Snapshot(name, revision, info.sha, files)


def _patiently(asked: str, ask: Callable[[], T], pauses: tuple[float, ...] | None = None) -> T:
    """``ask()``, repeated after failures that pass: a dropped connection, a server's error, a limited rate."""
    for pause in (*(PAUSES if pauses is None else pauses), None):
        try:
            with _waits_bounded(asked):
                return ask()
        except (HubError, LocalEntryNotFoundError):  # the latter is the client's, after repeating by itself
            raise
        except Exception as error:
            code = status(error)
            if pause is None or code is None or not (code == 0 or code == 429 or code >= 500):
                raise
            wait = max(pause, _wait_asked_for(getattr(error, "response", None)))
            logger.warning("%s: %s; asking again in %.0f s", asked, f"status {code}" if code else "no answer", wait)
        time.sleep(wait)
    raise AssertionError("unreachable: the last pause is None")


@contextlib.contextmanager
def _waits_bounded(asked: str) -> Iterator[None]:
    """Within this, the hub's client does not sleep as long as the hub likes, which it otherwise does."""

    def refuse(response: Any) -> None:
        if (seconds := _wait_asked_for(response)) > LONGEST_WAIT:
            raise HubError(
                f"cannot load {asked}: the hub limits the rate ({response.status_code}) and asks to wait {seconds} s; "
                f"srtoolkit waits {LONGEST_WAIT} s at most. Try again then; who is logged in (`hf auth login`) "
                "may ask more often."
            )

    hooks = huggingface_hub.get_session().event_hooks["response"]
    hooks.append(refuse)
    try:
        yield
    finally:
        hooks.remove(refuse)


def _wait_asked_for(response: Any) -> int:
    """Seconds that a response asks to wait, as the hub's client reads them; 0 where it asks for none."""
    if response is None or response.status_code not in (429, 503):
        return 0
    limit = parse_ratelimit_headers(response.headers)
    if limit is not None and limit.remaining == 0:
        return limit.reset_in_seconds
    after = response.headers.get("Retry-After", "").strip()
    return int(after) if after.isdigit() else 0


def _what(name: str, revision: str | None) -> str:
    return f"revision {revision!r} of {name!r}" if revision else repr(name)
