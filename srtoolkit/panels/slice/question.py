"""What a slice explorer is asked for: a slice, and a view of it."""

from __future__ import annotations

from typing import NamedTuple

from srtoolkit.models.model import Model

NEARNESS, REGIONS, TOKENS = "nearness to A, B and C", "nearest output", "top next token"
MARGIN, GATES = "margin of the top token", "gate density"

#: Pictures of a slice, as the control calls them.
PICTURES = (NEARNESS, REGIONS, TOKENS, MARGIN, GATES)


class Question(NamedTuple):
    """The slice that is asked for.

    Attributes:
        model: From :func:`srtoolkit.load_model`.
        prompts: Texts of the prompts A, B and C.
        layer: Block whose output is replaced.
        resolution: Number of points along each axis.
        tolerance: Error up to which points are interpolated, as :func:`srtoolkit.slice_plane` takes it.
    """

    model: Model
    prompts: tuple[str, str, str]
    layer: int
    resolution: int
    tolerance: float | None


class View(NamedTuple):
    """The view of a slice that is shown.

    Attributes:
        picture: Name of the picture, one of ``PICTURES``.
        anchor: Name of the anchor in whose context predictions, gates and the pinned line are.
        pin: Row and column of the pinned point; empty where none is pinned.
    """

    picture: str
    anchor: str
    pin: tuple[int, ...]
