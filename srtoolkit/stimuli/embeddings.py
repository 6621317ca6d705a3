"""Texts as vectors of length one: by a sentence encoder, and by the mean of static vectors.

The sentence encoder was trained on pairs of sentences that people wrote; the static vectors know no order of words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from srtoolkit.models import weights

#: Texts in one pass.
_AT_ONCE = 64
#: Most tokens that the sentence encoder reads of a text, as its model card has it.
MOST_TOKENS = 256

Vectors = Float[np.ndarray, "text width"]


@torch.no_grad()
def by_sentence(folder: Path, texts: Sequence[str]) -> Vectors:
    """Mean over the tokens of a BERT's last layer: the pooling that the model card of all-MiniLM-L6-v2 prescribes.

    Args:
        folder: Folder with the encoder's configuration, weights and tokenizer.
        texts: The texts.
    """
    from transformers import AutoTokenizer, BertModel

    with weights.without_bars():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        encoder: Any = BertModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32)
    means = []
    for start in range(0, len(texts), _AT_ONCE):
        some = list(texts[start : start + _AT_ONCE])
        tokens = tokenizer(some, padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt")
        mask = tokens["attention_mask"][..., None]
        means.append((encoder(**tokens).last_hidden_state * mask).sum(1) / mask.sum(1))
    return _made_one_long(torch.cat(means))


def by_words(folder: Path, texts: Sequence[str]) -> Vectors:
    """Mean of the vectors of a text's tokens, whatever their order.

    Args:
        folder: Folder with ``vectors.safetensors`` (one tensor, a row for each token id) and ``tokenizer.json``.
        texts: The texts.
    """
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    (rows,) = load_file(folder / "vectors.safetensors").values()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    found = tokenizer.encode_batch([text.strip() for text in texts], add_special_tokens=False)
    return _made_one_long(torch.stack([rows[one.ids].float().mean(0) for one in found]))


def _made_one_long(means: Float[Tensor, "text width"]) -> Vectors:
    return torch.nn.functional.normalize(means.double(), dim=1).numpy()


#: How each encoder of :mod:`srtoolkit.stimuli.encoders` makes vectors.
EMBED: dict[str, Callable[[Path, Sequence[str]], Vectors]] = {"minilm": by_sentence, "static": by_words}
