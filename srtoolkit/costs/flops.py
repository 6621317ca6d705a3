"""What the passes of a call cost in matrix products, counted from a model's configuration; no weights are needed.

A token costs a multiplication and an addition for each weight of the maps it goes through, and, in attention, twice the
query width for each key it is compared with: once for the scores, once for the values.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import transformers
from torch import nn

from srtoolkit import reference
from srtoolkit.models.anatomy import find_anatomy, narrowest_attention
from srtoolkit.models.hub import downloads
from srtoolkit.models.hub.cache import is_hub_id
from srtoolkit.patching.choice import candidates
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.methods.method import Contexts, Pass
from srtoolkit.suite.configuration import configuration
from srtoolkit.suite.configuration import names as suite_names

#: The packaged model's shape in the words of the paper's table, so that it can be counted before it is fetched.
SHAPES: dict[str, dict[str, Any]] = {
    "smollm2-135m": {
        "hidden": 576,
        "layers": 30,
        "heads": 9,
        "kv_heads": 3,
        "intermediate": 1536,
        "vocab": 49152,
        "tied": True,
    }
}

#: How the families of such tables are configured, in which format the hub stores their weights, and their context. By
#: name: to look a class up is to import its family, which takes a second.
FAMILIES = {
    "smollm2": ("LlamaConfig", torch.float32, 8192),
    "OLMo": ("OlmoConfig", torch.float32, 4096),
    "Qwen2": ("Qwen2Config", torch.bfloat16, 131072),
}


@dataclass(frozen=True)
class Architecture:
    """A model by its configuration alone.

    Attributes:
        name: As :func:`srtoolkit.load_model` takes it.
        config: Its transformers configuration.
    """

    name: str
    config: Any

    @cached_property
    def _hf(self) -> Any:
        """The model with weights that have shapes and no values."""
        with torch.device("meta"):
            return transformers.AutoModelForCausalLM.from_config(self.config)

    @property
    def text(self) -> Any:
        """The configuration of the decoder."""
        return self.config.get_text_config()

    @property
    def n_layers(self) -> int:
        """Number of decoder blocks."""
        return int(self.text.num_hidden_layers)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.text.hidden_size)

    @property
    def vocab_size(self) -> int:
        """Number of token ids the model has an embedding for."""
        return int(self._hf.get_input_embeddings().num_embeddings)

    @cached_property
    def parameters(self) -> int:
        """Number of parameters, tied ones counted once."""
        self._hf.tie_weights()
        return sum(parameter.numel() for parameter in self._hf.parameters())

    @cached_property
    def mlp_width(self) -> int:
        """Width of the MLP's hidden layer."""
        return int(getattr(self.text, "intermediate_size", None) or 4 * self.d_model)

    @cached_property
    def query_width(self) -> int:
        """Width of a block's queries over all heads; 0 where there is no attention."""
        heads = int(getattr(self.text, "num_attention_heads", None) or 0)
        return heads * int(getattr(self.text, "head_dim", None) or self.d_model // max(1, heads))

    @cached_property
    def key_width(self) -> int:
        """Width of a block's keys over all heads; its values are as wide."""
        heads = int(getattr(self.text, "num_attention_heads", None) or 1)
        return self.query_width // heads * int(getattr(self.text, "num_key_value_heads", None) or heads)

    @cached_property
    def weights(self) -> tuple[int, ...]:
        """Weights of each block's maps that one token is multiplied with."""
        blocks = self._hf.get_submodule(find_anatomy(self._hf, self.n_layers, self.name).blocks)
        return tuple(sum(map(self._used_weights, block.modules())) for block in blocks)

    def _used_weights(self, module: nn.Module) -> int:
        from transformers.pytorch_utils import Conv1D

        if isinstance(module, nn.Linear | nn.Conv1d | Conv1D):
            return int(module.weight.numel())
        # Experts lie in one tensor [expert, out, in], and a token goes to a few of them.
        experts = [weight for weight in module.parameters(recurse=False) if weight.ndim == 3]
        chosen = getattr(self.text, "num_experts_per_tok", None) or 1
        return sum(weight.numel() // len(weight) * int(chosen) for weight in experts)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What two models share when they cost the same."""
        return self.weights, self.d_model, self.vocab_size, self.query_width, self.key_width

    def method(self, length: int, points: int) -> str:
        """The patching method that ``"auto"`` takes for ``points`` points in contexts of ``length`` tokens."""
        if not self.query_width:
            return "full"
        takes_positions = "position_ids" in inspect.signature(self._hf.forward).parameters
        return candidates(Contexts(length, points, narrowest_attention(self.text)))[0] if takes_positions else "prefix"

    def block_flops(self, one: Pass) -> int:
        """Floating-point operations of a pass's matrix products within blocks."""
        blocks = range(one.start, one.stop)
        inside = sum(self.weights[block] + 2 * self.query_width * one.keys for block in blocks)
        return 2 * one.tokens * (inside + 2 * self.d_model * self.key_width * one.then_keys)

    def logit_flops(self, one: Pass) -> int:
        """Floating-point operations of a pass's unembedding."""
        return 2 * one.logits * self.d_model * self.vocab_size


def find_architecture(name: str, revision: str | None = None) -> Architecture:
    """The architecture of a model that need not be here.

    Packaged models and those of the paper are known; of others, the configuration is read from their folder, or fetched
    from the hub.

    Args:
        name: As :func:`srtoolkit.load_model` takes it.
        revision: Likewise.

    Raises:
        ValueError: The configuration cannot be had.
    """
    if name in suite_names():
        return Architecture(name, configuration(name).architecture())
    known = {spec["hf"]: (label.rpartition("-")[0], spec) for label, spec in reference.janiak2024()["models"].items()}
    known |= {label: (label.rpartition("-")[0], shape) for label, shape in SHAPES.items()}
    if name in known:
        return Architecture(name, _configure(*known[name]))
    options: dict[str, Any] = {}
    if is_hub_id(name):
        snapshot = downloads.snapshot(name, revision)
        snapshot.fetch_texts()
        options = {"revision": snapshot.commit, "local_files_only": True}
    try:
        return Architecture(name, transformers.AutoConfig.from_pretrained(name, **options))
    except (OSError, ValueError) as error:
        raise ValueError(f"{name}: what it costs follows from its config.json, which cannot be read: {error}") from None


def _configure(family: str, shape: dict[str, Any]) -> Any:
    kind, stored, context = FAMILIES[family]
    return getattr(transformers, kind)(
        hidden_size=shape["hidden"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kv_heads"],
        intermediate_size=shape["intermediate"],
        vocab_size=shape["vocab"],
        max_position_embeddings=context,
        tie_word_embeddings=shape["tied"],
        dtype=stored,
    )


def capturing(prompts: int, length: int, layer: int) -> list[Pass]:
    """Passes that capture the activation after block ``layer`` of prompts of ``length`` tokens.

    Args:
        prompts: How many.
        length: Tokens of each.
        layer: Block whose output is read.
    """
    return [Pass(prompts * length, length, 0, layer + 1)]


def patching(
    model: Architecture, contexts: int, length: int, points: int, layer: int, *, logits: bool, method: str
) -> list[Pass]:
    """Passes that patch ``points`` points into each of some contexts.

    Args:
        model: Whose blocks they go through.
        contexts: How many.
        length: Tokens of each.
        points: Points of each.
        layer: Block whose output is replaced.
        logits: Whether logits are read.
        method: One of :data:`srtoolkit.patching.methods.METHODS`.
    """
    how = METHODS[method]
    needed = how.tokens_needed(length, layer, model.n_layers)
    return how.passes(model.n_layers, contexts, needed, points, layer, logits=logits)


def choosing(model: Architecture, length: int, method: str) -> list[Pass]:
    """Passes by which ``"auto"`` holds its method against the full path, on one context and three points.

    Args:
        model: Whose blocks they go through.
        length: Tokens of the context.
        method: What it settles on.
    """
    fast = patching(model, 1, length, 3, 0, logits=False, method=method) if method != "full" else []
    return [*capturing(1, length, 0), *patching(model, 1, length, 3, 0, logits=False, method="full"), *fast]
