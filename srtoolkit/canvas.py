"""What all pictures share: one palette, one size, and new Axes where none are given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes

#: Colour-blind-safe.
PALETTE = sns.color_palette("colorblind")

#: Width and height of a single picture, in inches, at which a notebook shows text in its natural size.
SIZE = (6.4, 3.8)


def axes_or_new(ax: Axes | None, size: tuple[float, float] = SIZE) -> Axes:
    """The Axes given, or those of a new figure.

    Args:
        ax: Where to draw, if anywhere yet.
        size: Of a new figure, in inches.
    """
    return ax if ax is not None else plt.subplots(figsize=size, layout="constrained")[1]
