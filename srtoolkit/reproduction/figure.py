"""A figure of the paper: the measurements it needs, and how it is drawn and compared with the paper's numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import EngFormatter

from srtoolkit.analysis.bootstrap import summarise
from srtoolkit.analysis.sharpness import sharpness
from srtoolkit.profiles import Profile
from srtoolkit.reproduction.casting import Cast, Role, is_paper
from srtoolkit.reproduction.comparing import Row, digitised
from srtoolkit.reproduction.measurements import Need

Found = Mapping[str, xr.Dataset]
Needs = Mapping[str, Need]


@dataclass(frozen=True)
class Made:
    """A figure that was made.

    Attributes:
        picture: The matplotlib figure.
        numbers: The numbers that it shows.
        rows: Our numbers beside the paper's; the first is the figure's main number.
        note: How it was measured, and what differs from the paper, in words.
    """

    picture: Picture
    numbers: xr.Dataset
    rows: Sequence[Row]
    note: str


@dataclass(frozen=True)
class Figure(ABC):
    """One figure of the paper, or its table.

    Attributes:
        key: Number of the figure, or ``"table1"``.
        title: What the figure shows.
        models: The models that the paper shows, in words.
    """

    key: str
    title: str
    models: str

    @property
    def name(self) -> str:
        """The figure as the paper calls it."""
        return "Table 1" if self.key == "table1" else f"Fig. {self.key}"

    @property
    def stem(self) -> str:
        """The name of the figure's files, without an ending."""
        return self.key if self.key == "table1" else f"figure-{int(self.key):02}"

    @abstractmethod
    def needs(self, cast: Cast) -> dict[str, Need]:
        """The measurements that the figure needs, by names of its own.

        Args:
            cast: The models that are measured for the paper's.
        """

    @abstractmethod
    def make(self, profile: Profile, needs: Needs, found: Found) -> Made:
        """Draw the figure, and compare it with the paper.

        Args:
            profile: The profile that was measured.
            needs: The measurements from :meth:`needs`, which name the models.
            found: The results along ``model``, by the same names.
        """

    def start(
        self, profile: Profile, here: str, columns: int, size: tuple[float | int, float | int]
    ) -> tuple[Picture, list[Axes]]:
        """An empty picture with its title, which names stand-ins for the paper's models.

        Args:
            profile: The profile that was measured.
            here: The models that were measured, in words.
            columns: Number of axes beside each other.
            size: Width and height in inches.
        """
        picture, axes = plt.subplots(1, columns, figsize=size, layout="constrained", squeeze=False)
        title = f"{self.name}. {self.title}"
        if is_paper(profile):
            picture.suptitle(title, fontsize=11)
        else:
            picture.suptitle(f"{title}\nSTAND-IN: {here}; the paper has {self.models}", fontsize=10)
        return picture, list(axes.flat)


def sizes_in_words(profile: Profile, pairs: int, paper: int = 999) -> str:
    """The number of pairs and their source, in words, beside the paper's.

    Args:
        profile: The profile, which names the source of prompts.
        pairs: Number of pairs that were measured.
        paper: Number of pairs in the paper.
    """
    source = {"prose": "English prose shipped with the package", "gutenberg": "the paper's data set"}[profile.source]
    rest = "" if pairs == paper and is_paper(profile) else f"; the paper: {paper:,} pairs from Gutenberg books"
    return f"{pairs:,} pairs in a chain, B of one being A of the next, of random 10-token prompts from {source}{rest}."


def tokens_in_words(role: Role) -> str:
    """The number of training tokens that a checkpoint has seen, in words.

    Args:
        role: The checkpoint.
    """
    return f"{EngFormatter(places=1, sep='')(role.tokens) if role.tokens else 0} tokens"


def one(found: xr.Dataset, role: Role) -> xr.Dataset:
    """The result of one model.

    Args:
        found: Results along ``model``.
        role: The model.
    """
    return found.sel(model=role.label)


def slope(curves: xr.Dataset) -> xr.Dataset:
    """Median, quartiles and interval of the largest slope.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
    """
    return summarise(sharpness(curves)).sel(quantity="max_slope")


def numbers_of(results: Sequence[xr.Dataset]) -> xr.Dataset:
    """The numbers that pictures of median curves show: along ``model``, quartiles of the curve and the largest slope.

    Args:
        results: Curves of one model each, from :func:`one`.
    """
    parts = []
    for curves in results:
        kept = curves["relative_distance"].values[~curves["degenerate"].values]
        low, middle, high = np.nanquantile(kept, [0.25, 0.5, 0.75], axis=0)
        drawn: dict[str, Any] = {
            "curve_q25": ("alpha", low), "curve_median": ("alpha", middle), "curve_q75": ("alpha", high),
        }  # fmt: skip
        row = slope(curves)
        drawn |= {f"max_slope_{name}": row[name].item() for name in row.data_vars}
        own = {name: curves.coords[name] for name in curves.coords if not curves.coords[name].dims}
        parts.append(xr.Dataset(drawn, {"alpha": curves["alpha"], **own}, curves.attrs))
    return xr.concat(parts, "model", coords="different", compat="equals", combine_attrs="drop_conflicts")


def draw_digitised(ax: Axes, curves: Mapping[str, Sequence[float]]) -> None:
    """Draw the paper's median curves, dashed and black, over ours.

    Args:
        ax: Axes to draw on.
        curves: Values of the paper's curves, by name.
    """
    for (name, values), marker in zip(curves.items(), "osD^v", strict=False):
        ax.plot(digitised()["alpha"], values, "k--", marker=marker, ms=3, lw=1, label=f"paper: {name}")
    ax.legend(frameon=False, fontsize=8, loc="upper left")
