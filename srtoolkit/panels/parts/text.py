"""Prompts and tokens as panels show them, whatever characters they hold."""

from __future__ import annotations

import functools

from matplotlib.font_manager import FontProperties, findfont, get_font

#: Tokens of a prompt that are shown; of a longer one the first and the last.
TOKENS_SHOWN = 60


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


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode()


@functools.cache
def _glyphs(font: str) -> frozenset[int]:
    return frozenset(get_font(font).get_charmap())
