"""The time that this machine takes to load a model, from files that were read before."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from srtoolkit.files import hashes
from srtoolkit.models.loading import load_model
from srtoolkit.models.weights import DTYPES
from srtoolkit.suite.configuration import names

#: Bytes that are written and read back to measure loading.
SAMPLE = 2**26


@dataclass(frozen=True)
class Loading:
    """Seconds that loading a model takes on this machine, from files that were read before.

    Attributes:
        start: Seconds for the configuration, tokenizer and modules of any model.
        per_byte: Seconds for each byte of weights that is read.
        per_hashed_byte: Seconds for each byte whose hash is checked.
    """

    start: float
    per_byte: float
    per_hashed_byte: float

    def seconds(self, size: int, hashed: bool) -> float:
        """Expected seconds of loading a model.

        Args:
            size: Bytes of the model's files.
            hashed: Whether their hashes are checked.
        """
        return self.start + (self.per_byte + self.per_hashed_byte * hashed) * size


def measure_loading(dtype: str) -> Loading:
    """Measure this machine: load the smallest packaged model, and write, hash and read a file of weights.

    Args:
        dtype: Name of the number format.
    """
    start = _seconds(lambda: load_model(names()[0], dtype=dtype, device="cpu"))
    with tempfile.TemporaryDirectory(prefix="srtoolkit-") as folder:
        file = Path(folder) / "sample.safetensors"
        save_file({"weight": torch.zeros(SAMPLE // 4)}, file)
        read = min(_seconds(lambda: load_file(file)["weight"].to(DTYPES[dtype], copy=True)) for _ in range(3))
        hashed = min(_seconds(lambda: hashes.file_sha256(file)) for _ in range(2))
    return Loading(start, read / SAMPLE, hashed / SAMPLE)


def _seconds(do: Callable[[], Any]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start
