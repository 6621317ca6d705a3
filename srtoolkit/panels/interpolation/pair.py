"""One pair of prompts: its curves and predictions, what they show in words, and the calls that make them."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Float

from srtoolkit.measures.curves import interpolate
from srtoolkit.models.checks import check_tokens
from srtoolkit.models.model import Model
from srtoolkit.panels.interpolation.random_pairs import LENGTH, RANDOM_PAIRS
from srtoolkit.panels.parts.picker import load_call
from srtoolkit.panels.parts.text import shorten
from srtoolkit.patching.batches import Progress

#: Curves by what the control calls them.
METRICS = {
    "L2 distance": "relative_distance",
    "KL divergence": "kl",
    "JS divergence": "jsd",
    "logit difference": "logit_difference",
}

#: Next tokens shown.
TOP = 8


def measure(model: Model, a: str, b: str, layer: int, steps: int, progress: Progress | None = None) -> xr.Dataset:
    """The curves of one pair of prompts, with the likeliest next tokens at every point.

    Args:
        model: From :func:`srtoolkit.load_model`.
        a: Text of prompt A.
        b: Text of prompt B.
        layer: Block whose output is replaced.
        steps: Number of points of the path.
        progress: Called with the number of points done and that of all points.

    Raises:
        ValueError: A prompt is empty or too long.
    """
    for name, text in (("A", a), ("B", b)):
        check_tokens(model, model.tokenize(text)[None], f"prompt {name}")
    top = min(TOP, model.vocab_size)
    return interpolate(model, [(a, b)], layer=layer, steps=steps, top=top, progress=progress)


def numbers(sharp: xr.Dataset, random: Float[np.ndarray, " pair"]) -> str:
    """The sharpness of one pair's curve, in words.

    Args:
        sharp: From :func:`srtoolkit.sharpness`, of one pair.
        random: Largest slopes of random pairs' curves; empty where they are not measured yet.
    """
    if sharp["degenerate"]:
        return "A and B give the same output, so there is no curve"
    slope = float(sharp["max_slope"])
    if not np.isfinite(slope):
        return "A and B predict the same next token, so there is no curve"
    words = f"max slope {slope:.2f}, width {float(sharp['width_10_90']):.2f}"
    return (
        f"{words}, steeper than {(random < slope).mean():.0%} of {len(random)} random pairs" if len(random) else words
    )


def describe(result: xr.Dataset, of: str, compared: str) -> str:
    """What a curve shows, in words.

    Args:
        result: From :func:`measure`.
        of: Name of the curve that is shown.
        compared: The curve's sharpness in words, from :func:`numbers`.
    """
    a, b = (shorten(str(result[side].values[0])) for side in ("text_a", "text_b"))
    where = f"{result.attrs['model']}, after block {result.attrs['layer']}"
    metric = next(name for name, curve in METRICS.items() if curve == of)
    return f"From “{a}” to “{b}” on {where}, {metric}: {compared}."


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
    """The library calls that make a result, its sharpness, and its rank among random pairs.

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
sharp = srt.sharpness(result, of={of!r})
random = srt.interpolate(model, srt.sample_pairs(model, {RANDOM_PAIRS}, length={LENGTH}), **settings)
slopes = srt.sharpness(random, of={of!r}).max_slope.dropna("pair")
share_less_sharp = float((slopes < sharp.max_slope.item()).mean())
srt.plot.curves(result, of={of!r})
"""
