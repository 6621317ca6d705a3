"""A small model that takes as long for each operation as a large one does.

A miniature has the model's own widths, heads and number format, and fewer blocks, which all use one block's memory; its
unembedding is shortened if it is large. So a matrix product is as wide, a batch as large and everything between the
products (attention, norms, masks, tracing) as slow as in the model.
"""

from __future__ import annotations

import copy
from typing import Any

import accelerate  # type: ignore[import-untyped]
import torch
import transformers
from torch import Tensor, nn

from srtoolkit.costs.architecture import Architecture
from srtoolkit.models.anatomy import find_anatomy
from srtoolkit.models.model import Model
from srtoolkit.models.weights import DTYPES
from srtoolkit.models.wrapping import as_model
from srtoolkit.suite.shipped import load_suite_tokenizer

#: Blocks of a miniature, and the weights of all its blocks together that make it stop at the fewest.
BLOCKS, WEIGHTS = (2, 8), 2**26

#: Bytes of a miniature's unembedding.
UNEMBEDDING = 2**29


def miniature(model: Architecture, dtype: str, device: torch.device) -> tuple[Architecture, Model]:
    """A model with few blocks, the widths of another model, and random weights.

    Args:
        model: Architecture of the model that it stands in for.
        dtype: Name of the number format.
        device: Device of the miniature.

    Returns:
        The miniature's architecture, and the miniature.
    """
    config = copy.deepcopy(model.config)
    text = config.get_text_config()
    blocks = min(model.n_layers, max(BLOCKS[0], min(BLOCKS[1], WEIGHTS // max(1, *model.weights))))
    for key, value in vars(text).items():  # one entry a block: kinds of attention and the like
        if isinstance(value, list) and len(value) == model.n_layers:
            setattr(text, key, value[:blocks])
    text.num_hidden_layers = blocks
    text.vocab_size = min(model.vocab_size, UNEMBEDDING // (DTYPES[dtype].itemsize * model.d_model))
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        setattr(text, name, _within(getattr(text, name, None), text.vocab_size))
    text.tie_word_embeddings = config.tie_word_embeddings = True
    with accelerate.init_empty_weights():
        hf = transformers.AutoModelForCausalLM.from_config(config)
    name = f"miniature of {model.name}"
    _fill(hf, find_anatomy(hf, blocks, model.name).blocks, DTYPES[dtype], device)
    tokenizer = load_suite_tokenizer()  # whose words mean nothing here
    mini = as_model(hf, tokenizer, name=name, dtype=dtype, init="random")
    return Architecture(name, config), mini


def _within(ids: Any, vocab_size: int) -> Any:
    """Token ids that a shortened vocabulary has, for families that need them to say where a prompt ends."""
    if isinstance(ids, list):
        return [_within(one, vocab_size) for one in ids]
    return None if ids is None else min(ids, vocab_size - 1)


def _fill(hf: Any, blocks: str, dtype: torch.dtype, device: torch.device) -> None:
    """Give every parameter memory and small random values; blocks that are alike share theirs."""
    noise = torch.randn(2**20, generator=torch.Generator().manual_seed(0)).mul_(0.02).to(device, dtype)
    filled: dict[Any, nn.Parameter] = {}
    for path, module in hf.named_modules():
        within = path.removeprefix(f"{blocks}.")
        place = within.partition(".")[2] if within != path else path
        for name, empty in module._parameters.items():
            if empty is None:
                continue
            key = (within != path, place, name, empty.shape)
            if key not in filled:
                filled[key] = nn.Parameter(_noise_of(noise, empty.shape), requires_grad=False)
            module._parameters[name] = filled[key]
    hf.to(device)  # buffers
    hf.tie_weights()


def _noise_of(noise: Tensor, shape: torch.Size) -> Tensor:
    values = torch.empty(shape, dtype=noise.dtype, device=noise.device)
    for part in values.view(-1).split(len(noise)):
        part.copy_(noise[: len(part)])
    return values
