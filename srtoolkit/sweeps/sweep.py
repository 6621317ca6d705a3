"""Measurements over many models and revisions: resumable, with one model in memory at a time."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import xarray as xr
from tqdm.auto import tqdm

from srtoolkit.models.sources import announce
from srtoolkit.sweeps import executors, marks
from srtoolkit.sweeps.members import Member, arguments_of, label
from srtoolkit.sweeps.store import MISSING, Store
from srtoolkit.sweeps.tasks import Measure, Task, run_tasks

logger = logging.getLogger(__name__)


@overload
def sweep(
    models: Sequence[Member],
    measure: Measure,
    *,
    store: str | Path,
    executor: executors.Submits | None = None,
    keep: bool = False,
    mark: str | None = None,
    allow_same_weights: bool = False,
) -> xr.Dataset: ...


@overload
def sweep(
    models: Sequence[Member],
    measure: Mapping[str, Measure],
    *,
    store: str | Path,
    executor: executors.Submits | None = None,
    keep: bool = False,
    mark: Mapping[str, str] | None = None,
    allow_same_weights: bool = False,
) -> dict[str, xr.Dataset]: ...


def sweep(
    models: Sequence[Member],
    measure: Measure | Mapping[str, Measure],
    *,
    store: str | Path,
    executor: executors.Submits | None = None,
    keep: bool = False,
    mark: str | Mapping[str, str] | None = None,
    allow_same_weights: bool = False,
) -> xr.Dataset | dict[str, xr.Dataset]:
    """One measurement, or several, on each of several models, as a Dataset with dimension ``model``.

    Every model's result is written to ``store`` as soon as it is measured. After an interrupt, a crash or a failure,
    the same call measures only what is missing, and says how much was there. Two processes that sweep into the same
    store at once never measure the same model twice.

    A store gives its results only to the measurement that made them. The code of ``measure`` and everything that it
    uses are compared by content: arguments and defaults, variables around it and what is in them, and your own helper
    functions and classes; of installed packages, the version. What it changes itself, such as a list that it appends
    to, may be as it left it. What it reads from files, finds by a name made at run time or chooses at random is not
    compared.

    With an ``executor``, its workers load the models and write the results. They need this version of the package, the
    models' files or a hub, and ``store`` on a disk that all share; give a model in a local folder by its absolute path.
    They must be able to import the module of ``measure``; Dask's and submitit's workers are sent a notebook's own
    functions whole, those of a process pool are not. A model whose worker is killed is run again, at most twice. With
    the same number of threads (``torch.set_num_threads``, ``OMP_NUM_THREADS``) and the same kind of processor, the
    result is the same to the last bit.

    Args:
        models: The models, each as ``"name"``, ``"name@revision"``, or a mapping of :func:`srtoolkit.load_model`'s
            arguments.
        measure: Function that takes a model and returns a Dataset. A mapping of several functions by name measures all
            of them on each model, which is loaded once.
        store: Folder for the results, made if need be. It holds one measurement; of several, each gets a folder of its
            name inside.
        executor: Where to run the models: any ``concurrent.futures.Executor``, such as ``ProcessPoolExecutor(4,
            mp_context=get_context("spawn"))`` or Dask's ``client.get_executor()``, or submitit's ``AutoExecutor``. You
            close it. Where ``None``, the models run one after the other in this process.
        keep: Keep what was downloaded from the hub; otherwise, a revision that was not in the cache before is deleted
            again.
        mark: A text that stands for the measurement in place of all that is compared, or one for each by name. You
            answer for it: change it whenever the measurement changes. The mark that a store's ``sweep.json`` has under
            ``"measure"`` goes on with that store.
        allow_same_weights: Take two models that have the same weights; otherwise, they are refused.

    Returns:
        A Dataset along ``model``, in the order of ``models``; for several measurements, a dictionary of Datasets by
        name. Attributes that differ between models (revision, weight fingerprint, …) are coordinates along ``model``.
        ``error`` is empty, or says why a model has no result; its values are then missing. ``shared_weights`` is empty,
        or says which earlier model has half or more of a model's weights, tensor by tensor.

    Raises:
        ValueError: There are no models, a model is given twice, two models have the same weights, a measurement's name
            cannot name a folder, the store holds another measurement, or the executor cannot be sent ``measure``.
        TypeError: ``executor`` is no executor, or the measurement uses something whose content cannot be compared.
        DiskError: Models are to be measured, and the store is full or cannot be written.
        RuntimeError: Every model failed in a measurement, or the executor broke and a new one is needed.
    """
    members = {label(member): arguments_of(member) for member in models}
    if not members or len(members) != len(models):
        raise ValueError(f"a sweep needs one or more different models, got {[label(member) for member in models]}.")
    measures = _by_name(measure)
    stores = {name: Store(Path(store).absolute() / name) for name in measures}
    if executor is not None:
        for one in measures.values():
            executors.check(executor, one)
    known = _marks(measures, mark)
    for name, own in known.items():
        stores[name].claim(own)
    missing = {name: _missing(kept, list(members)) for name, kept in stores.items()}
    tasks = [
        Task(
            model,
            arguments,
            {name: (measures[name], stores[name]) for name in measures if model in missing[name]},
            keep,
        )
        for model, arguments in members.items()
        if any(model in models for models in missing.values())
    ]
    here = [task.arguments for task in tasks if not task.arguments.get("remote")]
    announce([(arguments["name"], arguments.get("revision")) for arguments in here])
    try:
        errors = _carry_out(tasks, list(members), stores, missing, executor, allow_same_weights)
    finally:
        for name, own in known.items():
            if missing[name] and "inputs" in own:
                _note_changes(stores[name], measures[name])
    found = {name: kept.join(list(members), errors[name]) for name, kept in stores.items()}
    shared = {model: said for one in found.values() for model, said in _shared(one) if said}
    for model, said in shared.items():
        logger.warning("%s: %s.", model, said)
    return found if isinstance(measure, Mapping) else found[""]


def _by_name(measure: Measure | Mapping[str, Measure]) -> dict[str, Measure]:
    """Measurements by the names of their folders in the store; a single one has no folder of its own in it."""
    if not isinstance(measure, Mapping):
        return {"": measure}
    if not measure:
        raise ValueError("a sweep needs one or more measurements, got an empty mapping.")
    for name in measure:
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]{0,79}", name):
            raise ValueError(
                f"a measurement of a sweep names a folder in its store: expected up to 80 letters, digits, '-', '_' or "
                f"'.', the first no '.' or '-', got {name!r}."
            )
    return dict(measure)


def _marks(measures: Mapping[str, Measure], given: str | Mapping[str, str] | None) -> dict[str, dict[str, Any]]:
    """Marks of measurements by their names: those given, else what is found by looking into them."""
    texts = {"": given} if isinstance(given, str) else dict(given or {})
    if unknown := sorted(set(texts) - set(measures)) or [name for name, text in texts.items() if not _is_text(text)]:
        expected = "one text" if "" in measures else f"texts for {sorted(measures)}"
        raise ValueError(f"mark={given!r}: expected {expected}; wrong is {unknown}.")
    return {name: marks.vouched(texts[name]) if name in texts else marks.mark(one) for name, one in measures.items()}


def _note_changes(store: Store, measure: Measure) -> None:
    """Let a store know what a measurement that has run changed of its own inputs."""
    with contextlib.suppress(TypeError):  # what it has put there cannot be compared
        store.leave(marks.mark(measure))


def _is_text(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _shared(found: xr.Dataset) -> Iterator[tuple[str, str]]:
    return zip(found["model"].values.tolist(), found["shared_weights"].values.tolist(), strict=True)


def _missing(store: Store, names: Sequence[str]) -> set[str]:
    """The models that have no result in the store, for which there must be room."""
    lacking = {name: why for name in names if (why := store.lacks(name))}
    for name, why in lacking.items():
        if why != MISSING:
            logger.warning("%s is measured again, since its result %s", name, why)
    if lacking:
        store.check_room()
    return set(lacking)


def _carry_out(
    tasks: Sequence[Task],
    names: Sequence[str],
    stores: Mapping[str, Store],
    missing: Mapping[str, set[str]],
    executor: executors.Submits | None,
    allow_same_weights: bool,
) -> dict[str, dict[str, str]]:
    """Run the tasks; why a model has no result, by measurement and model. Models of the same weights are refused."""
    errors: dict[str, dict[str, str]] = {name: {} for name in stores}
    seen: dict[str, dict[str, str]] = {name: {} for name in stores}
    for name, store in stores.items():
        for model in names:
            if model not in missing[name]:
                store.check_twin(model, seen[name], allow_same_weights)
        if seen[name]:
            logger.warning("%d of %d models taken from %s.", len(names) - len(missing[name]), len(names), store.folder)
    there = sum(len(names) - len(lacking) for lacking in missing.values())
    with (
        tqdm(total=len(names) * len(stores), initial=there, desc="models", unit="model") as bar,
        contextlib.closing(run_tasks(tasks, executor)) as ends,
    ):
        for end in ends:
            bar.update()
            if end.error:
                errors[end.measurement][end.model] = end.error
                logger.warning("%s failed: %s", f"{end.measurement} of {end.model}".removeprefix(" of "), end.error)
            else:
                stores[end.measurement].check_twin(end.model, seen[end.measurement], allow_same_weights)
    for name, store in stores.items():
        if not seen[name]:
            what = f"every model failed in {name!r}" if name else "every model failed"
            first = next(iter(errors[name].items()))
            raise RuntimeError(f"{what}; the first, {first}. Tracebacks are in {store.folder}.")
    return errors
