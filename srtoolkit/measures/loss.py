"""How well a model predicts a text: the cross-entropy of its next tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch.nn.functional import cross_entropy

from srtoolkit.measures.dataset import pairs_dataset
from srtoolkit.models.checks import check_model
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import check_here
from srtoolkit.patching.batches import named
from srtoolkit.prompts.pairs import PromptPairs, as_pairs, by_length

#: Prompts in one pass: more are no faster on a CPU.
PROMPTS_AT_ONCE = 16

#: Bytes of one logit: as the model gives it, as float32, and in the loss.
LOGIT_BYTES = 12


@torch.no_grad()
def text_loss(model: Model, pairs: PromptPairs | Sequence[tuple[str, str]]) -> xr.Dataset:
    """Mean cross-entropy of the next token within each prompt A, in nats a token; no activation is replaced.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B). Only the prompts A are used; each has two tokens or
            more.

    Returns:
        A Dataset with dim ``pair``: ``loss``.

    Raises:
        TypeError: ``model`` is no model.
        ValueError: A prompt is not valid, or has a single token.
        RemoteError: The model runs remotely.
    """
    check_here(check_model(model), "text_loss")
    pairs = as_pairs(model, pairs)
    losses = np.zeros(len(pairs))
    for indices, tokens in by_length(pairs.tokens_a):
        if tokens.shape[1] < 2:
            raise ValueError(
                f"prompt {pairs.labels[indices[0]]} has one token; a loss needs one to predict another from."
            )
        per_prompt = tokens.shape[1] * model.vocab_size * LOGIT_BYTES
        for chosen in torch.arange(len(tokens)).split(max(1, min(PROMPTS_AT_ONCE, model.memory_budget // per_prompt))):
            ids = tokens[chosen].to(model.device)
            with model.lock, named():
                logits = model.hf(input_ids=ids, use_cache=False).logits[:, :-1].float()
            found = cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").mean(1)
            losses[[indices[row] for row in chosen]] = found.cpu().numpy()
    data = {"loss": ("pair", losses, {"long_name": "cross-entropy of the next token", "units": "nats a token"})}
    return pairs_dataset(model, pairs, data)
