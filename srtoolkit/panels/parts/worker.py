"""A single background thread that runs the latest job it was given."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

#: Whether a job's result is no longer wanted; long jobs ask between batches.
Cancelled = Callable[[], bool]
Job = Callable[[Cancelled], Any]


@dataclass(eq=False)
class _Request:
    """A job, and what to do with its result or its error."""

    job: Job
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

    def submit(self, job: Job, then: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
        """Run ``job(cancelled)`` next, and give its result to ``then`` unless a later job or a cancel came first.

        Args:
            job: Takes a function that says whether its result is still wanted.
            then: Takes the result, on the worker's thread.
            failed: Takes what ``job`` or ``then`` raised, on the worker's thread.
        """
        with self._change:
            self._latest = self._waiting = _Request(job, then, failed)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def cancel(self) -> bool:
        """Want no result any more; the running job ends unheard, at its next look at ``cancelled``.

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
        def cancelled() -> bool:
            return self._latest is not request

        try:
            result = request.job(cancelled)
            with self._lock:
                if not cancelled():
                    request.then(result)
        except Exception as error:  # whatever a job raises is the panel's to show
            with self._lock:
                if not cancelled():
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
