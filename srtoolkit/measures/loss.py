"""How well a model predicts a text: the cross-entropy of its next tokens, over a prompt or of its last token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from srtoolkit.measures.dataset import pairs_dataset
from srtoolkit.models.checks import check_model
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import check_here
from srtoolkit.patching.batches import bytes_per_token, named
from srtoolkit.patching.reads import Readout
from srtoolkit.prompts.pairs import PromptPairs, as_pairs, by_length, check_flag, check_lengths
from srtoolkit.validation import listed
from srtoolkit.version import __version__

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
    _check_two_tokens(pairs.tokens_a, pairs.labels)
    losses = np.zeros(len(pairs))
    for places, found in _token_losses(model, pairs.tokens_a):
        losses[places] = found.mean(1).cpu().numpy()
    data = {"loss": ("pair", losses, {"long_name": "cross-entropy of the next token", "units": "nats a token"})}
    return pairs_dataset(model, pairs, data)


@torch.no_grad()
def surprisal(model: Model, prompts: Iterable[str], *, bos: bool = False) -> xr.Dataset:
    """Surprisal of each prompt's last token given what stands before it, ``-log p``, in nats, from one pass.

    What an exchanged last word does to a path may be its surprise in that sentence, not its meaning: this is the
    number to hold fixed.

    Args:
        model: From :func:`srtoolkit.load_model`.
        prompts: Texts of two tokens or more.
        bos: Start every prompt with the tokenizer's BOS token.

    Returns:
        A Dataset with dim ``prompt``: ``surprisal``, and ``tokens`` (``prompt``, ``pos``; -1 behind the end). With dim
        ``pos``, ``token_surprisal``: the same of every token, NaN for the first and behind the end.

    Raises:
        TypeError: ``model`` is no model, or ``prompts`` no list of strings.
        ValueError: There are no prompts, or one is empty, too long, or has a single token.
        RemoteError: The model runs remotely.
    """
    check_here(check_model(model), "surprisal")
    bos, texts = check_flag(bos, "bos"), listed(prompts)
    if texts is None or any(not isinstance(text, str) for text in texts):
        raise TypeError(f"prompts: expected a list of strings, got {str(prompts)[:200]!r}.")
    if not texts:
        raise ValueError("prompts: expected one text or more, got none.")
    ids = [model.tokenize(text, bos) for text in texts]
    check_lengths(model, ids)
    _check_two_tokens(ids, [str(index) for index in range(len(ids))])
    shape = len(ids), max(map(len, ids))
    tokens, each, last = np.full(shape, -1, dtype=np.int32), np.full(shape, np.nan), np.zeros(len(ids))
    for index, row in enumerate(ids):
        tokens[index, : len(row)] = row.cpu().numpy()
    for places, found in _token_losses(model, ids):
        each[places, 1 : found.shape[1] + 1] = found.cpu().numpy()
        last[places] = found[:, -1].cpu().numpy()
    dims = ("prompt", "pos")
    data = {
        "surprisal": ("prompt", last, {"long_name": "surprisal of the last token", "units": "nats"}),
        "token_surprisal": (dims, each, {"long_name": "surprisal of a token", "units": "nats"}),
        "tokens": (dims, tokens),
    }
    about = {**model.provenance(), "srtoolkit": __version__, "bos": int(bos)}
    return xr.Dataset(data, {"text": ("prompt", texts), "prompt": np.arange(len(ids))}, about)


def _check_two_tokens(prompts: Sequence[Int[Tensor, " _pos"]], labels: Sequence[str]) -> None:
    for label, ids in zip(labels, prompts, strict=True):
        if len(ids) < 2:
            raise ValueError(f"prompt {label} has one token; a loss needs one to predict another from.")


def _token_losses(
    model: Model, prompts: Sequence[Int[Tensor, " _pos"]]
) -> Iterator[tuple[list[int], Float[Tensor, "prompt pos"]]]:
    """Cross-entropy of every token but the first, for some prompts of one length at a time, with their places."""
    for indices, tokens in by_length(prompts):
        per_token = bytes_per_token(model, Readout((), 0)) + model.vocab_size * LOGIT_BYTES
        per_prompt = tokens.shape[1] * per_token
        for chosen in torch.arange(len(tokens)).split(max(1, min(PROMPTS_AT_ONCE, model.memory_budget // per_prompt))):
            ids = tokens[chosen].to(model.device)
            with model.lock, named():
                logits = model.hf(input_ids=ids, use_cache=False).logits[:, :-1].float()
            found = cross_entropy(logits.transpose(1, 2), ids[:, 1:].to(logits.device), reduction="none")
            yield [indices[row] for row in chosen], found
