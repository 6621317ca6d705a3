"""Tiny random checkpoints in folders, as users have them, with a tokenizer of bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
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


def lay_out_hub(root: Path, patch: pytest.MonkeyPatch, family: str = "llama") -> Path:
    """A local hub cache as the hub's client lays it out, with two training checkpoints of ``lab/tiny``; no network."""
    repository = root / "models--lab--tiny"
    for seed, branch in enumerate(["main", "step1000"]):
        commit = f"{seed + 1:040x}"
        save_tiny(repository / "snapshots" / commit, family, seed=seed)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / branch).write_text(commit)
    patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root))
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    patch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(root))
    return repository


def edit_config(folder: Path, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
