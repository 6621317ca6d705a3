"""The canvas of a 2-D slice: everything that hovering over it shows lies in the page, and the kernel is not asked."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, NamedTuple

import anywidget
import numpy as np
import traitlets as T
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

#: Colours that stand for a colour bar.
SWATCHES = 5


class Painted(NamedTuple):
    """What a plot function drew, for a canvas to draw again.

    Attributes:
        colours: Red, green, blue and opacity of every point.
        title: What the colours say.
        legend: Colours, as CSS, and what each of them says.
    """

    colours: UInt8[np.ndarray, "beta alpha 4"]
    title: str
    legend: list[tuple[str, str]]


class SliceCanvas(anywidget.AnyWidget):
    """A picture of a slice, with the prediction at the point that the mouse or the arrow keys are at.

    Attributes:
        points: Number of points along each axis; 0 before there is a picture.
        reach: First and last place on both axes.
        colours: Red, green, blue and opacity of every point, as bytes [beta, alpha, 4].
        anchors: ``name``, ``alpha``, ``beta`` and ``colour`` of A, B and C.
        context: Name of the anchor whose context the tokens are of; the pinned line starts there.
        tokens: Bytes, int32 [beta, alpha, rank]: places in ``vocabulary``.
        probabilities: Bytes, float32 [beta, alpha, rank]; NaN as long as they are not known.
        distances: Bytes, float32 [anchor, beta, alpha].
        vocabulary: Texts of the tokens that occur; empty for tokens that are not known yet.
        title: What the colours say.
        legend: Colours, as CSS, with what each of them says.
        label: What the picture shows, in words.
        pin: Row and column of the pinned point, or nothing. The page sets it, and so may the kernel.
    """

    _esm = (files("srtoolkit.panels.slice") / "canvas.js").read_text(encoding="utf-8")
    _css = (files("srtoolkit.panels.slice") / "canvas.css").read_text(encoding="utf-8")

    points = T.Int(0).tag(sync=True)
    reach = T.List(T.Float(), [0.0, 1.0]).tag(sync=True)
    colours = T.Bytes().tag(sync=True)
    anchors = T.List(T.Dict()).tag(sync=True)
    context = T.Unicode("A").tag(sync=True)
    tokens = T.Bytes().tag(sync=True)
    probabilities = T.Bytes().tag(sync=True)
    distances = T.Bytes().tag(sync=True)
    vocabulary = T.List(T.Unicode()).tag(sync=True)
    title = T.Unicode().tag(sync=True)
    legend = T.List(T.List(T.Unicode())).tag(sync=True)
    label = T.Unicode().tag(sync=True)
    pin = T.List(T.Int()).tag(sync=True)

    def table(self, rank: int) -> tuple[Int[np.ndarray, "beta alpha rank"], Float[np.ndarray, "beta alpha rank"]]:
        """Tokens, as places in ``vocabulary``, and their probabilities, as the page has them.

        Args:
            rank: Tokens at each point.
        """
        shape = self.points, self.points, rank
        return (
            np.frombuffer(self.tokens, np.int32).reshape(shape),
            np.frombuffer(self.probabilities, np.float32).reshape(shape),
        )


def painted(ax: Axes) -> Painted:
    """The picture that a plot function of :mod:`srtoolkit.plot.curve_plots` drew, so that canvas and PNG are the same.

    Args:
        ax: With one image, and a legend or a colour bar, if any.
    """
    (image,) = ax.images
    values = image.get_array()
    assert values is not None
    colours = image.to_rgba(values, bytes=True)
    key, bar = ax.get_legend(), image.colorbar
    if bar is not None:
        places = np.linspace(*image.get_clim(), SWATCHES)
        swatches: Any = image.to_rgba(places)
        legend = [(to_hex(swatch), f"{place:.3g}") for swatch, place in zip(swatches, places, strict=True)]
        return Painted(colours, bar.ax.get_ylabel(), legend)
    if key is None:
        return Painted(colours, "", [])
    entries: list[Any] = list(zip(key.get_patches(), key.get_texts(), strict=True))
    texts = [(to_hex(patch.get_facecolor()), text.get_text().replace(r"\$", "$")) for patch, text in entries]
    return Painted(colours, key.get_title().get_text(), texts)
