"""Prompts as a model that chats reads them: turns of a conversation in the frame that its tokenizer writes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from srtoolkit.models.model import Model

#: A conversation: who says what, as ``[{"role": "user", "content": "Where did he live?"}]``.
Turns: TypeAlias = Sequence[Mapping[str, str]]

_FIELDS = {"role", "content"}


def frame(model: Model, said: str | Turns, bos: bool = False) -> str:
    """The text of a conversation in the chat format of a model's tokenizer, up to where the model goes on.

    Args:
        model: The model whose tokenizer has the format.
        said: A text, which is the user's turn; or the turns. After a last turn of the user, the frame asks for an
            answer. A last turn of the assistant is the beginning of an answer, and the prompt ends where it ends.
        bos: Begin with the tokenizer's BOS token, where the format does not by itself.

    Raises:
        TypeError: ``said`` is neither a text nor turns with a role and a content.
        ValueError: The tokenizer has no chat format or no BOS token, the format refuses these turns, or a content holds
            a special token.
    """
    tokenizer, turns = _tokenizer(model), _turns(said)
    start = tokenizer.bos_token
    if bos and start is None:
        raise ValueError(f"{model.name}: bos=True, but the tokenizer has no BOS token; use bos=False.")
    for turn in turns:
        _refuse_special(model, turn["content"])
    begun = turns[-1]["role"] == "assistant"
    try:
        text = str(
            tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun
            )
        )
    except Exception as error:  # a template raises what it likes
        roles = ", ".join(turn["role"] for turn in turns)
        raise ValueError(
            f"{model.name}: the tokenizer's chat format does not take these turns ({roles}). It said: "
            f"{type(error).__name__}: {str(error)[:300]}. Many formats want user and assistant in turn, and some no "
            "system."
        ) from error
    return start + text if bos and not text.startswith(start) else text


def format_name(model: Model) -> str:
    """What tells the chat format of a model's tokenizer from others: the first eight digits of its SHA-256.

    Args:
        model: The model whose tokenizer has the format.

    Raises:
        ValueError: The tokenizer has no chat format.
    """
    return hashlib.sha256(str(_tokenizer(model).get_chat_template()).encode()).hexdigest()[:8]


def _tokenizer(model: Model) -> Any:
    """The tokenizer of a model that chats."""
    model.check_tokenizer()
    if not getattr(model.tokenizer, "chat_template", None):
        raise ValueError(
            f"{model.name} has no chat format: its tokenizer brings none along, as that of a model that was not "
            "trained to chat. Choose one that was, as smollm2-135m, or give the tokenizer a format: "
            "model.tokenizer.chat_template = '...'."
        )
    return model.tokenizer


def _turns(said: Any) -> list[dict[str, str]]:
    """Turns as the template takes them; a text is the user's."""
    if isinstance(said, str):
        return [{"role": "user", "content": said}]
    turns = list(said) if isinstance(said, Sequence) and not isinstance(said, bytes) else []
    if not turns or not all(
        isinstance(turn, Mapping) and set(turn) == _FIELDS and all(isinstance(value, str) for value in turn.values())
        for turn in turns
    ):
        raise TypeError(
            "chat=True: expected of each prompt a text, which is the user's turn, or a list of turns "
            f'{{"role": "user", "content": "..."}}, got {type(said).__name__}: {str(said)[:200]}.'
        )
    return [dict(turn) for turn in turns]


def _refuse_special(model: Model, content: str) -> None:
    """Refuse what would not be read as text but as a part of the frame: a text that is framed already, above all."""
    added = model.tokenizer.added_tokens_decoder.values()
    special = {*model.tokenizer.all_special_tokens, *(str(token) for token in added if token.special)}
    if found := sorted(token for token in special if token in content):
        raise ValueError(
            f"{model.name}: a turn holds {found[0]!r}, which the tokenizer reads as a part of the chat format: "
            f"{content[:100]!r}. Give what is said alone, with its roles; a text that has its frame already goes in "
            "without chat=True."
        )
