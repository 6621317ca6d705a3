"""Figures of curves: the paper's own pairs, models of several sizes, checkpoints, and a deeper block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import xarray as xr

from srtoolkit import plot, reference
from srtoolkit.analysis.estimates import Estimate, ratio
from srtoolkit.analysis.sharpness import sharpness
from srtoolkit.profiles import Profile
from srtoolkit.reproduction import casting, measurements
from srtoolkit.reproduction.casting import Cast, Role, is_paper
from srtoolkit.reproduction.comparing import (
    SLOPE_READING,
    Row,
    alone,
    curve_rows,
    digitised,
    slope_quantiles,
)
from srtoolkit.reproduction.figure import (
    Figure,
    Found,
    Made,
    Needs,
    draw_digitised,
    numbers_of,
    one,
    sizes_in_words,
    slope,
    tokens_in_words,
)
from srtoolkit.reproduction.measurements import Need

MEDIAN_SLOPE = "median largest slope"


@dataclass(frozen=True)
class Semantic(Figure):
    """Similar and dissimilar pairs, and the prediction along the latter; Fig. 2."""

    def needs(self, cast: Cast) -> dict[str, Need]:
        return {"pairs": measurements.paper_pairs([cast.main_role("Qwen2-0.5B")])}

    def make(self, profile: Profile, needs: Needs, found: Found) -> Made:
        (role,) = needs["pairs"].roles
        curves = one(found["pairs"], role)
        numbers = curves.assign(max_slope=sharpness(curves)["max_slope"])
        paper = digitised()["fig2_max_slope_Qwen2-0.5B"]
        slopes = dict(zip(numbers["pair"].values.tolist(), numbers["max_slope"].values, strict=True))
        beside = [f"{name}: {value:.1f} (paper: {paper[name]:g})" for name, value in slopes.items()]
        picture, axes = self.start(profile, role.name, 3, (13, 4.4))
        panels = (
            ("(a) similar", "S", "relative_distance", beside),
            ("(b) dissimilar", "D", "relative_distance", beside),
            ("(c) dissimilar, prediction", "D", "logit_difference", list(slopes)),
        )
        for ax, (title, kind, of, labels) in zip(axes, panels, strict=True):
            named = curves.assign_coords(pair=labels)
            plot.curves(named.isel(pair=named["pair"].str.startswith(kind)), of, ax=ax)
            ax.set_title(title, fontsize=9)
            ax.legend(title="largest slope" if labels is beside else None, fontsize=8, frameon=False)
        rows = [
            Row(f"largest slope of {name}", role.name, alone(numbers["max_slope"].sel(pair=name).item()), role.paper,
                paper[name], SLOPE_READING, is_paper(profile))
            for name in ("D1", "D2", "D3", "S1", "S2", "S3")
        ]  # fmt: skip
        note = "The paper's six pairs. Nothing was digitised from panel (c); single pairs have no interval."
        return Made(picture, numbers, rows, note)


@dataclass(frozen=True)
class Sizes(Figure):
    """Median curves of models of several sizes, and sharpness against parameters; Fig. 3."""

    def needs(self, cast: Cast) -> dict[str, Need]:
        profile = cast.profile
        needs = {"families": measurements.curves(profile, cast.families(), profile.sweep_pairs)}
        if (outside := _outside(profile)) is not None:
            needs["outside"] = measurements.curves(profile, [outside], profile.pairs)
        return needs

    def make(self, profile: Profile, needs: Needs, found: Found) -> Made:
        families: dict[str, list[Role]] = {}
        for role in needs["families"].roles:
            families.setdefault(role.family, []).append(role)
        panels = {name: [(role, one(found["families"], role)) for role in roles] for name, roles in families.items()}
        outside = needs["outside"].roles[0] if "outside" in needs else None
        if outside is not None:
            panels[outside.name] = [(outside, one(found["outside"], outside))]
        here = ", ".join(role.name for shown in panels.values() for role, _ in shown)
        picture, axes = self.start(profile, here, len(panels) + 1, (4.6 * (len(panels) + 1), 4.6))
        lines: dict[str, dict[float | int, xr.Dataset]] = {}
        for ax, (name, shown) in zip(axes, panels.items(), strict=False):
            plot.median_curve({role.name: curves for role, curves in shown}, ax=ax)
            draw_digitised(ax, {role.paper: digitised()["fig3_median_curve"][role.paper] for role, _ in shown
                                if role.paper})  # fmt: skip
            lines[name] = {int(curves["parameters"]): slope(curves) for _, curves in shown}
        plot.scaling({name: lines[name] for name in families}, ax=axes[-1])
        if outside is not None:
            style = {"fmt": "o", "color": plot.PALETTE[len(families)], "ms": 6}
            plot.medians(lines[outside.name], "parameters", ax=axes[-1], label=outside.name, **style)
        rows = []
        for shown in reversed(panels.values()):  # the last has what corresponds best
            rows += [row for role, curves in shown for row in _rows_of_size(profile, role, curves)]
        rows += [_growth_with_size(profile, name, shown) for name, shown in panels.items() if len(shown) > 1]
        pairs = sizes_in_words(profile, profile.sweep_pairs)
        if outside is not None:
            pairs += f" {outside.name}: {profile.pairs}."
        return Made(picture, numbers_of([curves for shown in panels.values() for _, curves in shown]), rows, pairs)


@dataclass(frozen=True)
class Training(Figure):
    """Median curves of checkpoints, and sharpness against tokens of training; Fig. 4."""

    def needs(self, cast: Cast) -> dict[str, Need]:
        return {
            paper: measurements.curves(cast.profile, cast.all_checkpoints(paper, seen), cast.profile.sweep_pairs)
            for paper, seen in _seen().items()
        }

    def make(self, profile: Profile, needs: Needs, found: Found) -> Made:
        shown = {paper: need.roles for paper, need in needs.items()}
        names = {paper: roles[0].name for paper, roles in shown.items()}
        results = {role: one(found[paper], role) for paper, roles in shown.items() for role in roles}
        picture, axes = self.start(profile, ", ".join(names.values()), 3, (14.5, 4.8))
        for ax, (paper, roles) in zip(axes, shown.items(), strict=False):
            curves = _curves_in_training(paper)
            ends = (min(curves, key=float), max(curves, key=float))
            drawn = _drawn(paper)
            own = is_paper(profile)
            chosen = [role for role in roles if role.billions in drawn] if own else casting.evenly(roles, len(drawn))
            plot.median_curve({tokens_in_words(role): results[role] for role in chosen}, ax=ax)
            draw_digitised(ax, {f"{paper}, {billions}B tokens": curves[billions] for billions in curves
                                if is_paper(profile) or billions in ends})  # fmt: skip
            ax.set_title(names[paper], fontsize=9)
        summaries: dict[str, dict[float | int, xr.Dataset]] = {
            names[paper]: {role.tokens: slope(results[role]) for role in roles} for paper, roles in shown.items()
        }
        plot.growth(summaries, ax=axes[-1])
        rows: list[Row] = []
        for paper, roles in shown.items():
            rows += [_growth_in_training(profile, paper, results[roles[-1]], results[roles[0]], names[paper])]
            for role in roles:
                rows += _rows_of_checkpoint(profile, role, results[role])
        note = sizes_in_words(profile, profile.sweep_pairs)
        return Made(picture, numbers_of(list(results.values())), rows, note)


@dataclass(frozen=True)
class Layer(Figure):
    """Median and quartiles of the curves, patched after one block; Figs. 23 and 24.

    Attributes:
        layer: Block whose output is replaced, counted from 0.
    """

    layer: int

    def needs(self, cast: Cast) -> dict[str, Need]:
        role = cast.main_role("Qwen2-1.5B")
        return {"curves": measurements.curves(cast.profile, [role], cast.profile.pairs, layer=self.layer)}

    def make(self, profile: Profile, needs: Needs, found: Found) -> Made:
        (role,) = needs["curves"].roles
        curves = one(found["curves"], role)
        picture, (ax,) = self.start(profile, role.name, 1, (7.4, 4.8))
        plot.median_curve(curves, ax=ax)
        # Only the curves after block 0 were read off, in Fig. 3, which shows the same measurement.
        read = self.layer == 0
        if read:
            draw_digitised(ax, {role.paper: digitised()["fig3_median_curve"][role.paper]})
        rows = _slope_rows(profile, role, curves, read)
        if read:
            rows += curve_rows(curves, role.name, role.paper, digitised()["fig3_median_curve"][role.paper],
                               is_paper(profile))  # fmt: skip
        origin = "The paper's numbers are those of the same model in Fig. 3." if read else "Nothing was digitised."
        where = f"Patched after block {self.layer}, counted from 0."
        note = f"{where} {sizes_in_words(profile, profile.pairs)} {origin}"
        return Made(picture, numbers_of([curves]), rows, note)


def _outside(profile: Profile) -> Role | None:
    return None if profile.outside is None else Role(profile.outside, paper="Qwen2-0.5B")


def _seen() -> dict[str, list[str]]:
    """Billions of tokens of the checkpoints in Fig. 4c, by model."""
    return {paper: list(points) for paper, points in digitised()["fig4c_median_max_slope_by_tokens_b"].items()}


def _drawn(paper: str) -> list[str]:
    """Billions of tokens of the checkpoints whose curves Figs. 4a and 4b show."""
    panel = {"OLMo-1B": "a", "OLMo-7B": "b"}[paper]
    return [str(seen) for seen in reference.janiak2024()["checkpoints"][f"fig4{panel}_{paper}_tokens_b"]]


def _curves_in_training(paper: str) -> dict[str, list[float]]:
    """The paper's median curves by billions of tokens; the last checkpoint is the model of Fig. 3."""
    read = digitised()
    return {**read["fig4_median_curve"][paper], _drawn(paper)[-1]: read["fig3_median_curve"][paper]}


def _slope_rows(profile: Profile, role: Role, curves: xr.Dataset, read: bool = True) -> list[Row]:
    """Median and quartiles of the largest slope, the median first."""
    shares = {MEDIAN_SLOPE: 1, "first quartile of the largest slope": 0, "third quartile of the largest slope": 2}
    found = slope_quantiles(curves)
    paper = digitised()["fig3c_max_slope_q25_q50_q75"].get(role.paper) if read else None
    return [
        Row(quantity, role.name, found[place], role.paper, paper[place] if paper else None, SLOPE_READING,
            is_paper(profile))
        for quantity, place in shares.items()
    ]  # fmt: skip


def _rows_of_size(profile: Profile, role: Role, curves: xr.Dataset) -> list[Row]:
    rows = _slope_rows(profile, role, curves)
    if role.paper:
        values = digitised()["fig3_median_curve"][role.paper]
        rows += curve_rows(curves, role.name, role.paper, values, is_paper(profile))
    return rows


def _rows_of_checkpoint(profile: Profile, role: Role, curves: xr.Dataset) -> list[Row]:
    (ours,) = slope_quantiles(curves, [0.5])
    slopes, drawn = digitised()["fig4c_median_max_slope_by_tokens_b"], _curves_in_training(role.paper)
    theirs = f"{role.paper}, {role.billions}B tokens" if role.billions else ""
    paper = slopes[role.paper][role.billions] if role.billions else None
    rows = [Row(MEDIAN_SLOPE, role.label, ours, theirs, paper, SLOPE_READING, is_paper(profile))]
    if role.billions in drawn:
        values = drawn[role.billions]
        rows += curve_rows(curves, role.label, theirs, values, is_paper(profile))
    return rows


def _growth_with_size(profile: Profile, name: str, shown: Sequence[tuple[Role, xr.Dataset]]) -> Row:
    """Median slope of the largest model over that of the smallest; a stand-in's beside that of Qwen2."""
    family = name if is_paper(profile) else "Qwen2"
    quartiles = digitised()["fig3c_max_slope_q25_q50_q75"]
    low, *_, high = (values[1] for model, values in quartiles.items() if model.startswith(family))
    ours = ratio(sharpness(shown[-1][1]), sharpness(shown[0][1]))
    return _ratio_row("largest over smallest model, median largest slope", name, ours, family, high, low,
                      is_paper(profile))  # fmt: skip


def _growth_in_training(profile: Profile, paper: str, last: xr.Dataset, first: xr.Dataset, name: str) -> Row:
    """Median slope of the finished model over that of the untrained one."""
    slopes = list(digitised()["fig4c_median_max_slope_by_tokens_b"][paper].values())
    ours = ratio(sharpness(last), sharpness(first))
    return _ratio_row("trained over untrained, median largest slope", name, ours, paper, slopes[-1], slopes[0],
                      is_paper(profile))  # fmt: skip


def _ratio_row(what: str, model: str, ours: Estimate, paper: str, high: float, low: float, alike: bool) -> Row:
    reading = SLOPE_READING * (1 / high + 1 / low) * high / low
    return Row(what, model, ours, paper, high / low, reading, alike)
