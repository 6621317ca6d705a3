"""The panel of the plane through three prompts' activations, with the next-token prediction at every point."""

from __future__ import annotations

import time
from collections.abc import Sequence

import ipywidgets as W
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from srtoolkit import plot
from srtoolkit.measures.planes import ANCHORS
from srtoolkit.models.model import Model
from srtoolkit.panels.parts.model_and_block import ModelPanel
from srtoolkit.panels.parts.picture import DPI, DRAWING, file_of
from srtoolkit.panels.parts.prompt import PromptField
from srtoolkit.panels.parts.worker import JobProgress
from srtoolkit.panels.slice.canvas import SliceCanvas
from srtoolkit.panels.slice.drawing import paint, still
from srtoolkit.panels.slice.explored import Explored
from srtoolkit.panels.slice.question import NEARNESS, PICTURES, Question, View
from srtoolkit.panels.slice.words import code, describe, describe_pin

#: Seconds without a change after which a slice is measured: one types faster than models run.
PAUSE = 0.3

#: Share of the largest distance that a point may be off when it is not measured.
TOLERANCE = 0.01


class SliceExplorer(ModelPanel):
    """The plane through three prompts' activations, with the next-token prediction at every point of it.

    Hovering, or the arrow keys, show the prediction at a point without computing anything. A click, or Enter, pins a
    point: the line to it from the context's own activation is measured and drawn as a curve.

    Args:
        model: From :func:`srtoolkit.load_model`, or the name of a model; a small packaged model by default.
        prompts: The prompts A, B and C, of any lengths.
        layer: Block whose output is replaced.
        resolution: Number of points along each axis.
        tolerance: Error up to which points are interpolated, as :func:`srtoolkit.slice_plane` takes it. Predictions at
            these points are measured afterwards, in the context that is shown.

    Attributes:
        prompt_a: Control of prompt A.
        prompt_b: Control of prompt B.
        prompt_c: Control of prompt C.
        resolution: Control of the number of points along each axis.
        shown: Control of the picture, one of ``PICTURES``.
        context: Control of the anchor in whose context predictions, gates and the line to the pinned point are.
        canvas: The picture; ``canvas.pin`` is the row and column of the pinned point.
        line: Curves along the line to the pinned point, or ``None``.

    Raises:
        ValueError: There are not three prompts.
    """

    rows = ("anchor", "beta", "alpha")

    def __init__(
        self,
        model: Model | str | None = None,
        prompts: Sequence[str] = (
            "He opened the door and went into the",
            "The ship sailed out to the open",
            "She looked at him with tears in her",
        ),
        *,
        layer: int = 0,
        resolution: int = 41,
        tolerance: float | None = TOLERANCE,
    ) -> None:
        if isinstance(prompts, str) or len(prompts) != len(ANCHORS):
            raise ValueError(f"prompts={prompts!r}: expected three texts, for A, B and C.")
        super().__init__("The plane through three prompts", model, layer)
        self._tolerance = tolerance
        self._explored: Explored | None = None
        self._view = View(NEARNESS, "A", ())
        self._prompts = [
            PromptField(value=text, description=f"prompt {anchor}")
            for anchor, text in zip(ANCHORS, prompts, strict=True)
        ]
        self.prompt_a, self.prompt_b, self.prompt_c = self._prompts
        sizes = sorted({21, 41, 61, resolution})
        narrow = {"style": {"description_width": "initial"}, "layout": W.Layout(width="max-content")}
        self.resolution = W.Dropdown(options=sizes, value=resolution, description="points a side", **narrow)
        self.shown = W.Dropdown(options=PICTURES, description="picture", **narrow)
        self.context = W.Dropdown(options=ANCHORS, description="in the context of", **narrow)
        self.canvas = SliceCanvas()
        settings = [self.layer, self.resolution, self.shown, self.context]
        controls = [self.picker, W.VBox(self._prompts), W.HBox(settings, layout=W.Layout(flex_flow="row wrap"))]
        self.arrange(controls, [self.canvas])
        for control in (*self._prompts, self.resolution, self.shown, self.context):
            self.follow(control, self.request)
        self.follow(self.canvas, self.request, "pin")
        self.begin()

    @property
    def line(self) -> xr.Dataset | None:
        """Curves along the line from the context's activation to the pinned point, or ``None``."""
        with self.lock:
            return self._explored.lines.get((self._view.anchor, self._view.pin)) if self._explored else None

    def ask(self, model: Model) -> None:
        """Submit the job that measures what the controls ask for, as far as it is not known yet.

        Args:
            model: The model to measure.

        Raises:
            ValueError: The pinned point is not on the plane.
        """
        prompts = (self.prompt_a.value, self.prompt_b.value, self.prompt_c.value)
        question = Question(model, prompts, self.layer.value, self.resolution.value, self._tolerance)
        for prompt in self._prompts:
            prompt.read(model)
        known = self._explored if self._explored is not None and self._explored.question == question else None
        if self.canvas.points not in (0, question.resolution):
            with self.held():
                self.canvas.pin = []  # the point lies elsewhere on a grid of other points
        pin, first = tuple(self.canvas.pin), self._explored is None
        if pin and (len(pin) != 2 or not all(0 <= index < question.resolution for index in pin)):
            raise ValueError(f"pin={list(pin)}: expected a row and a column from 0 to {question.resolution - 1}.")
        view = View(self.shown.value, self.context.value, pin)

        def job(progress: JobProgress) -> Explored:
            explored = known or _ask_after_pause(question, progress, 0 if first else PAUSE)
            explored.complete(view, progress)
            return explored

        words = f"measuring the plane on {model.name}; the picture is of what was asked before"
        self.submit(job, lambda explored: self._show(explored, view), words)

    def _show(self, explored: Explored, view: View) -> None:
        """Show what is known, and measure predictions where they are not."""
        self._update(explored, view)
        if view.anchor not in explored.filled:

            def job(progress: JobProgress) -> None:
                explored.fill(view.anchor, progress)

            text = f"next tokens at the remaining points, in the context of {view.anchor}"
            self.submit(job, lambda _: self._update(explored, view), text)

    def _update(self, explored: Explored, view: View) -> None:
        self._explored, self._view, self.result = explored, view, explored.result(view)
        self._draw()

    @property
    def alt(self) -> str:
        """The alternative text of what is shown, in words and numbers."""
        return describe(self._explored, self._view) if self._explored is not None else "nothing to show yet"

    def _draw(self) -> None:
        """Send the page all that it shows, in one message."""
        assert self._explored is not None
        explored, view, plane, canvas = self._explored, self._view, self._explored.plane, self.canvas
        with DRAWING:
            picture = paint(explored, view)
        here = plane.sel(anchor=view.anchor)
        tokens = here["token"].values.copy()
        tokens[..., 0] = here["top_token"].values  # known where the others are not, as the label of a whole patch
        ids, places = np.unique(tokens, return_inverse=True)
        colours = [f"rgb({r * 255:.0f} {g * 255:.0f} {b * 255:.0f})" for r, g, b in plot.ANCHOR_COLOURS]
        with canvas.hold_sync():
            canvas.points = plane.sizes["alpha"]
            canvas.reach = [float(plane["alpha"][0]), float(plane["alpha"][-1])]
            canvas.colours = picture.colours.tobytes()
            canvas.title, canvas.legend = picture.title, [list(entry) for entry in picture.legend]
            canvas.tokens = places.astype(np.int32).tobytes()
            canvas.probabilities = here["probability"].values.astype(np.float32).tobytes()
            canvas.distances = plane["distance"].values.astype(np.float32).tobytes()
            canvas.vocabulary = [
                repr(explored.question.model.token_text(token)) if token >= 0 else "" for token in ids.tolist()
            ]
            canvas.anchors = [
                {"name": name, "alpha": alpha, "beta": beta, "colour": colour}
                for name, (alpha, beta), colour in zip(ANCHORS, explored.corners, colours, strict=True)
            ]
            canvas.contours = picture.contours
            line = self.line
            canvas.line = line["distance"].values[0].tolist() if line is not None else []
            canvas.line_label = describe_pin(explored, view).strip()
            canvas.context, canvas.label = view.anchor, self.alt

    def picture_as(self, form: str) -> bytes:
        """The picture, top tokens beside it, and the pinned line below, as the content of a file.

        Args:
            form: ``"png"``, ``"svg"`` or ``"pdf"``.
        """
        with self.lock, DRAWING:
            known = self._explored
            return file_of(still(known, self._view) if known is not None else Figure((9.4, 4.2), dpi=DPI), form)

    def code(self) -> str:
        """The library calls that make ``result`` and ``line``."""
        with self.lock:
            if self._explored is None:
                raise ValueError("nothing is shown yet.")
            return code(self._explored, self._view)


def _ask_after_pause(question: Question, progress: JobProgress, pause: float | int) -> Explored:
    """Measure a slice unless something else is asked for within some seconds."""
    end = time.monotonic() + pause
    while time.monotonic() < end:
        progress(0, 1)
        time.sleep(0.02)
    return Explored.ask(question, progress)
