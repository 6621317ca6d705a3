"""Next-token predictions as bars whose artists are kept while they change."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from srtoolkit.panels.parts.text import drawable
from srtoolkit.plot.style import PALETTE

#: Colours of the bars: for the token that is likeliest at A, at B, at both, and for any other.
COLOURS = {"A": PALETTE[0], "B": PALETTE[1], "A, B": PALETTE[2], "": (0.6, 0.6, 0.6)}


class TokenBars:
    """Bars of next-token probabilities, with the most probable token on top.

    Args:
        ax: Axes to draw on.
        count: Number of bars.
        largest: Largest probability that will be shown, so that the scale stays while the bars change.
    """

    def __init__(self, ax: Axes, count: int, largest: float | int = 1) -> None:
        ax.set(xlim=(0, 1.15 * largest), ylim=(count - 0.5, -0.5), xlabel="probability", yticks=[])
        ax.xaxis.set_major_locator(MaxNLocator(4))
        self._gap = 0.02 * largest
        ax.spines[["top", "right"]].set_visible(False)
        places = range(count)
        self._bars = list(ax.barh(places, [0.0] * count))
        self._names = [ax.text(-self._gap, place, "", ha="right", va="center", fontsize=9) for place in places]
        self._numbers = [ax.text(0, place, "", ha="left", va="center", fontsize=9) for place in places]
        self._title = ax.set_title("", fontsize=10)

    @property
    def artists(self) -> list[Artist]:
        """The artists that change from point to point."""
        return [*self._bars, *self._names, *self._numbers, self._title]

    def show(self, title: str, texts: Sequence[str], probabilities: Sequence[float], marks: Sequence[str]) -> None:
        """Show the prediction at one point.

        Args:
            title: Title above the bars.
            texts: Texts of the tokens.
            probabilities: Probability of each token.
            marks: For each token, the anchors that predict it: a key of ``COLOURS``.
        """
        self._title.set_text(title)
        rows = zip(self._bars, self._names, self._numbers, texts, probabilities, marks, strict=True)
        for bar, name, number, text, probability, mark in rows:
            bar.set_width(probability)
            bar.set_color(COLOURS[mark])
            name.set_text(f"{drawable(repr(text), 18)}{f' at {mark}' if mark else ''}")
            number.set(text=f"{probability:.2f}", x=probability + self._gap)
