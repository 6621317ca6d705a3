"""The path that a panel shows, as a picture and as a page."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from srtoolkit.panels.parts.picture import DPI
from srtoolkit.panels.parts.text import drawable
from srtoolkit.panels.path.page import page_of
from srtoolkit.panels.path.still import draw


def picture_of(result: xr.Dataset | None, story: dict[str, Any], alpha: float, ghost: bool) -> Figure:
    """The picture of the path, empty where there is none yet.

    Args:
        result: The curves of one pair.
        story: What the panel's page draws of them.
        alpha: Place of the point that is marked.
        ghost: Whether the speed in a model of shuffled weights is drawn, too.
    """
    figure = Figure((9.4, 4.8), dpi=DPI, facecolor="white")
    if result is not None:
        prompts = [f"{side.upper()}: {drawable(text, 110)}" for side, text in _texts(result).items()]
        where = f"{drawable(str(result.attrs['model']))}, after block {result.attrs['layer']}"
        draw(figure, story, alpha, "\n".join([where, *prompts]), ghost)
    return figure


def page_of_pair(result: xr.Dataset, story: dict[str, Any], title: str) -> str:
    """The page of the path, as HTML.

    Args:
        result: The curves of one pair.
        story: What the panel's page draws of them.
        title: Heading of the page.
    """
    about = f"{result.attrs['model']}, after block {result.attrs['layer']}"
    return page_of([{**story, **_texts(result), "name": "this pair", "about": about}], title)


def _texts(result: xr.Dataset) -> dict[str, str]:
    return {side: str(result[f"text_{side}"].values[0]) for side in "ab"}
