"""One measurement over many models and revisions: resumable, one model in memory at a time."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr
from tqdm.auto import tqdm

from srtoolkit.files import disk
from srtoolkit.models.loading import load_model
from srtoolkit.models.model import Model
from srtoolkit.models.sources import announce, borrowed
from srtoolkit.sweeps import executors
from srtoolkit.sweeps.store import Store

logger = logging.getLogger(__name__)

Measure = Callable[[Model], xr.Dataset]
#: A model as :func:`sweep` takes it: ``"name"``, ``"name@revision"``, or the arguments of ``load_model`` by name.
Member = str | Mapping[str, Any]

#: A process has one model in hand, however many threads an executor gives it: memory, traces and random draws are the
#: process's own.
_ONE_AT_A_TIME = threading.Lock()


def sweep(
    models: Sequence[Member],
    measure: Measure,
    *,
    store: str | Path,
    executor: executors.Submits | None = None,
    keep: bool = False,
) -> xr.Dataset:
    """One measurement on each of several models, as one result with a dimension ``model``.

    Every model's result is written to ``store`` as soon as it is there, whole or not at all. Calling again with the
    same arguments measures only what is missing: after an interrupt, a crash, or a failure. Two processes that sweep
    into the same store at once never measure the same model twice.

    With an ``executor``, its workers load the models and write the results; only a line about each comes back. So they
    need this package at this version, the models' files or a hub, and ``store`` on a disk that all share; a model in a
    local folder is best given by its absolute path. They must be able to import the module of ``measure``; Dask's and
    submitit's workers are sent a notebook's own functions whole, those of a process pool are not. A model whose worker
    is killed is run again, at most twice. With as many threads as here (``torch.set_num_threads``,
    ``OMP_NUM_THREADS``) and processors of one kind, the result is the same to the last bit.

    Args:
        models: ``"name"``, ``"name@revision"``, or a mapping of :func:`srtoolkit.load_model`'s arguments.
        measure: From a model to a Dataset. Its source, arguments and closure identify the store's content.
        store: Folder for the results; made if need be. One measurement has a folder to itself.
        executor: Where to run the models; here, one after the other, where ``None``. Any
            ``concurrent.futures.Executor``: ``ProcessPoolExecutor(4, mp_context=get_context("spawn"))``, Dask's
            ``client.get_executor()``; and submitit's ``AutoExecutor``. Yours to close.
        keep: Keep what was downloaded from the hub; else a revision that was not there before is dropped again.

    Returns:
        The results along ``model``, in the order of ``models``; what differs from model to model in their attributes
        (revision, weight fingerprint, …) is a coordinate along ``model``. ``error`` is empty, or says why a model has
        no result; its values are then missing.

    Raises:
        ValueError: Nothing to do, a model given twice, two models of the same weights, a store that holds another
            measurement, or an executor that cannot be sent ``measure``.
        TypeError: ``executor`` is none.
        DiskError: The store is full or cannot be written, and models are to be measured.
        RuntimeError: Every model failed, or the executor broke in a way that only a new one mends.
    """
    members = {label(member): _arguments(member) for member in models}
    if not members or len(members) != len(models):
        raise ValueError(f"a sweep needs one or more different models, got {[label(member) for member in models]}.")
    if executor is not None:
        executors.check(executor, measure)
    folder = Store(Path(store).absolute())
    folder.claim(measure)
    waiting = {name: arguments for name, arguments in members.items() if not folder.holds(name)}
    if waiting:
        folder.check_room()
    here = [arguments for arguments in waiting.values() if not arguments.get("remote")]
    announce((arguments["name"], arguments.get("revision")) for arguments in here)
    errors: dict[str, str] = {}
    seen: dict[str, str] = {}
    for name in members:
        if name not in waiting:
            folder.refuse_twin(name, seen)
    calls = {name: (name, arguments, measure, folder, keep) for name, arguments in waiting.items()}
    with (
        tqdm(total=len(members), initial=len(seen), desc="models", unit="model") as bar,
        contextlib.closing(_run_all(calls, executor)) as finished,
    ):
        for name, error in finished:
            bar.update()
            if error := error or folder.await_file(name):
                errors[name] = error
                logger.warning("%s failed: %s", name, error)
            else:
                folder.refuse_twin(name, seen)
    if not seen:
        raise RuntimeError(f"every model failed; the first, {next(iter(errors.items()))}. Tracebacks are in {store}.")
    return folder.join(list(members), errors)


def label(member: Member) -> str:
    """The name of a sweep's member along ``model``: its name, revision, and whatever else it is loaded with."""
    arguments = _arguments(member)
    name, revision = arguments.pop("name"), arguments.pop("revision", None)
    rest = ", ".join(f"{key} {value}" for key, value in sorted(arguments.items()))
    return f"{name}{f'@{revision}' if revision else ''}{f' ({rest})' if rest else ''}"


def _arguments(member: Member) -> dict[str, Any]:
    if isinstance(member, str):
        name, _, revision = member.partition("@")
        return {"name": name, "revision": revision} if revision else {"name": name}
    if not isinstance(member, Mapping) or "name" not in member:
        raise ValueError(f"a model of a sweep is a name, name@revision, or a mapping with a 'name', not {member!r}.")
    return dict(member)


def _run_all(
    calls: Mapping[str, tuple[Any, ...]], executor: executors.Submits | None
) -> Generator[tuple[str, str], None, None]:
    """Each model's label as it finishes, with its error or an empty string."""
    if executor is None:
        for name, arguments in calls.items():
            yield name, _run(*arguments)
        return
    with contextlib.closing(executors.run_each(_run, calls, executor)) as finished:
        for name, outcome in finished:
            if isinstance(outcome, Exception):
                said = " ".join(f"{type(outcome).__name__}: {outcome}".split())[:400]
                yield name, f"its worker did not come back, {executors.RETRIES + 1} times; the last, {said}"
            else:
                yield name, outcome


def _run(name: str, arguments: dict[str, Any], measure: Measure, store: Store, keep: bool) -> str:
    """Load one model, measure, write; what went wrong in one line, with the traceback left in the store."""
    if unusable := store.unusable_here():
        return unusable
    with _ONE_AT_A_TIME, store.alone(name):
        if store.holds(name):  # another process was faster
            return ""
        report = store.file(name).with_suffix(".error.txt")
        try:
            with borrowed(arguments["name"], arguments.get("revision"), keep):
                model = load_model(**arguments)
                found = measure(model)
                if not isinstance(found, xr.Dataset):
                    raise TypeError(f"measure must return an xarray.Dataset, not {type(found).__name__}.")
                store.write(name, found.assign_attrs(model.provenance(), parameters=model.n_parameters))
                del model, found
        except Exception as error:  # whatever a model or measurement fails with, the other models go on
            with contextlib.suppress(disk.DiskError):  # of a store that is full, which is then what is said
                disk.write_text(report, traceback.format_exc())
            return f"{type(error).__name__}: {error}"
        finally:
            gc.collect()  # a failed trace leaves cycles that hold the model
        report.unlink(missing_ok=True)
        return ""
