"""Tiny random checkpoints in folders, as users have them, with a tokenizer of bytes."""

from __future__ import annotations

from pathlib import Path

import tokenizers
import transformers

from families import tiny


def byte_tokenizer():
    """One token a byte, so that the number of tokens of a text is plain to see; ids 0 to 2 are special."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<bos>", "<eos>", *alphabet])}
    core = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )


def save_tiny(folder: Path, family: str = "llama", seed: int = 0, **changes) -> Path:
    """A tiny random checkpoint on disk, as ``save_pretrained`` leaves it."""
    model = tiny(family, seed, **{"vocab_size": 259, "max_position_embeddings": 64, **changes})
    model.hf.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder
