"""A model's weights: their number formats, where they lie, and the fingerprint that tells checkpoints apart."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def dtype_name(dtype: Any) -> Any:
    """The name of a number format, whether it is given as a name or as torch has it; anything else as it is.

    Args:
        dtype: Such as ``"bfloat16"`` or ``torch.bfloat16``.
    """
    return str(dtype).removeprefix("torch.") if isinstance(dtype, torch.dtype) else dtype


def weight_fingerprint(hf: nn.Module) -> str:
    """SHA-256 (first 16 digits) over the name, shape and up to 4,096 evenly spaced values of every weight tensor.

    One optimiser step moves nearly every value, so a sample tells checkpoints apart, and a large model takes no longer
    than its number of tensors. Tensors are the parameters, and the buffers that are saved with them: quantised models
    keep weights there.

    Args:
        hf: The transformers model.
    """
    return digest((path, tuple(tensor.shape), _sample(hf, path)) for path, tensor in _tensors(hf))


def tensor_digests(hf: nn.Module) -> dict[str, int]:
    """Number of values of every weight tensor, by the fingerprint of the tensor alone.

    Args:
        hf: The transformers model.
    """
    return {digest([(path, tuple(one.shape), _sample(hf, path))]): one.numel() for path, one in _tensors(hf)}


def _tensors(hf: nn.Module) -> list[tuple[str, Tensor]]:
    return sorted([*hf.named_parameters(), *_saved_buffers(hf)])


def _saved_buffers(hf: nn.Module) -> list[tuple[str, Tensor]]:
    """Buffers that a checkpoint holds, by path; others are made of the configuration."""
    saved = hf.state_dict(keep_vars=True)
    return [(path, buffer) for path, buffer in hf.named_buffers() if path in saved]


def digest(samples: Iterable[tuple[str, tuple[int, ...], Tensor]]) -> str:
    """First sixteen hexadecimal digits of a SHA-256 over names, shapes and sampled values, in their order.

    Args:
        samples: Path, shape and sampled values of each tensor.
    """
    found = hashlib.sha256()
    for path, shape, values in samples:
        found.update(f"{path}{shape}".encode())
        found.update(values.to("cpu", torch.float32).numpy().tobytes())
    return found.hexdigest()[:16]


def _sample(hf: nn.Module, path: str) -> Tensor:
    """Up to 4,096 evenly spaced values of one tensor, fetched from where accelerate keeps what it has offloaded."""
    home, _, name = path.rpartition(".")
    module = hf.get_submodule(home)
    with _fetched(module) if getattr(module, name).is_meta else contextlib.nullcontext():
        flat = getattr(module, name).detach().reshape(-1)
        return flat[:: max(1, flat.numel() // 4096)][:4096].clone()


def _fetched(module: nn.Module) -> contextlib.AbstractContextManager[None]:
    from accelerate.utils import align_module_device

    return align_module_device(module, torch.device("cpu"))


def is_offloaded(module: nn.Module) -> bool:
    """Whether some weights are offloaded to a disk or another memory, and fetched for each forward pass.

    Args:
        module: The transformers model.
    """
    return any(parameter.is_meta for parameter in module.parameters())


def input_device(hf: Any) -> torch.device:
    """Device on which the embedding runs; for offloaded weights, the one that accelerate computes on.

    Args:
        hf: The transformers model.
    """
    embedding = hf.get_input_embeddings()
    where = getattr(getattr(embedding, "_hf_hook", None), "execution_device", None)
    return embedding.weight.device if where is None else torch.device(where)


def listing(names: Sequence[str], most: int = 8) -> str:
    """The first of some names, and how many there are beside them.

    Args:
        names: Names of weights.
        most: Number of names that are shown.
    """
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """A context without transformers' progress bars over weight tensors; downloads keep theirs."""
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
