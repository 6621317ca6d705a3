"""Results: labelled xarray Datasets that say where they come from, saved as netCDF in one step or not at all.

Axes, everywhere in the project:

=============  =====================================================================================
``pair``       one pair of prompts, named by its label
``prompt``     one prompt, or the one of a pair that a value is of
``other``      a second one, where all of them are compared with each other
``context``    a prompt into which points are patched
``pos``        position of a token in its prompt; ``_pos`` where prompts differ in length
``text``       one text that is embedded
``alternative``  another token's activation towards which a token's is moved, the nearest first
``alpha``      place on the path from A (0) to B (1)
``beta``       place across it, in a plane, from the line AB (0) to C (1)
``anchor``     A, B or C: a prompt whose activation spans a plane
``point``      one activation that is patched, or whose output is read
``step``       from one point of a path to the next
``lag``        number of steps between two points that are compared
``bin``        range of distances in which points are compared
``limit``      where one such range ends and the next begins
``offset``     alpha less that of a path's fastest step
``direction``  one direction in which an activation is moved
``ray``        one direction from one prompt's activation
``place``      one point on a ray or path, or of a path's grid
``rung``       one of the sizes that are tried in turn
``new``        points of a grid that are to run next
``neighbour``  a random point beside A
``model``      one model or revision of a sweep, named by its label
``block``      index of a decoder block whose gates are read
``write``      index of a decoder block after which points are put in
``read``       index of a decoder block that is read
``gate``       one pre-activation of the MLP of a block
``flip``       one change of a gate's sign on a path
``head``       one attention head
``key``        position that attention may look at
``d_model``    width of the residual stream
``d_head``     width of an attention head
``d_vocab``    token ids of the model
``width``      of whatever is read: ``d_model``, ``d_vocab`` or all gates
``written``    place of a token in what a model writes; the first is 1
``rank``       place among the likeliest next tokens, the likeliest first
``quantity``   name of a summarised measure
``resample``   one drawing of the bootstrap; the first may be all pairs as they are
``direction``  one direction, or mixture of two, along which an activation is pushed
``draw``       one random direction of several at a point
``size``       how far it is pushed
``couple``     two directions that are mixed
``inverse``    a value of 1/p that is tried
``feature``    one feature of a map whose truth is known
``boundary``   one boundary of such a map
``symbol``     one symbol that a hidden Markov process emits
``state``      one of its hidden states
``belief``     one belief that its words lead to: a probability for each hidden state
``region``     one region that prompts fell into
``crossing``   one place where a path crosses a boundary; the first is 1
``bracket``    one interval in which something changes
``ran``        one point of a path that was run, where not all of them were
``side``       A or B of a pair, or first or second of a couple
``seed``       one null model of several
``run``        one training run
``setting``    what differs between the results of a trend, such as a checkpoint
``entry``      one of the values that are ranked together
``merge``      one joining of two groups of prompts, the closest first
``part``       what scipy's linkage says of a merge: both groups, their distance, their size
``axis``       horizontal or vertical, in a map of prompts
``row``        one sequence of a pass over a model; one line of a grid
``column``     place in a line of a grid
``token``      place in a stream of token ids, ``train_token`` and ``held_out_token`` where two meet
``window``     one training window of a stream
=============  =====================================================================================
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from srtoolkit.files import disk
from srtoolkit.validation import UNKEPT
from srtoolkit.version import __version__

#: Format of the files that :func:`save` writes. Files without a format are of format 0. Up to format 1, the dimension
#: of blocks whose gates were counted was called ``layer``.
FORMAT = 2

#: What a saved file ends with, before the SHA-256 of everything in front, in hexadecimal. HDF5 ignores what follows its
#: content; a program that rewrites the file drops it. Files of before have no seal.
_SEAL = b"\nsrtoolkit sha256 "
_SEALED = len(_SEAL) + 64


#: How the name of a saved result may end.
ENDINGS = (".nc", ".nc4", ".netcdf", ".h5", ".hdf5")

#: Bytes of values that a file may always hold, and how many it may for each of its own; results are not compressed.
_PROMISED, _PACKED = 2**30, 1000


class ResultError(ValueError):
    """A file is no result that this version can read. The message says what it is and what to do."""


class DamagedResult(ResultError):
    """A result's file is cut short, or its content is not what was written."""


def save(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a result as a netCDF file, which is there whole or not at all.

    Args:
        dataset: Any result of this package.
        path: Path of the file to write, which ends in ``.nc`` or in nothing; folders are made as needed.

    Returns:
        The path of the file.

    Raises:
        TypeError: ``dataset`` is no Dataset, or holds something that netCDF cannot.
        ValueError: The name asks for another format, such as ``x.csv``.
        DiskError: The disk is full, or the folder cannot be written. An earlier file of that name is as it was.
    """
    path = Path(path)
    if path.suffix and path.suffix.lower() not in ENDINGS:
        raise ValueError(
            f"path={str(path)!r}: a result is saved as netCDF; expected a name that ends in .nc. "
            "srt.table(result) makes a table, whose to_csv, to_parquet and to_excel write other formats."
        )
    return write(dataset, path, "save it elsewhere")


def write(dataset: xr.Dataset, path: Path, instead: str) -> Path:
    """Write a result as a netCDF file, with advice of its own in errors; :func:`save` is the public form.

    Args:
        dataset: Any result of this package.
        path: Path of the file to write.
        instead: What to do where there is no room, for the error message.
    """
    disk.write_whole(path, content_of(dataset), instead)
    return path


def content_of(dataset: xr.Dataset) -> bytes:
    """What :func:`save` writes into a file.

    Args:
        dataset: Any result of this package.

    Raises:
        TypeError: ``dataset`` is no Dataset, or holds something that netCDF cannot.
    """
    _check_storable(dataset)
    sums = {
        name: {"fletcher32": True}  # so that a bit that turned is found on reading
        for name, values in dataset.variables.items()
        if values.dtype.kind in "biuf" and values.ndim and values.size
    }
    marked = dataset.assign_attrs(srtoolkit_format=FORMAT, srtoolkit_writer=__version__)
    # In memory first: HDF5 takes the process with it when a disk refuses what it writes.
    with _without_a_cluster():
        content = marked.to_netcdf(engine="h5netcdf", invalid_netcdf=False, encoding=sums)
    return _sealed(bytes(content))


def _sealed(content: bytes) -> bytes:
    return content + _SEAL + hashlib.sha256(content).hexdigest().encode()


def _is_broken(content: bytes) -> bool:
    """Whether a file has a seal that is not the one of its content. A part of a seal is a broken one."""
    at = content.rfind(_SEAL, -_SEALED)
    return at >= 0 and content != _sealed(content[:at])


def _without_a_cluster() -> contextlib.AbstractContextManager[Any]:
    """Within this, xarray asks no Dask cluster for a lock: what is written is this process's own memory."""
    dask = sys.modules.get("dask")
    return contextlib.nullcontext() if dask is None else dask.config.set(scheduler="synchronous")


def _check_storable(dataset: xr.Dataset) -> None:
    """Refuse what netCDF cannot hold, or would give back as something else."""
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset: expected an xarray.Dataset, got {type(dataset).__name__}.")
    for name, values in dataset.variables.items():
        texts = values.values.ravel().tolist() if values.dtype.kind in "OUST" else []
        if values.dtype.kind not in "biufUOTmM" or any(not isinstance(text, str) for text in texts):
            raise TypeError(f"{name!r} holds {values.dtype}; a result is saved with numbers, truth values and strings.")
        _check_text(texts, f"{name!r}")
    for owner, attrs in [("attrs", dataset.attrs), *((repr(n), v.attrs) for n, v in dataset.variables.items())]:
        for key, value in attrs.items():
            numbers = isinstance(value, np.ndarray) and value.ndim < 2 and value.dtype.kind in "iuf"
            parts = np.ravel(value).tolist() if numbers else value
            parts = (
                parts
                if isinstance(parts, list | tuple) and not any(isinstance(part, list | tuple) for part in parts)
                else [value]
            )
            plain = [
                kind
                for kind in (str, int, float, np.integer, np.floating)
                if all(isinstance(part, kind) for part in parts)
            ]
            wide = plain[:1] == [int] and any(isinstance(part, bool) or abs(part) >= 2**63 for part in parts)
            if not isinstance(key, str) or not plain or not parts or wide:
                raise TypeError(
                    f"{owner}: {key}={str(value)[:100]!r} is no attribute that netCDF has; give a number or string, or "
                    "a list of numbers or of strings."
                )
            _check_text([key, *map(str, parts)], owner)


def _check_text(texts: list[str], where: str) -> None:
    bad = [text for text in texts if UNKEPT.search(text)]
    if bad:
        raise ValueError(
            f"{where}: {bad[0][:100]!r} holds a NUL or half a character, which netCDF would cut; replace it."
        )


def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a result that :func:`save` wrote, into memory.

    Args:
        path: Path of the netCDF file.

    Returns:
        The result, as it was saved.

    Raises:
        FileNotFoundError: There is no such file.
        ResultError: The file is damaged, was written by a newer version of this package, or is none of its results.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path={path!r}: expected where the file is, as a string or a path.")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no result at {path}: there is no such file; srtoolkit.save writes one.")
    if _is_broken(path.read_bytes()):
        raise _damaged(path, "the SHA-256 at the end is not that of what is before it")
    try:
        _check_promise(path)
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            found = dataset.load()
    except (MemoryError, ResultError):
        raise
    except Exception as error:  # HDF5, h5netcdf and xarray each fail in their own ways
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's own: no leave to read, a disk that fails
        raise _damaged(path, f"netCDF says {' '.join(str(error).split())[:200]!r}") from error
    return _in_this_format(found, path)


def attribute(path: Path, name: str) -> str:
    """One attribute of a result, read without its numbers: whether these are whole is for :func:`load` to say.

    Args:
        path: Path of the netCDF file.
        name: Name of the attribute.

    Raises:
        FileNotFoundError: There is no such file.
        ResultError: The file is damaged, or is none of this package's results.
    """
    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs[name])
    except (OSError, KeyError):  # of another format, or damaged, which is said there
        return str(load(path).attrs[name])


def _check_promise(path: Path) -> None:
    """Refuse a file of a few bytes that says it holds many: memory would be asked for all of them."""
    promised = 0

    def add(_name: str, item: Any) -> None:
        nonlocal promised
        promised += item.size * item.dtype.itemsize if isinstance(item, h5py.Dataset) and item.size else 0

    with h5py.File(path) as file:
        file.visititems(add)
    if promised > max(_PROMISED, _PACKED * path.stat().st_size):
        raise ResultError(
            f"{path} says that it holds {promised / 1e9:,.0f} GB, in a file of {path.stat().st_size:,} bytes; "
            "srtoolkit.save does not write so. Is it from somebody you trust? xarray.open_dataset(path, chunks={}) "
            "reads parts of it."
        )


def _damaged(path: Path, why: str) -> DamagedResult:
    return DamagedResult(
        f"{path} is damaged: of its {path.stat().st_size:,} bytes, {why}. Lost power, or a copy that was cut short, "
        "leaves such files. Delete it and measure again; a sweep does so by itself."
    )


def _in_this_format(found: xr.Dataset, path: Path) -> xr.Dataset:
    """The result without the marks of its file, which is refused if this version cannot know what it means."""
    number = found.attrs.pop("srtoolkit_format", 0 if "srtoolkit" in found.attrs else None)
    writer = found.attrs.pop("srtoolkit_writer", found.attrs.get("srtoolkit"))
    if number is None:
        raise ResultError(
            f"{path} is netCDF, but no result of srtoolkit: its attributes are {sorted(map(str, found.attrs))[:10]}. "
            "xarray.open_dataset reads it."
        )
    if int(number) > FORMAT:
        raise ResultError(
            f"{path} was written by srtoolkit {writer} in format {number}; this is srtoolkit {__version__}, which "
            f"knows formats up to {FORMAT}. Read it with srtoolkit {writer} or a later one."
        )
    of_blocks = any("layer" in found[name].dims for name in ("flips", "ends_differ") if name in found)
    return found.rename(layer="block") if int(number) < 2 and of_blocks else found
