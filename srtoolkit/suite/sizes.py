"""What determines a model of the nano suite, and its sizes, from one JSON file for each, in ``configs``."""

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
    """Architecture and training of a model of the suite, which determine it together with the corpus.

    Attributes:
        name: Name of the model, as :func:`srtoolkit.load_model` takes it.
        blocks: Number of decoder blocks.
        width: Width of the residual stream, ``d_model``.
        mlp_width: Width of each block's gated MLP.
        heads: Number of attention heads, and of key-value heads.
        context: Number of tokens of a training window, and of the longest prompt.
        seed: Seed of the initial weights, and of the order of the data unless ``order_seed`` is given.
        steps: Number of steps of the optimizer.
        batch: Number of windows in one step.
        learning_rate: Peak learning rate of AdamW: 0.08 over the width, so that an update changes a matrix's outputs by
            about the same in every model (Yang et al. 2022, arXiv 2203.03466).
        warmup: Number of steps over which the learning rate rises from 0.
        decay: Number of steps at the end over which the learning rate falls to 0. It is constant in between, so that
            earlier checkpoints differ in the number of steps alone.
        weight_decay: Weight decay of matrices; vectors have none.
        threads: Number of CPU threads, on which the order of summation depends.
        checkpoints: Steps at which training measures the held-out loss and keeps the weights.
        shipped: Those of ``checkpoints`` that the package carries. Step 0 needs no file: it is drawn from the seed.
        order_seed: Seed of the order of the data, where several runs see the same order; ``None`` to use ``seed``.
        vocabulary: Number of token ids.
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
    vocabulary: int = VOCABULARY

    @property
    def tokens_per_step(self) -> int:
        """Number of tokens that one step of the optimizer sees."""
        return self.batch * self.context

    @property
    def parameters(self) -> int:
        """Number of parameters, the tied embedding counted once."""
        block = 4 * self.width**2 + 3 * self.width * self.mlp_width + 2 * self.width
        return self.vocabulary * self.width + self.blocks * block + self.width

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of the update after a step.

        Args:
            step: Number of updates before this one.
        """
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        fall = min(1.0, (self.steps - step) / self.decay) if self.decay else 1.0
        return self.learning_rate * min(rise, fall)

    def architecture(self) -> transformers.LlamaConfig:
        """The model's transformers configuration."""
        return transformers.LlamaConfig(
            vocab_size=self.vocabulary,
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


@cache
def sizes() -> tuple[Configuration, ...]:
    """The configurations in ``configs``, smallest first."""
    paths = (path for path in (files("srtoolkit.suite") / "configs").iterdir() if path.name.endswith(".json"))
    found = (parse(path.read_text()) for path in paths)
    return tuple(sorted(found, key=lambda one: (one.parameters, one.name)))


def parse(text: str) -> Configuration:
    """A configuration as its JSON file has it.

    Args:
        text: Content of the file.
    """
    entries: dict[str, Any] = json.loads(text)
    lists = {key: tuple(value) for key, value in entries.items() if isinstance(value, list)}
    return Configuration(**{**entries, **lists})
