"""One 2-D slice with what has been looked up on it since: more predictions, gates, lines to points."""

from __future__ import annotations

from dataclasses import dataclass, field

import xarray as xr

from srtoolkit.measures.curves import interpolate
from srtoolkit.measures.planes import ANCHORS, Layout, lay_out
from srtoolkit.measures.slice_predictions import line_on_plane
from srtoolkit.measures.slices import slice_gates, slice_plane
from srtoolkit.panels.slice.fill import fill_tokens
from srtoolkit.panels.slice.question import GATES, Question, View
from srtoolkit.patching.batches import Progress

#: Next tokens at every point.
TOP = 5

#: Points of the line from an anchor to the pinned point.
STEPS = 50


@dataclass
class Explored:
    """A slice, and what has been measured on it so far.

    Attributes:
        question: What was asked for.
        layout: Where the slice lies.
        plane: From :func:`srtoolkit.slice_plane`, with the likeliest next tokens of every point that was measured.
        filled: Contexts in which these tokens are known at all points.
        gates: From :func:`srtoolkit.slice_gates`, of the first block behind the patch, by anchor.
        lines: From :func:`srtoolkit.interpolate`, by anchor and point.
    """

    question: Question
    layout: Layout
    plane: xr.Dataset
    filled: set[str]
    gates: dict[str, xr.Dataset] = field(default_factory=dict)
    lines: dict[tuple[str, tuple[int, ...]], xr.Dataset] = field(default_factory=dict)

    @classmethod
    def ask(cls, question: Question, progress: Progress) -> Explored:
        """Measure a slice, with the likeliest next tokens from the same passes.

        Args:
            question: Which slice.
            progress: As :func:`srtoolkit.slice_plane` takes it.
        """
        model, prompts, layer, resolution, tolerance = question
        layout = lay_out(model, prompts, layer=layer, resolution=resolution)
        top = min(TOP, model.vocab_size)
        plane = slice_plane(model, layout, top=top, tolerance=tolerance, progress=progress)
        filled = [name for name, known in zip(ANCHORS, plane["measured"].values, strict=True) if known.all()]
        return cls(question, layout, plane, set(filled))

    def complete(self, view: View, progress: Progress) -> None:
        """Measure what a view shows beside the slice and its predictions: gates, and the line to the pinned point.

        Args:
            view: What is shown.
            progress: As the measurements take it.
        """
        model, layout, (_, anchor, pin) = self.question.model, self.layout, view
        if view.picture == GATES and anchor not in self.gates:
            found = slice_gates(model, layout, layout.layer + 1, anchor=anchor, progress=progress)
            self.gates[anchor] = found.drop_vars("pre_activation")
        if pin and (anchor, pin) not in self.lines:
            path = line_on_plane(model, layout, *self.place(pin))
            self.lines[anchor, pin] = interpolate(
                model, [self.prompts_of_line(anchor)], layer=layout.layer, steps=STEPS, path=path, progress=progress
            )

    def fill(self, anchor: str, progress: Progress) -> None:
        """Measure predictions at the points where the slice was not measured.

        Args:
            anchor: Whose prompt is the context.
            progress: As the measurement takes it.
        """
        self.plane = fill_tokens(self.question.model, self.layout, self.plane, anchor, progress)
        self.filled.add(anchor)

    def prompts_of_line(self, anchor: str) -> tuple[str, str]:
        """The pair of prompts in whose first one's context a pinned line runs; the second has no part in it.

        Args:
            anchor: Where the line starts.
        """
        index, prompts = ANCHORS.index(anchor), self.question.prompts
        return prompts[index], prompts[index - 1]

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
        """Texts and probabilities of the likeliest next tokens at the pinned point; none as long as they are not known.

        Args:
            view: What is shown.
        """
        at = self.plane.sel(anchor=view.anchor).isel(beta=view.pin[0], alpha=view.pin[1])
        tokens = [token for token in at["token"].values.tolist() if token >= 0]
        texts = [self.question.model.token_text(token) for token in tokens]
        return texts, at["probability"].values.tolist()[: len(texts)]

    def result(self, view: View) -> xr.Dataset:
        """The slice, with the gates that are counted in the context that is shown.

        Args:
            view: What is shown.
        """
        found = self.plane.assign_attrs(context=view.anchor)
        if view.anchor in self.gates:
            found = found.assign(crossings=self.gates[view.anchor]["crossings"])
        return found
