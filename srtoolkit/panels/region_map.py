"""A map of prompts, whose distances are how unevenly outputs move between them; any path can be shown."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import ipywidgets as W
import numpy as np
import xarray as xr

from srtoolkit.analysis.jumps import JUMP_SPEED
from srtoolkit.analysis.motion import motion
from srtoolkit.analysis.regions import map_prompts, region_graph
from srtoolkit.measures.curves import interpolate
from srtoolkit.models.model import Model
from srtoolkit.panels.map.still import still
from srtoolkit.panels.map.story import dots, edges, heading, near
from srtoolkit.panels.map.typed import UNNAMED, from_lines, to_lines
from srtoolkit.panels.map.widget import MapPicture
from srtoolkit.panels.parts.model_and_block import ModelPanel
from srtoolkit.panels.parts.picker import load_call
from srtoolkit.panels.parts.picture import DRAWING, file_of
from srtoolkit.panels.parts.text import shorten
from srtoolkit.panels.parts.worker import JobProgress
from srtoolkit.prompts.pairs import all_pairs
from srtoolkit.stimuli import sets

#: Number of sentence frames of :func:`srtoolkit.stimuli.classes` whose prompts a map shows by default.
FRAMES = 3

#: Curves that the result keeps beside motion's measures: what is drawn, and what jumps are counted on.
_CURVES = ("relative_distance", "step", "distance", "distance_b")

_WIDE = {"description_width": "70px"}


class _Found(NamedTuple):
    """Prompts with their classes, what was measured of them, and the call that loads the model."""

    texts: list[str]
    classes: list[str]
    result: xr.Dataset
    call: str


class RegionMap(ModelPanel):
    """A map of prompts, with a line where no jump lies between two of them, and the curve of the path that is picked.

    Every path between two prompts is measured once for a model and block. Moving the threshold, or picking prompts,
    measures nothing. Pointing at a prompt shows its text and all its lines; without, each group's shortest tree is
    drawn. A click takes a prompt as the path's new end.

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
        prompts: Control of the prompts, one a line; ``text | class`` names its class.
        start: Control of the prompt at which the shown path starts.
        end: Control of the prompt at which the shown path ends.
        colour: Control of the meaning of the dots' colours: ``"class"`` or ``"component"``.
        threshold: Control of the speed along its own path above which an output jumps.
        map: The picture.

    Raises:
        ValueError: The numbers of prompts and classes differ.
    """

    rows = ("pair",)

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
        self.texts, self.classes = list(prompts), list(classes or [UNNAMED] * len(prompts))
        if len(self.classes) != len(self.texts):
            raise ValueError(f"{len(self.texts)} prompts and {len(self.classes)} classes: expected one each.")
        super().__init__("Map of regions", model, layer)
        self._steps, self._code = steps, ""
        box = {"style": _WIDE, "layout": W.Layout(width="340px")}
        self.start = W.Dropdown(description="from", **box)
        self.end = W.Dropdown(description="to", **box)
        self.colour = W.Dropdown(options=["class", "component"], description="colour by", style=_WIDE)
        self.threshold = W.FloatSlider(
            threshold, min=1, max=max(12, threshold), step=0.1, description="threshold", **box
        )
        self.prompts = W.Textarea(
            to_lines(self.texts, self.classes), description="prompts", rows=6, continuous_update=False, style=_WIDE,
            placeholder="one a line; to name its class: text | class", layout=W.Layout(width="98%"),
        )  # fmt: skip
        self.map = MapPicture()
        self._offer()
        self.arrange([], [self.map], self._controls(measured=curves is None))
        for control in (self.start, self.end):
            self.follow(control, self._move)
        self.follow(self.map, self._clicked, "picked")
        self.follow(self.threshold, self._redraw)
        self.follow(self.colour, self._redraw)
        self.follow(self.prompts, self.request)
        if curves is None:
            self.begin()
        else:
            texts, names = self.texts, self.classes
            self.submit(lambda _: self._place(texts, names, curves), self._show, "placing the prompts")

    def _controls(self, measured: bool) -> list[W.Widget]:
        """What stands below the picture; prompts, model and block only where the panel measures them itself."""
        wrapped = W.Layout(flex_flow="row wrap")
        rows = [W.HBox(pair, layout=wrapped) for pair in ((self.start, self.end), (self.colour, self.threshold))]
        if not measured:
            return rows
        titles = ("prompts: type or paste them, one a line; text | class names a class", "model and block")
        return [*rows, W.Accordion([self.prompts, W.VBox([self.picker, self.layer])], titles=titles)]

    def _offer(self) -> None:
        """Offer the prompts as ends of a path, the first and the last at first."""
        rows = enumerate(zip(self.texts, self.classes, strict=True))
        options = [(f"{shorten(text, 50)} ({kind})", index) for index, (text, kind) in rows]
        for control, value in ((self.start, 0), (self.end, len(options) - 1)):
            control.options = options
            control.value = value

    def ask(self, model: Model) -> None:
        """Submit the job that measures the paths between all prompts.

        Args:
            model: The model to measure.
        """
        layer, (texts, classes) = self.layer.value, from_lines(self.prompts.value)

        def job(progress: JobProgress) -> _Found:
            settings = {"layer": layer, "steps": self._steps, "reads": "final_norm"}
            curves = interpolate(model, all_pairs(model, texts), **settings, progress=progress)
            return self._place(texts, classes, curves, load_call(model))

        self.submit(job, self._show, f"measuring {len(texts) * (len(texts) - 1) // 2} paths on {model.name}")

    def _place(self, texts: list[str], classes: list[str], curves: xr.Dataset, call: str = "") -> _Found:
        """The curves with everything about the prompts that does not depend on the threshold."""
        moved = motion(curves, jump_speed=self.threshold.value)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "map_prompts: stress")  # the picture says it
            places = map_prompts(moved)
        known = dict(zip(texts, classes, strict=True))
        missing = [text for text in places["text"].values if text not in known]
        if missing or places.sizes["prompt"] != len(known):
            raise ValueError(
                f"the curves are of {places.sizes['prompt']} prompts, {len(missing)} of them not among the "
                f"{len(known)} given; both must be the same, as srt.all_pairs makes them."
            )
        names = ("prompt", [known[text] for text in places["text"].values])
        kept = {name: curves[name] for name in _CURVES}
        return _Found(texts, classes, moved.assign(kept).assign(place=places, classes=names), call)

    def _show(self, found: _Found) -> None:
        other = (found.texts, found.classes) != (self.texts, self.classes)
        self.texts, self.classes, self.result, self._code = found
        if other:
            with self.held():
                self._offer()
        self._redraw()

    def _redraw(self) -> None:
        """Tell the page all anew, for new places, another threshold or another meaning of colour."""
        if self.result is not None:
            with self.map.hold_sync():
                self._group()
                self._pick()

    def _move(self) -> None:
        """Another path."""
        if self.result is not None and not self._held:
            with self.map.hold_sync():
                self._pick()

    def _clicked(self) -> None:
        """The page picked two dots, which are in the order of the map."""
        if self.result is None:
            return
        texts = self.result["place"]["text"].values
        with self.held():
            self.start.value, self.end.value = (self.texts.index(str(texts[dot])) for dot in self.map.picked)
        self._move()

    def _group(self) -> None:
        """Dots, lines and words at this threshold and with this meaning of colour."""
        assert self.result is not None
        moved = motion(self.result, jump_speed=self.threshold.value)
        graph = region_graph(moved)
        component = graph["component"].values
        self.result = moved.assign({name: self.result[name] for name in (*_CURVES, "place", "classes")})
        self.result = self.result.assign(component=("prompt", component))
        self.map.dots = dots(self.result, by_class=self.colour.value == "class")
        self.map.edges = edges(self.result, graph["edge"].values)
        self.map.heading = heading(self.result, graph, self.threshold.value)
        self.map.near = near(self.result)

    def _pick(self) -> None:
        """Ring two prompts, and draw the path between them as it was measured."""
        assert self.result is not None
        texts = list(self.result["place"]["text"].values)
        self.map.picked = [texts.index(self.texts[control.value]) for control in (self.start, self.end)]
        pair, (a, b) = self._pair()
        values = self.result["relative_distance"].values
        low, high = (f(values[np.isfinite(values)], initial=edge) for f, edge in ((np.min, 0.0), (np.max, 1.0)))
        shown = [] if pair is None or not np.isfinite(values[pair]).all() else values[pair].tolist()
        alphas = self.result["alpha"].values.tolist()
        self.map.curve = {"alpha": alphas, "values": shown, "low": float(low) - 0.05, "high": float(high) + 0.05}
        if pair is None:
            words = picked = "pick two different prompts to see the path between them"
        else:
            peak, jumps = (float(self.result[name].values[pair]) for name in ("peak", "jumps"))
            words = "both give the same output, so there is no curve"
            if np.isfinite(peak):
                words = f"peak speed {peak:.2f}, {jumps:.0f} jump{'s' * (jumps != 1)}"
            picked = f"From “{shorten(a)}” to “{shorten(b)}”: {words}"
        self.map.path = f"{picked[0].upper()}{picked[1:]}."
        self.map.label = f"{self.map.heading[0].upper()}{self.map.heading[1:]}. {picked}."

    def _pair(self) -> tuple[int | None, tuple[str, str]]:
        """Index and texts of the pair whose path is picked; A is the one in whose context it was measured."""
        assert self.result is not None
        wanted = {self.texts[control.value] for control in (self.start, self.end)}
        text_a, text_b = self.result["text_a"].values, self.result["text_b"].values
        found = np.flatnonzero([{a, b} == wanted for a, b in zip(text_a, text_b, strict=True)])
        if not len(found):
            return None, ("", "")
        return int(found[0]), (str(text_a[found[0]]), str(text_b[found[0]]))

    @property
    def alt(self) -> str:
        """The alternative text of what is shown, in words and numbers."""
        return self.map.label or "nothing to show yet"

    @property
    def summary(self) -> str:
        """What was measured; the picture itself says what was found."""
        return self.map.heading or self.alt

    def picture_as(self, form: str) -> bytes:
        """The map and the curve of the path that is picked, as the content of a file.

        Args:
            form: ``"png"``, ``"svg"`` or ``"pdf"``.
        """
        with self.lock, DRAWING:
            return file_of(still(self.map), form)

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
