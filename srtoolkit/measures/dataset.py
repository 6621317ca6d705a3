"""A measurement's values as a Dataset that says from which prompts and which model they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.prompts.pairs import PromptPairs
from srtoolkit.version import __version__


def pairs_dataset(
    model: Model, pairs: PromptPairs, data: Mapping[str, Any], coords: Mapping[str, Any] | None = None, **settings: Any
) -> xr.Dataset:
    """A Dataset of values along ``pair``, with the pairs' texts and token ids, and with the model in its attributes.

    Args:
        model: The model that was measured.
        pairs: The pairs of prompts that it was measured on.
        data: Variables, as xarray takes them.
        coords: Coordinates in addition to the pairs' own.
        settings: Further settings of the measurement, kept as attributes.
    """
    about = describe_pairs(pairs)
    own = {name: about.pop(name) for name in ("pair", "text_a", "text_b")}
    return xr.Dataset({**data, **about}, {**own, **(coords or {})}, provenance(model, pairs, **settings))


def describe_pairs(pairs: PromptPairs) -> dict[str, Any]:
    """Coordinates and variables along ``pair`` that describe the prompts: texts, token ids padded with -1, numbers.

    Args:
        pairs: The pairs of prompts that were measured.
    """
    prompts = [tuple(ids.tolist()) for ids in (*pairs.tokens_a, *pairs.tokens_b)]
    number = {prompt: index for index, prompt in enumerate(dict.fromkeys(prompts))}
    ids = np.full((2, len(pairs), max(map(len, prompts))), -1, dtype=np.int32)
    for index, prompt in enumerate(prompts):
        ids[index // len(pairs), index % len(pairs), : len(prompt)] = prompt
    numbers = np.array([number[prompt] for prompt in prompts]).reshape(2, -1)
    documents = {"document_a": ("pair", list(pairs.document_a)), "document_b": ("pair", list(pairs.document_b))}
    return (documents if pairs.document_a else {}) | {
        "pair": ("pair", list(pairs.labels)),
        "text_a": ("pair", list(pairs.text_a)),
        "text_b": ("pair", list(pairs.text_b)),
        "tokens_a": (("pair", "pos"), ids[0]),
        "tokens_b": (("pair", "pos"), ids[1]),
        "prompt_a": ("pair", numbers[0], {"long_name": "number of prompt A; equal numbers are equal prompts"}),
        "prompt_b": ("pair", numbers[1], {"long_name": "number of prompt B"}),
        "lengths_differ": ("pair", np.array(pairs.lengths_differ)),
        "last_token_only": ("pair", np.array(pairs.last_token_only)),
    }


def provenance(model: Model, pairs: PromptPairs, **settings: Any) -> dict[str, Any]:
    """Attributes of a Dataset: the model, the prompts' source and every setting, as numbers and strings.

    Args:
        model: The model that was measured.
        pairs: The pairs of prompts that it was measured on.
        settings: Further settings of the measurement.
    """
    return _about(model, {"prompts": pairs.source, "bos": int(pairs.bos), **settings})


def triple_provenance(model: Model, prompts: Sequence[Int[Tensor, " _pos"]], **settings: Any) -> dict[str, Any]:
    """Attributes of a Dataset of single prompts: the model, the token ids, and every setting.

    Args:
        model: The model that was measured.
        prompts: Token ids of each prompt.
        settings: Further settings of the measurement.
    """
    ids = {f"tokens_{number}": " ".join(map(str, prompt.tolist())) for number, prompt in enumerate(prompts)}
    return _about(model, {**ids, **settings})


def _about(model: Model, settings: dict[str, Any]) -> dict[str, Any]:
    plain = {key: _as_attribute(value) for key, value in settings.items()}
    return {**model.provenance(), "srtoolkit": __version__, **plain}


def _as_attribute(value: Any) -> Any:
    """A value as netCDF can keep it: without truth values, and with names in one string."""
    if isinstance(value, bool):
        return int(value)
    return ", ".join(value) if isinstance(value, tuple) else value
