"""Pictures of an explored slice: for the canvas, for the curve beneath it, and for a notebook without a kernel."""

from __future__ import annotations

import io
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from srtoolkit import plot
from srtoolkit.measures.planes import ANCHORS
from srtoolkit.panels.parts.picture import DPI
from srtoolkit.panels.parts.text import drawable
from srtoolkit.panels.parts.token_bars import TokenBars
from srtoolkit.panels.slice.canvas import Painted, painted
from srtoolkit.panels.slice.explored import Explored
from srtoolkit.panels.slice.question import GATES, MARGIN, NEARNESS, REGIONS, TOKENS, View


def draw(explored: Explored, view: View, ax: Axes, text: Callable[[int], str]) -> Axes:
    """One picture of a slice, drawn by the plot function for it.

    Args:
        explored: The slice.
        view: The picture, context and pinned point to show.
        ax: Axes to draw on.
        text: Function that returns the text of a token id.
    """
    plane, anchor = explored.plane, view.anchor
    if view.picture == NEARNESS:
        return plot.plane(plane, ax=ax, legend=False)
    if view.picture == REGIONS:
        return plot.regions(plane, ax=ax)
    if view.picture == TOKENS:
        return plot.tokens(plane, text, anchor, ax=ax)
    if view.picture == MARGIN:
        return plot.margin(plane, anchor, ax=ax)
    assert view.picture == GATES
    return plot.gate_crossings(explored.gates[anchor], ax=ax)


def paint(explored: Explored, view: View) -> Painted:
    """The colours of a picture, for a canvas.

    Args:
        explored: The slice.
        view: The picture, context and pinned point to show.
    """
    found = painted(draw(explored, view, Figure().add_subplot(), explored.question.model.token_text))
    if view.picture != NEARNESS:
        return found
    names = [(to_hex(colour), f"as {name}'s output") for name, colour in zip(ANCHORS, plot.REGION_COLOURS, strict=True)]
    return found._replace(title=NEARNESS, legend=names)


def draw_line(explored: Explored, view: View, figure: Figure) -> None:
    """Draw the curve along the line to the pinned point, and the prediction there, where it is known.

    Args:
        explored: The slice.
        view: The picture, context and pinned point to show; a point must be pinned.
        figure: Figure to draw on, which is cleared first.
    """
    alpha, beta = explored.place(view.pin)
    figure.clear()
    curve, bars = figure.subplots(1, 2, width_ratios=(1.25, 1))
    figure.subplots_adjust(0.075, 0.19, 0.985, 0.87, wspace=0.42)
    plot.curves(explored.lines[view.anchor, view.pin], "distance", ax=curve, color="k")
    curve.set(xlabel=f"way from {view.anchor} (0) to the pinned point (1)", ylabel="distance of the output, L2")
    curve.set_title(f"line from {view.anchor} to α {alpha:.2f}, β {beta:.2f}", fontsize=10)
    curve.get_legend().remove()
    texts, probabilities = explored.prediction(view)
    if texts:
        shown = TokenBars(bars, len(texts), max(probabilities))
        shown.show("next token at the pinned point", texts, probabilities, [""] * len(texts))
    else:
        bars.set_axis_off()


def still(explored: Explored, view: View) -> bytes:
    """A PNG file of a slice with the top tokens beside it, and the pinned line.

    Args:
        explored: The slice.
        view: The picture, context and pinned point to show.
    """
    question = explored.question
    figure = Figure((9.4, 4.2), dpi=DPI, layout="constrained", facecolor="white")

    def text(token: int) -> str:
        return drawable(question.model.token_text(token), 18).replace(r"\$", "$")  # the plot function escapes it

    for number, name in enumerate([view.picture, NEARNESS if view.picture == TOKENS else TOKENS], start=1):
        ax = draw(explored, view._replace(picture=name), figure.add_subplot(1, 2, number), text)
        ax.set_title(name, fontsize=10)
        if view.pin:
            (x0, y0), (x1, y1) = explored.corners[ANCHORS.index(view.anchor)], explored.place(view.pin)
            for colour, width in (("w", 4.0), ("k", 1.5)):
                ax.plot([x0, x1], [y0, y1], color=colour, lw=width, zorder=2)
            ax.plot([x1], [y1], "o", mfc="none", mec="k", ms=9, mew=2)
    prompts = [f"{name}: {drawable(prompt, 110)}" for name, prompt in zip(ANCHORS, question.prompts, strict=True)]
    heading = f"{drawable(question.model.name)}, after block {question.layer}; context {view.anchor}"
    figure.suptitle("\n".join([heading, *prompts]), x=0.01, ha="left", fontsize=9.5)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def stacked(*pngs: bytes) -> bytes:
    """One PNG file of several pictures below each other.

    Args:
        pngs: Contents of the pictures' PNG files, from the top.
    """
    pictures = [Image.open(io.BytesIO(png)).convert("RGB") for png in pngs]
    size = max(picture.width for picture in pictures), sum(picture.height for picture in pictures)
    whole, top = Image.new("RGB", size, "white"), 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height
    file = io.BytesIO()
    whole.save(file, "PNG")
    return file.getvalue()
