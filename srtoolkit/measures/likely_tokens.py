"""The likeliest next tokens at every point: ids, texts, probabilities."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from srtoolkit.models.checks import check_model
from srtoolkit.models.model import Model
from srtoolkit.validation import check_whole


def likeliest(
    logits: Float[Tensor, "*point d_vocab"], top: int
) -> tuple[Int[Tensor, "*point rank"], Float[Tensor, "*point rank"]]:
    """The most probable next tokens of every point and their probabilities, the likeliest first.

    Args:
        logits: Of every token, or log-probabilities.
        top: How many tokens.

    Returns:
        Ids and probabilities; -1 and NaN at points where a logit is NaN.
    """
    undefined = logits.isnan().any(-1, keepdim=True)
    best = logits.topk(top)
    probabilities = (best.values - logits.logsumexp(-1, keepdim=True)).exp()
    return best.indices.masked_fill(undefined, -1), probabilities.masked_fill(undefined, torch.nan)


def texts_of(model: Model, tokens: Int[np.ndarray, "*point"]) -> Shaped[np.ndarray, "*point"]:
    """The text of every token id; empty for -1.

    Args:
        model: Whose tokenizer is used.
        tokens: Ids.
    """
    ids, places = np.unique(tokens, return_inverse=True)
    texts = np.array([model.token_text(token) if token >= 0 else "" for token in ids.tolist()])
    return texts[places].reshape(tokens.shape)


def check_top(model: Model, top: int, least: int = 1) -> int:
    """``top`` as a number of tokens that the model has.

    Args:
        model: Whose vocabulary counts.
        top: As the caller gave it.
        least: The smallest number that makes sense.

    Raises:
        TypeError: ``model`` is no model.
        ValueError: No whole number, or more tokens than the vocabulary has.
    """
    return check_whole(top, "top", least, check_model(model).vocab_size)
