"""The likeliest next tokens at every point: ids, texts, probabilities."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from srtoolkit.models.checks import check_model
from srtoolkit.models.model import Model
from srtoolkit.validation import check_whole

#: Number of tokens before one from which it is told what it adds to a text.
_BEFORE = 8


def likeliest(
    logits: Float[Tensor, "*point d_vocab"], top: int
) -> tuple[Int[Tensor, "*point rank"], Float[Tensor, "*point rank"]]:
    """The most probable next tokens of every point and their probabilities, the likeliest first.

    Args:
        logits: Logits or log-probabilities of every token at each point.
        top: Number of tokens to keep.

    Returns:
        Token ids and probabilities; -1 and NaN at points where a logit is NaN.
    """
    values, tokens = logits.topk(top)
    total = logits.logsumexp(-1, keepdim=True)  # NaN where a logit is
    return tokens.masked_fill(total.isnan(), -1), (values - total).exp()


def texts_of(model: Model, tokens: Int[np.ndarray, "*point"]) -> Shaped[np.ndarray, "*point"]:
    """The text of every token id; empty for -1.

    Args:
        model: The model whose tokenizer is used.
        tokens: Token ids.
    """
    ids, places = np.unique(tokens, return_inverse=True)
    texts = np.array([model.token_text(token) if token >= 0 else "" for token in ids.tolist()])
    return texts[places].reshape(tokens.shape)


def pieces_of(model: Model, tokens: Int[Tensor, " pos"]) -> list[str]:
    """What each token of a text adds to it; joined they are the text.

    A token alone may lack the space before it, and a letter of several tokens is in the last of them.

    Args:
        model: The model whose tokenizer is used.
        tokens: Token ids of the text.
    """
    ids, found = tokens.tolist(), []
    for place in range(len(ids)):
        start = max(0, place - _BEFORE)
        before, after = (
            str(model.tokenizer.decode(ids[start:end], clean_up_tokenization_spaces=False)).rstrip("\ufffd")
            for end in (place, place + 1)
        )
        found.append(after[len(before) :])
    return found


def check_top(model: Model, top: int, least: int = 1) -> int:
    """A number of likeliest tokens, after a check that the model has so many.

    Args:
        model: The model, whose vocabulary counts.
        top: Number of tokens, to be checked.
        least: Smallest number that is allowed.

    Raises:
        TypeError: ``model`` is no model.
        ValueError: ``top`` is no whole number, or is more than the vocabulary has.
    """
    return check_whole(top, "top", least, check_model(model).vocab_size)


def top_token(
    logprobs: Float[Tensor, "point d_vocab"],
) -> tuple[Int[Tensor, " point"], Float[Tensor, " point"]]:
    """Id of the most probable next token of every point, and its probability; -1 and NaN where it is undefined.

    Args:
        logprobs: Log-probabilities of the next token at each point.
    """
    values, tokens = logprobs.max(dim=-1)
    return tokens.where(~values.isnan(), -1), values.exp()
