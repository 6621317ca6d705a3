"""Prompts and their classes as one types or pastes them: one a line, the class behind a bar or a tab."""

from __future__ import annotations

from collections.abc import Sequence

#: Class of a prompt for which none is named.
UNNAMED = "prompt"

#: What stands between a prompt and its class; a spreadsheet's columns are pasted with tabs.
BAR, TAB = " | ", "\t"

_BREAK = "⏎"


def to_lines(texts: Sequence[str], classes: Sequence[str]) -> str:
    """Prompts as lines, which :func:`from_lines` reads.

    Args:
        texts: The prompts; a line break in one is shown as ``⏎``.
        classes: The class of each.
    """
    lines = []
    for text, name in zip(texts, classes, strict=True):
        plain = name == UNNAMED and BAR not in text and TAB not in text
        lines.append((text if plain else f"{text}{BAR}{name}").replace("\n", _BREAK))
    return "\n".join(lines)


def from_lines(lines: str) -> tuple[list[str], list[str]]:
    """The prompts of some lines, and the class of each; empty lines are left out.

    Args:
        lines: One prompt a line, with its class behind the last bar, ``text | class``, or behind a tab.
    """
    texts, classes = [], []
    for line in lines.split("\n"):
        if not line.strip():
            continue
        text, between, name = line.rpartition(BAR if BAR in line else TAB)
        texts.append((text if between else line).replace(_BREAK, "\n"))
        classes.append(name.strip() or UNNAMED if between else UNNAMED)
    return texts, classes
