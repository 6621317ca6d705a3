"""A hub of one's own on this machine, which speaks what the hub's client asks, and misbehaves on demand.

It holds repositories as folders by commit, with the hashes that the hub would list, and notes every request.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import struct
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "hf_aTokenThatNobodyMaySee0123456789"


def go_to(address, monkeypatch):
    """Make ``address`` the hub, as ``HF_ENDPOINT`` does when the client is imported."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


@dataclass
class Answer:
    """A response; ``None`` for ``stop_at`` sends all of it."""

    status: int = 200
    headers: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    stop_at: int | None = None
    reset: bool = False


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]


class FakeHub:
    """The server's state: repositories, what was asked, and the faults to commit."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, str]] = {}
        self.folders: dict[str, Path] = {}
        self.asked: list[Request] = []
        #: Each sees a request and the answer due, and gives another answer, or ``None`` for no objection.
        self.faults: list[Callable[[Request, Answer], Answer | None]] = []

    def add(self, name: str, folder: Path, *revisions: str) -> str:
        """A commit of a repository: the folder's files, under every one of ``revisions``."""
        digest = hashlib.sha1(name.encode())
        for path in sorted(folder.rglob("*")):
            digest.update(path.read_bytes() if path.is_file() else b"")
        commit = digest.hexdigest()
        self.folders[commit] = folder
        self.repositories.setdefault(name, {}).update(dict.fromkeys(revisions, commit))
        return commit

    def fails(self, times: float = float("inf"), *, at: str = "", method: str = "", **answer: Any) -> list[Request]:
        """From now on, ``times`` requests whose path holds ``at`` are answered so; the list of those that were.

        An answer with a status of its own is nothing but that; without one, it is the right answer with a change.
        """
        hit: list[Request] = []

        def fault(request: Request, due: Answer) -> Answer | None:
            if len(hit) >= times or at not in request.path or not request.method.startswith(method):
                return None
            hit.append(request)
            as_due = {} if "status" in answer else {"status": due.status, "headers": due.headers, "body": due.body}
            return Answer(**{**as_due, **answer})

        self.faults.append(fault)
        return hit

    def answer(self, request: Request) -> Answer:
        """The right answer, or what a fault makes of it."""
        due = self._right(request)
        for fault in self.faults:
            if (other := fault(request, due)) is not None:
                return other
        return due

    def _right(self, request: Request) -> Answer:
        path = urllib.parse.urlsplit(request.path).path
        if path.startswith("/api/models/"):
            name, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            commit, problem = self._commit(name, urllib.parse.unquote(revision) or "main")
            return problem or _as_json({"id": name, "modelId": name, "sha": commit, "siblings": self._files(commit)})
        name, _, rest = path.removeprefix("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        commit, problem = self._commit(name, urllib.parse.unquote(revision))
        if problem:
            return problem
        source = self.folders[commit] / urllib.parse.unquote(file)
        if not source.is_file():
            return Answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        return _as_file(source, commit, request.headers.get("range"))

    def _commit(self, name: str, revision: str) -> tuple[str, Answer | None]:
        if name not in self.repositories:
            return "", Answer(404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        commits = self.repositories[name]
        if revision in commits.values():
            return revision, None
        if revision not in commits:
            return "", Answer(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev {revision}"})
        return commits[revision], None

    def _files(self, commit: str) -> list[dict[str, Any]]:
        folder = self.folders[commit]
        return [_listed(path, str(path.relative_to(folder))) for path in sorted(folder.rglob("*")) if path.is_file()]


def _listed(path: Path, name: str) -> dict[str, Any]:
    size = path.stat().st_size
    lfs = {"sha256": _etag(path), "size": size, "pointerSize": 130} if _is_large(path) else None
    return {"rfilename": name, "size": size, "blobId": _git_sha1(path), "lfs": lfs}


def _is_large(path: Path) -> bool:
    return path.suffix == ".safetensors"


def _git_sha1(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def _etag(path: Path) -> str:
    """What the hub names a file by: SHA-256 of a large one, git's hash of a small one."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if _is_large(path) else _git_sha1(path)


def _as_json(value: Any) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _as_file(source: Path, commit: str, wanted: str | None) -> Answer:
    headers = {"ETag": f'"{_etag(source)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
    content = source.read_bytes()
    if wanted is None:
        return Answer(200, headers, content)
    start = int(wanted.removeprefix("bytes=").partition("-")[0])
    headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return Answer(206, headers, content[start:])


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        request = Request(self.command, self.path, {key.lower(): value for key, value in self.headers.items()})
        self.hub.asked.append(request)
        answer = self.hub.answer(request)
        self.send_response(answer.status)
        for key, value in {"Content-Length": len(answer.body), **answer.headers}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command == "HEAD":
            return
        with contextlib.suppress(ConnectionError):
            self.wfile.write(answer.body[: answer.stop_at])
        if answer.stop_at is not None:
            self._hang_up(answer.reset)

    do_HEAD = do_GET

    def _hang_up(self, reset: bool) -> None:
        """End the connection in the middle of a body: in good order, or as a cable pulled looks to the other side."""
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Requests are kept in ``asked``."""


@contextlib.contextmanager
def serve():
    """A running hub; yields its state and its address."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
