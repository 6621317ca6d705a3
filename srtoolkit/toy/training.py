"""Trains a small model on a hidden Markov process, as the nano suite is trained, and puts it into the package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

from srtoolkit.files import hashes, verified
from srtoolkit.suite import training
from srtoolkit.toy import hidden_markov
from srtoolkit.toy.processes import PROCESSES, process

#: Symbols of the stream that a model is trained on, and of the one on which its log measures the loss.
STREAM, HELD_OUT = 2_000_000, 22_000


def train(name: str, folder: Path, until: int | None = None) -> None:
    """Train a model from the start, or from where an earlier call with the same folder stopped.

    Windows begin anywhere in one long stream, so that nothing is known of the hidden state where they begin.

    Args:
        name: Name of the process.
        folder: Folder of the run.
        until: Stop before this step; the last step where ``None``.

    Raises:
        ValueError: There is no such process.
    """
    source = process(name)
    seen, held_out = (
        source.sample(1, length, seed=seed)[0].astype(np.uint16) for seed, length in ((1, STREAM), (2, HELD_OUT))
    )
    training.train(hidden_markov.configuration(name), seen, held_out, folder, until)


def ship(folder: Path) -> None:
    """Put trained models into the package, in half precision, with their losses and hashes.

    Args:
        folder: Holds a folder of each process's run.

    Raises:
        FileNotFoundError: A model is not finished.
    """
    for name in PROCESSES:
        (step,) = hidden_markov.configuration(name).shipped
        weights = load_file(folder / name / f"step{step}.safetensors")
        save_file({key: weight.half() for key, weight in weights.items()}, hidden_markov.weight_file(name))
        shutil.copyfile(folder / name / "losses.csv", hidden_markov.DATA / f"{name}.csv")
    found = {path.name: hashes.file_sha256(path) for path in map(hidden_markov.weight_file, PROCESSES)}
    (hidden_markov.DATA / verified.MANIFEST).write_text(json.dumps(found, indent=1) + "\n")
