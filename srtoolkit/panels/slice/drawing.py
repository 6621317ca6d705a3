"""Pictures of an explored slice: for the canvas, and for a file or a notebook without a kernel."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure, FigureBase

from srtoolkit import plot
from srtoolkit.measures.planes import ANCHORS
from srtoolkit.panels.parts.picture import DPI
from srtoolkit.panels.parts.text import drawable
from srtoolkit.panels.parts.token_bars import TokenBars
from srtoolkit.panels.slice.canvas import Painted, painted
from srtoolkit.panels.slice.explored import Explored
from srtoolkit.panels.slice.question import GATES, MARGIN, NEARNESS, REGIONS, TOKENS, View
from srtoolkit.plot.slice_plots import CONTOURS


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
    names.append(("#ffffff", "paler: further from all three"))
    if found.contours:
        names.append(("", f"lines: nearness {' and '.join(map(str, CONTOURS))}"))
    return found._replace(title=NEARNESS, legend=names)


def still(explored: Explored, view: View) -> Figure:
    """A slice with the top tokens beside it, and the pinned line below, for a file.

    Args:
        explored: The slice.
        view: The picture, context and pinned point to show.
    """
    question = explored.question
    figure = Figure((9.4, 7.1 if view.pin else 4.2), dpi=DPI, layout="constrained", facecolor="white")
    upper: FigureBase = figure
    if view.pin:
        rows = figure.add_gridspec(2, 1, height_ratios=(4.2, 2.9))
        upper, lower = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
        _draw_line(explored, view, *lower.subplots(1, 2, width_ratios=(1.25, 1)))

    def text(token: int) -> str:
        return drawable(question.model.token_text(token), 18).replace(r"\$", "$")  # the plot function escapes it

    for number, name in enumerate([view.picture, NEARNESS if view.picture == TOKENS else TOKENS], start=1):
        ax = draw(explored, view._replace(picture=name), upper.add_subplot(1, 2, number), text)
        ax.set_title(name, fontsize=10)
        if view.pin:
            (x0, y0), (x1, y1) = explored.corners[ANCHORS.index(view.anchor)], explored.place(view.pin)
            for colour, width in (("w", 4.0), ("k", 1.5)):
                ax.plot([x0, x1], [y0, y1], color=colour, lw=width, zorder=2)
            ax.plot([x1], [y1], "o", mfc="none", mec="k", ms=9, mew=2)
    prompts = [f"{name}: {drawable(prompt, 110)}" for name, prompt in zip(ANCHORS, question.prompts, strict=True)]
    heading = f"{drawable(question.model.name)}, after block {question.layer}; context {view.anchor}"
    figure.suptitle("\n".join([heading, *prompts]), x=0.01, ha="left", fontsize=9.5)
    return figure


def _draw_line(explored: Explored, view: View, curve: Axes, bars: Axes) -> None:
    """The curve along the line to the pinned point, and the prediction there, where it is known."""
    alpha, beta = explored.place(view.pin)
    plot.curves(explored.lines[view.anchor, view.pin], "distance", ax=curve, color="k")
    curve.set(xlabel=f"way from {view.anchor} (0) to the pinned point (1)", ylabel="distance of the output, L2")
    curve.set_title(f"line from {view.anchor} to α {alpha:.2f}, β {beta:.2f}", fontsize=10)
    if (key := curve.get_legend()) is not None:
        key.remove()
    texts, probabilities = explored.prediction(view)
    if texts:
        shown = TokenBars(bars, len(texts), max(probabilities))
        shown.show("next token at the pinned point", texts, probabilities, [""] * len(texts))
    else:
        bars.set_axis_off()
