"""The page of ``srt demo``: three paths to drag along, from nothing but what the package carries."""

from __future__ import annotations

from pathlib import Path

from srtoolkit.measures.curves import interpolate
from srtoolkit.models import packaged
from srtoolkit.models.loading import load_model
from srtoolkit.models.nulls import null_model
from srtoolkit.panels.interpolation.examples import EXAMPLES
from srtoolkit.panels.path.page import explorer
from srtoolkit.prompts.pairs import from_text

#: The model that the page is made with where SmolLM2 has not been fetched yet, and SmolLM2.
CARRIED, FETCHED = "nano-6m", "smollm2-135m"

#: Likeliest tokens that are kept at each point.
TOP = 50


def model_for_demo() -> str:
    """Name of the best model that is on this machine already; nothing is downloaded for a demonstration."""
    return FETCHED if packaged.is_cached(FETCHED) else CARRIED


def write_demo(path: Path, name: str) -> Path:
    """Measure three pairs of prompts in a model and in the same weights shuffled, and write the page.

    Args:
        path: Path of the file to write.
        name: Name of the model.

    Returns:
        The path of the file.

    Raises:
        DiskError: The disk is full, or the file cannot be written.
    """
    model = load_model(name)
    null = null_model(model, "permuted", seed=0)
    found, shuffled = {}, {}
    for label, pair in EXAMPLES.items():
        pairs = from_text(model, [pair])
        found[label] = interpolate(model, pairs, top=TOP, progress=_silent)
        shuffled[label] = interpolate(null, pairs, reads="final_norm", progress=_silent)
    return explorer(found, path, shuffled=shuffled, title="From one prompt to another: drag along the path")


def _silent(_done: int, _total: int) -> None:
    """The command has said what is measured; six bars of a second each would say no more."""
