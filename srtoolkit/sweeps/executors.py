"""Calls on other processes and machines, any of which may be killed: a call that is lost is made again."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler
from typing import Any, Protocol, runtime_checkable

logger = logging.getLogger(__name__)

#: How often a call that did not come back is made again.
RETRIES = 2

#: Seconds between looks at what is done. Asking serves futures of any kind, and lets an interrupt in.
_LOOK_EVERY = 0.1


@runtime_checkable
class Submits(Protocol):
    """An object that runs calls elsewhere: any ``concurrent.futures.Executor``, and submitit's executors."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any: ...


def check(executor: Any, measure: Callable[..., Any]) -> None:
    """Refuse, before any call, an executor that cannot run a measurement.

    Args:
        executor: The executor.
        measure: The measurement, which its processes must be able to import.

    Raises:
        TypeError: ``executor`` is no executor.
        ValueError: The executor is a process pool that forks, or that cannot be sent the measurement.
    """
    if not isinstance(executor, Submits):
        raise TypeError(
            f"executor must be a concurrent.futures.Executor or have its submit(), not {type(executor).__name__}; of a "
            "Dask client, pass client.get_executor()."
        )
    if not isinstance(executor, ProcessPoolExecutor):
        return
    if getattr(executor._mp_context, "get_start_method", lambda: "")() == "fork":
        raise ValueError(
            "this ProcessPoolExecutor forks its processes, in which torch's threads hang; make it with "
            "mp_context=multiprocessing.get_context('spawn')."
        )
    advice = (
        "put it into a module that can be imported (values that vary can be set with functools.partial), or take an "
        "executor that sends functions whole, as Dask's and submitit's do."
    )
    try:
        sent = bytes(ForkingPickler.dumps(measure))
    except Exception as error:  # each kind of thing that cannot be sent fails in its own way
        raise ValueError(f"a process pool cannot be sent the measurement ({error}); {advice}") from None
    if b"__main__" in sent and not hasattr(sys.modules["__main__"], "__file__"):
        raise ValueError(f"a process pool does not find a measurement defined in a notebook; {advice}")


def run_each(
    function: Callable[..., Any], calls: Mapping[str, Sequence[Any]], executor: Submits
) -> Generator[tuple[str, Any], None, None]:
    """Call a function once for every name, and yield what it returns as it comes in.

    A call whose worker died is made again, up to :data:`RETRIES` times. A process pool that has lost a process takes no
    more calls; from then on every call gets a process to itself.

    Args:
        function: The function, defined in a module.
        calls: Arguments of each call, by name.
        executor: Where to run the calls. Those that it has not begun are cancelled when the caller stops iterating.

    Returns:
        Pairs of a name and what the call returned, or the last exception where every attempt failed.

    Raises:
        RuntimeError: The executor broke, and cannot be replaced.
    """
    attempts: Counter[str] = Counter()
    own = None  # processes, if the executor's are gone
    jobs: dict[str, Any] = {}

    def submit(name: str) -> Any:
        nonlocal own
        attempts[name] += 1
        # Dask takes equal arguments for an equal result, so each attempt has a name of its own.
        job = (_attempt, uuid.uuid4().hex, function, *calls[name])
        if own is None:
            try:
                return executor.submit(*job)
            except BrokenExecutor as error:
                if not isinstance(executor, ProcessPoolExecutor):
                    raise RuntimeError(
                        f"the executor broke ({error}). What is in the store is kept: call again with a new executor."
                    ) from error
                logger.warning("the process pool has lost a process; each model now gets a process to itself.")
                own = _OwnProcesses(executor)
        return own.submit(*job)

    try:
        for name in calls:
            jobs[name] = submit(name)
        while jobs:
            for name in [name for name, job in jobs.items() if job.done()]:
                try:
                    outcome = jobs[name].result()
                except Exception as error:  # every executor says in its own way that a worker is gone
                    if attempts[name] <= RETRIES:
                        logger.warning("%s did not come back (%s) and is run again.", name, type(error).__name__)
                        jobs[name] = submit(name)
                        continue
                    outcome = error
                del jobs[name]
                yield name, outcome
            time.sleep(_LOOK_EVERY if jobs else 0)
    finally:
        for job in jobs.values():
            with contextlib.suppress(Exception):  # the job is gone already, or its cluster is
                if not job.done():
                    job.cancel()
        if own is not None:
            own.shutdown(wait=False, cancel_futures=True)


def _attempt(_name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


class _OwnProcesses(Executor):
    """A new process for every call, as many at a time as a pool had and made as its were."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._threads = ThreadPoolExecutor(getattr(pool, "_max_workers", 1))
        self._made: dict[str, Any] = {
            "mp_context": pool._mp_context,
            "initializer": pool._initializer,
            "initargs": pool._initargs,
        }

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._threads.submit(self._call, fn, *args, **kwargs)

    def _call(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with ProcessPoolExecutor(1, **self._made) as pool:
            return pool.submit(fn, *args, **kwargs).result()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
