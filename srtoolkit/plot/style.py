"""What all pictures share: one palette, one size, and new Axes where none are given."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import EngFormatter, FixedLocator, NullLocator, StrMethodFormatter
from matplotlib.transforms import ScaledTranslation

from srtoolkit.analysis.uneven import filled
from srtoolkit.plot.contrast import legible
from srtoolkit.validation import check_dataset, check_whole, listed

#: seaborn's palette that the colour-blind can tell apart.
PALETTE = sns.color_palette("colorblind")

#: Width and height of a single picture, in inches, at which a notebook shows text in its natural size.
SIZE = (6.4, 3.8)

#: What a variable is called on an axis, with its unit.
AXIS_LABELS = {
    "relative_distance": "relative distance d(α) / d(1)",
    "relative_distance_resid": "relative distance before the final norm",
    "distance": "distance d(α), L2 after the final norm",
    "distance_resid": "distance, L2 before the final norm",
    "kl": "KL divergence from A's prediction (nats)",
    "jsd": "Jensen-Shannon divergence from A's prediction (nats)",
    "logit_difference": "normalised logit difference",
    "top_probability": "probability of the top token",
    "max_slope": "largest slope of d(α) / d(1)",
    "jump_at": "α of the steepest step",
    "width_10_90": "width of the rise, 10% to 90% (α)",
    "plateau_fraction": "share of the path on a plateau",
    "jumps": "number of jumps",
    "input_distance": "|A − B|, L2",
    "d1": "d(1), L2 after the final norm",
    "token_change_at": "α where the top token stops being A's",
    "from_mean": "output's distance from the mean output",
    "peak": "largest speed of the output (even motion: 1)",
    "peak_at": "α of the largest speed",
    "calm_a": "mean speed in the first tenth (even motion: 1)",
    "calm_b": "mean speed in the last tenth (even motion: 1)",
    "winding": "length of the output's path / distance of its ends",
}

#: What tells the names at the ends of lines from other texts.
_END = "_name of a line"

#: Room between two labels at the ends of lines, as a share of the picture's height.
LABEL_ROOM = 0.065


def axes_or_new(ax: Axes | None, size: tuple[float, float] = SIZE) -> Axes:
    """The Axes given, or those of a new figure.

    Args:
        ax: Where to draw, if anywhere yet.
        size: Of a new figure, in inches.
    """
    return ax if ax is not None else plt.subplots(figsize=size, layout="constrained")[1]


def colour(index: int) -> tuple[float, float, float]:
    """The colour of the nth thing drawn; the palette begins again where it ends.

    Args:
        index: The number of the thing, from 0.
    """
    return PALETTE[index % len(PALETTE)]


def shades(count: int) -> list[tuple[float, float, float]]:
    """Colours from dark to light for things that have an order, such as checkpoints.

    Args:
        count: How many.
    """
    return [mpl.colormaps["viridis"](place)[:3] for place in np.linspace(0, 0.88, count)]  # the end is too pale


def notebook_style(dpi: int = 200) -> None:
    """Pictures of a notebook: sharp on any screen, text readable at its width, colours for the colour-blind, too.

    It sets matplotlib's defaults for the rest of the session, and changes nothing that a picture says. In a notebook
    two dots stand for one of the page, as on a screen of high density, so pictures are as large as with half the dots.

    Args:
        dpi: Dots an inch, of pictures in a notebook and of files.
    """
    mpl.rcParams.update(
        {
            "figure.dpi": check_whole(dpi, "dpi", 50, 600) / 2,
            "savefig.dpi": dpi,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.prop_cycle": mpl.rcsetup.cycler(color=PALETTE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
        }
    )
    if "ipykernel" in sys.modules:  # in a kernel, which brings what draws in it
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")


def scale_above_one(ax: Axes) -> Axes:
    """A vertical axis that is logarithmic in what lies above 1, for quantities whose least value is 1.

    Largest slopes and largest speeds are such. Those of small models, from 1.05 to 2, keep a place beside the paper's,
    up to 14. Labels stay those of the quantity. What is not above 1.01 is drawn there.

    Args:
        ax: Whose vertical axis to change, after everything is drawn.
    """

    def excess(value: np.ndarray) -> np.ndarray:
        return np.log10(np.maximum(np.asarray(value, dtype=np.float64) - 1, 0.01))

    low, high = (max(float(end), 1.0) for end in ax.dataLim.intervaly)
    ax.set_yscale("function", functions=(excess, lambda log: 1 + 10 ** np.asarray(log, dtype=np.float64)))
    ax.set_ylim(1 + max(low - 1, 0.01) / 1.3, 1 + max(high - 1, 0.02) * 1.3)
    ax.yaxis.set_major_locator(FixedLocator([1.01, 1.02, 1.05, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100]))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    return ax


def error_bars(
    ax: Axes, settings: Sequence[Any], values: Sequence[np.ndarray], shift: float = 0.0, **style: Any
) -> ErrorbarContainer:
    """Values with bars from low to high, beside their settings by some points, so that lines do not hide each other.

    Args:
        ax: Where to draw.
        settings: Numbers or names.
        values: Value, low and high, each with one number a setting.
        shift: By how many points to draw to the right.
        style: Passed to matplotlib.
    """
    value, low, high = values
    # A bootstrap's interval need not hold the value.
    drawn = ax.errorbar(settings, value, yerr=np.array([value - low, high - value]).clip(0), **style)
    beside = ScaledTranslation(shift / 72, 0, ax.figure.dpi_scale_trans)
    for artist in drawn.get_children():
        artist.set_transform(ax.transData + beside)  # afterwards, since limits do not count what was moved before
    return drawn


def logarithmic(ax: Axes, settings: Sequence[float], dense: bool = True) -> None:
    """A horizontal axis that is logarithmic, with a place for 0, such as an untrained model's number of tokens.

    Args:
        ax: Where all is drawn.
        settings: All numbers on the axis, some of them above 0.
        dense: Label threes beside tens, where the axis is short.
    """
    seen = [setting for setting in settings if setting > 0]
    ax.set_xscale("symlog", linthresh=min(seen), linscale=0.5) if min(settings) <= 0 else ax.set_xscale("log")
    steps = (1, 3) if dense and max(seen) < 100 * min(seen) else (1,)
    ticks = [step * 10.0**power for power in range(15) for step in steps]
    ax.xaxis.set_major_locator(
        FixedLocator([0.0] * (min(settings) <= 0) + [tick for tick in ticks if tick > 0.6 * min(seen)])
    )
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))


def label_ends(ax: Axes, ends: Mapping[str, tuple[float, Any]]) -> None:
    """Names of lines at their right ends, in their colours, moved apart where they would overlap.

    Names that an earlier call has put there are taken away: give those that are to stay again.

    Args:
        ax: Where to draw, with its final limits.
        ends: By name, the height at which the line ends, and its colour.
    """
    for old in [text for text in ax.texts if text.get_label() == _END]:
        old.remove()
    to_share = ax.transData + ax.transAxes.inverted()
    right = ax.get_xlim()[1]
    heights = {name: float(to_share.transform((right, height))[1]) for name, (height, _) in ends.items()}
    ordered = sorted((name for name in heights if np.isfinite(heights[name])), key=lambda name: heights[name])
    figure = ax.get_figure(root=True)
    assert figure is not None
    ground = figure.get_facecolor()
    needed = 1.2 * font_size_in_pixels(ax) / ax.get_window_extent().height  # low axes need more
    places = spread_out([heights[name] for name in ordered], max(LABEL_ROOM, needed))
    for name, place in zip(ordered, places, strict=True):
        beside: dict[str, Any] = {"transform": ax.transAxes, "va": "center", "fontsize": "small", "label": _END}
        ax.text(1.015, place, name, color=legible(ends[name][1], ground), **beside)


def font_size_in_pixels(ax: Axes) -> float:
    """Height of the small font of an axes' labels, in pixels.

    Args:
        ax: The axes, whose figure's resolution counts.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    return float(FontProperties(size="small").get_size_in_points() * figure.dpi / 72)


def spread_out(heights: Sequence[float], room: float) -> list[float]:
    """Increasing heights moved as little as need be until each is ``room`` above the one before.

    Args:
        heights: From the lowest to the highest.
        room: The least difference.
    """
    groups: list[tuple[float, int]] = []  # the middle of things that touch, and their number
    for height in heights:
        middle, count = float(height), 1
        while groups and middle - groups[-1][0] < room * (count + groups[-1][1]) / 2:
            below, number = groups.pop()
            middle, count = (middle * count + below * number) / (count + number), count + number
        groups.append((middle, count))
    return [middle + room * (place - (count - 1) / 2) for middle, count in groups for place in range(count)]


def shortened(text: str, most: int = 48) -> str:
    """A prompt or name as a legend can show it: without formulas and line breaks, and no longer than a line.

    Args:
        text: The text.
        most: Number of characters to keep.
    """
    line = " ".join(text.split())
    line = line if len(line) <= most else line[: most - 1].rstrip() + "…"
    return line.replace("$", r"\$")


def by_name(results: Any, variables: Sequence[str], source: str) -> dict[str, xr.Dataset]:
    """One result, or several by name, each of which holds some variables; curves without gaps.

    Args:
        results: A Dataset or a mapping of them.
        variables: The variables that each must hold.
        source: What makes them, for messages.

    Raises:
        TypeError: No Dataset, nor a mapping of them.
        ValueError: No results, or a variable that one lacks.
    """
    # A Dataset is a mapping itself, of its variables.
    named = {"": results} if isinstance(results, xr.Dataset) else results
    if not isinstance(named, Mapping):
        raise TypeError(f"expected results of {source}, one or several by name, got {type(results).__name__}.")
    if not named:
        raise ValueError(f"there is nothing to draw: no results of {source} were given.")
    return {
        str(name): filled(check_dataset(result, variables, str(name) or "result", source))
        for name, result in named.items()
    }


def label_each(labels: Any, count: int, what: str) -> list[str]:
    """As many labels as there are things to name, as strings.

    Args:
        labels: A list of them.
        count: How many there must be.
        what: The argument's name.

    Raises:
        ValueError: Another number of labels.
    """
    found = None if isinstance(labels, str) else listed(labels)
    if found is None or len(found) != count:
        got = str(labels)[:80] if found is None else f"{len(found)} of them"
        raise ValueError(f"{what}: expected one for each of {count}, in a list, got {got}.")
    return [str(label) for label in found]


def legend(ax: Axes, **style: Any) -> None:
    """A legend, where there is anything that has a name.

    Args:
        ax: Where to draw.
        style: Passed to matplotlib.
    """
    if ax.get_legend_handles_labels()[0]:
        ax.legend(**style)


def nanquartiles(values: np.ndarray) -> np.ndarray:
    """First quartile, median and third quartile down the rows, NaN where a column has no finite value.

    Args:
        values: One row a pair.
    """
    known = np.where(np.isfinite(values), values.astype(np.float64), np.nan)
    empty = np.isnan(known).all(axis=0)
    found = np.full((3, known.shape[1]), np.nan)
    if not empty.all():
        found[:, ~empty] = np.nanquantile(known[:, ~empty], [0.25, 0.5, 0.75], axis=0)
    return found
