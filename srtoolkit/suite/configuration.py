"""What one model of the nano suite is and how it is trained: one JSON file a model, in ``configs``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import transformers

#: Entries of the suite's tokenizer.
VOCABULARY = 4096


@dataclass(frozen=True)
class Configuration:
    """Everything that fixes a model of the suite, the corpus aside.

    Attributes:
        name: The model's name, as :func:`srtoolkit.load_model` takes it.
        blocks: Decoder blocks.
        width: ``d_model``.
        mlp_width: Width of each block's gated MLP.
        heads: Attention heads; there are as many key-value heads.
        context: Tokens of a training window, and the longest prompt.
        seed: Seed of the initial weights, and of the order of the data where that has none of its own.
        steps: Steps of the optimizer.
        batch: Windows a step.
        learning_rate: Peak learning rate of AdamW: 0.08 over the width, so that an update changes what a matrix gives
            by about the same in every model (Yang et al. 2022, arXiv 2203.03466).
        warmup: Steps over which the learning rate rises from 0.
        decay: Steps at the end over which it falls to 0; it is constant in between, so that checkpoints before differ
            in the number of steps alone.
        weight_decay: Of matrices; vectors have none.
        threads: Threads of the processor: sums are added in an order that depends on it.
        checkpoints: Steps whose held-out loss is measured and whose weights are kept by training.
        shipped: Those of them that the package carries. Step 0 needs no file: it is drawn from the seed.
        order_seed: Seed of the order of the data, where several runs see the same order.
    """

    name: str
    blocks: int
    width: int
    mlp_width: int
    heads: int
    context: int
    seed: int
    steps: int
    batch: int
    learning_rate: float
    warmup: int
    decay: int
    weight_decay: float
    threads: int
    checkpoints: tuple[int, ...]
    shipped: tuple[int, ...]
    order_seed: int | None = None

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one step of the optimizer sees."""
        return self.batch * self.context

    @property
    def parameters(self) -> int:
        """Number of parameters, the tied embedding counted once."""
        block = 4 * self.width**2 + 3 * self.width * self.mlp_width + 2 * self.width
        return VOCABULARY * self.width + self.blocks * block + self.width

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of the update that leads from ``step`` to ``step + 1``."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        fall = min(1.0, (self.steps - step) / self.decay) if self.decay else 1.0
        return self.learning_rate * min(rise, fall)

    def architecture(self) -> transformers.LlamaConfig:
        """The model's configuration as transformers has it."""
        return transformers.LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=self.width,
            intermediate_size=self.mlp_width,
            num_hidden_layers=self.blocks,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=self.context,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
            architectures=["LlamaForCausalLM"],
        )


def names() -> list[str]:
    """Names of the suite's models, smallest first."""
    return [configuration.name for configuration in _all()]


def configuration(name: str) -> Configuration:
    """The configuration of the suite's model ``name``.

    Raises:
        ValueError: No such model.
    """
    for one in _all():
        if one.name == name:
            return one
    raise ValueError(f"{name!r} is not a model of the nano suite; they are {names()}.")


@cache
def _all() -> tuple[Configuration, ...]:
    paths = (path for path in (files("srtoolkit.suite") / "configs").iterdir() if path.name.endswith(".json"))
    found = (_parse(path.read_text()) for path in paths)
    return tuple(sorted(found, key=lambda one: (one.parameters, one.name)))


def _parse(text: str) -> Configuration:
    entries: dict[str, Any] = json.loads(text)
    lists = {key: tuple(value) for key, value in entries.items() if isinstance(value, list)}
    return Configuration(**{**entries, **lists})
