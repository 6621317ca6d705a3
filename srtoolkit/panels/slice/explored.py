"""One 2-D slice, with what was measured on it later: more predictions, gates, lines to points."""

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
        question: The slice that was asked for.
        layout: The plane of the slice.
        plane: From :func:`srtoolkit.slice_plane`, with the likeliest next tokens of every point that was measured.
        filled: Names of the anchors in whose context these tokens are known at all points.
        gates: From :func:`srtoolkit.slice_gates`, for the first block after the patched one, by anchor.
        lines: From :func:`srtoolkit.interpolate`, by anchor and pinned point.
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
            question: The slice to measure.
            progress: Called with the number of points done and that of all points.
        """
        model, prompts, layer, resolution, tolerance = question
        layout = lay_out(model, prompts, layer=layer, resolution=resolution)
        top = min(TOP, model.vocab_size)
        plane = slice_plane(model, layout, top=top, tolerance=tolerance, progress=progress)
        filled = [name for name, known in zip(ANCHORS, plane["measured"].values, strict=True) if known.all()]
        return cls(question, layout, plane, set(filled))

    def complete(self, view: View, progress: Progress) -> None:
        """Measure what a view shows in addition to the slice and its predictions: gates, and the pinned line.

        Args:
            view: The picture, context and pinned point to show.
            progress: Called with the number of points done and that of all points.
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
            anchor: Name of the anchor in whose context to predict.
            progress: Called with the number of points done and that of all points.
        """
        self.plane = fill_tokens(self.question.model, self.layout, self.plane, anchor, progress)
        self.filled.add(anchor)

    def prompts_of_line(self, anchor: str) -> tuple[str, str]:
        """The pair of prompts for a pinned line, which runs in the context of the first; the second has no part in it.

        Args:
            anchor: Name of the anchor where the line starts.
        """
        index, prompts = ANCHORS.index(anchor), self.question.prompts
        return prompts[index], prompts[index - 1]

    @property
    def corners(self) -> list[tuple[float, float]]:
        """Coordinates alpha and beta of A, B and C."""
        return [(0.0, 0.0), (1.0, 0.0), (float(self.plane["c_alpha"]), float(self.plane["c_beta"]))]

    def place(self, pin: tuple[int, ...]) -> tuple[float, float]:
        """Coordinates alpha and beta of a point.

        Args:
            pin: Row and column of the point.
        """
        return float(self.plane["alpha"][pin[1]]), float(self.plane["beta"][pin[0]])

    def prediction(self, view: View) -> tuple[list[str], list[float]]:
        """Texts and probabilities of the likeliest next tokens at the pinned point; empty where they are not known yet.

        Args:
            view: The picture, context and pinned point to show.
        """
        at = self.plane.sel(anchor=view.anchor).isel(beta=view.pin[0], alpha=view.pin[1])
        tokens = [token for token in at["token"].values.tolist() if token >= 0]
        texts = [self.question.model.token_text(token) for token in tokens]
        return texts, at["probability"].values.tolist()[: len(texts)]

    def result(self, view: View) -> xr.Dataset:
        """The Dataset of the slice, with gate crossings where they were measured in the context that is shown.

        Args:
            view: The picture, context and pinned point to show.
        """
        found = self.plane.assign_attrs(context=view.anchor)
        if view.anchor in self.gates:
            found = found.assign(crossings=self.gates[view.anchor]["crossings"])
        return found
