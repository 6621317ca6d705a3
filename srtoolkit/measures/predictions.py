"""What the model would say next: at points of a path, and how well it knows a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int
from torch.nn.functional import cross_entropy
from tqdm.auto import trange

from srtoolkit.analysis.sharpness import jump_steps
from srtoolkit.measures.curves import capture_all
from srtoolkit.measures.distances import jsd_between
from srtoolkit.measures.paths import Path, find_path
from srtoolkit.models.checks import check_layer
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import check_here
from srtoolkit.patching.overflow import warn_of_overflow
from srtoolkit.patching.patch import patch
from srtoolkit.prompts.pairs import PromptPairs, as_pairs, by_length
from srtoolkit.results import describe_pairs, provenance
from srtoolkit.validation import check_dataset, check_number, check_whole, listed


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


def divergence_by_region(found: xr.Dataset, curves: xr.Dataset) -> xr.Dataset:
    """Divergence of predictions, in nats, within a stable region and across its boundary, at equal input distance.

    Two points are in the same region where no step of a jump lies between them, and in different ones where the whole
    jump with the steepest step does; other points, with one foot in a jump, are left out. Jumps are those of
    :func:`srtoolkit.sharpness`.

    Args:
        found: From :func:`srtoolkit.divergence`.
        curves: From :func:`srtoolkit.interpolate`, on the same pairs, steps, block and path.

    Returns:
        Dims ``pair``, ``lag``: means over the points, ``jsd_same``, ``jsd_different``, ``same_token_same``,
        ``same_token_different``, NaN where a pair has no such points; ``excluded``: pairs without a jump or a curve.

    Raises:
        ValueError: The two results are not of the same paths.
    """
    alike = ("tokens_a", "tokens_b", "alpha")
    if not all(np.array_equal(found[key], curves[key]) for key in alike) or any(
        found.attrs[key] != curves.attrs[key] for key in ("layer", "path", "fingerprint")
    ):
        raise ValueError("the two results are not of the same paths: give both the same model, pairs, steps and block.")
    steps = jump_steps(curves["alpha"].values, curves["relative_distance"].values)
    widest = _steepest_jump(steps, np.diff(curves["relative_distance"].values, axis=1))
    places = np.arange(curves.sizes["alpha"])
    means: dict[str, list[np.ndarray]] = {}
    for lag in found["lag"].values:
        before = np.pad(steps.cumsum(axis=1), ((0, 0), (1, 0)))
        last = np.minimum(places + lag, places[-1])
        same = before[:, last] == before[:, places]
        different = (widest[:, :1] >= places) & (widest[:, 1:] <= places + lag) & steps.any(axis=1, keepdims=True)
        for name in ("jsd", "same_token"):
            values = found[name].sel(lag=lag)
            for kind, chosen in (("same", same), ("different", different)):
                means.setdefault(f"{name}_{kind}", []).append(values.where(chosen).mean("alpha").values)
    data = {name: (("pair", "lag"), np.stack(values, axis=1)) for name, values in means.items()}
    excluded = ~steps.any(axis=1) | ~np.isfinite(curves["relative_distance"].values).all(axis=1)
    kept = found.drop_vars(["jsd", "same_token", "alpha"])
    return kept.assign(data).assign(excluded=("pair", excluded))


def _steepest_jump(
    steps: Bool[np.ndarray, "pair step"], rises: Float[np.ndarray, "pair step"]
) -> Int[np.ndarray, "pair end"]:
    """First and last point of each curve's jump with the steepest step; meaningless where there is no jump."""
    top = np.where(steps, rises, -np.inf).argmax(axis=1)
    ends = np.empty((len(steps), 2), dtype=np.int64)
    for pair, peak in enumerate(top):
        outside = np.flatnonzero(~steps[pair])
        ends[pair] = (
            max(outside[outside < peak], default=-1) + 1,
            min(outside[outside > peak], default=steps.shape[1]),
        )
    return ends


def token_change_at(curves: xr.Dataset) -> xr.DataArray:
    """Alpha at which the most probable next token stops being that of A for good, in the middle of the step.

    Args:
        curves: From :func:`srtoolkit.interpolate`, read at ``"logits"`` among others.

    Returns:
        Dim ``pair``: NaN where A and B have the same most probable token.

    Raises:
        ValueError: ``curves`` has no predictions.
    """
    check_dataset(curves, ("alpha",), "curves", "srtoolkit.interpolate")
    if "top_token" not in curves:
        raise ValueError(
            f"these curves hold no predictions, only {list(curves.data_vars)}; interpolate reads='logits'."
        )
    tokens, alphas = curves["top_token"].values, curves["alpha"].values
    is_a = tokens == tokens[:, :1]
    last = is_a.shape[1] - 1 - is_a[:, ::-1].argmax(axis=1)
    middle = (alphas[last] + alphas[np.minimum(last + 1, len(alphas) - 1)]) / 2
    name = "alpha at which the top token stops being A's"
    return xr.DataArray(
        np.where(is_a[:, -1], np.nan, middle), dims="pair", name="token_change_at", attrs={"long_name": name}
    )


@torch.no_grad()
def text_loss(model: Model, pairs: PromptPairs | Sequence[tuple[str, str]]) -> xr.Dataset:
    """Mean cross-entropy of the next token within each prompt A, in nats a token; no activation is replaced.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of (text, text), of two tokens or more; their A is what counts.

    Returns:
        Dim ``pair``: ``loss``.

    Raises:
        ValueError: Bad prompts, or one of a single token.
        RemoteError: The model runs remotely.
    """
    check_here(model, "text_loss")
    pairs = as_pairs(model, pairs)
    losses = np.zeros(len(pairs))
    for indices, tokens in by_length(pairs.tokens_a):
        if tokens.shape[1] < 2:
            raise ValueError(
                f"prompt {pairs.labels[indices[0]]} has one token; a loss needs one to predict another from."
            )
        for chosen in torch.arange(len(tokens)).split(16):
            ids = tokens[chosen].to(model.device)
            logits = model.hf(input_ids=ids, use_cache=False).logits[:, :-1].float()
            found = cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").mean(1)
            losses[[indices[row] for row in chosen]] = found.cpu().numpy()
    about = describe_pairs(pairs)
    coords = {name: about.pop(name) for name in ("pair", "text_a", "text_b")}
    data = {"loss": ("pair", losses, {"long_name": "cross-entropy of the next token", "units": "nats a token"})}
    return xr.Dataset(data | about, coords, provenance(model, pairs))
