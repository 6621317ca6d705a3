"""The picture of one path for a saved notebook, a file or a slide: what the page draws, drawn by matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srtoolkit.panels.parts.text import drawable
from srtoolkit.plot.style import label_ends

#: Colours of A's and the far end's curve, of the tokens, and of all else; those of ``path.css``.
A, B, SOFT = "#0b62a8", "#a84300", "#57606a"
TOKEN_COLOURS = ("#0b62a8", "#a84300", "#00664d", "#7b3fa0", "#705c00")
_DASHES = ("-", "-", (0, (6, 2)), (0, (3, 2)), (0, (1.5, 1.5)))


def draw(figure: Figure, story: dict[str, Any], value: float, heading: str, ghost: bool = False) -> None:
    """Draw a path with its motion, the tokens that matter, and the likeliest one.

    Args:
        figure: The figure to draw on, which is cleared.
        story: From :func:`srtoolkit.panels.path.story.tell`.
        value: Alpha that is marked.
        heading: Text above.
        ghost: Draw the speed in a model of shuffled weights, where the story has it.
    """
    figure.clear()
    curve, tokens, ribbon = figure.subplots(3, 1, height_ratios=(1.7, 1.1, 0.22), sharex=True)
    figure.subplots_adjust(0.08, 0.1, 0.8, 0.86, hspace=0.14)
    _curve(curve, story, ghost)
    _tokens(tokens, story)
    _ribbon(ribbon, story)
    for ax in (curve, tokens, ribbon):
        ax.axvline(value, color="k", lw=0.9)
    figure.text(0.02, 0.985, heading, va="top", fontsize=9.5)


def _curve(ax: Axes, story: dict[str, Any], ghost: bool) -> None:
    alphas, curve = np.array(story["alpha"]), story["curve"]
    for end in story["calm"]:
        ax.axvspan(end["from"], end["to"], color=A, alpha=0.1, lw=0)
    fast = ax.twinx()
    fast.set(yticks=[], ylim=(0, 1.12 * max([3.0, *story["speed"]])))
    fast.spines[:].set_visible(False)
    if story["speed"]:
        fast.stairs(story["speed"], alphas, fill=True, color=SOFT, alpha=0.25, lw=0)
    if ghost and story["shuffled"]:
        fast.stairs(story["shuffled"], alphas, color=SOFT, ls=":", lw=1.3, baseline=None)
    ends = {}
    for name, values, colour in ((curve["label"], curve["values"], A), ("from the far end's", curve["back"], B)):
        if values is not None:
            known = np.array(values, dtype=np.float64)
            ax.plot(alphas, known, color=colour, lw=2)
            if np.isfinite(known[-1]):
                ends[name] = float(known[-1]), colour
    places, texts = zip(*curve["ticks"], strict=True)
    ax.set(
        xlim=(float(alphas[0]), float(alphas[-1])), ylim=(0, curve["most"]), ylabel=curve["name"].replace(", ", ",\n")
    )
    ax.set_yticks(places, texts)
    ax.yaxis.label.set_fontsize(9)
    if ends:
        label_ends(ax, ends)


def _tokens(ax: Axes, story: dict[str, Any]) -> None:
    ends = {}
    for index, (text, values) in enumerate(zip(story["tokens"], story["probabilities"], strict=True)):
        colour = TOKEN_COLOURS[index]
        ax.plot(story["alpha"], values, color=colour, ls=_DASHES[index], lw=1.6)
        ends[drawable(repr(text), 20)] = values[-1], colour
    ax.set(ylim=(0, None), ylabel="probability of\nthe next token")
    ax.yaxis.label.set_fontsize(9)
    if ends:
        label_ends(ax, ends)


def _ribbon(ax: Axes, story: dict[str, Any]) -> None:
    """The likeliest token as coloured parts, with its text where there is room."""
    alphas, top = np.array(story["alpha"]), story["top"]
    edges = np.concatenate([alphas[:1], (alphas[1:] + alphas[:-1]) / 2, alphas[-1:]])
    start = 0
    for index, name in enumerate(top):
        if index + 1 < len(top) and top[index + 1] == name:
            continue
        text = story["names"][name]
        known = text in story["tokens"]
        colour = TOKEN_COLOURS[story["tokens"].index(text)] if known else SOFT
        left, right = edges[start], edges[index + 1]
        ax.axvspan(left, right, color=colour, alpha=0.25 if known else 0.12, lw=0)
        if (right - left) / (edges[-1] - edges[0]) > 0.02 + 0.014 * len(text):
            ax.text((left + right) / 2, 0.5, drawable(text.strip() or text), ha="center", va="center", fontsize=9)
        start = index + 1
    ax.set(yticks=[], xlabel="α, from A (0) to B in A's context (1)")
