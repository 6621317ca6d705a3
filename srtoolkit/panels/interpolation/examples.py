"""Pairs of prompts to begin with, each for what it shows."""

from __future__ import annotations

from collections.abc import Iterator

from srtoolkit.models.model import Model
from srtoolkit.panels.interpolation.random_pairs import LENGTH
from srtoolkit.prompts.pairs import from_text
from srtoolkit.prompts.sampling import sample_pairs

#: Pairs by what they show in SmolLM2-135M after block 0; other models may differ.
EXAMPLES = {
    "jump": ("The house at the end of the street was very", "The house at the end of the street was in"),
    "no jump": ("The movie was breathtaking", "The movie was spectacular"),
    "same last token: why is it flat?": ("The capital of France is", "The capital of Germany is"),
}

#: What one might ask a model that chats.
QUESTIONS = ("What is the capital of France?", "Write a poem about the sea.")


def random_pairs(model: Model) -> Iterator[tuple[str, str]]:
    """Random pairs of a model, another one each time.

    Args:
        model: The model whose tokenizer cuts the prompts.
    """
    seed = 1
    while True:
        pair = sample_pairs(model, 1, LENGTH, seed=seed)
        yield pair.text_a[0], pair.text_b[0]
        seed += 1


def chat_pair(model: Model) -> tuple[str, str]:
    """Two questions in the model's own chat format.

    Args:
        model: The model whose tokenizer has the format.

    Raises:
        ValueError: The model has no chat format.
    """
    asked = from_text(model, [QUESTIONS], chat=True)
    return asked.text_a[0], asked.text_b[0]
