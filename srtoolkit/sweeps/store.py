"""The folder that keeps a sweep's results: one measurement, one file for each model, safe against crashes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from filelock import BaseFileLock, FileLock

from srtoolkit import results
from srtoolkit.files import disk
from srtoolkit.sweeps import joining, twins
from srtoolkit.sweeps.marks import differences
from srtoolkit.version import __version__

#: Seconds until a file that another machine wrote must show here; network file systems may remember for a minute that
#: there was none.
_SHOWS_WITHIN = 90.0

#: Bytes that must find room before a model is measured for a store.
_ROOM = 2**16

_INSTEAD = "give the sweep another store= (the results in this one are kept; $SRT_STORE moves the notebooks' stores)"

#: What :meth:`Store.lacks` says of a model that has not been measured.
MISSING = "has not been measured"


@dataclass(frozen=True)
class Store:
    """A folder of results, one file for each model of a sweep.

    Args:
        folder: Absolute path of the folder; workers may run in another folder.
    """

    folder: Path

    def file(self, name: str) -> Path:
        """Path of a model's result, whose name is the model's label, made fit for a file name, and a hash of it.

        Args:
            name: Label of the model.
        """
        plain = re.sub(r"[^A-Za-z0-9.@_-]+", "_", name)[:80]
        return self.folder / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.nc"

    def alone(self, name: str) -> BaseFileLock:
        """A lock on one model for one process at a time; the system releases it when its holder dies.

        Args:
            name: Label of the model.
        """
        return FileLock(self.folder / f".{self.file(name).stem}.lock")

    def report(self, name: str) -> Path:
        """Path of the traceback, where measuring a model failed.

        Args:
            name: Label of the model.
        """
        return self.file(name).with_suffix(".error.txt")

    def lacks(self, name: str) -> str:
        """Why a model's result cannot be read, in words: it is not there, or it is damaged. Empty where it can be read.

        Args:
            name: Label of the model.
        """
        try:
            results.load(self.file(name))
        except FileNotFoundError:
            return MISSING
        except results.DamagedResult as damage:
            return f"cannot be read: {damage}"
        return ""

    def holds(self, name: str) -> bool:
        """Whether a model's result is there and whole.

        Args:
            name: Label of the model.
        """
        return not self.lacks(name)

    def write(self, name: str, found: xr.Dataset) -> None:
        """Write a model's result into the store.

        Args:
            name: Label of the model.
            found: The result to keep.

        Raises:
            DiskError: The store is full or cannot be written.
        """
        results.write(found, self.file(name), _INSTEAD)

    def claim(self, said: dict[str, Any]) -> None:
        """Mark a new store as holding one measurement, and remove what a crash left behind.

        Args:
            said: Mark of the measurement, from :mod:`srtoolkit.sweeps.marks`.

        Raises:
            ValueError: The store holds another measurement, or results of another version, or its mark is damaged.
            DiskError: A new store cannot be written.
        """
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
        self._refuse_other(found, said)
        with contextlib.suppress(OSError):  # of a store that can only be read, nothing need be removed
            disk.remove_scratch(self.folder)

    def _refuse_other(self, found: dict[str, Any], said: dict[str, Any]) -> None:
        """Refuse results that are of another measurement, or may be."""
        left = found.pop("left", None)
        theirs, advice = found.get("measure"), "Give this sweep a folder of its own, or delete that one."
        if "inputs" not in said:
            if theirs != said["measure"]:
                raise ValueError(
                    f"{self.folder} holds results of another measurement: its mark is {theirs!r}, not "
                    f"{said['measure']!r}. {advice}"
                )
        elif "inputs" not in found:
            raise ValueError(
                f"{self.folder} may hold results of another measurement: its mark, {theirs!r}, was given by hand or by "
                f"an earlier srtoolkit, which saw neither lists nor helper functions. If you know that it is this one, "
                f"on the same inputs, go on with sweep(..., mark={theirs!r}). {advice}"
            )
        elif said not in (found, left):
            raise ValueError(
                f"{self.folder} holds results of another measurement, {theirs!r}: {differences(found, said)}. {advice}"
            )

    def leave(self, said: dict[str, Any]) -> None:
        """Note how a measurement has left its own inputs, such as a list that it appends to: :meth:`claim` takes both.

        Args:
            said: Mark of the measurement after it has run.
        """
        found = {key: value for key, value in self._said().items() if key != "left"}
        if "inputs" in found and found != said:
            with contextlib.suppress(disk.DiskError):
                disk.write_text(self._mark, json.dumps({**found, "left": said}, indent=1), _INSTEAD)

    def check_room(self) -> None:
        """Refuse a store that cannot be written, before hours of measuring for it.

        Raises:
            DiskError: The store is full or cannot be written.
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
        """Why this worker cannot write to the store, in words: access, room, another version. Empty where it can."""
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
        """Wait until a result that another machine wrote can be seen on this one; returns why not, or an empty text.

        Args:
            name: Label of the model.
        """
        deadline = time.monotonic() + _SHOWS_WITHIN
        while not self.file(name).exists():
            if time.monotonic() > deadline:
                return f"FileNotFoundError: its worker has written {self.file(name)}, but it does not show here"
            time.sleep(0.5)
        return ""

    def check_twin(self, name: str, seen: dict[str, str], allow: bool = False) -> None:
        """Refuse a model with the same weights as an earlier one, which an ignored revision would give.

        Args:
            name: Label of the model.
            seen: Labels by weight fingerprint, to which this one is added.
            allow: Take the model all the same.

        Raises:
            ValueError: An earlier model has the same weights.
        """
        fingerprint = results.attribute(self.file(name), "fingerprint")
        twin = seen.setdefault(fingerprint, name)
        if twin != name and not allow:
            raise ValueError(
                f"{twin!r} and {name!r} have the same weights (fingerprint {fingerprint}), so they are one model under "
                "two names; leave one out, or give sweep(allow_same_weights=True). Results so far are kept."
            )

    def read(self, names: Sequence[str]) -> xr.Dataset:
        """All results joined along ``model``, read from the files; no model is loaded or measured.

        Args:
            names: Labels of the models, in the order of the result.

        Raises:
            ValueError: Results are missing or damaged, or two models have the same weights; the message says which.
        """
        if lacking := [f"{name} {why}" for name in names if (why := self.lacks(name))]:
            raise ValueError(
                f"{len(lacking)} of {len(names)} results cannot be read from {self.folder}: {'; '.join(lacking)}. "
                "Measure them again with the sweep or the command that made the others."
            )
        seen: dict[str, str] = {}
        for name in names:
            self.check_twin(name, seen)
        return self.join(names, {})

    def join(self, names: Sequence[str], errors: Mapping[str, str]) -> xr.Dataset:
        """Results joined along ``model``, read back from the files so that a resumed sweep gives the same.

        Args:
            names: Labels of the models, in the order of the result.
            errors: Why a model has no result, by label.
        """
        found = {name: results.load(self.file(name)) for name in names if name not in errors}
        shared = twins.shared({name: str(one.attrs.pop(twins.TENSORS, "")) for name, one in found.items()})
        return joining.join(found, names, errors).assign(
            shared_weights=("model", [shared.get(name, "") for name in names])
        )

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
