"""The panel of one path: the curve from prompt A to prompt B, and next-token predictions along it."""

from __future__ import annotations

import ipywidgets as W
import numpy as np
import xarray as xr

from srtoolkit import plot
from srtoolkit.analysis.sharpness import sharpness
from srtoolkit.models.model import Model
from srtoolkit.panels.interpolation.pair import METRICS, code, describe, describe_point, measure, numbers
from srtoolkit.panels.interpolation.random_pairs import RANDOM_PAIRS, measure_random_pairs, random_slopes
from srtoolkit.panels.parts.model_and_block import ModelPanel
from srtoolkit.panels.parts.picture import DRAWING, Picture
from srtoolkit.panels.parts.text import drawable, tokens_of
from srtoolkit.panels.parts.token_bars import TokenBars
from srtoolkit.panels.parts.worker import JobProgress

_WIDE = {"description_width": "70px"}


class InterpolationPanel(ModelPanel):
    """The path between two prompts' activations: the curve of the output, and the predictions at any point.

    Moving alpha computes nothing. New prompts, another block or number of steps are computed in the background; the
    picture stays as it is until then.

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
        alpha: Control of the point that is shown.
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
        box = {"rows": 2, "style": _WIDE, "layout": W.Layout(width="98%")}
        self.prompt_a = W.Textarea(prompt_a, description="prompt A", **box)
        self.prompt_b = W.Textarea(prompt_b, description="prompt B", **box)
        self._tokens_a, self._tokens_b, self._lengths = W.HTML(), W.HTML(), W.HTML()
        self.swap = W.Button(description="Swap A and B", icon="exchange")
        self.steps = W.BoundedIntText(steps, 3, 1000, description="steps", layout=W.Layout(width="160px"))
        self.metric = W.Dropdown(options=list(METRICS), value=metric, description="metric", style=_WIDE)
        self.alpha = W.FloatSlider(
            0.5, min=0, max=1, step=0.01, description="alpha", style=_WIDE, layout=W.Layout(width="98%")
        )
        self._picture = Picture(9.4, 3.9)
        self._axes = self._picture.figure.subplots(1, 2, width_ratios=(1.25, 1))
        self._picture.figure.subplots_adjust(0.075, 0.13, 0.985, 0.77, wspace=0.42)
        wrapped = W.Layout(flex_flow="row wrap")
        controls = [
            self.picker,
            W.VBox([self.prompt_a, self._tokens_a, self.prompt_b, self._tokens_b, self._lengths]),
            W.HBox([self.layer, self.steps, self.metric, self.swap], layout=wrapped),
            self.alpha,
        ]
        self.arrange(controls, [self._picture])
        self._of = METRICS[metric]
        for control in (self.prompt_a, self.prompt_b, self.steps):
            self.follow(control, self.request)
        self.follow(self.metric, self._redraw)
        self.follow(self.alpha, self._move)
        self.swap.on_click(lambda _: self.run(self._swap))
        self.begin()

    def ask(self, model: Model) -> None:
        """Submit the job that measures the path from A to B.

        Args:
            model: The model to measure.
        """
        prompts = self.prompt_a.value, self.prompt_b.value
        layer, steps = self.layer.value, self.steps.value
        self._show_tokens(model, *prompts)

        def job(progress: JobProgress) -> tuple[Model, xr.Dataset]:
            return model, measure(model, *prompts, layer, steps, progress)

        self.submit(job, self._show, f"computing from A to B on {model.name}; the picture is of what was asked before")

    def _show(self, found: tuple[Model, xr.Dataset]) -> None:
        model, result = self._shown_model, self.result = found
        layer, steps = int(result.attrs["layer"]), int(result.attrs["steps"])
        self._redraw()
        if not len(random_slopes(model, layer, steps, "relative_distance")):

            def job(progress: JobProgress) -> None:
                measure_random_pairs(model, layer, steps, progress)

            self.submit(job, lambda _: self._redraw(), f"comparing with {RANDOM_PAIRS} random pairs on {model.name}")

    def _swap(self) -> None:
        with self.held():
            self.prompt_a.value, self.prompt_b.value = self.prompt_b.value, self.prompt_a.value
        self.request()

    def _show_tokens(self, model: Model, a: str, b: str) -> None:
        self._tokens_a.value, self._tokens_b.value = tokens_of(model, a, "A"), tokens_of(model, b, "B")
        lengths = [len(model.tokenize(text)) for text in (a, b)]
        differ = f"Lengths differ: {lengths[0]:,} and {lengths[1]:,} tokens. The whole path runs in A's context."
        self._lengths.value = "" if lengths[0] == lengths[1] else f"<div data-srt='lengths'>{differ}</div>"

    def _redraw(self) -> None:
        """Draw the curve anew, for a new result or metric."""
        if self.result is None:
            return
        self._of = METRICS[self.metric.value]
        model, attrs = self._shown_model, self.result.attrs
        sharp = sharpness(self.result, self._of).isel(pair=0)
        compared = numbers(sharp, random_slopes(model, int(attrs["layer"]), int(attrs["steps"]), self._of))
        self._words = describe(self.result, self._of, compared)
        with DRAWING:
            curve, bars = self._axes
            for ax in self._axes:
                ax.clear()
            values = self.result[self._of].values[0]
            curve.plot([0, 1], [0, values[-1]], ":", color="0.5", label="a straight line")
            plot.curves(self.result, self._of, ax=curve, color="k", label="from A to B")
            curve.yaxis.label.set_size(9)
            for text in (self._picture.figure.texts)[:]:
                text.remove()
            heading = f"{drawable(model.name)}, after block {attrs['layer']}; {compared}"
            prompts = [f"{side}: {drawable(str(self.result[f'text_{side.lower()}'].values[0]), 120)}" for side in "AB"]
            self._picture.figure.text(0.01, 0.985, "\n".join([heading, *prompts]), va="top", fontsize=9.5)
            self._line = curve.axvline(0, color=plot.PALETTE[3], lw=1)
            (self._dot,) = curve.plot([0], [0], "o", color=plot.PALETTE[3], ms=8)
            self._bars = TokenBars(bars, self.result.sizes["rank"], float(self.result["probability"].max()))
            self._place()
            self._picture.draw(self._alt(), [self._line, self._dot, *self._bars.artists])

    def _move(self) -> None:
        """Show another point of what was computed."""
        if self.result is not None:
            with DRAWING:
                self._place()
                self._picture.move(self._alt())

    def _place(self) -> None:
        """Put the marker and the bars where alpha is."""
        assert self.result is not None
        index, result = self._index, self.result
        alpha = float(result["alpha"].values[index])
        self._line.set_xdata([alpha, alpha])
        self._dot.set_data([alpha], [float(result[self._of].values[0, index])])
        tokens, texts, probabilities = (result[name].values[0] for name in ("token", "text", "probability"))
        ends = dict(zip("AB", tokens[[0, -1], 0].tolist(), strict=True))
        marks = [", ".join(side for side in "AB" if token == ends[side]) for token in tokens[index].tolist()]
        self._bars.show(
            f"next token at α = {alpha:.2f}, in A's context",
            texts[index].tolist(),
            probabilities[index].tolist(),
            marks,
        )

    def _alt(self) -> str:
        assert self.result is not None
        return f"{self._words} {describe_point(self.result, self._of, self._index)}"

    @property
    def _index(self) -> int:
        """Place of the computed point that is nearest to alpha."""
        assert self.result is not None
        return int(np.abs(self.result["alpha"].values - self.alpha.value).argmin())

    def code(self) -> str:
        """The library calls that make ``result``, its sharpness, and its rank among random pairs."""
        if self.result is None:
            raise ValueError("nothing is shown yet.")
        return code(self._shown_model, self.result, self._of)
