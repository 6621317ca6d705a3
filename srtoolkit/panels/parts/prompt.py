"""The control of a prompt: the tokens that the model reads, and the text that one edits."""

from __future__ import annotations

import anywidget
import traitlets as T

from srtoolkit.models.model import Model
from srtoolkit.panels.parts.assets import script, style
from srtoolkit.panels.parts.text import TOKENS_SHOWN, shorten


class PromptField(anywidget.AnyWidget):
    """A prompt as chips of tokens, of which the last is marked; a click, or Enter, turns them into a field to edit.

    Attributes:
        value: Text of the prompt.
        description: Name of the prompt.
        tokens: ``text`` and ``title`` of every token that is shown.
        note: How many tokens there are, and what is wrong with them.
    """

    _esm = script("parts", "prompt")
    _css = style("parts", "prompt")

    value = T.Unicode().tag(sync=True)
    description = T.Unicode().tag(sync=True)
    tokens = T.List(T.Dict()).tag(sync=True)
    note = T.Unicode().tag(sync=True)

    def read(self, model: Model) -> None:
        """Show the tokens that a model makes of the text.

        Args:
            model: The model whose tokenizer is used.
        """
        ids = model.tokenize(self.value).tolist()
        chips = [
            {"text": shorten(model.token_text(token), 40) or "∅", "title": f"token {token}"}
            for token in (ids if len(ids) <= TOKENS_SHOWN else [*ids[: TOKENS_SHOWN - 1], ids[-1]])
        ]
        if chips:
            chips[-1]["title"] += ", the last: its residual stream is replaced"
        if len(ids) > TOKENS_SHOWN:
            more = f"… {len(ids) - TOKENS_SHOWN:,} more …"
            chips.insert(-1, {"text": more, "title": "tokens that are not shown"})
        with self.hold_sync():
            self.tokens, self.note = chips, _count(model, len(ids))


def _count(model: Model, count: int) -> str:
    words = f"{count:,} token{'s' * (count != 1)}"
    limit = model.context_length
    if not count:
        return f"{words}, but a prompt needs at least one"
    if limit is not None and count > limit:
        return f"{words}, but {model.name} takes at most {limit:,}"
    return words
