"""Trains the models of hidden Markov processes: ``python -m srtoolkit.toy train rrxor``, then ``ship``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srtoolkit.toy import hidden_markov, training

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
Folder = Annotated[Path, typer.Option(help="Folder of the runs.")]


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="mess3 or rrxor")],
    run: Annotated[int, typer.Option(help="Number of the run: the seed of its weights and of its order.")] = 0,
    device: Annotated[str, typer.Option(help="Where to train, as PyTorch writes it.")] = "cpu",
    folder: Folder = Path("build/toy"),
) -> None:
    """Train a model of a process; go on where an earlier call stopped."""
    training.train(name, folder / hidden_markov.run_name(name, run), run=run, device=device)


@app.command()
def ship(folder: Folder = Path("build/toy")) -> None:
    """Put the trained models into the package."""
    training.ship(folder)


if __name__ == "__main__":
    app()
