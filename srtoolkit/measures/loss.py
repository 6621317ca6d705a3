"""How well a model knows a text: the loss of its next tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch.nn.functional import cross_entropy

from srtoolkit.measures.dataset import describe_pairs, provenance
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import check_here
from srtoolkit.prompts.pairs import PromptPairs, as_pairs, by_length


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
