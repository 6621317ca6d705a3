"""What the model would write from points of the path."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from srtoolkit.measures.continuation import continuation
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress

#: Tokens that are written.
TOKENS = 20


def write_from(
    model: Model, result: xr.Dataset, points: Sequence[int], progress: Progress | None = None
) -> dict[int, str]:
    """Text that the model writes after prompt A, by the point of the path that was put in; always the likeliest token.

    Args:
        model: The model that was measured.
        result: The curves of one pair, from :func:`srtoolkit.interpolate`.
        points: Indices of points on the path, from 0.
        progress: Called with the number of points done and that of all points.

    Raises:
        ValueError: Prompt and text are longer than the model takes.
    """
    pair = str(result["text_a"].values[0]), str(result["text_b"].values[0])
    alphas = result["alpha"].values[list(points)].tolist()
    layer = int(result.attrs["layer"])
    texts = continuation(model, [pair], alphas=alphas, tokens=TOKENS, layer=layer, progress=progress)["text"].values[0]
    return {point: str(text) for point, text in zip(points, texts, strict=True)}


def code_that_writes(result: xr.Dataset, points: Sequence[int]) -> str:
    """The library call that writes from points of the path, in the names that the panel's code has.

    Args:
        result: The curves of one pair.
        points: Indices of points on the path, from 0.
    """
    alphas = result["alpha"].values[list(points)].tolist()
    pair = str(result["text_a"].values[0]), str(result["text_b"].values[0])
    layer = int(result.attrs["layer"])
    return f"written = srt.continuation(model, [{pair!r}], alphas={alphas!r}, tokens={TOKENS}, layer={layer})\n"
