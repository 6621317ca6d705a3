"""The panel of a model's training: how a curve and a slice change from checkpoint to checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as W
import numpy as np
import xarray as xr
from matplotlib.ticker import EngFormatter

from srtoolkit import plot
from srtoolkit.analysis.colours import slice_colours
from srtoolkit.analysis.motion import motion
from srtoolkit.analysis.sharpness import max_slope, width_10_90
from srtoolkit.measures.curves import interpolate
from srtoolkit.measures.planes import ANCHORS
from srtoolkit.measures.slices import slice_plane
from srtoolkit.models.checkpoints import checkpoints
from srtoolkit.models.checks import check_tokens
from srtoolkit.models.hub.cache import borrowed
from srtoolkit.models.loading import load_model
from srtoolkit.models.model import Model
from srtoolkit.panels.parts.panel import Panel
from srtoolkit.panels.parts.picture import DRAWING, Frame, Picture
from srtoolkit.panels.parts.text import drawable, shorten
from srtoolkit.panels.parts.worker import JobProgress
from srtoolkit.patching.batches import Progress

_WIDE = {"description_width": "90px"}


class TrainingPanel(Panel):
    """The path from A to B, and the plane through A, B and C, at every checkpoint of a model's training.

    All checkpoints are measured and drawn once, in the background; slider and play button show what was drawn. The
    slice's colours have one scale for all checkpoints.

    Args:
        name: Name of a model with checkpoints; see :func:`srtoolkit.checkpoints`.
        prompts: Three prompts A, B and C.
        near: Numbers of training tokens; only the checkpoints nearest to them are measured. All are where ``None``.
        layer: Block whose output is replaced.
        steps: Number of points of the path.
        resolution: Number of points along each axis of the slice.
        keep: Keep what was downloaded from the hub, so that other prompts need not wait for it again; otherwise, a
            checkpoint that was not in the cache before is deleted once it is measured, as :func:`srtoolkit.sweep` does.

    Attributes:
        prompts: Controls of the prompts A, B and C.
        checkpoint: Slider of the checkpoints; its ``index`` is that of the checkpoint that is shown.
        play: Play button that moves the slider.

    Raises:
        ValueError: There are not three prompts.
    """

    rows = ("model", "along")

    def __init__(
        self,
        name: str = "nano-1m",
        prompts: Sequence[str] = (
            "the king of England",
            "He opened the door and went into the",
            "I do not know what you",
        ),
        *,
        near: Sequence[float | int] | None = None,
        layer: int = 0,
        steps: int = 50,
        resolution: int = 31,
        keep: bool = False,
    ) -> None:
        if isinstance(prompts, str) or len(prompts) != len(ANCHORS):
            raise ValueError(f"expected three prompts, got {len(prompts)}: {str(prompts)[:200]}")
        self.name, self._near, self._keep = name, near, keep
        self._settings = {"layer": layer, "steps": steps, "resolution": resolution}
        box = {"style": _WIDE, "layout": W.Layout(width="98%")}
        self.prompts = [
            W.Text(prompt, description=f"prompt {anchor}", continuous_update=False, **box)
            for anchor, prompt in zip(ANCHORS, prompts, strict=True)
        ]
        self.checkpoint = W.SelectionSlider(options=[("none", 0)], description="checkpoint", **box)
        self.play = W.Play(min=0, max=0, interval=400)
        self._frames: list[Frame] = []
        self._picture = Picture(9.4, 4.1)
        self._axes = self._picture.figure.subplots(1, 2)
        self._picture.figure.subplots_adjust(0.075, 0.13, 0.985, 0.78, wspace=0.2)
        controls = [*self.prompts, self.checkpoint, W.HBox([W.Label("play the checkpoints"), self.play])]
        super().__init__("In training", controls, [self._picture])
        for prompt in self.prompts:
            self.follow(prompt, self.request)
        self.follow(self.checkpoint, self._show_frame, "index")
        W.link((self.play, "value"), (self.checkpoint, "index"))
        self.run(self.request)

    def request(self) -> None:
        """Measure all checkpoints, in the background."""
        prompts = tuple(str(prompt.value) for prompt in self.prompts)

        def job(progress: JobProgress) -> tuple[xr.Dataset, list[Frame]]:
            tokens = checkpoints(self.name, self._near)
            parts = [self._measure(index, list(tokens), prompts, progress) for index in range(len(tokens))]
            result = join(parts, tokens)
            colours = slice_colours(result)
            return result, [self._draw(result, colours, index) for index in range(len(tokens))]

        self.submit(job, self._show, f"measuring the checkpoints of {self.name}")

    def _measure(
        self, index: int, revisions: Sequence[str], prompts: Sequence[str], progress: JobProgress
    ) -> xr.Dataset:
        """One checkpoint, which is in memory, and unless it is to be kept on the disk, only meanwhile."""
        revision = revisions[index]
        text = f"measuring {self.name} at {revision}, {index + 1} of {len(revisions)}"

        def so_far(*_: int) -> None:
            progress(index, len(revisions), text)

        so_far()
        with borrowed(self.name, revision, self._keep):
            return measure(load_model(self.name, revision=revision), prompts, **self._settings, progress=so_far)

    def _show(self, found: tuple[xr.Dataset, list[Frame]]) -> None:
        self.result, self._frames = found
        names = [label(self.result, index) for index in range(len(self._frames))]
        if names != [name for name, _ in self.checkpoint.options]:
            self.play.max = len(names) - 1
            self.checkpoint.options = list(zip(names, range(len(names)), strict=True))
            self.checkpoint.index = len(names) - 1
        self._show_frame()

    def _show_frame(self) -> None:
        if self._frames:
            self._picture.show(self._frames[self.checkpoint.index])

    def _draw(self, result: xr.Dataset, colours: xr.DataArray, index: int) -> Frame:
        """The picture of one checkpoint, with the other checkpoints' curves in grey."""
        curve_words, slice_words = describe(result, index)
        with DRAWING:
            curve, plane = self._axes
            for ax in self._axes:
                ax.clear()
            for text in self._picture.figure.texts[:]:
                text.remove()
            along, values = result["along"].values, result["relative_distance"].values
            curve.plot(along, values.T, color="0.85", lw=1)
            curve.plot(along, values[index], color="k", lw=2)
            curve.set(xlabel="α, from A (0) to B (1)", ylabel="relative distance d(α) / d(1)", xlim=(0, 1))
            curve.set_ylim(np.nanmin(values) - 0.05, np.nanmax(values) + 0.05)
            plot.plane(result.isel(model=index), colours.isel(model=index), ax=plane, legend=False)
            prompts = [f"{anchor}: {drawable(text, 120)}" for anchor, text in zip(ANCHORS, texts(result), strict=True)]
            heading = f"{self.name} at {label(result, index)}: {curve_words}\n{slice_words}"
            self._picture.figure.text(0.01, 0.985, "\n".join([heading, *prompts]), va="top", fontsize=9)
            names = ", ".join(
                f"{anchor} “{shorten(text)}”" for anchor, text in zip(ANCHORS, texts(result), strict=True)
            )
            where = f"{self.name} at {label(result, index)}, after block {self._settings['layer']}, {names}"
            return self._picture.frame(f"{where}: {curve_words}; {slice_words}.")

    def picture_as(self, form: str) -> bytes:
        """The picture of the checkpoint that is shown, as the content of a file.

        Args:
            form: ``"png"``, ``"svg"`` or ``"pdf"``.
        """
        with self.lock, DRAWING:
            if self.result is not None:
                self._draw(self.result, slice_colours(self.result), self.checkpoint.index)
            return self._picture.file(form)

    def code(self) -> str:
        """The library calls that make ``result``."""
        if self.result is None:
            raise ValueError("nothing is shown yet.")
        settings = self._settings
        return f"""import srtoolkit as srt
import xarray as xr

prompts = {texts(self.result)!r}
tokens = srt.checkpoints({self.name!r}, {self._near!r})
parts = []
for revision in tokens:
    model = srt.load_model({self.name!r}, revision=revision)
    where = {{"layer": {settings["layer"]}, "reads": "final_norm"}}
    curves = srt.interpolate(model, [tuple(prompts[:2])], steps={settings["steps"]}, **where)
    moved, curve = srt.motion(curves), curves["relative_distance"][0]
    moved = {{name: moved[name].item() for name in {_MOTION}}}
    plane = srt.slice_plane(model, prompts, resolution={settings["resolution"]}, **where)
    parts.append(plane.assign(relative_distance=curve.drop_vars({_OF_THE_PAIR}).rename(alpha="along"), **moved))
options = {_JOIN}
result = xr.concat(parts, "model", **options).assign_coords(model=list(tokens), tokens=("model", list(tokens.values())))
colours = srt.slice_colours(result)
"""


_OF_THE_PAIR = ["pair", "text_a", "text_b"]
_MOTION = ["peak", "jumps"]

# What differs between checkpoints gets their dimension; xarray is told how, since its defaults are about to change.
_JOIN: dict[str, Any] = {
    "data_vars": "all",
    "coords": "minimal",
    "compat": "override",
    "join": "override",
    "combine_attrs": "drop_conflicts",
}


def measure(
    model: Model,
    prompts: Sequence[str],
    *,
    layer: int,
    steps: int,
    resolution: int,
    progress: Progress | None = None,
) -> xr.Dataset:
    """The slice through three prompts and the curve from A to B, for one checkpoint.

    Args:
        model: The checkpoint.
        prompts: The prompts A, B and C.
        layer: Block whose output is replaced.
        steps: Number of points of the path.
        resolution: Number of points along each axis of the slice.
        progress: Called after each batch of points; what it raises ends the measurement.

    Returns:
        The Dataset of :func:`srtoolkit.slice_plane`, with ``relative_distance`` over ``along``, the path's alpha, and
        ``peak`` and ``jumps`` of the path by :func:`srtoolkit.motion`.
    """
    for name, text in zip(ANCHORS, prompts, strict=True):
        check_tokens(model, model.tokenize(text)[None], f"prompt {name}")
    where: dict[str, Any] = {"layer": layer, "reads": "final_norm", "progress": progress}
    curves = interpolate(model, [(prompts[0], prompts[1])], steps=steps, **where)
    plane = slice_plane(model, prompts, resolution=resolution, **where)
    curve = curves["relative_distance"][0].drop_vars(_OF_THE_PAIR).rename(alpha="along")
    moved = motion(curves)
    return plane.assign(relative_distance=curve, **{name: moved[name].item() for name in _MOTION})


def join(parts: Sequence[xr.Dataset], tokens: Mapping[str, float]) -> xr.Dataset:
    """The checkpoints' results joined along ``model``.

    Args:
        parts: From :func:`measure`, one for each checkpoint.
        tokens: Number of training tokens that each checkpoint has seen, by revision.
    """
    joined = xr.concat(parts, "model", **_JOIN)
    return joined.assign_coords(model=list(tokens), tokens=("model", list(tokens.values())))


def texts(result: xr.Dataset) -> list[str]:
    """Texts of the prompts A, B and C.

    Args:
        result: From :func:`join`.
    """
    return [str(text) for text in result["text"].values]


def label(result: xr.Dataset, index: int) -> str:
    """A checkpoint's revision and its number of training tokens, in words.

    Args:
        result: From :func:`join`.
        index: Index of the checkpoint along ``model``.
    """
    seen = EngFormatter(sep="", places=1)(float(result["tokens"].values[index])) if result["tokens"][index] else "0"
    return f"{result['model'].values[index]} ({seen} tokens)"


def describe(result: xr.Dataset, index: int) -> tuple[str, str]:
    """What a checkpoint's curve and its slice show, in words.

    Args:
        result: From :func:`join`.
        index: Index of the checkpoint along ``model``.
    """
    along, values = result["along"].values, result["relative_distance"].values[index]
    if np.isfinite(values).all():
        width = float(width_10_90(along, values[None])[0])
        peak, jumps = (float(result[name].values[index]) for name in _MOTION)
        moved = f"peak speed {peak:.2f} (even motion has 1), {jumps:.0f} jump{'s' * (jumps != 1)}"
        curve = f"{moved}; max slope {float(max_slope(along, values[None])[0]):.2f}, width {width:.2f}"
    else:
        curve = "A and B give the same output, so there is no curve"
    region = result["region"].values[index]
    shares = [f"{name} {(region == place).mean():.0%}" for place, name in enumerate(ANCHORS)]
    return curve, f"share of the slice with an output near that of {', '.join(shares)}"
