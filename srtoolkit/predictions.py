"""What the model would say next: at points of a path, and how well it knows a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch.nn.functional import cross_entropy

from srtoolkit.checks import check_layer
from srtoolkit.models import Model
from srtoolkit.patching import capture, patch
from srtoolkit.paths import Path, find_path
from srtoolkit.prompts import PromptPairs, as_pairs, by_length
from srtoolkit.results import describe_pairs, provenance


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
    if not len(alphas) or not all(np.isfinite(alpha) for alpha in alphas):
        raise ValueError(f"alphas={alphas!r}: expected one or more finite numbers; 0 is A and 1 is B.")
    if not 1 <= top <= model.vocab_size:
        raise ValueError(f"top={top!r}: {model.name} has {model.vocab_size} tokens.")
    pairs = as_pairs(model, pairs)
    shape = (len(pairs), len(alphas), top)
    tokens, probabilities = np.zeros(shape, dtype=np.int64), np.zeros(shape)
    for index, (ids_a, ids_b) in enumerate(zip(pairs.tokens_a, pairs.tokens_b, strict=True)):
        a, b = (capture(model, ids[None], layer) for ids in (ids_a, ids_b))
        points = path_function(a, b, torch.tensor(alphas, dtype=torch.float32))
        logprobs = patch(model, ids_a[None], points, layer, "logprobs")
        assert isinstance(logprobs, torch.Tensor)
        best = logprobs[0].topk(top)
        tokens[index], probabilities[index] = best.indices.cpu().numpy(), best.values.exp().cpu().numpy()
    about = describe_pairs(pairs)
    coords = {name: about.pop(name) for name in ("pair", "text_a", "text_b")}
    dims = ("pair", "alpha", "rank")
    texts = np.array([model.token_text(token) for token in tokens.ravel().tolist()]).reshape(shape)
    data = {"token": (dims, tokens), "text": (dims, texts), "probability": (dims, probabilities)}
    coords |= {"alpha": list(alphas), "rank": np.arange(1, top + 1)}
    return xr.Dataset(data | about, coords, provenance(model, pairs, layer=layer, path=path_name))


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
    """
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
