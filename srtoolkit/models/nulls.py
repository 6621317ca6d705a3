"""Null models: a trained model of which something is left, and of which what was learned is gone.

What a claim about a trained model is held against. Random weights are small, and so smooth whatever they do; the same
weights in another order have the trained model's scale, norms and embeddings, and nothing else of it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from srtoolkit.models.anatomy import Anatomy
from srtoolkit.models.checks import check_layer, check_model
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import check_here
from srtoolkit.models.options import NULLS as KINDS
from srtoolkit.models.weights import is_offloaded
from srtoolkit.models.wrapping import as_model
from srtoolkit.validation import check_names, check_whole

#: What families call the part of a block that mixes positions; every other matrix of a block is its MLP's.
_MIXES_POSITIONS = re.compile(r"attn|attention|mixer|conv|mamba|rwkv|recurrent|time_mix", re.IGNORECASE)


def null_model(model: Model, kind: str, seed: int = 0, *, layer: int = 0) -> Model:
    """A model in which nothing that was learned is left but what ``kind`` keeps; the given model stays as it is.

    It costs one copy of the weights in memory and nothing on a disk. ``load_model(name, init=kind, seed=seed)`` gives
    the same weights by name, for :func:`srtoolkit.sweep` among others. Embeddings and norms stay as they are, except
    with ``"random"``.

    Args:
        model: From :func:`srtoolkit.load_model` or :func:`srtoolkit.wrap`.
        kind: What is drawn anew. ``"permuted"``: the entries of each matrix of each block change places;
            ``"permuted_behind"``: those of blocks behind ``layer`` alone, so that activations after ``layer`` stay;
            ``"mlp"`` and ``"attention"``: those of these parts alone; ``"spectrum"``: each matrix keeps its singular
            values and gets random vectors; ``"gain"``: each matrix becomes Gaussian of the same root mean square;
            ``"random"``: all weights are initialised anew, as before any training.
        seed: Seed of the draws.
        layer: Block up to which ``"permuted_behind"`` leaves the weights as they are.

    Returns:
        The null model, with a name and a fingerprint of its own; its results say ``init=kind``.

    Raises:
        ValueError: The kind or block is unknown, or the weights are elsewhere, offloaded, or not in floating point.
    """
    check_here(check_model(model), "null_model")
    seed, layer = check_whole(seed, "seed", 0, 2**63 - 1), check_layer(model, layer)
    check_names(kind, (*KINDS, "random"), "kind")
    if kind == "random":
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(seed)
            null = type(model.hf)(copy.deepcopy(model.hf.config))
        null = null.to(model.device, model.hf.dtype)
    else:
        null = copy.deepcopy(model.hf)
        redraw(null, model.anatomy, kind, seed, layer)
    kept: dict[str, Any] = {
        "revision": model.revision,
        "commit": model.commit,
        "missing": () if kind == "random" else model.missing,
        "methods": model.methods,  # both are of one architecture: what one has tried is not tried again
    }
    return as_model(null, model.tokenizer, name=f"{model.name} {kind} {seed}", init=kind, seed=seed, **kept)


def redraw(hf: Any, anatomy: Anatomy, kind: str, seed: int, layer: int = 0) -> None:
    """Draw the matrices of a model's blocks anew, in place.

    Args:
        hf: A transformers model.
        anatomy: Where its blocks are.
        kind: One of ``KINDS``.
        seed: Seed of the draws.
        layer: Block up to which ``"permuted_behind"`` leaves the weights as they are.

    Raises:
        ValueError: Weights are offloaded or not in floating point, or no matrix is of the kind.
    """
    if is_offloaded(hf):
        raise ValueError(f"kind={kind!r}: weights are offloaded to another memory or a disk; load the model without.")
    blocks = hf.get_submodule(anatomy.blocks)
    chosen = [weight for path, weight in matrices(blocks) if _is_meant(path, kind, layer)]
    if not chosen:
        raise ValueError(f"kind={kind!r}: no matrix of {type(hf).__name__}'s blocks is of that kind.")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in chosen:
            weight.copy_(_DRAWS.get(kind, _permuted)(weight, generator))


def matrices(blocks: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The matrices of some blocks, each once however many modules share it, by their paths.

    Args:
        blocks: The list of blocks.

    Raises:
        ValueError: A matrix is not in floating point, as quantised ones are not.
    """
    for path, parameter in blocks.named_parameters():
        if parameter.ndim < 2:
            continue
        if not parameter.is_floating_point():
            raise ValueError(f"{path} holds {parameter.dtype}: a null model needs weights in floating point.")
        yield path, parameter


def _is_meant(path: str, kind: str, layer: int) -> bool:
    """Whether a kind of null draws this matrix anew."""
    number, _, inside = path.partition(".")
    if kind == "permuted_behind":
        return int(number) > layer
    if kind in ("mlp", "attention"):
        return bool(_MIXES_POSITIONS.search(inside)) == (kind == "attention")
    return True


def _permuted(weight: Tensor, generator: torch.Generator) -> Tensor:
    """The same entries in another order."""
    n = weight.numel()
    # The same order as in 64 bits, in half the time.
    order = torch.randperm(n, generator=generator, dtype=torch.int32 if n < 2**31 else torch.int64)
    return weight.flatten().index_select(0, order.to(weight.device)).view_as(weight)


def _spectrum(weight: Tensor, generator: torch.Generator) -> Tensor:
    """The same singular values with other singular vectors, all equally likely; of each expert by itself."""
    flat = weight.reshape(-1, *weight.shape[-2:]) if weight.ndim == 3 else weight.flatten(1)[None]
    drawn = [_with_spectrum(torch.linalg.svdvals(one.float()), one, generator) for one in flat]
    return torch.stack(drawn).view_as(weight)


def _with_spectrum(values: Tensor, like: Tensor, generator: torch.Generator) -> Tensor:
    left, right = (_orthonormal(side, len(values), generator).to(like.device) for side in like.shape)
    return (left * values @ right.T).to(like.dtype)


def _orthonormal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Columns of a random rotation, all equally likely: of a Gaussian matrix's QR decomposition, with its signs."""
    q, r = torch.linalg.qr(torch.randn(rows, columns, generator=generator, dtype=torch.float64).float())
    return q * r.diagonal().sign()


def _gain(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian entries of the same root mean square."""
    drawn = torch.randn(weight.shape, generator=generator).to(weight.device)
    return (drawn * weight.float().square().mean().sqrt()).to(weight.dtype)


_DRAWS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {"spectrum": _spectrum, "gain": _gain}
