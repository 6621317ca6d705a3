"""Pairs of prompts as one line, and as a table for notebooks."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srtoolkit.prompts.pairs import PromptPairs

#: Pairs that a table shows, and characters of each text.
SHOWN, LETTERS = 12, 60


def summary(pairs: PromptPairs) -> str:
    """How many pairs of how many tokens, and where from, in words.

    Args:
        pairs: The pairs of prompts.
    """
    lengths = sorted({len(ids) for ids in (*pairs.tokens_a, *pairs.tokens_b)})
    tokens = " to ".join(map(str, dict.fromkeys((lengths[0], lengths[-1])))) if lengths else "no"
    alike = sum(pairs.same_last_token)
    same = f", {alike} with the same last token" if alike else ""
    return f"{len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'} of {tokens} tokens{same}; source: {pairs.source}"


def line(pairs: PromptPairs) -> str:
    """One line that has the first pair, too.

    Args:
        pairs: The pairs of prompts.
    """
    texts = [f"{_short(side[0])!r}" for side in (pairs.text_a, pairs.text_b) if side]
    first = f"; the first, {pairs.labels[0]!r}: {' to '.join(texts)}" if texts else ""
    return f"PromptPairs({summary(pairs)}{first})"


def table(pairs: PromptPairs) -> str:
    """An HTML table with one row a pair; of long texts the end, where the prompts of a pair mostly differ.

    Args:
        pairs: The pairs of prompts.
    """
    rows = zip(
        pairs.labels, pairs.text_a, pairs.text_b, pairs.tokens_a, pairs.tokens_b, pairs.same_last_token, strict=True
    )
    body = [
        (label, _short(a), _short(b), f"{len(ids_a)}, {len(ids_b)}", "same last token" if same else "")
        for label, a, b, ids_a, ids_b, same in rows
    ]
    heads = "".join(f"<th>{head}</th>" for head in ("pair", "A", "B", "tokens", ""))
    cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in body[:SHOWN]]
    more = [f"<td colspan='5'>and {len(body) - SHOWN} more</td>"] if len(body) > SHOWN else []
    inside = "".join(f"<tr>{row}</tr>" for row in [*cells, *more])
    caption = html.escape(summary(pairs))
    return f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{inside}</tbody></table>"


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else "…" + text[-LETTERS:]
