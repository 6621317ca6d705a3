"""The other figures: planes through three prompts, gate flips, the histogram of slopes, and the table of models."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import xarray as xr
from matplotlib.axes import Axes

from srtoolkit import plot, reference
from srtoolkit.analysis.sharpness import sharpness
from srtoolkit.profiles import Profile
from srtoolkit.reproduction import measurements
from srtoolkit.reproduction.casting import Cast, is_paper
from srtoolkit.reproduction.comparing import Row, alone, digitised, mean, quantile_rows
from srtoolkit.reproduction.configurations import COLUMNS, read_configuration
from srtoolkit.reproduction.figure import Figure, Found, Made, Needs, one, sizes_in_words, tokens_in_words
from srtoolkit.reproduction.measurements import Need

#: Step counts and bins of the paper's histograms.
FIG25_BINS, FIG26_BINS, FIG26_STEPS = 30, 100, 30


@dataclass(frozen=True)
class Slice(Figure):
    """The plane through three prompts at five checkpoints; Figs. 1 and 5 to 22.

    Attributes:
        triple: Index of the first of the three prompts.
    """

    triple: int

    def needs(self, cast: Cast) -> dict[str, Need]:
        seen = [str(billions) for billions in reference.janiak2024()["checkpoints"]["fig1_OLMo-7B_tokens_b"]]
        return {"planes": measurements.plane(cast.profile, cast.training("OLMo-7B", seen), self.triple)}

    def make(self, profile: Profile, needs: Needs, found: Found) -> Made:
        roles = needs["planes"].roles
        planes = found["planes"].sel(model=[role.label for role in roles])
        titles = [tokens_in_words(role) for role in roles]
        picture, axes = self.start(profile, roles[0].name, len(roles), (2.25 * len(roles), 3.5))
        plot.plane_strip(planes, titles=titles, axes=axes, palette="paper", **measurements.PAPER["slice_colours"])
        texts = [str(text) for text in planes["text"].values]
        said = "\n".join(f"{name}: {text!r}" for name, text in zip("ABC", texts, strict=True))
        picture.supxlabel(said.replace("$", r"\$"), fontsize=8, ha="left", x=0.02)
        note = f"{profile.resolution} × {profile.resolution} points, each picture with colours of its own, as in the "
        note += "paper, so that colours do not compare. Nothing was digitised from slices."
        return Made(picture, planes, [], note)


@dataclass(frozen=True)
class GateFlips(Figure):
    """Histogram of the number of gates whose sign differs between the ends of a path; Fig. 25."""

    def needs(self, cast: Cast) -> dict[str, Need]:
        return {"flips": measurements.gate_flips(cast.profile, [cast.main_role("Qwen2-0.5B")])}

    def make(self, profile: Profile, needs: Needs, found: Found) -> Made:
        (role,) = needs["flips"].roles
        flips = one(found["flips"], role)
        paper = digitised()["fig25_gate_flips_Qwen2-0.5B_of_4864"]
        picture, (ax,) = self.start(profile, role.name, 1, (7.4, 4.8))
        blocks = {"last block": -1, "block before it": -2} if flips.sizes["block"] > 1 else {"last block": -1}
        plot.flip_histogram({name: flips.isel(block=[place]) for name, place in blocks.items()}, ax=ax, paper=True)
        rows = []
        for name, place in blocks.items():
            here = flips.isel(block=place)
            rows += quantile_rows(
                here.assign(share=here["ends_differ"] / here["gates"]), "share", f"share of gates, {name}",
                role.name, role.paper, paper, scale=4864.0, alike=is_paper(profile),
                reading=(paper["max"] - paper["min"]) / FIG25_BINS / 2 / 4864,
            )  # fmt: skip
        note = f"Signs at the two ends only, as in the paper. {sizes_in_words(profile, profile.pairs)} The paper says "
        note += "that it shows the last block; its scripts read the one before it unless told otherwise."
        return Made(picture, flips, rows, note)


@dataclass(frozen=True)
class Slopes(Figure):
    """Histogram of the largest slopes of random pairs; Fig. 26."""

    def needs(self, cast: Cast) -> dict[str, Need]:
        role = cast.main_role("Qwen2-0.5B")
        return {"curves": measurements.curves(cast.profile, [role], cast.profile.many_pairs, steps=FIG26_STEPS)}

    def make(self, profile: Profile, needs: Needs, found: Found) -> Made:
        (role,) = needs["curves"].roles
        sharp = sharpness(one(found["curves"], role))
        paper = digitised()["fig26_max_slope_Qwen2-0.5B_30_steps_9999_pairs"]
        picture, (ax,) = self.start(profile, role.name, 1, (7.4, 4.8))
        plot.slope_histogram(sharp, ax=ax, paper=True, bins=FIG26_BINS)
        reading, alike = (paper["max"] - paper["min"]) / FIG26_BINS / 2, is_paper(profile)
        rows = quantile_rows(
            sharp, "max_slope", "largest slope", role.name, role.paper, paper, reading=reading, alike=alike
        )
        for what, chosen, count in (
            ("below 1.2", sharp["max_slope"] < 1.2, paper["pairs_below_1.2"]),
            ("above 10", sharp["max_slope"] > 10, paper["pairs_above_10"]),
        ):
            share = mean(sharp.assign(chosen=chosen), "chosen")
            rows.append(Row(f"share of pairs {what}", role.name, share, role.paper, count / 9999, alike=alike))
        note = f"{FIG26_STEPS} steps. {sizes_in_words(profile, profile.many_pairs, 9999)}"
        return Made(picture, sharp, rows, note)


@dataclass(frozen=True)
class Configurations(Figure):
    """Sizes of the models; Table 1."""

    def needs(self, cast: Cast) -> dict[str, Need]:  # noqa: ARG002, nothing has to be measured
        return {}

    def make(self, profile: Profile, needs: Needs, found: Found) -> Made:  # noqa: ARG002
        models = reference.janiak2024()["models"]
        if is_paper(profile):
            names = {spec["hf"]: paper for paper, spec in models.items()}
        else:
            family = [name for models_of_one in profile.families.values() for name in models_of_one]
            names = dict.fromkeys([*family, *profile.growth, profile.model], "")
        here = {name: read_configuration(name) for name in names}
        rows = [
            Row(COLUMNS[column], name, alone(here[name][column]), paper, float(models[paper][column]), alike=True)
            for name, paper in names.items() if paper
            for column in COLUMNS
        ]  # fmt: skip
        table = {**{name: here[name] for name in names}, **{f"paper: {name}": models[name] for name in models}}
        picture, (ax,) = self.start(
            profile, textwrap.shorten(", ".join(names), 90), 1, (10.5, 0.75 + 0.27 * len(table))
        )
        _draw_table(ax, table)
        numbers = xr.Dataset(
            {column: ("model", [float(here[name][column]) for name in names]) for column in COLUMNS},
            {"model": list(names)},
        )
        note = "From the models' configurations; weights are not loaded."
        return Made(picture, numbers, rows, note if rows else f"{note} Stand-ins' sizes need not be the paper's.")


def _draw_table(ax: Axes, rows: dict[str, dict[str, Any]]) -> None:
    cells = [[_shown(spec[column]) for column in COLUMNS] for spec in rows.values()]
    drawn = ax.table(cells, rowLabels=list(rows), colLabels=list(COLUMNS.values()), loc="center", cellLoc="right")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9)
    drawn.scale(1, 1.3)
    ax.axis("off")


def _shown(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:,}"
