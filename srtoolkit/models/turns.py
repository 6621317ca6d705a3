"""Locks that let one thread at a time use a model, and that a forked process finds free."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

#: Seconds that a fork waits for a model that another thread is running.
_WAITS = 60.0

_LOCKS: weakref.WeakSet[Any] = weakref.WeakSet()

#: Locks that a fork in progress has taken.
_taken: list[Any] = []


def turns() -> Any:
    """A lock that the thread which has it can take again.

    While another thread has it, a fork waits: else the new process would have a model in the middle of a pass, with a
    lock that nobody in it can release.
    """
    lock = threading.RLock()
    _LOCKS.add(lock)
    return lock


def _before() -> None:
    _taken.extend(lock for lock in list(_LOCKS) if lock.acquire(timeout=_WAITS))


def _after() -> None:
    while _taken:
        _taken.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
