"""The panel of one path: the curve from prompt A to prompt B, and next-token predictions along it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import ipywidgets as W
import numpy as np

from srtoolkit.files.disk import write_text
from srtoolkit.models.model import Model
from srtoolkit.panels.interpolation.examples import EXAMPLES, chat_pair, random_pairs
from srtoolkit.panels.interpolation.pair import METRICS, Measured, code, describe, describe_point, facts, measure
from srtoolkit.panels.interpolation.random_pairs import RANDOM_PAIRS, measure_random_pairs, random_peaks
from srtoolkit.panels.interpolation.saved import page_of_pair, picture_of
from srtoolkit.panels.interpolation.written import code_that_writes, write_from
from srtoolkit.panels.parts.model_and_block import ModelPanel
from srtoolkit.panels.parts.panel import Panel
from srtoolkit.panels.parts.picture import DRAWING, file_of
from srtoolkit.panels.parts.prompt import PromptField
from srtoolkit.panels.parts.text import shorten
from srtoolkit.panels.parts.worker import JobProgress
from srtoolkit.panels.path.story import tell
from srtoolkit.panels.path.widget import PathPicture
from srtoolkit.validation import check_whole

_SHORT = {"description_width": "initial"}


class InterpolationPanel(ModelPanel):
    """The path between two prompts' activations: how the output moves, and what the model would say at any point.

    The point is dragged along the path, by mouse, touch or keys, which computes nothing. New prompts, another block or
    number of steps are computed in the background; the picture stays, dimmed, until then. What the model would write
    from the point that is shown is computed on request.

    Args:
        model: From :func:`srtoolkit.load_model`, or the name of a model; a small packaged model by default.
        prompt_a: Prompt where the path starts, in whose context it runs.
        prompt_b: Prompt where the path ends. The prompts may have different numbers of tokens.
        layer: Block whose output is replaced.
        steps: Number of points of the path, both ends included.
        metric: Curve that is shown: ``"L2 distance"``, ``"KL divergence"``, ``"JS divergence"`` or ``"logit
            difference"``.

    Attributes:
        prompt_a: Control of prompt A.
        prompt_b: Control of prompt B.
        steps: Control of the number of points.
        metric: Control of the curve that is shown.
        shuffled: Control of the comparison with a model of shuffled weights.
        alpha: The picture of the path; its ``value`` is alpha of the point that is shown.
        swap: Button that exchanges A and B.
        write: Button that asks what the model would write from the point that is shown.
    """

    forms = (*Panel.forms, "html")
    rows = ("pair", "alpha")

    def __init__(
        self,
        model: Model | str | None = None,
        prompt_a: str = "the king of England",
        prompt_b: str = "He opened the door and went into the",
        *,
        layer: int = 0,
        steps: int = 50,
        metric: str = "L2 distance",
    ) -> None:
        super().__init__("From prompt A to prompt B", model, layer)
        self.prompt_a = PromptField(value=prompt_a, description="prompt A")
        self.prompt_b = PromptField(value=prompt_b, description="prompt B")
        self.swap = W.Button(description="Swap A and B", icon="exchange")
        self.write = W.Button(description="what it would write from here", layout=W.Layout(width="max-content"))
        self.steps = W.BoundedIntText(steps, 3, 1000, description="steps", style=_SHORT, layout=W.Layout(width="110px"))
        self.metric = W.Dropdown(options=list(METRICS), value=metric, description="metric", style=_SHORT)
        self.shuffled = W.Checkbox(False, description="beside shuffled weights", indent=False, style=_SHORT)
        self.alpha = PathPicture()
        self._measured: Measured | None = None
        self._written: dict[int, str] = {}
        self._words = ""
        self._random: dict[Model, Iterator[tuple[str, str]]] = {}
        self.arrange([], [self.alpha], self._controls())
        self._of = METRICS[metric]
        for control in (self.prompt_a, self.prompt_b, self.steps):
            self.follow(control, self.request)
        self.follow(self.metric, self._redraw)
        self.follow(self.shuffled, self._show_shuffled)
        self.follow(self.alpha, lambda: None)  # the page has drawn the point; the status line follows
        self.swap.on_click(lambda _: self.run(self._swap))
        self.write.on_click(lambda _: self.run(self._write))
        self.begin()

    def _controls(self) -> list[W.Widget]:
        """What stands below the picture: the prompts, examples, and the settings folded."""
        row = W.Layout(flex_flow="row wrap")
        fits = W.Layout(width="max-content")
        examples = [W.Button(description=name, layout=fits) for name in (*EXAMPLES, "random pair", "chat")]
        for button in examples:
            button.on_click(lambda clicked: self.run(partial(self._example, clicked.description)))
        settings = W.HBox([self.layer, self.steps, self.metric], layout=row)
        folded = W.Accordion([W.VBox([self.picker, settings])], titles=("model, block, steps, metric",))
        return [
            W.HBox([self.write, self.shuffled, self.swap], layout=row),
            W.HBox([W.Label("examples"), *examples], layout=row),
            self.prompt_a,
            self.prompt_b,
            folded,
        ]

    def ask(self, model: Model) -> None:
        """Submit the job that measures the path from A to B.

        Args:
            model: The model to measure.
        """
        prompts = self.prompt_a.value, self.prompt_b.value
        layer, steps, shuffled = self.layer.value, self.steps.value, self.shuffled.value
        self.alpha.stale = self._measured is not None
        self.prompt_a.read(model)
        self.prompt_b.read(model)

        def job(progress: JobProgress) -> Measured:
            return measure(model, *prompts, layer, steps, shuffled, progress)

        self.submit(job, self._show, f"computing from A to B on {model.name}; the picture is of what was asked before")

    def _show(self, measured: Measured) -> None:
        self._measured, self.result, self._written = measured, measured.result, {}
        self.alpha.stale = False
        self._redraw()
        self._compare_with_random()

    def _compare_with_random(self) -> None:
        """Measure the random pairs that this one is compared with, where they are not known."""
        assert self._measured is not None
        measured, result = self._measured, self._measured.result
        model, layer, steps = measured.model, int(result.attrs["layer"]), int(result.attrs["steps"])
        if not len(random_peaks(model, layer, steps)):

            def job(progress: JobProgress) -> None:
                measure_random_pairs(model, layer, steps, progress)

            self.submit(job, lambda _: self._redraw(), f"comparing with {RANDOM_PAIRS} random pairs on {model.name}")

    def _write(self) -> None:
        """Ask what the model would write from the point that is shown."""
        if self._measured is None:
            raise ValueError("nothing is shown yet.")
        measured, index = self._measured, self._index
        if index in self._written:
            return

        def job(progress: JobProgress) -> dict[int, str]:
            return write_from(measured.model, measured.result, [index], progress)

        def show(found: dict[int, str]) -> None:
            self._add_written(measured, found)
            self._compare_with_random()  # this job may have taken the place of that one

        where = float(measured.result["alpha"].values[index])
        self.submit(job, show, f"writing on from alpha {where:.2f} with {measured.model.name}")

    def _add_written(self, measured: Measured, found: dict[int, str]) -> None:
        if measured is self._measured:
            self._written = {**self._written, **found}
            self._redraw()

    def _swap(self) -> None:
        self._ask_for(self.prompt_b.value, self.prompt_a.value)

    def _example(self, name: str) -> None:
        assert self.model is not None
        if name == "random pair":
            drawn = self._random.setdefault(self.model, random_pairs(self.model))
            self._ask_for(*next(drawn))
        else:
            self._ask_for(*(chat_pair(self.model) if name == "chat" else EXAMPLES[name]))

    def _ask_for(self, a: str, b: str) -> None:
        with self.held():
            self.prompt_a.value, self.prompt_b.value = a, b
        self.request()

    def _show_shuffled(self) -> None:
        """Show the shuffled model's speed, or no longer; it is measured on first use."""
        if self.shuffled.value and self._measured is not None and self._measured.shuffled is None:
            self.request()
        else:
            self._redraw()

    def _redraw(self) -> None:
        """Tell the page the story of the path anew, for a new result or metric."""
        if self._measured is None:
            return
        self._of = METRICS[self.metric.value]
        result = self._measured.result
        random = random_peaks(self._measured.model, int(result.attrs["layer"]), int(result.attrs["steps"]))
        said = facts(self._measured, self._of, random)
        self._words = describe(result, self._of, said)
        story = tell(result, of=self._of, shuffled=self._measured.shuffled, facts=said, label=self._words)
        if self._written:
            story["texts"] = {str(index): text for index, text in sorted(self._written.items())}
        with self.alpha.hold_sync():
            self.alpha.story, self.alpha.ghost = story, self.shuffled.value

    @property
    def alt(self) -> str:
        """The alternative text of what is shown, in words and numbers."""
        if self.result is None:
            return "nothing to show yet"
        text = self._written.get(self._index)
        wrote = "" if text is None else f" From here it writes “{shorten(text, 200)}”."
        return f"{self._words} {describe_point(self.result, self._of, self._index)}{wrote}"

    @property
    def summary(self) -> str:
        """What was measured; the picture itself says what was found."""
        if self.result is None:
            return self.alt
        attrs = self.result.attrs
        return f"{attrs['model']}, after block {attrs['layer']}, {attrs['steps']} points, {self.metric.value}"

    def to_html(self, path: str | Path, *, written: int = 0) -> Path:
        """Write a page on which one can drag along the path that is shown; it needs no kernel and asks no server.

        Args:
            path: Path of the file to write.
            written: Number of points, evenly spread from A to B, for which the page has what the model would write from
                there, beside those for which the panel shows it. They are computed now.

        Returns:
            The path of the file.

        Raises:
            ValueError: Nothing is shown yet, or prompt and text are longer than the model takes.
            DiskError: The disk is full, or the file cannot be written.
        """
        written = check_whole(written, "written", 0)
        with self.lock:
            measured = self._measured
            if measured is None:
                raise ValueError("nothing is shown yet.")
        last = measured.result.sizes["alpha"] - 1
        points = np.unique(np.linspace(0, last, written).round().astype(int)).tolist()
        found = write_from(measured.model, measured.result, points) if points else {}
        with self.lock:
            self._add_written(measured, found)
            write_text(Path(path), page_of_pair(measured.result, self.alpha.story, self.title))
        return Path(path)

    def export(self, form: str) -> bytes:
        """What is shown, as the content of a file: the picture, the curves, or a page that one can drag along.

        Args:
            form: One of ``forms``: ``"csv"`` is the table of ``rows``, ``"nc"`` all of ``result``, for
                :func:`srtoolkit.load`, ``"html"`` the page of :meth:`to_html`.

        Raises:
            ValueError: Nothing is shown yet, or there is no such form.
        """
        with self.lock:
            if form == "html" and self.result is not None:
                return page_of_pair(self.result, self.alpha.story, self.title).encode()
            return super().export(form)

    def picture_as(self, form: str) -> bytes:
        """The picture that is shown, as the content of a file.

        Args:
            form: ``"png"``, ``"svg"`` or ``"pdf"``.
        """
        with self.lock, DRAWING:
            place = 0.0 if self.result is None else float(self.result["alpha"].values[self._index])
            return file_of(picture_of(self.result, self.alpha.story, place, self.shuffled.value), form)

    @property
    def _index(self) -> int:
        """Place of the computed point that is nearest to alpha."""
        assert self.result is not None
        return int(np.abs(self.result["alpha"].values - self.alpha.value).argmin())

    def code(self) -> str:
        """The library calls that make ``result``, its motion, its rank among random pairs, and what was written."""
        if self._measured is None:
            raise ValueError("nothing is shown yet.")
        calls = code(self._measured.model, self._measured.result, self._of)
        return calls + (code_that_writes(self._measured.result, sorted(self._written)) if self._written else "")
