"""The folder that keeps a sweep's results: one measurement, one file a model, whoever writes and whatever is killed."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import logging
import platform
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from filelock import BaseFileLock, FileLock

from srtoolkit import results
from srtoolkit.files import disk
from srtoolkit.version import __version__

logger = logging.getLogger(__name__)

#: Seconds until a file that another machine wrote must show here; network file systems may remember for a minute that
#: there was none.
_SHOWS_WITHIN = 90.0

#: Bytes that must find room before a model is measured for a store.
_ROOM = 2**16

_INSTEAD = "give the sweep another store= (the results in this one are kept; $SRT_STORE moves the notebooks' stores)"

#: What a result's attributes say of its model alone: coordinates along ``model``, even where they do not differ.
_OF_A_MODEL = ("name", "revision", "commit", "fingerprint", "init", "seed", "parameters")


@dataclass(frozen=True)
class Store:
    """A folder of results, one file for each model of a sweep.

    Args:
        folder: Where; as an absolute path, since workers may run elsewhere.
    """

    folder: Path

    def file(self, name: str) -> Path:
        """Where a model's result lies: a readable name, and a hash for what cannot be in a file's name.

        Args:
            name: The model's label.
        """
        plain = re.sub(r"[^A-Za-z0-9.@_-]+", "_", name)[:80]
        return self.folder / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.nc"

    def alone(self, name: str) -> BaseFileLock:
        """A lock, for one process at a time, on one model; the system opens it again when its holder dies.

        Args:
            name: The model's label.
        """
        return FileLock(self.folder / f".{self.file(name).stem}.lock")

    def holds(self, name: str) -> bool:
        """Whether a model's result is there and whole; one that is damaged is said, and will be measured again.

        Args:
            name: The model's label.
        """
        try:
            results.load(self.file(name))
        except FileNotFoundError:
            return False
        except results.DamagedResult as damage:
            logger.warning("%s is measured again: %s", name, damage)
            return False
        return True

    def write(self, name: str, found: xr.Dataset) -> None:
        """Keep a model's result.

        Args:
            name: The model's label.
            found: What was measured.

        Raises:
            DiskError: The store is full or cannot be written.
        """
        results.write(found, self.file(name), _INSTEAD)

    def claim(self, measure: Any) -> None:
        """Mark a new store as holding ``measure``, and tidy up after a crash.

        Args:
            measure: The measurement.

        Raises:
            ValueError: The store holds another measurement, or another version's, or its mark is damaged.
            DiskError: A new store cannot be written.
        """
        said = {"srtoolkit": __version__, "measure": _describe(measure)}
        if not self._said():
            self.check_room()
            with self.alone("sweep"):
                if not self._said():
                    disk.write_text(self._mark, json.dumps(said, indent=1), _INSTEAD)
        found = self._said()
        if (theirs := found.get("srtoolkit")) != __version__:
            raise ValueError(
                f"{self.folder} holds results of another measurement or version: it is of srtoolkit {theirs}, this is "
                f"{__version__}, whose numbers may be others (see the changelog), so they are not put together. Go on "
                f"with it in srtoolkit {theirs}, or give this sweep a folder of its own; srtoolkit.load still reads "
                "each result."
            )
        if found != said:
            raise ValueError(
                f"{self.folder} holds results of another measurement: {found}, now it would be {said}. "
                "Give this sweep a folder of its own, or delete that one."
            )
        with contextlib.suppress(OSError):  # of a store that can only be read, nothing need be removed
            disk.remove_scratch(self.folder)

    def check_room(self) -> None:
        """Refuse a store that takes no results, before hours of measuring for it.

        Raises:
            DiskError: It is full or cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder) as probe:
                probe.write(bytes(_ROOM))
        except OSError as error:
            if (number := disk.refusal(error)) is None:
                raise
            raise disk.DiskError(disk.describe(number, self.folder, _INSTEAD, _ROOM)) from error

    def unusable_here(self) -> str:
        """Why a worker cannot write here: it has no leave or room, or another version; else empty."""
        where = f"the worker on {platform.node()}"
        if not self._mark.exists():
            return (
                f"{where} finds no store in {self.folder}: workers write their results themselves, so give store= a "
                "folder on a disk that all of them share."
            )
        theirs = self._said()["srtoolkit"]
        if theirs != __version__:
            return f"{where} has srtoolkit {__version__}, the sweep {theirs}; install the same everywhere."
        try:
            self.check_room()
        except disk.DiskError as error:
            return f"DiskError: {where}: {error}"
        return ""

    def await_file(self, name: str) -> str:
        """Wait until a result that was written elsewhere shows here; empty, or why there is none.

        Args:
            name: The model's label.
        """
        deadline = time.monotonic() + _SHOWS_WITHIN
        while not self.file(name).exists():
            if time.monotonic() > deadline:
                return f"FileNotFoundError: its worker has written {self.file(name)}, but it does not show here"
            time.sleep(0.5)
        return ""

    def refuse_twin(self, name: str, seen: dict[str, str]) -> None:
        """Refuse a model of the same weights as an earlier one: a revision not heeded would pass as a result.

        Args:
            name: The model's label.
            seen: Labels by weight fingerprint, to which this one is added.

        Raises:
            ValueError: A model of these weights was there already.
        """
        fingerprint = str(results.load(self.file(name)).attrs["fingerprint"])
        twin = seen.setdefault(fingerprint, name)
        if twin != name:
            raise ValueError(
                f"{twin!r} and {name!r} have the same weights (fingerprint {fingerprint}), so they are one model under "
                "two names; leave one out. Results so far are kept."
            )

    def join(self, names: Sequence[str], errors: Mapping[str, str]) -> xr.Dataset:
        """All results along ``model``, as read back from the files, so that a resumed sweep gives the same.

        Args:
            names: The models' labels, in the order wanted.
            errors: Why a model has no result, by its label.
        """
        found = {name: _count_positions(results.load(self.file(name))) for name in names if name not in errors}
        attrs = [
            {"name" if key == "model" else key: value for key, value in one.attrs.items()} for one in found.values()
        ]
        keys = dict.fromkeys(key for one in attrs for key in one)
        own = [key for key in keys if key in _OF_A_MODEL or any(one.get(key) != attrs[0].get(key) for one in attrs)]
        parts = [
            one.expand_dims(model=[name]).assign_coords({key: ("model", [mine.get(key, "")]) for key in own})
            for (name, one), mine in zip(found.items(), attrs, strict=True)
        ]
        fill = {str(name): _filler(values) for part in parts for name, values in part.variables.items()}
        joined = xr.concat(parts, "model", coords="different", compat="equals", join="outer", fill_value=fill)
        joined.attrs = {key: value for key, value in attrs[0].items() if key not in own}
        joined = joined.reindex(model=list(names), fill_value=fill)
        return joined.assign(error=("model", [errors.get(name, "") for name in names]))

    @property
    def _mark(self) -> Path:
        return self.folder / "sweep.json"

    def _said(self) -> dict[str, Any]:
        """What the store's mark says; empty where there is none, or a damaged one in a store without results."""
        try:
            return dict(json.loads(self._mark.read_text()))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (ValueError, TypeError):
            kept = len(list(self.folder.glob("*.nc")))
            if not kept:
                return {}
            raise ValueError(
                f"{self._mark} is damaged, so what the {kept} results beside it measured is not known, and none is "
                "added. Give this sweep a folder of its own, or delete that one; srtoolkit.load still reads each."
            ) from None


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


def _count_positions(dataset: xr.Dataset) -> xr.Dataset:
    """The Dataset with a coordinate for every dimension, so that different lengths can be joined and filled up."""
    bare = [dim for dim in dataset.dims if dim not in dataset.coords]
    return dataset.assign_coords({dim: np.arange(dataset.sizes[dim]) for dim in bare})


def _filler(values: Any) -> Any:
    """What stands for a missing value of this kind."""
    return {"i": -1, "b": False, "U": "", "O": "", "T": ""}.get(values.dtype.kind, np.nan)
