"""Next-token predictions at points of a path, and how they differ between points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr

from srtoolkit.measures.lags import COMPARED, check_lags, compare_at_lags
from srtoolkit.measures.likely_tokens import check_top, likeliest, texts_of
from srtoolkit.measures.paths import Path
from srtoolkit.measures.walk import PAIRS_AT_ONCE, Rows, pairs_that_fit, set_out
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress, named
from srtoolkit.patching.patch import patch
from srtoolkit.patching.reads import Reads
from srtoolkit.prompts.pairs import PromptPairs
from srtoolkit.validation import check_number, check_whole, listed


@torch.no_grad()
def next_tokens(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    alphas: Sequence[float | int] = (0, 0.25, 0.5, 0.75, 1),
    top: int = 5,
    layer: int = 0,
    path: str | Path = "linear",
    progress: Progress | None = None,
) -> xr.Dataset:
    """Probability of the most likely next tokens at points of each pair's path, in prompt A's context.

    Where curves are measured anyway, ``interpolate(..., top=)`` keeps the same tokens from the same pass.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B).
        alphas: Places on the path, from A (0) to B (1).
        top: Number of tokens to keep at each point.
        layer: Block whose output is replaced.
        path: ``"linear"``; ``"slerp"``, whose direction turns evenly; ``"arc"``, the same about the model's mean
            activation; or a function of (A, B, alphas) that returns points, as :func:`srtoolkit.paths.linear` does.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``pair``, ``alpha``, ``rank`` (1 is the likeliest): ``token`` (its id), ``text``,
        ``probability``.

    Raises:
        ValueError: A prompt, block, alpha or path is not valid, or ``top`` is more than the vocabulary has.
    """
    places = [check_number(alpha, "alphas") for alpha in listed(alphas) or []]
    if not places:
        raise ValueError("alphas: expected one or more finite numbers in a list; 0 is A and 1 is B.")
    top = check_top(model, top)
    walk = set_out(model, pairs, layer=layer, alphas=torch.tensor(places, dtype=torch.float32), path=path)

    def likely(found: Reads) -> Reads:
        tokens, probabilities = likeliest(found["logprobs"], top)
        return {"token": tokens, "probability": probabilities.double()}

    found = Rows(len(walk.pairs))
    for batch in walk.batches(PAIRS_AT_ONCE, progress=progress):
        said = patch(
            model, batch.context, batch.points, layer=walk.layer, reads=("logprobs",), method=batch.method,
            reduce=likely, progress=batch.progress,
        )  # fmt: skip
        found.put(batch.rows, said)
    dims = ("pair", "alpha", "rank")
    data = {
        "token": (dims, found["token"]),
        "text": (dims, texts_of(model, found["token"])),
        "probability": (dims, found["probability"]),
    }
    undefined = np.isnan(found["probability"]).any(axis=(1, 2))
    return walk.to_dataset(data, {"alpha": places, "rank": np.arange(1, top + 1)}, undefined)


@torch.no_grad()
def divergence(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    lags: Sequence[int] = (5,),
    steps: int = 50,
    layer: int = 0,
    path: str | Path = "linear",
    progress: Progress | None = None,
) -> xr.Dataset:
    """Jensen-Shannon divergence between next-token predictions at two points of a path, in nats, from 0 to log 2.

    Points that are ``lag`` steps apart are ``lag / (steps - 1) |A - B|`` apart in the residual stream, wherever on the
    path they lie: within one pair and lag, all compared points are at equal input distance. Where curves are measured
    anyway, ``interpolate(..., lags=)`` keeps the same from the same pass.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B); every point is patched into prompt A's context.
        lags: Numbers of steps between the two points.
        steps: Number of points of the path, both ends included.
        layer: Block whose output is replaced.
        path: ``"linear"``; ``"slerp"``, whose direction turns evenly; ``"arc"``, the same about the model's mean
            activation; or a function of (A, B, alphas) that returns points, as :func:`srtoolkit.paths.linear` does.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``pair``, ``lag``, ``alpha``: ``jsd``, ``same_token`` (1 where the most probable token is
        the same, else 0) and ``output_distance`` (L2 after the final norm), between the predictions and outputs at
        alpha and ``lag`` steps further; NaN where that is beyond B.

    Raises:
        ValueError: A prompt, block, number of steps or path is not valid, or a lag is not between 1 and ``steps - 1``.
    """
    steps = check_whole(steps, "steps", 2, 10**6)
    lags = check_lags(lags, steps)
    walk = set_out(model, pairs, layer=layer, alphas=torch.linspace(0, 1, steps), path=path)
    found = Rows(len(walk.pairs))
    for batch in walk.batches(pairs_that_fit(model, steps, with_logprobs=True), progress=progress):
        with named():
            said = patch(
                model, batch.context, batch.points, layer=walk.layer, reads=("logprobs", "final_norm"),
                method=batch.method, progress=batch.progress,
            )  # fmt: skip
            each = [
                compare_at_lags(logprobs, logprobs.exp(), outputs, lags) | {"undefined": logprobs.isnan().any()}
                for logprobs, outputs in zip(said["logprobs"], said["final_norm"], strict=True)
            ]
        found.put(batch.rows, {name: torch.stack([pair[name] for pair in each]) for name in each[0]})
    data = {
        name: (("pair", "lag", "alpha"), found[name], {"long_name": long_name}) for name, long_name in COMPARED.items()
    }
    coords = {"alpha": walk.alphas.double().numpy(), "lag": list(lags)}
    return walk.to_dataset(data, coords, found["undefined"], steps=steps)
