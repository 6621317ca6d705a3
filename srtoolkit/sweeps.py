"""One measurement over many models and revisions: resumable, one model in memory at a time."""

from __future__ import annotations

import gc
import hashlib
import inspect
import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from srtoolkit import hub, results
from srtoolkit.loading import load_model
from srtoolkit.models import Model

logger = logging.getLogger(__name__)

Measure = Callable[[Model], xr.Dataset]
#: A model as :func:`sweep` takes it: ``"name"``, ``"name@revision"``, or the arguments of ``load_model`` by name.
Member = str | Mapping[str, Any]

#: What a result's attributes say of its model alone: coordinates along ``model``, even where they do not differ.
_OF_A_MODEL = ("name", "revision", "commit", "fingerprint", "init", "seed", "parameters")


def sweep(
    models: Sequence[Member],
    measure: Measure,
    *,
    store: str | Path,
    executor: Executor | None = None,
    keep: bool = False,
) -> xr.Dataset:
    """One measurement on each of several models, as one result with a dimension ``model``.

    Every model's result is written to ``store`` as soon as it is there, whole or not at all. Calling again with the
    same arguments measures only what is missing: after an interrupt, a crash, or a failure.

    Args:
        models: ``"name"``, ``"name@revision"``, or a mapping of :func:`srtoolkit.load_model`'s arguments.
        measure: From a model to a Dataset. Its source, arguments and closure identify the store's content.
        store: Folder for the results; made if need be. One measurement has a folder to itself.
        executor: Where to run the models; here, one after the other, where ``None``.
        keep: Keep what was downloaded from the hub; else a revision that was not there before is dropped again.

    Returns:
        The results along ``model``, in the order of ``models``; what differs from model to model in their attributes
        (revision, weight fingerprint, …) is a coordinate along ``model``. ``error`` is empty, or says why a model has
        no result; its values are then missing.

    Raises:
        ValueError: Nothing to do, a model given twice, two models of the same weights, or a store that holds another
            measurement.
        RuntimeError: Every model failed.
    """
    members = {label(member): _arguments(member) for member in models}
    if not members or len(members) != len(models):
        raise ValueError(f"a sweep needs one or more different models, got {[label(member) for member in models]}.")
    store = Path(store)
    _claim(store, measure)
    waiting = {name: arguments for name, arguments in members.items() if not _file(store, name).exists()}
    hub.announce([(arguments["name"], arguments.get("revision")) for arguments in waiting.values()])
    errors: dict[str, str] = {}
    seen: dict[str, str] = {}
    for name in members:
        if name not in waiting:
            _refuse_twin(store, name, seen)
    with tqdm(total=len(members), initial=len(seen), desc="models", unit="model") as bar:
        for name, error in _run_all(waiting, measure, store, executor, keep):
            bar.update()
            if error:
                errors[name] = error
                logger.warning("%s failed: %s", name, error)
            else:
                _refuse_twin(store, name, seen)
    if not seen:
        raise RuntimeError(f"every model failed; the first, {next(iter(errors.items()))}. Tracebacks are in {store}.")
    return _join(store, list(members), errors)


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
    waiting: Mapping[str, dict[str, Any]], measure: Measure, store: Path, executor: Executor | None, keep: bool
) -> Iterator[tuple[str, str]]:
    """Each model's label as it finishes, with its error or an empty string."""
    if executor is None:
        for name, arguments in waiting.items():
            yield name, _run(name, arguments, measure, store, keep)
        return
    jobs = {executor.submit(_run, name, arguments, measure, store, keep): name for name, arguments in waiting.items()}
    for job in as_completed(jobs):
        yield jobs[job], job.result()


def _run(name: str, arguments: dict[str, Any], measure: Measure, store: Path, keep: bool) -> str:
    """Load one model, measure, write; what went wrong in one line, with the traceback left in the store."""
    file, report = _file(store, name), _file(store, name).with_suffix(".error.txt")
    try:
        with hub.borrowed(arguments["name"], arguments.get("revision"), keep):
            model = load_model(**arguments)
            found = measure(model)
            if not isinstance(found, xr.Dataset):
                raise TypeError(f"measure must return an xarray.Dataset, not {type(found).__name__}.")
            results.save(found.assign_attrs(model.provenance(), parameters=model.n_parameters), file)
            del model, found
    except Exception as error:  # whatever a model or measurement fails with, the other models go on
        report.write_text(traceback.format_exc())
        return f"{type(error).__name__}: {error}"
    finally:
        gc.collect()  # a failed trace leaves cycles that hold the model
    report.unlink(missing_ok=True)
    return ""


def _file(store: Path, name: str) -> Path:
    """Where a member's result lies: a readable name, and a hash for what cannot be in a file's name."""
    plain = re.sub(r"[^A-Za-z0-9.@_-]+", "_", name)[:80]
    return store / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.nc"


def _claim(store: Path, measure: Measure) -> None:
    """Mark a new store as holding ``measure``, refuse one that holds something else, and tidy up after a crash."""
    from srtoolkit import __version__

    store.mkdir(parents=True, exist_ok=True)
    said = {"srtoolkit": __version__, "measure": _describe(measure)}
    mark = store / "sweep.json"
    if mark.exists():
        found = json.loads(mark.read_text())
        if found != said:
            raise ValueError(
                f"{store} holds results of another measurement or version: {found}, now it would be {said}. "
                "Give this sweep a folder of its own, or delete that one."
            )
    else:
        results.write_text(mark, json.dumps(said, indent=1))
    results.remove_scratch(store)


def _describe(measure: Any) -> str:
    """What a measurement does, as text: its source, and the values that its source does not show."""
    if isinstance(measure, partial):
        return f"{_describe(measure.func)} with {measure.args!r} {sorted(measure.keywords.items())!r}"
    try:
        source = inspect.getsource(measure)
        hidden = inspect.getclosurevars(measure)
        values = {
            **{key: value for key, value in hidden.globals.items() if isinstance(value, str | int | float | tuple)},
            **{key: value for key, value in hidden.nonlocals.items() if isinstance(value, str | int | float | tuple)},
        }
    except (OSError, TypeError):  # typed into an interpreter, or not a function
        return str(getattr(measure, "__qualname__", type(measure).__qualname__))
    digest = hashlib.sha256(f"{source}{sorted(values.items())!r}".encode()).hexdigest()[:12]
    return f"{measure.__qualname__} {digest}"


def _refuse_twin(store: Path, name: str, seen: dict[str, str]) -> None:
    """Refuse a model of the same weights as an earlier one: a revision that was not heeded would pass as a result."""
    fingerprint = str(results.load(_file(store, name)).attrs["fingerprint"])
    twin = seen.setdefault(fingerprint, name)
    if twin != name:
        raise ValueError(
            f"{twin!r} and {name!r} have the same weights (fingerprint {fingerprint}), so they are one model under two "
            "names; leave one out. Results so far are kept."
        )


def _join(store: Path, names: list[str], errors: Mapping[str, str]) -> xr.Dataset:
    """All results along ``model``, as read back from the store, so that a resumed sweep gives the same."""
    found = {name: _count_positions(results.load(_file(store, name))) for name in names if name not in errors}
    attrs = [{"name" if key == "model" else key: value for key, value in one.attrs.items()} for one in found.values()]
    keys = dict.fromkeys(key for one in attrs for key in one)
    own = [key for key in keys if key in _OF_A_MODEL or any(one.get(key) != attrs[0].get(key) for one in attrs)]
    parts = [
        one.expand_dims(model=[name]).assign_coords({key: ("model", [mine.get(key, "")]) for key in own})
        for (name, one), mine in zip(found.items(), attrs, strict=True)
    ]
    fill = {str(name): _filler(values) for part in parts for name, values in part.variables.items()}
    joined = xr.concat(parts, "model", coords="different", compat="equals", join="outer", fill_value=fill)
    joined.attrs = {key: value for key, value in attrs[0].items() if key not in own}
    joined = joined.reindex(model=names, fill_value=fill)
    return joined.assign(error=("model", [errors.get(name, "") for name in names]))


def _count_positions(dataset: xr.Dataset) -> xr.Dataset:
    """The Dataset with a coordinate for every dimension, so that different lengths can be joined and filled up."""
    bare = [dim for dim in dataset.dims if dim not in dataset.coords]
    return dataset.assign_coords({dim: np.arange(dataset.sizes[dim]) for dim in bare})


def _filler(values: Any) -> Any:
    """What stands for a missing value of this kind."""
    return {"i": -1, "b": False, "U": "", "O": "", "T": ""}.get(values.dtype.kind, np.nan)
