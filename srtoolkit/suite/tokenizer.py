"""The nano suite's tokenizer: byte-level BPE, trained on the training split, and documents as streams of its ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt16
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from srtoolkit.suite import corpus
from srtoolkit.suite.configuration import VOCABULARY
from srtoolkit.suite.shipped import END


def train_tokenizer(folder: Path) -> Tokenizer:
    """Train a byte-level BPE tokenizer of ``VOCABULARY`` entries on the training split of a corpus.

    Args:
        folder: Folder of the corpus.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus.documents(folder, "train"), trainer)
    return tokenizer


def token_stream(folder: Path, split: str, tokenizer: Tokenizer) -> UInt16[np.ndarray, " token"]:
    """Token ids of all documents of a split, one after the other, each preceded by ``END``.

    Args:
        folder: Folder of the corpus.
        split: ``"train"`` or ``"held_out"``.
        tokenizer: The tokenizer.
    """
    texts = [END + text for text in corpus.documents(folder, split)]
    return np.concatenate([np.asarray(document.ids, dtype=np.uint16) for document in tokenizer.encode_batch(texts)])
