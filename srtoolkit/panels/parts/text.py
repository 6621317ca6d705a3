"""Prompts and tokens as panels show them, whatever characters they hold."""

from __future__ import annotations

import functools
import html

from matplotlib.font_manager import FontProperties, findfont, get_font

from srtoolkit.models.model import Model

#: Tokens of a prompt that are shown; of a longer one the first and the last.
TOKENS_SHOWN = 60

_CHIP = (
    "display:inline-block;border:1px solid var(--jp-border-color1,#999);border-radius:3px;padding:0 3px;margin:1px;"
    "white-space:pre;unicode-bidi:isolate;max-width:100%;overflow-wrap:anywhere"
)
_MUTED = "color:var(--jp-ui-font-color1,inherit)"


def shorten(text: str, length: int = 60) -> str:
    """A text on one line, with its middle left out where it is too long.

    Args:
        text: A text of any length.
        length: Most characters to show, three or more.
    """
    line = "".join("⏎" if character == "\n" else character for character in text)
    if len(line) <= length:
        return line
    return f"{line[: (length - 1) // 2]}…{line[len(line) - length // 2 :]}"


def drawable(text: str, length: int = 60) -> str:
    """A text as matplotlib can draw it: on one line, without formulas, and with escapes for what the font lacks.

    Args:
        text: A text of any length.
        length: Most characters to show.
    """
    known = _glyphs(findfont(FontProperties()))
    shown = "".join(
        character if ord(character) in known and character.isprintable() else _escaped(character)
        for character in shorten(text, length)
    )
    return shown.replace("$", r"\$")


def tokens_of(model: Model, text: str, name: str) -> str:
    """The tokens of a prompt as HTML, with a mark on the last one, whose residual stream is replaced.

    Args:
        model: The model whose tokenizer is used.
        text: The prompt.
        name: Name of the prompt, such as ``"A"``.
    """
    ids = model.tokenize(text).tolist()
    chips = [_chip(model.token_text(token), token, last=False) for token in ids[:TOKENS_SHOWN]]
    if len(ids) > TOKENS_SHOWN:
        chips[-2:] = [f"<span>… {len(ids) - TOKENS_SHOWN + 1:,} more …</span>", ""]
    if ids:
        chips[-1] = _chip(model.token_text(ids[-1]), ids[-1], last=True)
    limit = model.context_length
    words = f"{name}: {len(ids):,} token{'s' * (len(ids) != 1)}"
    if not ids:
        words += ", but a prompt needs at least one"
    elif limit is not None and len(ids) > limit:
        words += f", but {model.name} takes at most {limit:,}"
    return f"<div data-srt='tokens' style='{_MUTED};line-height:1.7'>{html.escape(words)} {''.join(chips)}</div>"


def _chip(text: str, token: int, last: bool) -> str:
    style = _CHIP + (";border-width:2px;font-weight:bold" if last else "")
    title = f"token {token}" + (", the last: its residual stream is replaced" if last else "")
    shown = html.escape(shorten(text, 40)) or "∅"
    return f'<span style="{style}" title="{title}" data-srt="token">{shown}</span>'


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode()


@functools.cache
def _glyphs(font: str) -> frozenset[int]:
    return frozenset(get_font(font).get_charmap())
