"""What a figure of the paper is here: what it needs, and how a picture, its numbers and a comparison come of that."""

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
    """A figure as it was made.

    Attributes:
        picture: The drawing.
        numbers: What it shows.
        rows: Ours beside the paper's; the first is the figure's main number.
        note: How it was measured, and what is not as in the paper.
    """

    picture: Picture
    numbers: xr.Dataset
    rows: Sequence[Row]
    note: str


@dataclass(frozen=True)
class Figure(ABC):
    """One figure of the paper, or its table.

    Attributes:
        key: Its number, or ``"table1"``.
        title: What it shows.
        models: Which models the paper shows.
    """

    key: str
    title: str
    models: str

    @property
    def name(self) -> str:
        """As the paper calls it."""
        return "Table 1" if self.key == "table1" else f"Fig. {self.key}"

    @property
    def stem(self) -> str:
        """Of the names of its files."""
        return self.key if self.key == "table1" else f"figure-{int(self.key):02}"

    @abstractmethod
    def needs(self, cast: Cast) -> dict[str, Need]:
        """What has to be measured, by a name of the figure's own.

        Args:
            cast: Which models play the paper's.
        """

    @abstractmethod
    def make(self, profile: Profile, needs: Needs, found: Found) -> Made:
        """Draw, and compare with the paper.

        Args:
            profile: How much was measured, and on what.
            needs: What :meth:`needs` gave, which says the models.
            found: What was measured, along ``model``, by the same names.
        """

    def start(
        self, profile: Profile, here: str, columns: int, size: tuple[float | int, float | int]
    ) -> tuple[Picture, list[Axes]]:
        """An empty picture with its title, which names the stand-ins where there are any.

        Args:
            profile: Whether there are.
            here: The models that were measured.
            columns: Number of Axes.
            size: In inches.
        """
        picture, axes = plt.subplots(1, columns, figsize=size, layout="constrained", squeeze=False)
        title = f"{self.name}. {self.title}"
        if is_paper(profile):
            picture.suptitle(title, fontsize=11)
        else:
            picture.suptitle(f"{title}\nSTAND-IN: {here}; the paper has {self.models}", fontsize=10)
        return picture, list(axes.flat)


def sizes_in_words(profile: Profile, pairs: int, paper: int = 999) -> str:
    """How many pairs from where, and what the paper has.

    Args:
        profile: Where prompts come from.
        pairs: How many were measured.
        paper: How many the paper has.
    """
    source = {"prose": "English prose shipped with the package", "gutenberg": "the paper's data set"}[profile.source]
    rest = "" if pairs == paper and is_paper(profile) else f"; the paper: {paper:,} pairs from Gutenberg books"
    return f"{pairs:,} pairs of random 10-token prompts from {source}{rest}."


def tokens_in_words(role: Role) -> str:
    """How many tokens of training a checkpoint has seen.

    Args:
        role: The checkpoint.
    """
    return f"{EngFormatter(places=1, sep='')(role.tokens) if role.tokens else 0} tokens"


def one(found: xr.Dataset, role: Role) -> xr.Dataset:
    """What was measured on one model.

    Args:
        found: Along ``model``.
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
    """What pictures of median curves show: along ``model``, quartiles of the curve and of the largest slope.

    Args:
        results: Curves of one model each, as :func:`one` takes them from a sweep.
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
    """The paper's median curves, dashed and black, over a picture of ours.

    Args:
        ax: Where to draw.
        curves: By the paper's name.
    """
    for (name, values), marker in zip(curves.items(), "osD^v", strict=False):
        ax.plot(digitised()["alpha"], values, "k--", marker=marker, ms=3, lw=1, label=f"paper: {name}")
    ax.legend(frameon=False, fontsize=8, loc="upper left")
