"""Results: labelled xarray Datasets that say where they come from, saved as netCDF in one step or not at all.

Axes, everywhere in the project:

=============  ===========================================================
``pair``       one pair of prompts, named by its label
``alpha``      place on the path from A (0) to B (1)
``beta``       place across it, in a plane, from the line AB (0) to C (1)
``anchor``     A, B or C: a prompt whose activation spans a plane
``model``      one model or revision of a sweep, named by its label
``pos``        position of a token in its prompt; ``_pos`` where prompts differ in length
``layer``      index of a decoder block; its output is meant
``token``      place in a stream of token ids, ``train_token`` and ``held_out_token`` where two meet
``window``     one training window of a stream
``quantity``   name of a summarised measure
``d_model``    width of the residual stream
``d_vocab``    token ids of the model
``width``      of whatever is read: ``d_model`` or ``d_vocab``
=============  ===========================================================
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Int
from torch import Tensor

from srtoolkit.models import Model
from srtoolkit.prompts import PromptPairs

_SCRATCH = ".part"


def describe_pairs(pairs: PromptPairs) -> dict[str, Any]:
    """Coordinates and variables along ``pair`` that say what ran: texts, ids filled up with -1, prompt numbers."""
    prompts = [tuple(ids.tolist()) for ids in (*pairs.tokens_a, *pairs.tokens_b)]
    number = {prompt: index for index, prompt in enumerate(dict.fromkeys(prompts))}
    ids = np.full((2, len(pairs), max(map(len, prompts))), -1, dtype=np.int32)
    for index, prompt in enumerate(prompts):
        ids[index // len(pairs), index % len(pairs), : len(prompt)] = prompt
    numbers = np.array([number[prompt] for prompt in prompts]).reshape(2, -1)
    return {
        "pair": ("pair", list(pairs.labels)),
        "text_a": ("pair", list(pairs.text_a)),
        "text_b": ("pair", list(pairs.text_b)),
        "tokens_a": (("pair", "pos"), ids[0]),
        "tokens_b": (("pair", "pos"), ids[1]),
        "prompt_a": ("pair", numbers[0], {"long_name": "number of prompt A; equal numbers are equal prompts"}),
        "prompt_b": ("pair", numbers[1], {"long_name": "number of prompt B"}),
        "lengths_differ": ("pair", np.array(pairs.lengths_differ)),
    }


def provenance(model: Model, pairs: PromptPairs, **settings: Any) -> dict[str, Any]:
    """Attributes of a result: the model, the prompts' source and every setting, as numbers and strings."""
    return _about(model, {"prompts": pairs.source, "bos": int(pairs.bos), **settings})


def triple_provenance(model: Model, prompts: Sequence[Int[Tensor, " _pos"]], **settings: Any) -> dict[str, Any]:
    """Attributes of a result on single prompts: the model, the token ids, and every setting."""
    ids = {f"tokens_{number}": " ".join(map(str, prompt.tolist())) for number, prompt in enumerate(prompts)}
    return _about(model, {**ids, **settings})


def _about(model: Model, settings: dict[str, Any]) -> dict[str, Any]:
    from srtoolkit import __version__

    plain = {key: int(value) if isinstance(value, bool) else value for key, value in settings.items()}
    return {**model.provenance(), "srtoolkit": __version__, **plain}


def save(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a result as netCDF; the file is there whole, under its name, or not at all.

    Args:
        dataset: Any result of this package.
        path: Where to; folders are made as needed.

    Raises:
        OSError: The folder cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as scratch:
        dataset.to_netcdf(scratch, engine="h5netcdf", invalid_netcdf=False)
    return path


def write_text(path: Path, text: str) -> None:
    """Write a text file that is there whole, under its name, or not at all.

    Args:
        path: Where to.
        text: Its content.
    """
    with _replacing(path) as scratch:
        scratch.write_text(text)


def remove_scratch(folder: Path) -> None:
    """Delete what writers that were killed left behind in ``folder``; files of the last hour may be in use."""
    for path in folder.glob(f".*{_SCRATCH}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > 3600:
                path.unlink()


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file to write that takes the place of ``path`` when done, and is gone when that failed."""
    handle, name = tempfile.mkstemp(suffix=_SCRATCH, prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a result that :func:`save` wrote, into memory.

    Args:
        path: Of the netCDF file.

    Raises:
        FileNotFoundError: No such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no result at {path}")
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        return dataset.load()
