"""The paper's protocol and numbers (Janiak et al. 2024, arXiv 2409.17113), and the criteria of every claim."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from srtoolkit.reference.entries import CLAIMS, Criterion, criteria, criterion

__all__ = ["CLAIMS", "Criterion", "criteria", "criterion", "janiak2024"]


def __dir__() -> list[str]:
    return sorted(__all__)


@cache
def _load() -> str:
    return files("srtoolkit.reference").joinpath("data/janiak2024.json").read_text(encoding="utf-8")


def janiak2024() -> dict[str, Any]:
    """The paper's protocol, models, prompts and numbers.

    The paper prints no numbers for its curves. Those under ``"digitised"`` were read off the published figures (slopes
    to about 0.05, curve values to about 0.01).
    """
    return dict(json.loads(_load()))
