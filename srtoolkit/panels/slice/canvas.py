"""The canvas of a 2-D slice. Everything that hovering over it shows is in the page; the kernel is not asked."""

from __future__ import annotations

from typing import Any, NamedTuple

import anywidget
import numpy as np
import traitlets as T
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.contour import ContourSet

from srtoolkit.panels.parts.assets import script, style

#: Colours that stand for a colour bar.
SWATCHES = 5


class Painted(NamedTuple):
    """The colours that a plot function drew, for a canvas to draw again.

    Attributes:
        colours: Red, green, blue and opacity of every point, from 0 to 255.
        title: What the colours mean.
        legend: Colours, as CSS, and what each of them means.
        contours: Lines of equal value, as points (alpha, beta).
    """

    colours: UInt8[np.ndarray, "beta alpha 4"]
    title: str
    legend: list[tuple[str, str]]
    contours: list[list[list[float]]]


class SliceCanvas(anywidget.AnyWidget):
    """A picture of a slice, with the prediction at the point under the mouse or the arrow keys.

    Attributes:
        points: Number of points along each axis; 0 before there is a picture.
        reach: First and last coordinate, on both axes.
        colours: Red, green, blue and opacity of every point, as bytes [beta, alpha, 4].
        anchors: ``name``, ``alpha``, ``beta`` and ``colour`` of A, B and C.
        context: Name of the anchor in whose context tokens are predicted, and where the pinned line starts.
        tokens: Indices into ``vocabulary``, as bytes of int32 [beta, alpha, rank].
        probabilities: Probabilities of the tokens, as bytes of float32 [beta, alpha, rank]; NaN where not known yet.
        distances: Distances from the anchors' outputs, as bytes of float32 [anchor, beta, alpha].
        vocabulary: Texts of the tokens that occur; empty for tokens that are not known yet.
        title: What the colours mean.
        legend: Colours, as CSS, and what each of them means.
        contours: Lines of equal value, as points (alpha, beta).
        line: Distances of the output along the line from the context's activation to the pinned point, at even steps;
            empty where none is pinned.
        line_label: What that line shows, in words.
        label: What the picture shows, in words.
        pin: Row and column of the pinned point; empty where none is pinned. Page and kernel may both set it.
    """

    _esm = script("slice", "canvas")
    _css = style("slice", "canvas")

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
    contours: T.List[Any] = T.List().tag(sync=True)
    line = T.List(T.Float()).tag(sync=True)
    line_label = T.Unicode().tag(sync=True)
    label = T.Unicode().tag(sync=True)
    pin = T.List(T.Int()).tag(sync=True)

    def table(self, rank: int) -> tuple[Int[np.ndarray, "beta alpha rank"], Float[np.ndarray, "beta alpha rank"]]:
        """Tokens, as indices into ``vocabulary``, and their probabilities, as the page has them.

        Args:
            rank: Number of tokens at each point.
        """
        shape = self.points, self.points, rank
        return (
            np.frombuffer(self.tokens, np.int32).reshape(shape),
            np.frombuffer(self.probabilities, np.float32).reshape(shape),
        )


def painted(ax: Axes) -> Painted:
    """The colours that a plot function of :mod:`srtoolkit.plot` drew, so that canvas and PNG look the same.

    Args:
        ax: Axes with one image, and perhaps contour lines, a legend or a colour bar.
    """
    (image,) = ax.images
    values = image.get_array()
    assert values is not None
    colours = image.to_rgba(values, bytes=True)
    key, bar, lines = ax.get_legend(), image.colorbar, _contours(ax)
    if bar is not None:
        places = np.linspace(*image.get_clim(), SWATCHES)
        swatches: Any = image.to_rgba(places)
        legend = [(to_hex(swatch), f"{place:.3g}") for swatch, place in zip(swatches, places, strict=True)]
        return Painted(colours, bar.ax.get_ylabel(), legend, lines)
    if key is None:
        return Painted(colours, "", [], lines)
    entries: list[Any] = list(zip(key.get_patches(), key.get_texts(), strict=True))
    texts = [(to_hex(patch.get_facecolor()), text.get_text().replace(r"\$", "$")) for patch, text in entries]
    return Painted(colours, key.get_title().get_text(), texts, lines)


def _contours(ax: Axes) -> list[list[list[float]]]:
    drawn = [one for one in ax.collections if isinstance(one, ContourSet) and not one.filled]
    lines = [line for one in drawn for path in one.get_paths() for line in path.to_polygons(closed_only=False)]
    return [np.asarray(line).round(4).tolist() for line in lines]
