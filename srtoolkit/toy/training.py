"""Trains a small model on a hidden Markov process, as the nano suite is trained, and puts it into the package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

from srtoolkit.files import hashes, verified
from srtoolkit.suite import eight_bits, training
from srtoolkit.toy import hidden_markov
from srtoolkit.toy.processes import PROCESSES, process

#: Symbols of the stream that a model is trained on, and of the one on which its log measures the loss.
STREAM, HELD_OUT = 2_000_000, 22_000


def train(name: str, folder: Path, until: int | None = None, *, run: int = 0, device: str = "cpu") -> None:
    """Train a model from the start, or from where an earlier call with the same folder stopped.

    Windows begin anywhere in one long stream, so that nothing is known of the hidden state where they begin.

    Args:
        name: Name of the process.
        folder: Folder of the run.
        until: Stop before this step; the last step where ``None``.
        run: Number of the run: the seed of its first weights, and of the order in which it sees the same stream.
        device: Where to train, as PyTorch writes it.

    Raises:
        ValueError: There is no such process.
    """
    source = process(name)
    seen, held_out = (
        source.sample(1, length, seed=seed)[0].astype(np.uint16) for seed, length in ((1, STREAM), (2, HELD_OUT))
    )
    training.train(hidden_markov.configuration(name, run), seen, held_out, folder, until, device)


def ship(folder: Path) -> None:
    """Put trained models into the package, in eight bits, with their losses and hashes. Others stay as they are.

    Args:
        folder: Holds a folder of each run.

    Raises:
        FileNotFoundError: A model is not finished, or neither the folder nor the package has it.
    """
    runs = [(name, run) for name in PROCESSES for run in range(hidden_markov.CARRIED + 1)]
    for name, run in runs:
        held = folder / hidden_markov.run_name(name, run)
        if held.is_dir():
            (step,) = hidden_markov.configuration(name, run).shipped
            weights = eight_bits.pack(load_file(held / f"step{step}.safetensors"))
            save_file(weights, hidden_markov.weight_file(name, run))
            shutil.copyfile(held / "losses.csv", hidden_markov.weight_file(name, run).with_suffix(".csv"))
    found = {path.name: hashes.file_sha256(path) for path in (hidden_markov.weight_file(*each) for each in runs)}
    (hidden_markov.DATA / verified.MANIFEST).write_text(json.dumps(found, indent=1) + "\n")
