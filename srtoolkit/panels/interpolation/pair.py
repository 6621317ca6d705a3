"""One pair of prompts: its curves and predictions, what they show in words, and the calls that make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from srtoolkit.analysis.motion import motion
from srtoolkit.analysis.sharpness import sharpness
from srtoolkit.measures.curves import interpolate
from srtoolkit.measures.predictions import next_tokens
from srtoolkit.models.checks import check_tokens
from srtoolkit.models.model import Model
from srtoolkit.panels.interpolation.random_pairs import LENGTH, RANDOM_PAIRS
from srtoolkit.panels.interpolation.shuffled import measure_shuffled
from srtoolkit.panels.parts.picker import load_call
from srtoolkit.panels.parts.text import shorten
from srtoolkit.panels.path.story import facts_of
from srtoolkit.patching.batches import Progress

#: Curves by what the control calls them.
METRICS = {
    "L2 distance": "relative_distance",
    "KL divergence": "kl",
    "JS divergence": "jsd",
    "logit difference": "logit_difference",
}

#: Likeliest next tokens that are kept at every point, so that those that matter anywhere can be drawn everywhere.
TOP = 50


class Measured(NamedTuple):
    """What is measured of one pair of prompts.

    Attributes:
        model: The model.
        result: Curves and likeliest tokens along the path, from :func:`srtoolkit.interpolate`.
        own: What prompt B by itself would say next, and its probability.
        shuffled: The curves in a model of shuffled weights, or ``None``.
    """

    model: Model
    result: xr.Dataset
    own: tuple[str, float]
    shuffled: xr.Dataset | None


def measure(
    model: Model, a: str, b: str, layer: int, steps: int, shuffled: bool = False, progress: Progress | None = None
) -> Measured:
    """The curves of one pair of prompts, with the likeliest next tokens at every point.

    Args:
        model: From :func:`srtoolkit.load_model`.
        a: Text of prompt A.
        b: Text of prompt B.
        layer: Block whose output is replaced.
        steps: Number of points of the path.
        shuffled: Measure the same in a model of shuffled weights.
        progress: Called with the number of points done and that of all points.

    Raises:
        ValueError: A prompt is empty or too long.
    """
    for name, text in (("A", a), ("B", b)):
        check_tokens(model, model.tokenize(text)[None], f"prompt {name}")
    result = interpolate(model, [(a, b)], layer=layer, steps=steps, top=min(TOP, model.vocab_size), progress=progress)
    own = next_tokens(model, [(b, a)], alphas=[0], top=1, layer=layer, progress=_silent)
    null = measure_shuffled(model, (a, b), layer, steps, progress or _silent) if shuffled else None
    return Measured(model, result, (str(own["text"].item()), float(own["probability"].item())), null)


def facts(measured: Measured, of: str, random: Float[np.ndarray, " pair"]) -> list[str]:
    """What there is to know of the whole path, in sentences.

    Args:
        measured: From :func:`measure`.
        of: Name of the curve that is shown.
        random: Largest speeds of random pairs; empty where they are not measured yet.
    """
    result, (text, probability) = measured.result, measured.own
    said = facts_of(result)
    peak = float(motion(result)["peak"].values[0])
    if np.isfinite(peak) and len(random):
        said.append(f"Its peak is above that of {(random < peak).mean():.0%} of {len(random)} random pairs.")
    if of != "relative_distance":
        said.append(_largest_slope(result, of))
    said.append(
        f"Prompt B by itself says “{shorten(text, 30)}” ({probability:.0%}). The far end is B's activation in A's "
        "context, which is not the same."
    )
    lengths = [measured.model.tokenize(str(result[f"text_{side}"].values[0])).numel() for side in "ab"]
    if lengths[0] != lengths[1]:
        said.append(f"Lengths differ: {lengths[0]:,} and {lengths[1]:,} tokens. The whole path runs in A's context.")
    return said


def _silent(_done: int, _total: int) -> None:
    """No progress is shown."""


def _largest_slope(result: xr.Dataset, of: str) -> str:
    sharp = sharpness(result, of).isel(pair=0)
    slope = float(sharp["max_slope"])
    name = next(name for name, curve in METRICS.items() if curve == of)
    if not np.isfinite(slope):
        return f"{name}: there is no curve, since both ends predict the same."
    return f"{name}: max slope {slope:.2f}, width {float(sharp['width_10_90']):.2f}."


def describe(result: xr.Dataset, of: str, said: Sequence[str]) -> str:
    """What a curve shows, in words.

    Args:
        result: From :func:`measure`.
        of: Name of the curve that is shown.
        said: What there is to know of it, from :func:`facts`.
    """
    a, b = (shorten(str(result[side].values[0])) for side in ("text_a", "text_b"))
    where = f"{result.attrs['model']}, after block {result.attrs['layer']}"
    metric = next(name for name, curve in METRICS.items() if curve == of)
    return f"From “{a}” to “{b}” on {where}, {metric}. {' '.join(said)}"


def describe_point(result: xr.Dataset, of: str, index: int) -> str:
    """What a point of the path shows, in words.

    Args:
        result: From :func:`measure`.
        of: Name of the curve that is shown.
        index: Index of the point on the path, from 0.
    """
    # Values, not selections: these take xarray longer than the whole picture.
    texts, probabilities = (result[name].values[0, index, :3] for name in ("text", "probability"))
    tokens = ", ".join(
        f"“{shorten(str(text), 30)}” {probability:.2f}" for text, probability in zip(texts, probabilities, strict=True)
    )
    value = float(result[of].values[0, index])
    height = f"the curve is at {value:.2f}, and " if np.isfinite(value) else ""
    return f"At alpha {result['alpha'].values[index]:.2f} {height}the next token is {tokens}."


def code(model: Model, result: xr.Dataset, of: str) -> str:
    """The library calls that make a result, its motion, and its rank among random pairs.

    Args:
        model: The model that was measured.
        result: From :func:`measure`.
        of: Name of the curve that is shown.
    """
    layer, steps = int(result.attrs["layer"]), int(result.attrs["steps"])
    texts = tuple(str(result[side].values[0]) for side in ("text_a", "text_b"))
    return f"""import srtoolkit as srt

model = {load_call(model)}
settings = {{"layer": {layer}, "steps": {steps}}}
result = srt.interpolate(model, [{texts!r}], top={result.sizes["rank"]}, **settings)
moves, sharp = srt.motion(result), srt.sharpness(result, of={of!r})
pairs = srt.sample_pairs(model, {RANDOM_PAIRS}, length={LENGTH})
peaks = srt.motion(srt.interpolate(model, pairs, reads="final_norm", **settings)).peak.dropna("pair")
share_below = float((peaks < moves.peak.item()).mean())
srt.plot.speed(result)
"""
