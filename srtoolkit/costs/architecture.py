"""The sizes of a model, from its configuration alone, from which costs are counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import transformers
from torch import nn
from transformers.cache_utils import DynamicCache

from srtoolkit.models.anatomy import attention_widths, find_anatomy, mlp_width, narrowest_attention
from srtoolkit.models.model import Model
from srtoolkit.models.sources import find_source
from srtoolkit.patching.choice import candidates
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.methods.method import Contexts
from srtoolkit.patching.prefixes import Unsupported, check_copied
from srtoolkit.patching.reads import Readout


@dataclass(frozen=True)
class Architecture:
    """The sizes of a model, from its configuration alone.

    Attributes:
        name: Name of the model, as :func:`srtoolkit.load_model` takes it.
        config: The model's transformers configuration.
    """

    name: str
    config: Any

    @cached_property
    def _hf(self) -> Any:
        """The model with weights that have shapes and no values."""
        with torch.device("meta"):
            return transformers.AutoModelForCausalLM.from_config(self.config)

    @cached_property
    def _empty(self) -> Model:
        """The same as a model, of which the methods of patching can be asked whether they suit it."""
        anatomy = find_anatomy(self._hf, self.n_layers, self.name)
        return Model(
            self.name,
            self._hf,
            None,
            revision=None,
            commit=None,
            init="random",
            seed=0,
            dtype="float32",
            anatomy=anatomy,
        )

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
        return mlp_width(self.config)

    @cached_property
    def query_width(self) -> int:
        """Width of a block's queries over all heads; 0 where there is no attention."""
        return attention_widths(self.config)[0]

    @cached_property
    def key_width(self) -> int:
        """Width of a block's keys over all heads; its values are as wide."""
        return attention_widths(self.config)[1]

    @cached_property
    def weights(self) -> tuple[int, ...]:
        """Number of weights in each block that one token is multiplied with."""
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
        """The sizes that two models share when they cost the same."""
        return self.weights, self.d_model, self.vocab_size, self.query_width, self.key_width

    def method(self, length: int, points: int) -> str:
        """Name of the patching method that ``"auto"`` is expected to choose.

        A method whose numbers turn out to differ with the model's own weights is not foreseen.

        Args:
            length: Number of tokens of each context.
            points: Number of points of each context.
        """
        if not self.query_width:
            return "full"  # a single token can continue an empty state, but its convolution then costs as much
        contexts = Contexts(length, points, narrowest_attention(self.text))
        return next(name for name in candidates(contexts) if self._runs(name, length, points))

    def _runs(self, name: str, length: int, points: int) -> bool:
        """Whether the model can be patched by a method, as far as its configuration says."""
        try:
            METHODS[name].check(self._empty, length, points, Readout(("final_norm",), 0))
            if name == "prefix" and length > 1:
                check_copied(DynamicCache(config=self.text))
        except Unsupported:
            return False
        return name != "prefix" or self._continues_prefixes

    @cached_property
    def _continues_prefixes(self) -> bool:
        """Whether the model goes on from its own cache; as far as it runs without values, so that this can be seen."""
        base = self._hf.get_submodule(self._empty.anatomy.base)

        def run(tokens: int, past: int, **options: Any) -> Any:
            ids = torch.ones(1, tokens, dtype=torch.long, device="meta")
            mask = torch.ones(1, 1, tokens, past + tokens, dtype=torch.bool, device="meta")  # some make none themselves
            return base(input_ids=ids, attention_mask=mask, **options)

        def go_on() -> Any:
            return run(1, 2, past_key_values=run(2, 0, use_cache=True).past_key_values, use_cache=True)

        failed, also_without = _error_of(go_on), _error_of(lambda: run(2, 0, use_cache=False))
        return failed is None or issubclass(failed, RuntimeError) or failed is also_without


def _error_of(call: Callable[[], Any]) -> type[Exception] | None:
    """The kind of error that a call ends with, if any: families fail in their own ways."""
    try:
        call()
    except Exception as error:
        return type(error)
    return None


def find_architecture(name: str, revision: str | None = None) -> Architecture:
    """The architecture of a model, without its weights.

    Those of packaged models and of the paper's are known; for others, the configuration is read from their folder, or
    fetched from the hub.

    Args:
        name: Name of the model, as :func:`srtoolkit.load_model` takes it.
        revision: Branch, tag or commit; the main one where ``None``.

    Raises:
        ValueError: The configuration cannot be read or fetched.
    """
    source = find_source(name)
    return Architecture(name, source.known_configuration() or source.configuration(revision))
