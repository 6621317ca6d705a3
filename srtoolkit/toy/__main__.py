"""Trains the models of hidden Markov processes: ``python -m srtoolkit.toy train rrxor``, then ``ship``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srtoolkit.toy import training

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
Folder = Annotated[Path, typer.Option(help="Folder of the runs.")]


@app.command()
def train(name: Annotated[str, typer.Argument(help="mess3 or rrxor")], folder: Folder = Path("build/toy")) -> None:
    """Train the model of a process; go on where an earlier run stopped."""
    training.train(name, folder / name)


@app.command()
def ship(folder: Folder = Path("build/toy")) -> None:
    """Put the trained models into the package."""
    training.ship(folder)


if __name__ == "__main__":
    app()
