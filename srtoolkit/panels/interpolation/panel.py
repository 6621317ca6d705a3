"""The panel of one path: the curve from prompt A to prompt B, and next-token predictions along it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import ipywidgets as W
import numpy as np
from matplotlib.figure import Figure

from srtoolkit.files.disk import write_whole
from srtoolkit.models.model import Model
from srtoolkit.panels.interpolation.examples import EXAMPLES, chat_pair, random_pairs
from srtoolkit.panels.interpolation.pair import METRICS, Measured, code, describe, describe_point, facts, measure
from srtoolkit.panels.interpolation.random_pairs import RANDOM_PAIRS, measure_random_pairs, random_peaks
from srtoolkit.panels.parts.model_and_block import ModelPanel
from srtoolkit.panels.parts.picture import DPI, DRAWING
from srtoolkit.panels.parts.prompt import PromptField
from srtoolkit.panels.parts.text import drawable
from srtoolkit.panels.parts.worker import JobProgress
from srtoolkit.panels.path.page import write_page
from srtoolkit.panels.path.still import draw
from srtoolkit.panels.path.story import tell
from srtoolkit.panels.path.widget import PathPicture

#: Formats of pictures that can be saved.
FORMATS = (".png", ".svg", ".pdf")

_SHORT = {"description_width": "initial"}


class InterpolationPanel(ModelPanel):
    """The path between two prompts' activations: how the output moves, and what the model would say at any point.

    The point is dragged along the path, by mouse, touch or keys, which computes nothing. New prompts, another block or
    number of steps are computed in the background; the picture stays, dimmed, until then.

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
    """

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
        self.steps = W.BoundedIntText(steps, 3, 1000, description="steps", style=_SHORT, layout=W.Layout(width="110px"))
        self.metric = W.Dropdown(options=list(METRICS), value=metric, description="metric", style=_SHORT)
        self.shuffled = W.Checkbox(False, description="beside shuffled weights", indent=False, style=_SHORT)
        self.alpha = PathPicture()
        self._measured: Measured | None = None
        self._words = ""
        self._random: dict[Model, Iterator[tuple[str, str]]] = {}
        self.arrange([], [self.alpha], self._controls())
        self._of = METRICS[metric]
        for control in (self.prompt_a, self.prompt_b, self.steps):
            self.follow(control, self.request)
        self.follow(self.metric, self._redraw)
        self.follow(self.shuffled, self._show_shuffled)
        self.follow(self.alpha, self._move)
        self.swap.on_click(lambda _: self.run(self._swap))
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
            W.HBox([W.Label("examples"), *examples, self.swap, self.shuffled], layout=row),
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
        self._measured, self.result = measured, measured.result
        self.alpha.stale = False
        self._redraw()
        model, layer, steps = measured.model, int(self.result.attrs["layer"]), int(self.result.attrs["steps"])
        if not len(random_peaks(model, layer, steps)):

            def job(progress: JobProgress) -> None:
                measure_random_pairs(model, layer, steps, progress)

            self.submit(job, lambda _: self._redraw(), f"comparing with {RANDOM_PAIRS} random pairs on {model.name}")

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
        with self.alpha.hold_sync():
            self.alpha.story, self.alpha.ghost = story, self.shuffled.value

    def _move(self) -> None:
        """Another point is shown; the page has drawn it, and the status line follows."""

    @property
    def alt(self) -> str:
        """The alternative text of what is shown, in words and numbers."""
        if self.result is None:
            return "nothing to show yet"
        return f"{self._words} {describe_point(self.result, self._of, self._index)}"

    @property
    def summary(self) -> str:
        """What was measured; the picture itself says what was found."""
        if self.result is None:
            return self.alt
        attrs = self.result.attrs
        return f"{attrs['model']}, after block {attrs['layer']}, {attrs['steps']} points, {self.metric.value}"

    @property
    def png(self) -> bytes:
        """The picture that is shown, as the content of a PNG file."""
        return self._picture_as("png")

    def save(self, path: str | Path) -> None:
        """Write the picture that is shown, as PNG, SVG or PDF, or as a page that one can drag along.

        Args:
            path: Path of the file to write; it ends in ``.png``, ``.svg``, ``.pdf`` or ``.html``.

        Raises:
            ValueError: The path ends in something else, or nothing is shown yet.
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".html":
            self.to_html(path)
        elif suffix in FORMATS:
            write_whole(Path(path), self._picture_as(suffix[1:]), "save elsewhere")
        else:
            raise ValueError(f"path={str(path)!r}: expected a name that ends in one of {', '.join(FORMATS)}, .html.")

    def to_html(self, path: str | Path) -> Path:
        """Write a page on which one can drag along the path that is shown; it needs no kernel and asks no server.

        Args:
            path: Path of the file to write.

        Returns:
            The path of the file.

        Raises:
            ValueError: Nothing is shown yet.
        """
        with self.lock:
            if self.result is None:
                raise ValueError("nothing is shown yet.")
            texts = {side: str(self.result[f"text_{side}"].values[0]) for side in "ab"}
            about = f"{self.result.attrs['model']}, after block {self.result.attrs['layer']}"
            return write_page([{**self.alpha.story, **texts, "name": "this pair", "about": about}], path, self.title)

    def _picture_as(self, form: str) -> bytes:
        with self.lock, DRAWING:
            figure = Figure((9.4, 4.8), dpi=DPI, facecolor="white")
            if self.result is not None:
                prompts = [
                    f"{side}: {drawable(str(self.result[f'text_{side.lower()}'].values[0]), 110)}" for side in "AB"
                ]
                where = f"{drawable(str(self.result.attrs['model']))}, after block {self.result.attrs['layer']}"
                heading = "\n".join([where, *prompts])
                value = float(self.result["alpha"].values[self._index])
                draw(figure, self.alpha.story, value, heading, self.shuffled.value)
            file = io.BytesIO()
            figure.savefig(file, format=form)
            return file.getvalue()

    @property
    def _index(self) -> int:
        """Place of the computed point that is nearest to alpha."""
        assert self.result is not None
        return int(np.abs(self.result["alpha"].values - self.alpha.value).argmin())

    def code(self) -> str:
        """The library calls that make ``result``, its motion, and its rank among random pairs."""
        if self._measured is None:
            raise ValueError("nothing is shown yet.")
        return code(self._measured.model, self._measured.result, self._of)
