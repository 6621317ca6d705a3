"""A map of prompts, whose distances are how unevenly outputs move between them; any path can be shown."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import ipywidgets as W
import numpy as np
import xarray as xr
from matplotlib.collections import LineCollection

from srtoolkit.analysis.jumps import JUMP_SPEED
from srtoolkit.analysis.motion import motion
from srtoolkit.analysis.regions import map_prompts, region_graph
from srtoolkit.measures.curves import interpolate
from srtoolkit.models.model import Model
from srtoolkit.panels.parts.model_and_block import ModelPanel
from srtoolkit.panels.parts.picker import load_call
from srtoolkit.panels.parts.picture import DRAWING, Picture
from srtoolkit.panels.parts.text import drawable, shorten
from srtoolkit.panels.parts.worker import JobProgress
from srtoolkit.plot.region_plots import MARKERS
from srtoolkit.plot.slice_plots import TOKEN_COLOURS
from srtoolkit.prompts.pairs import all_pairs
from srtoolkit.stimuli import sets

#: Number of sentence frames of :func:`srtoolkit.stimuli.classes` whose prompts a map shows by default.
FRAMES = 3

#: Curves that the result keeps beside motion's measures: what is drawn, and what jumps are counted on.
_CURVES = ("relative_distance", "step", "distance", "distance_b")

_WIDE = {"description_width": "70px"}
_LONE = (0.7, 0.7, 0.7)
_NEUTRAL = (0.25, 0.25, 0.25)


class RegionMap(ModelPanel):
    """A map of prompts, with an edge where no jump lies between two of them, and the curve of the path that is picked.

    Every path between two prompts is measured once for a model and block. Moving the threshold, or picking prompts,
    measures nothing.

    Args:
        model: From :func:`srtoolkit.load_model`, or the name of a model; a small packaged model by default.
        prompts: Two or more different prompts; by default, prompts of eight classes that the package ships.
        classes: Name of the class of each prompt.
        curves: From :func:`srtoolkit.interpolate` on :func:`srtoolkit.all_pairs` of ``prompts``, where they are
            measured already; then no model is needed.
        layer: Block whose output is replaced.
        steps: Number of points of a path.
        threshold: Speed above which an output jumps; :func:`srtoolkit.calibrate_jump` finds one for a model.

    Attributes:
        start: Control of the prompt at which the shown path starts.
        end: Control of the prompt at which the shown path ends.
        colour: Control of the meaning of the dots' colours: ``"class"`` or ``"component"``.
        threshold: Control of the speed along its own path above which an output jumps.

    Raises:
        ValueError: The numbers of prompts and classes differ.
    """

    def __init__(
        self,
        model: Model | str | None = None,
        prompts: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        *,
        curves: xr.Dataset | None = None,
        layer: int = 0,
        steps: int = 50,
        threshold: float | int = JUMP_SPEED,
    ) -> None:
        if prompts is None:
            shipped = sets.classes().query("frame < @FRAMES")
            prompts, classes = shipped["text"].tolist(), shipped["label"].tolist()
        self.texts, self.classes = list(prompts), list(classes or ["prompt"] * len(prompts))
        if len(self.classes) != len(self.texts):
            raise ValueError(f"{len(self.texts)} prompts and {len(self.classes)} classes: expected one each.")
        super().__init__("Map of regions", model, layer)
        self._steps = steps
        options = [(f"{shorten(text, 50)} ({kind})", index) for index, (text, kind) in enumerate(self._rows())]
        box = {"style": _WIDE, "layout": W.Layout(width="340px")}
        self.start = W.Dropdown(options=options, value=0, description="from", **box)
        self.end = W.Dropdown(options=options, value=len(options) - 1, description="to", **box)
        self.colour = W.Dropdown(options=["class", "component"], description="colour by", style=_WIDE)
        self.threshold = W.FloatSlider(
            threshold, min=1, max=max(12, threshold), step=0.1, description="threshold", **box
        )
        self._picture = Picture(9.8, 5.1)
        self._axes = self._picture.figure.subplots(1, 2, width_ratios=(1.25, 1))
        self._picture.figure.subplots_adjust(0.065, 0.1, 0.985, 0.77, wspace=0.2)
        wrapped = W.Layout(flex_flow="row wrap")
        rows = [W.HBox(pair, layout=wrapped) for pair in ((self.start, self.end), (self.colour, self.threshold))]
        measured = [] if curves is not None else [self.picker, self.layer]
        self.arrange([*measured, *rows], [self._picture])
        for control in (self.start, self.end):
            self.follow(control, self._move)
        self.follow(self.threshold, self._regroup)
        self.follow(self.colour, self._redraw)
        self._code = ""
        if curves is None:
            self.begin()
        else:
            self.submit(lambda _: self._place(curves), self._show, "placing the prompts")

    def _rows(self) -> list[tuple[str, str]]:
        return list(zip(self.texts, self.classes, strict=True))

    def ask(self, model: Model) -> None:
        """Submit the job that measures the paths between all prompts.

        Args:
            model: The model to measure.
        """
        layer = self.layer.value

        def job(progress: JobProgress) -> tuple[xr.Dataset, str]:
            pairs = all_pairs(model, self.texts)
            settings = {"layer": layer, "steps": self._steps, "reads": "final_norm"}
            curves = interpolate(model, pairs, **settings, progress=progress)
            return self._place(curves, load_call(model))

        self.submit(job, self._show, f"measuring {len(self.texts) * (len(self.texts) - 1) // 2} paths on {model.name}")

    def _place(self, curves: xr.Dataset, call: str = "") -> tuple[xr.Dataset, str]:
        """The curves with everything about the prompts that does not depend on the threshold."""
        moved = motion(curves, jump_speed=self.threshold.value)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "map_prompts: stress")  # the picture says it
            places = map_prompts(moved)
        known = dict(self._rows())
        missing = [text for text in places["text"].values if text not in known]
        if missing or places.sizes["prompt"] != len(known):
            raise ValueError(
                f"the curves are of {places.sizes['prompt']} prompts, {len(missing)} of them not among the "
                f"{len(known)} given; both must be the same, as srt.all_pairs makes them."
            )
        classes = ("prompt", [known[text] for text in places["text"].values])
        kept = {name: curves[name] for name in _CURVES}
        return moved.assign(kept).assign(place=places, classes=classes), call

    def _show(self, found: tuple[xr.Dataset, str]) -> None:
        self.result, self._code = found
        self._redraw()

    def _redraw(self) -> None:
        """Draw the map anew, for new places or another meaning of colour."""
        if self.result is None:
            return
        places, classes = self.result["place"], self.result["classes"].values
        with DRAWING:
            map_, curve = self._axes
            for ax in self._axes:
                ax.clear()
            for old in (*self._picture.figure.texts, *self._picture.figure.legends):
                old.remove()
            self._edges = LineCollection([], colors="k", lw=0.8, alpha=0.13)
            map_.add_collection(self._edges)
            self._dots = {}
            for index, name in enumerate(dict.fromkeys(classes)):
                members = np.flatnonzero(classes == name)
                style = {"marker": MARKERS[index % len(MARKERS)], "s": 42, "lw": 0, "label": drawable(name, 24)}
                by_class = self.colour.value == "class"
                colour = TOKEN_COLOURS[index % len(TOKEN_COLOURS)] if by_class else _NEUTRAL
                dots = map_.scatter(*places.values[members].T, color=colour, **style)
                self._dots[name] = (members, dots)
            for text, place in zip(places["text"].values, places.values, strict=True):
                word = drawable((text.split() or [text])[-1], 14)
                map_.annotate(word, place, xytext=(4, 4), textcoords="offset points", fontsize=7.5)
            fit = f"stress {places.attrs['stress']:.2f}, a {places.attrs['fit']} fit"
            map_.set(xlabel=f"distances on the map: log of the peak speed ({fit})", ylabel="log of the peak speed")
            map_.set_aspect("equal", "datalim")
            map_.margins(0.12)
            where: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.06, 0.775), "borderaxespad": 0}
            self._picture.figure.legend(handles=map_.collections[1:], fontsize=8, frameon=False, ncols=9, **where)
            (self._ring,) = map_.plot([0, 1], [0, 1], "o--", ms=13, mfc="none", color="k", lw=1)
            alphas = self.result["alpha"].values
            curve.plot([0, 1], [0, 1], ":", color="0.5", label="a straight line")
            (self._line,) = curve.plot(alphas, alphas, color="k", label="path picked")
            low, high = (f(self.result["relative_distance"].values) for f in (np.nanmin, np.nanmax))
            curve.set(xlim=(0, 1), ylim=(low - 0.05, high + 0.05), ylabel="relative distance d(α) / d(1)")
            curve.set_xlabel("α, from A (0) to B (1)")
            curve.legend(frameon=False, loc="upper left")
            self._heading = self._picture.figure.text(0.01, 0.985, "", va="top", fontsize=9.5)
            self._group()
            self._pick()
            dots = [dots for _, dots in self._dots.values()]
            self._picture.draw(self._alt, [self._edges, *dots, self._ring, self._line, self._heading])

    def _regroup(self) -> None:
        """Edges and components at another threshold."""
        if self.result is not None:
            with DRAWING:
                self._group()
                self._pick()
                self._picture.move(self._alt)

    def _move(self) -> None:
        """Another path."""
        if self.result is not None:
            with DRAWING:
                self._pick()
                self._picture.move(self._alt)

    def _group(self) -> None:
        assert self.result is not None
        moved = motion(self.result, jump_speed=self.threshold.value)
        graph = region_graph(moved)
        component, edge = graph["component"].values, graph["edge"].values
        self.result = moved.assign({name: self.result[name] for name in (*_CURVES, "place", "classes")})
        self.result = self.result.assign(component=("prompt", component))
        places = self.result["place"].values
        self._edges.set_segments([places[[a, b]] for a, b in zip(*np.nonzero(np.triu(edge)), strict=True)])
        if self.colour.value == "component":
            sizes = np.bincount(component)
            palette = [
                TOKEN_COLOURS[place % len(TOKEN_COLOURS)] if size > 1 else _LONE for place, size in enumerate(sizes)
            ]
            for members, dots in self._dots.values():
                dots.set_facecolor([palette[component[member]] for member in members])
        count = int(graph["components"])
        self._words = (
            f"{len(component)} prompts on {self.result.attrs['model']}, after block {self.result.attrs['layer']}; "
            f"at threshold {self.threshold.value:.1f}, {count} component{'s' * (count > 1)}, the largest of "
            f"{int(graph['largest'])}; {float(graph['density']):.0%} of pairs without a jump"
        )

    def _pick(self) -> None:
        """Ring two prompts, and draw the path between them as it was measured."""
        assert self.result is not None
        texts = list(self.result["place"]["text"].values)
        ends = [texts.index(self.texts[control.value]) for control in (self.start, self.end)]
        self._ring.set_data(*self.result["place"].values[ends].T)
        text_a, text_b = self.result["text_a"].values, self.result["text_b"].values
        wanted = {texts[end] for end in ends}
        found = np.flatnonzero([{a, b} == wanted for a, b in zip(text_a, text_b, strict=True)])
        if not len(found):
            self._line.set_data([], [])
            words, names = "pick two different prompts to see the path between them", ["", ""]
        else:
            pair = int(found[0])
            self._line.set_data(self.result["alpha"].values, self.result["relative_distance"].values[pair])
            names = [str(text_a[pair]), str(text_b[pair])]
            peak, jumps = (float(self.result[name].values[pair]) for name in ("peak", "jumps"))
            words = "both give the same output, so there is no curve"
            if np.isfinite(peak):
                words = f"peak speed {peak:.2f}, {jumps:.0f} jump{'s' * (jumps != 1)}"
        shown = [drawable(name, 110) for name in names]
        self._heading.set_text(f"{drawable(self._words, 200)}\nA: {shown[0]}\nB: {shown[1]}\n{words}")
        picked = f"From “{shorten(names[0])}” to “{shorten(names[1])}”: {words}." if len(found) else f"{words}."
        self._alt = f"{self._words[0].upper()}{self._words[1:]}. {picked}"

    def code(self) -> str:
        """The library calls that make ``result``; where ``curves`` were given, those that follow them."""
        if self.result is None:
            raise ValueError("nothing is shown yet.")
        settings = f"layer={self.result.attrs['layer']}, steps={self._steps}"
        start = f"""model = {self._code}
pairs = srt.all_pairs(model, {self.texts!r})
curves = srt.interpolate(model, pairs, {settings}, reads="final_norm")
"""
        return f"""import srtoolkit as srt

{start if self._code else ""}moved = srt.motion(curves, jump_speed={self.threshold.value!r})
places = srt.map_prompts(moved)
graph = srt.region_graph(moved)
classes = dict(zip({self.texts!r}, {self.classes!r}))
names = [classes[text] for text in places.text.values]
result = moved.assign({{name: curves[name] for name in {_CURVES!r}}}).assign(place=places, classes=("prompt", names))
result = result.assign(component=("prompt", graph.component.values))
srt.plot.prompt_map(places, names)
"""
