"""What a slice explorer is asked: which slice, and what of it is shown."""

from __future__ import annotations

from typing import NamedTuple

from srtoolkit.models.model import Model

NEARNESS, REGIONS, TOKENS = "nearness to A, B and C", "nearest output", "top next token"
MARGIN, GATES = "margin of the top token", "gate density"

#: Pictures of a slice, as the control calls them.
PICTURES = (NEARNESS, REGIONS, TOKENS, MARGIN, GATES)


class Question(NamedTuple):
    """Which slice is asked for.

    Attributes:
        model: From :func:`srtoolkit.load_model`.
        prompts: A, B and C.
        layer: Block whose output is replaced.
        resolution: Points along each axis.
        tolerance: Where the slice need not be measured, as :func:`srtoolkit.slice_plane` takes it.
    """

    model: Model
    prompts: tuple[str, str, str]
    layer: int
    resolution: int
    tolerance: float | None


class View(NamedTuple):
    """What of a slice is shown.

    Attributes:
        picture: One of ``PICTURES``.
        anchor: Anchor whose prompt is the context of predictions, gates and the pinned line.
        pin: Row and column of the pinned point, or nothing.
    """

    picture: str
    anchor: str
    pin: tuple[int, ...]
