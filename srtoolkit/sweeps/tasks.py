"""Measuring models for stores: each model is loaded once for all measurements on it."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from srtoolkit.files import disk
from srtoolkit.models.loading import load_model
from srtoolkit.models.model import Model
from srtoolkit.models.sources import borrowed
from srtoolkit.sweeps import executors, twins
from srtoolkit.sweeps.store import Store

logger = logging.getLogger(__name__)

Measure = Callable[[Model], xr.Dataset]

#: A process has one model in hand, however many threads an executor gives it: memory, traces and random draws are the
#: process's own.
_ONE_AT_A_TIME = threading.Lock()


def _begin_anew() -> None:
    """Free the lock in a forked process, where no thread has a model in hand."""
    global _ONE_AT_A_TIME  # a lock cannot be released by a thread that is not there
    _ONE_AT_A_TIME = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


@dataclass(frozen=True)
class Task:
    """One model, and what is to be measured on it.

    Attributes:
        model: Label of the model.
        arguments: Arguments with which :func:`srtoolkit.load_model` loads it.
        measures: Measurements by name, each with the store that keeps its results.
        keep: Whether to keep what is downloaded for the model.
    """

    model: str
    arguments: Mapping[str, Any]
    measures: Mapping[str, tuple[Measure, Store]]
    keep: bool = False

    def failed(self, names: Sequence[str], error: str) -> list[Finished]:
        """The outcome of several measurements that failed for one reason.

        Args:
            names: Names of the measurements.
            error: Why they have no result.
        """
        return [Finished(self.model, name, error) for name in names]


@dataclass(frozen=True)
class Finished:
    """The outcome of one measurement on one model.

    Attributes:
        model: Label of the model.
        measurement: Name of the measurement.
        error: Why there is no result, in one line; empty where the result is in its store.
        seconds: Seconds that the measurement took; 0 where another process had made it, or where it failed.
    """

    model: str
    measurement: str
    error: str = ""
    seconds: float = 0.0


def run_tasks(tasks: Sequence[Task], executor: executors.Submits | None = None) -> Generator[Finished, None, None]:
    """Measure and write what every task says; a failure loses one model, or one measurement of it, and no more.

    Args:
        tasks: One task for each model.
        executor: Where to run the tasks; where ``None``, they run one after the other in this process.

    Returns:
        The outcome of every measurement of every task, as it comes.
    """
    if executor is None:
        for task in tasks:
            yield from _run(task)
        return
    by_model = {task.model: task for task in tasks}
    calls = {model: (task,) for model, task in by_model.items()}
    with contextlib.closing(executors.run_each(_run_whole, calls, executor)) as outcomes:
        for model, outcome in outcomes:
            task = by_model[model]
            if isinstance(outcome, Exception):
                said = " ".join(f"{type(outcome).__name__}: {outcome}".split())[:400]
                lost = f"its worker did not come back, {executors.RETRIES + 1} times; the last, {said}"
                yield from task.failed(list(task.measures), lost)
                continue
            for one in outcome:
                unseen = "" if one.error else task.measures[one.measurement][1].await_file(model)
                yield Finished(model, one.measurement, one.error or unseen, one.seconds)


def _run_whole(task: Task) -> list[Finished]:
    """The outcomes of :func:`_run` as a list, which an executor can send back."""
    return list(_run(task))


def _run(task: Task) -> Generator[Finished, None, None]:
    """Measure what no other process has measured meanwhile."""
    missing = []
    for name, (_, store) in task.measures.items():
        if unusable := store.unusable_here():
            yield Finished(task.model, name, unusable)
        else:
            missing.append(name)
    with contextlib.ExitStack() as alone:
        alone.enter_context(_ONE_AT_A_TIME)
        # In one order everywhere: else two processes could each wait for a store that the other has.
        for store in sorted((task.measures[name][1] for name in missing), key=lambda store: store.folder):
            alone.enter_context(store.alone(task.model))
        for name in list(missing):
            if task.measures[name][1].holds(task.model):
                missing.remove(name)
                yield Finished(task.model, name)
        if missing:
            yield from _load_and_measure(task, missing)


def _load_and_measure(task: Task, missing: list[str]) -> Generator[Finished, None, None]:
    """Load the model for its measurements in ``missing``, of which none is left at the end."""
    try:
        with borrowed(task.arguments["name"], task.arguments.get("revision"), task.keep):
            yield from _measure_each(task, load_model(**task.arguments), missing)
    except Exception as error:  # whatever a model fails to load with, the other models go on
        for name in missing:
            _leave_traceback(task.measures[name][1], task.model)
        yield from task.failed(missing, f"{type(error).__name__}: {error}")
    finally:
        gc.collect()  # a failed trace leaves cycles that hold the model


def _measure_each(task: Task, model: Model, missing: list[str]) -> Generator[Finished, None, None]:
    """Measure and write, one measurement after the other."""
    while missing:
        name, start = missing[0], time.monotonic()
        measure, store = task.measures[name]
        try:
            found = measure(model)
            if not isinstance(found, xr.Dataset):
                raise TypeError(f"measure must return an xarray.Dataset, not {type(found).__name__}.")
            about = {**model.provenance(), "parameters": model.n_parameters, twins.TENSORS: twins.listed(model)}
            store.write(task.model, found.assign_attrs(about))
            store.report(task.model).unlink(missing_ok=True)
            finished = Finished(task.model, name, seconds=time.monotonic() - start)
        except Exception as error:  # whatever a measurement fails with, the others go on
            _leave_traceback(store, task.model)
            finished = Finished(task.model, name, f"{type(error).__name__}: {error}")
        del missing[0]
        yield finished


def _leave_traceback(store: Store, model: str) -> None:
    with contextlib.suppress(disk.DiskError):  # of a store that is full, which is then what is said
        disk.write_text(store.report(model), traceback.format_exc())
