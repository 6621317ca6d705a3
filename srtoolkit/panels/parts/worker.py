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
    """A job's result is not wanted any more. Its ``progress`` raises this in the job."""


@runtime_checkable
class JobProgress(Protocol):
    """The ``progress=`` of a measurement in a job, which shows how much is done, and ends a job that is not wanted."""

    def __call__(self, done: int, total: int, text: str = "", /) -> None:
        """Show how much is done.

        Args:
            done: Number of points that are done.
            total: Number of all points.
            text: What is being done, where that changes on the way.

        Raises:
            CancelledError: The result is not wanted any more.
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
    """A background thread that runs one job at a time; of the jobs that wait, it runs only the latest.

    The thread ends when there is nothing to do, so that an abandoned panel leaves none behind.

    Args:
        name: Name of the thread.
        lock: Lock that is held while a result is handed over. Where callers of ``submit`` and ``cancel`` hold it too,
            no unwanted result comes after these calls.
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
        """Run a job next, and hand over its result unless a later job or a cancel comes first.

        Args:
            job: Function that takes ``progress``, calls it with how much is done, and returns the result.
            shown: Called with how much is done, on the worker's thread, as long as the result is wanted.
            then: Called with the result, on the worker's thread.
            failed: Called with the exception of ``job`` or ``then``, on the worker's thread.
        """
        with self._change:
            self._latest = self._waiting = _Request(job, shown, then, failed)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def cancel(self) -> bool:
        """Cancel all jobs. The running job ends when it next calls its ``progress``, and its result is dropped.

        Returns:
            Whether there was anything to cancel.
        """
        with self._change:
            wanted, self._latest, self._waiting = self._latest, None, None
            return wanted is not None

    def settle(self, timeout: float | int) -> bool:
        """Wait until no job waits or runs; on the worker's own thread, return at once.

        Args:
            timeout: Most seconds to wait.

        Returns:
            Whether all jobs have ended.
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
