"""A single background thread that runs the latest job that it was given."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch


class CancelledError(Exception):
    """A job's result is not wanted any more; raised in the job, by its ``progress``."""


@runtime_checkable
class JobProgress(Protocol):
    """How a job says how far it is, and learns that it can end: the ``progress=`` of every measurement."""

    def __call__(self, done: int, total: int, text: str = "", /) -> None:
        """Show how much is done.

        Args:
            done: Points that are done.
            total: Points in all.
            text: What is being done, where that changes on the way.

        Raises:
            CancelledError: Nobody wants the result any more.
        """


Job = Callable[[JobProgress], Any]


@dataclass(eq=False)
class _Request:
    """A job, what shows its progress, and what to do with its result or its error."""

    job: Job
    shown: JobProgress
    then: Callable[[Any], None]
    failed: Callable[[Exception], None]


class Worker:
    """Runs one job at a time, off the thread that handles controls; of those that wait, only the latest.

    The thread ends when there is nothing to do, so that an abandoned panel leaves none behind.

    Args:
        name: Of the thread.
        lock: Held while a result is looked at. Where ``submit`` and ``cancel`` are called under it, too, no result
            comes after them that is not wanted any more.
    """

    def __init__(self, name: str, lock: Any) -> None:
        self._name, self._lock = name, lock
        self._change = threading.Condition()
        self._waiting: _Request | None = None
        self._latest: _Request | None = None
        self._thread: threading.Thread | None = None

    def submit(
        self, job: Job, shown: JobProgress, then: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        """Run ``job(progress)`` next, and give its result to ``then`` unless a later job or a cancel came first.

        Args:
            job: Takes a function to be called with how much is done, which ends the job when nobody wants it any more.
            shown: Takes how much is done, on the worker's thread, as long as the result is wanted.
            then: Takes the result, on the worker's thread.
            failed: Takes what ``job`` or ``then`` raised, on the worker's thread.
        """
        with self._change:
            self._latest = self._waiting = _Request(job, shown, then, failed)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def cancel(self) -> bool:
        """Want no result any more; the running job ends unheard, when it next says how far it is.

        Returns:
            Whether there was anything to cancel.
        """
        with self._change:
            wanted, self._latest, self._waiting = self._latest, None, None
            return wanted is not None

    def settle(self, timeout: float | int) -> bool:
        """Wait until no job waits or runs; from the worker's own thread this would wait for itself, so it does not.

        Args:
            timeout: In seconds.

        Returns:
            Whether that came in time.
        """
        with self._change:
            if self._thread is threading.current_thread():
                return True
            return self._change.wait_for(lambda: self._thread is None, timeout)

    def _run(self) -> None:
        with torch.no_grad(), _nothing_displayed():  # both hold for a single thread, which is this one
            while (request := self._next()) is not None:
                self._carry_out(request)

    def _next(self) -> _Request | None:
        with self._change:
            request, self._waiting = self._waiting, None
            if request is None:
                self._thread = None
                self._change.notify_all()
            return request

    def _carry_out(self, request: _Request) -> None:
        def wanted() -> bool:
            return self._latest is request

        def progress(done: int, total: int, text: str = "", /) -> None:
            with self._lock:
                if not wanted():
                    raise CancelledError("cancelled, or replaced by a later request.")
                request.shown(done, total, text)

        try:
            result = request.job(progress)
            with self._lock:
                if wanted():
                    request.then(result)
        except Exception as error:  # whatever a job raises is the panel's to show
            with self._lock:
                if wanted():
                    request.failed(error)
        finally:
            with self._change:
                if self._latest is request:
                    self._latest = None


@contextlib.contextmanager
def _nothing_displayed() -> Iterator[None]:
    """Keep progress bars of library calls out of the notebook, where they would show under an unrelated cell."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    publisher: Any = getattr(shell, "display_pub", None)
    if not hasattr(publisher, "register_hook"):
        yield
        return

    def drop(_: Any) -> None:
        return None

    publisher.register_hook(drop)  # the publisher keeps hooks by thread
    try:
        yield
    finally:
        publisher.unregister_hook(drop)
