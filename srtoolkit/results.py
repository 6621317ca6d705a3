"""Results: labelled xarray Datasets that say where they come from, saved as netCDF in one step or not at all.

Axes, everywhere in the project:

=============  ===========================================================
``pair``       one pair of prompts, named by its label
``alpha``      place on the path from A (0) to B (1)
``pos``        position of a token in its prompt; ``_pos`` where prompts differ in length
``layer``      index of a decoder block; its output is meant
``quantity``   name of a summarised measure
``d_model``    width of the residual stream
``d_vocab``    token ids of the model
``width``      of whatever is read: ``d_model`` or ``d_vocab``
=============  ===========================================================
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from srtoolkit.models import Model
from srtoolkit.prompts import PromptPairs


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
    from srtoolkit import __version__

    plain = {key: int(value) if isinstance(value, bool) else value for key, value in settings.items()}
    return {
        **model.provenance(),
        "srtoolkit": __version__,
        "prompts": pairs.source,
        "bos": int(pairs.bos),
        **plain,
    }


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
    handle, scratch = tempfile.mkstemp(suffix=".nc", prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    try:
        dataset.to_netcdf(scratch, engine="h5netcdf", invalid_netcdf=False)
        Path(scratch).replace(path)
    finally:
        Path(scratch).unlink(missing_ok=True)
    return path


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
