"""What the model would say next: at points of a path, and how well it knows a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from tqdm.auto import trange

from srtoolkit.measures.dataset import describe_pairs, provenance
from srtoolkit.measures.distances import jsd_between
from srtoolkit.measures.paths import Path, find_path
from srtoolkit.measures.walk import capture_all
from srtoolkit.models.checks import check_layer
from srtoolkit.models.model import Model
from srtoolkit.patching.overflow import warn_of_overflow
from srtoolkit.patching.patch import patch
from srtoolkit.prompts.pairs import PromptPairs, as_pairs
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
) -> xr.Dataset:
    """Probability of the most likely next tokens at points of each pair's path, in prompt A's context.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of (text, text).
        alphas: Places on the path, from A (0) to B (1).
        top: How many tokens.
        layer: Block whose output is replaced.
        path: ``"linear"``, or a function of (A, B, alphas).

    Returns:
        Dims ``pair``, ``alpha``, ``rank``: ``token`` (id), ``text``, ``probability``.

    Raises:
        ValueError: Bad prompts, block, alphas, path, or more tokens than the vocabulary has.
    """
    layer, (path_name, path_function) = check_layer(model, layer), find_path(path)
    alphas = [check_number(alpha, "alphas") for alpha in listed(alphas) or []]
    if not alphas:
        raise ValueError("alphas: expected one or more finite numbers in a list; 0 is A and 1 is B.")
    top = check_whole(top, "top", 1, model.vocab_size)
    pairs = as_pairs(model, pairs)
    shape = (len(pairs), len(alphas), top)
    tokens, probabilities = np.zeros(shape, dtype=np.int64), np.zeros(shape)
    a, b = (capture_all(model, side, layer) for side in (pairs.tokens_a, pairs.tokens_b))
    places = torch.tensor(alphas, dtype=torch.float32)
    for index, context in enumerate(pairs.tokens_a):
        points = path_function(a[index : index + 1], b[index : index + 1], places)
        logprobs = patch(model, context[None], points, layer, "logprobs")
        assert isinstance(logprobs, torch.Tensor)
        best = logprobs[0].topk(top)
        undefined = logprobs[0].isnan().any(-1, keepdim=True)
        tokens[index] = best.indices.masked_fill(undefined, -1).cpu().numpy()
        probabilities[index] = best.values.exp().masked_fill(undefined, torch.nan).cpu().numpy()
    warn_of_overflow(model, pairs.tokens_a, np.asarray(np.isnan(probabilities).any(axis=(1, 2))), layer)
    about = describe_pairs(pairs)
    coords = {name: about.pop(name) for name in ("pair", "text_a", "text_b")}
    dims = ("pair", "alpha", "rank")
    texts = np.array([model.token_text(token) if token >= 0 else "" for token in tokens.ravel().tolist()])
    data = {
        "token": (dims, tokens),
        "text": (dims, texts.reshape(shape)),
        "probability": (dims, probabilities),
    }
    coords |= {"alpha": list(alphas), "rank": np.arange(1, top + 1)}
    return xr.Dataset(data | about, coords, provenance(model, pairs, layer=layer, path=path_name))


@torch.no_grad()
def divergence(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    lags: Sequence[int] = (5,),
    steps: int = 50,
    layer: int = 0,
    path: str | Path = "linear",
) -> xr.Dataset:
    """How much next-token predictions differ between points of a path: Jensen-Shannon divergence in nats, 0 to log 2.

    Points that are ``lag`` steps apart are ``lag / (steps - 1) |A - B|`` apart in the residual stream, wherever on the
    path they lie: what is compared within one pair and lag is at equal input distance.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of (text, text); every point is put into prompt A's context.
        lags: Steps between the two points.
        steps: Points of the path, both ends included.
        layer: Block whose output is replaced.
        path: ``"linear"``, or a function of (A, B, alphas).

    Returns:
        Dims ``pair``, ``lag``, ``alpha``: ``jsd`` and ``same_token`` (1 where the most probable token is the same, else
        0), between the predictions at alpha and ``lag`` steps further; NaN where that is beyond B.

    Raises:
        ValueError: Bad prompts, block, steps, path, or a lag that is not between 1 and ``steps - 1``.
    """
    layer, (path_name, path_function) = check_layer(model, layer), find_path(path)
    steps = check_whole(steps, "steps", 2, 10**6)
    given, lags = lags, [check_whole(lag, "lags", 1, steps - 1) for lag in listed(lags) or []]
    if not lags:
        raise ValueError(
            f"lags={given!r}: expected numbers of steps from 1 to {steps - 1}, one less than steps={steps}."
        )
    pairs = as_pairs(model, pairs)
    alphas = torch.linspace(0, 1, steps)
    jsd = np.full((len(pairs), len(lags), steps), np.nan)
    same, bad = np.full_like(jsd, np.nan), np.zeros(len(pairs), dtype=bool)
    a, b = (capture_all(model, side, layer) for side in (pairs.tokens_a, pairs.tokens_b))
    for index in trange(len(pairs), desc="predictions", leave=False):
        points = path_function(a[index : index + 1], b[index : index + 1], alphas)
        logprobs = patch(model, pairs.tokens_a[index][None], points, layer, "logprobs")
        assert isinstance(logprobs, torch.Tensor)
        top = logprobs[0].argmax(-1).float().masked_fill(logprobs[0].isnan().any(-1), torch.nan)
        for place, lag in enumerate(lags):
            jsd[index, place, :-lag] = jsd_between(logprobs[0, :-lag], logprobs[0, lag:]).cpu().numpy()
            alike = (top[:-lag] == top[lag:]).float().masked_fill((top[:-lag] + top[lag:]).isnan(), torch.nan)
            same[index, place, :-lag] = alike.cpu().numpy()
            jsd[index, place, :-lag][np.isnan(same[index, place, :-lag])] = np.nan
        bad[index] = bool(top.isnan().any())
    warn_of_overflow(model, pairs.tokens_a, bad, layer)
    about = describe_pairs(pairs)
    coords = {name: about.pop(name) for name in ("pair", "text_a", "text_b")}
    dims = ("pair", "lag", "alpha")
    data = {
        "jsd": (dims, jsd, {"long_name": "Jensen-Shannon divergence of two points' predictions, nats"}),
        "same_token": (dims, same, {"long_name": "whether two points' most probable tokens are the same"}),
    }
    coords |= {"alpha": alphas.double().numpy(), "lag": list(lags)}
    return xr.Dataset(data | about, coords, provenance(model, pairs, layer=layer, path=path_name, steps=steps))
