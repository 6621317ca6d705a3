"""``python -m srtoolkit.suite``: make the nano suite from nothing, step by step."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import shutil
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from srtoolkit.suite import card, configuration, corpus, followers, series, shipped, tokenizer, training


def main() -> None:
    """Run one step of the making of the suite."""
    parser = argparse.ArgumentParser(prog="python -m srtoolkit.suite", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/suite"), help="where everything is made")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("corpus", help="fetch and clean the text, train the tokenizer, tokenize")
    command = commands.add_parser("train", help="train one model, or go on with it")
    command.add_argument("--size", required=True, choices=configuration.names())
    command.add_argument("--until", type=int, help="stop before this step")
    command.add_argument("--device", default="cpu", help="where to train, as PyTorch writes it: cpu, cuda")
    command = commands.add_parser(
        "series", help="train what is left of the two series of runs, which differ in size and seed alone"
    )
    command.add_argument("--device", default="cpu", help="likewise, the same one for every run")
    commands.add_parser("ship", help="put the trained models into the package, in few bits, with their hashes")
    commands.add_parser("followers", help="count what follows each token in the text, for the package")
    commands.add_parser("card", help="write the model card of what the package carries")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.command == "corpus":
        _corpus(arguments.folder)
    elif arguments.command == "train":
        chosen = configuration.configuration(arguments.size)
        train, held_out = (np.load(arguments.folder / f"{split}.npy") for split in ("train", "held_out"))
        training.train(chosen, train, held_out, arguments.folder / chosen.name, arguments.until, arguments.device)
    elif arguments.command == "series":
        _series(arguments.folder, arguments.device)
    elif arguments.command == "followers":
        followers.ship(np.load(arguments.folder / "train.npy"))
    elif arguments.command == "card":
        card.write_card()
    else:
        shipped.ship(arguments.folder)


def _series(folder: Path, device: str) -> None:
    """Train the runs of both series one after the other; several processes at once share them out."""
    train, held_out = (np.load(folder / f"{split}.npy") for split in ("train", "held_out"))
    for run in (*series.runs(), *series.training_runs()):
        if (folder / run.name / f"step{run.steps}.safetensors").exists():
            continue
        (folder / run.name).mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Timeout), FileLock(folder / run.name / ".lock", timeout=0):
            training.train(run, train, held_out, folder / run.name, device=device)


def _corpus(folder: Path) -> None:
    corpus.build(folder / "corpus")
    bpe = tokenizer.train_tokenizer(folder / "corpus")
    bpe.save(str(folder / "tokenizer.json"))
    shutil.copyfile(folder / "corpus" / "sources.csv", folder / "sources.csv")
    streams = {split: tokenizer.token_stream(folder / "corpus", split, bpe) for split in ("train", "held_out")}
    for split, stream in streams.items():
        np.save(folder / f"{split}.npy", stream)
    statistics = shipped.measure_statistics(streams["train"], streams["held_out"])
    (folder / "statistics.json").write_text(json.dumps(statistics, indent=1) + "\n")


if __name__ == "__main__":
    main()
