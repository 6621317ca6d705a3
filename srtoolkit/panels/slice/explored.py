"""One 2-D slice with what has been looked up on it since: predictions, gates, lines to points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import xarray as xr

from srtoolkit.analysis.sharpness import sharpness
from srtoolkit.measures.curves import interpolate
from srtoolkit.measures.planes import ANCHORS
from srtoolkit.measures.slice_predictions import line_on_plane, slice_predictions
from srtoolkit.measures.slices import slice_gates, slice_plane
from srtoolkit.models.model import Model
from srtoolkit.panels.parts.picker import load_call
from srtoolkit.panels.parts.text import shorten
from srtoolkit.panels.parts.worker import Cancelled

#: Next tokens at every point.
TOP = 5

#: Points of the line from an anchor to the pinned point.
STEPS = 50

Text = Callable[[int], str]

NEARNESS, REGIONS, TOKENS = "nearness to A, B and C", "nearest output", "top next token"
MARGIN, GATES = "margin of the top token", "gate density"

#: Pictures of a slice, as the control calls them.
PICTURES = (NEARNESS, REGIONS, TOKENS, MARGIN, GATES)


class Question(NamedTuple):
    """Which slice is asked for.

    Attributes:
        model: From :func:`srtoolkit.load_model`.
        prompts: A, B and C.
        layer: Block whose output is replaced.
        resolution: Points along each axis.
        tolerance: Of :func:`srtoolkit.slice_plane`.
    """

    model: Model
    prompts: tuple[str, str, str]
    layer: int
    resolution: int
    tolerance: float | None


class View(NamedTuple):
    """What of a slice is shown.

    Attributes:
        picture: One of ``PICTURES``.
        anchor: Whose prompt is the context of predictions, gates and the pinned line.
        pin: Row and column of the pinned point, or nothing.
    """

    picture: str
    anchor: str
    pin: tuple[int, ...]


@dataclass
class Explored:
    """A slice, and what has been measured on it so far.

    Attributes:
        question: What was asked for.
        plane: From :func:`srtoolkit.slice_plane`.
        predictions: From :func:`slice_predictions`, by anchor.
        gates: From :func:`srtoolkit.slice_gates`, of the first block behind the patch, by anchor.
        lines: From :func:`srtoolkit.interpolate`, by anchor and point.
    """

    question: Question
    plane: xr.Dataset
    predictions: dict[str, xr.Dataset] = field(default_factory=dict)
    gates: dict[str, xr.Dataset] = field(default_factory=dict)
    lines: dict[tuple[str, tuple[int, ...]], xr.Dataset] = field(default_factory=dict)

    @classmethod
    def ask(cls, question: Question) -> Explored:
        """Measure a slice.

        Args:
            question: Which one.
        """
        model, prompts, layer, resolution, tolerance = question
        return cls(question, slice_plane(model, prompts, layer=layer, resolution=resolution, tolerance=tolerance))

    def complete(self, view: View) -> None:
        """Measure what a view shows beside the slice and its predictions: gates, and the line to the pinned point.

        Args:
            view: What is shown.
        """
        model, prompts, layer, resolution, _ = self.question
        anchor, pin = view.anchor, view.pin
        if view.picture == GATES and anchor not in self.gates:
            self.gates[anchor] = slice_gates(
                model, prompts, layer + 1, layer=layer, resolution=resolution, anchor=anchor
            ).drop_vars("pre_activation")
        if pin and (anchor, pin) not in self.lines:
            path = line_on_plane(model, prompts, *self.place(pin), layer=layer)
            pair = prompts[ANCHORS.index(anchor)], prompts[ANCHORS.index(anchor) - 1]
            self.lines[anchor, pin] = interpolate(model, [pair], layer=layer, steps=STEPS, path=path)

    def predict(self, anchor: str, cancelled: Cancelled, progress: Callable[[float], None]) -> None:
        """Measure predictions at every point.

        Args:
            anchor: Whose prompt is the context.
            cancelled: Ends it early.
            progress: Takes the share that is done.
        """
        model, prompts, layer, resolution, _ = self.question
        found = slice_predictions(
            model, prompts, anchor=anchor, top=min(TOP, model.vocab_size), layer=layer, resolution=resolution,
            cancelled=cancelled, progress=progress,
        )  # fmt: skip
        if found is not None:
            self.predictions[anchor] = found

    @property
    def corners(self) -> list[tuple[float, float]]:
        """Alpha and beta of A, B and C."""
        return [(0.0, 0.0), (1.0, 0.0), (float(self.plane["c_alpha"]), float(self.plane["c_beta"]))]

    def place(self, pin: tuple[int, ...]) -> tuple[float, float]:
        """Alpha and beta of a point.

        Args:
            pin: Its row and column.
        """
        return float(self.plane["alpha"][pin[1]]), float(self.plane["beta"][pin[0]])

    def prediction(self, view: View) -> tuple[list[str], list[float]]:
        """Texts and probabilities of the likeliest next tokens at the pinned point, as far as they are known.

        Args:
            view: What is shown.
        """
        if view.anchor not in self.predictions:
            return [], []
        at = self.predictions[view.anchor].isel(beta=view.pin[0], alpha=view.pin[1])
        texts = [self.question.model.token_text(token) for token in at["token"].values.tolist()]
        return texts, at["probability"].values.tolist()

    def result(self, view: View) -> xr.Dataset:
        """All that is known in one context.

        Args:
            view: Which one.
        """
        found = self.plane.assign_attrs(context=view.anchor)
        if view.anchor in self.predictions:
            found = found.merge(self.predictions[view.anchor][["token", "probability"]])
        if view.anchor in self.gates:
            found = found.assign(crossings=self.gates[view.anchor]["crossings"])
        return found


def describe(explored: Explored, view: View) -> str:
    """What a slice shows, in words and numbers.

    Args:
        explored: The slice.
        view: What of it is shown.
    """
    question, region = explored.question, explored.plane["region"].values
    a, b, c = (shorten(prompt) for prompt in question.prompts)
    shares = [(region == index).mean() for index in (0, 1, 2, -1)]
    parts = [f"{share:.0%} near {name}'s" for name, share in zip(ANCHORS, shares[:3], strict=True)]
    words = (
        f"Plane through A “{a}”, B “{b}” and C “{c}” on {question.model.name}, after block {question.layer}: "
        f"the output is on {', '.join(parts)} and on {shares[3]:.0%} near none. Shown: {view.picture}"
    )
    if view.picture == GATES:
        crossings = explored.gates[view.anchor]["crossings"].values[:-1, :-1]
        words += f" of block {question.layer + 1}, {crossings.mean():.2g} a point on average"
    return f"{words}; context {view.anchor}.{describe_pin(explored, view)}"


def describe_pin(explored: Explored, view: View) -> str:
    """What the pinned point shows, in words and numbers; nothing without one.

    Args:
        explored: The slice.
        view: What of it is shown.
    """
    if not view.pin:
        return ""
    line = explored.lines[view.anchor, view.pin]
    alpha, beta = explored.place(view.pin)
    sharp = sharpness(line).isel(pair=0)
    token = explored.question.model.token_text(int(line["top_token"].values[0, -1]))
    how = "" if sharp["degenerate"] else f", with max slope {float(sharp['max_slope']):.2f}"
    return (
        f" Pinned at alpha {alpha:.2f}, beta {beta:.2f}: next token “{shorten(token, 30)}”; from {view.anchor} the "
        f"output moves by {float(line['distance'].values[0, -1]):.3g}{how}."
    )


def code(explored: Explored, view: View) -> str:
    """Library calls that give what is shown.

    Args:
        explored: The slice.
        view: What of it is shown.
    """
    question, anchor = explored.question, view.anchor
    settings = f"layer={question.layer}, resolution={question.resolution}"
    lines = ["import srtoolkit as srt", "", f"model = {load_call(question.model)}", f"prompts = {question.prompts!r}"]
    lines.append(f"result = srt.slice_plane(model, prompts, {settings}, tolerance={question.tolerance!r})")
    if anchor in explored.predictions:
        lines += [
            "from srtoolkit.measures.slice_predictions import slice_predictions",
            f"predictions = slice_predictions(model, prompts, anchor={anchor!r}, "
            f"top={explored.predictions[anchor].sizes['rank']}, {settings})",
            'result = result.merge(predictions[["token", "probability"]])',
        ]
    if anchor in explored.gates:
        lines += [
            f"gates = srt.slice_gates(model, prompts, {question.layer + 1}, {settings}, anchor={anchor!r})",
            "result = result.assign(crossings=gates.crossings)",
        ]
    if view.pin:
        alpha, beta = explored.place(view.pin)
        index = ANCHORS.index(anchor)
        lines += [
            "from srtoolkit.measures.slice_predictions import line_on_plane",
            f"path = line_on_plane(model, prompts, {alpha!r}, {beta!r}, layer={question.layer})",
            f"pair = prompts[{index}], prompts[{index - 1}]  # the line runs in the first one's context",
            f"line = srt.interpolate(model, [pair], layer={question.layer}, steps={STEPS}, path=path)",
        ]
    return "\n".join(lines) + "\n"
