"""What can be told of pairs of prompts without patching: how far their last tokens' embeddings lie apart, and whether
two pairs' paths are the same path.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import xarray as xr

from srtoolkit.measures.dataset import pairs_dataset
from srtoolkit.measures.walk import capture_all
from srtoolkit.models.checks import check_layer, check_model
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import check_here
from srtoolkit.patching.batches import named
from srtoolkit.prompts.pairs import PromptPairs, as_pairs


@torch.no_grad()
def token_distance(model: Model, pairs: PromptPairs | Sequence[tuple[str, str]]) -> xr.Dataset:
    """Distance between the token embeddings of both prompts' last tokens, L2; no block of the model runs.

    Whatever groups regions are said to form, single words may form them before the model has read anything. This is
    the baseline: :func:`srtoolkit.cluster` takes it with ``of="token_distance"``.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B).

    Returns:
        A Dataset with dim ``pair``: ``token_distance``, and ``token_cosine`` between the two embeddings, -1 to 1.

    Raises:
        TypeError: ``model`` is no model.
        ValueError: A prompt is not valid.
        RemoteError: The model runs remotely.
    """
    check_here(check_model(model), "token_distance")
    pairs = as_pairs(model, pairs)
    with model.lock, named():
        embed = model.hf.get_input_embeddings()
        # As a column: a module that is offloaded, or that scales its rows, is called as the model itself calls it.
        a, b = (
            embed(torch.stack([ids[-1:] for ids in side]).to(model.device))[:, 0].double()
            for side in (pairs.tokens_a, pairs.tokens_b)
        )
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1)
    data = {
        "token_distance": (
            "pair",
            (a - b).norm(dim=-1).cpu().numpy(),
            {"long_name": "distance of the last tokens' embeddings, L2"},
        ),
        "token_cosine": ("pair", cosine.cpu().numpy(), {"long_name": "cosine of the last tokens' embeddings"}),
    }
    return pairs_dataset(model, pairs, data)


@torch.no_grad()
def path_cosine(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    others: PromptPairs | Sequence[tuple[str, str]],
    *,
    layer: int = 0,
) -> xr.Dataset:
    """Cosine between ``B - A`` of each pair and that of another pair, from -1 to 1: near 1, both walk the same path.

    A difference between the sharpness of two paths that are one path says nothing, and nor does its absence.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B).
        others: For each pair the one to compare with, in the same order.
        layer: Block whose output is read.

    Returns:
        A Dataset with dim ``pair``: ``path_cosine`` (NaN where a path has no length), ``input_distance`` and
        ``other_distance`` (lengths of both paths, L2), ``start_distance`` and ``end_distance`` (between both A, and
        between both B).

    Raises:
        ValueError: A prompt or block is not valid, or there are not as many others as pairs.
    """
    layer = check_layer(model, layer)
    pairs, others = as_pairs(model, pairs), as_pairs(model, others)
    if len(others) != len(pairs):
        raise ValueError(f"{len(pairs)} pairs and {len(others)} others: expected one other for each pair.")
    sides = (*pairs.tokens_a, *pairs.tokens_b, *others.tokens_a, *others.tokens_b)
    a, b, c, d = capture_all(model, sides, layer).double().chunk(4)
    lengths = (b - a).norm(dim=-1), (d - c).norm(dim=-1)
    cosine = ((b - a) * (d - c)).sum(-1) / (lengths[0] * lengths[1])
    values = {
        "path_cosine": (cosine, "cosine of the two paths' directions"),
        "input_distance": (lengths[0], "distance of A and B"),
        "other_distance": (lengths[1], "distance of the other A and B"),
        "start_distance": ((c - a).norm(dim=-1), "distance of both A"),
        "end_distance": ((d - b).norm(dim=-1), "distance of both B"),
    }
    data = {name: ("pair", value.cpu().numpy(), {"long_name": said}) for name, (value, said) in values.items()}
    return pairs_dataset(model, pairs, data, layer=layer)
