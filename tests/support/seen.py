"""What a user of a panel sees, without a browser: controls by their visible labels, and the lines of text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import ipywidgets as W


def widgets(root: W.Widget) -> Iterator[W.Widget]:
    """A widget and all that it holds, in the order in which they are shown."""
    yield root
    for child in getattr(root, "children", ()):
        yield from widgets(child)


def control(panel: W.Widget, label: str) -> W.Widget:
    """The one control with this label."""
    (found,) = [one for one in widgets(panel) if getattr(one, "description", None) == label]
    return found


def markup(panel: W.Widget, mark: str) -> str:
    """HTML of the line that is marked so: the panel's status, its error, the tokens of prompt A; empty without one."""
    marked = re.compile(f"data-srt=['\"]{mark}['\"]")
    lines = [one.value for one in widgets(panel) if isinstance(one, W.HTML) and marked.search(one.value)]
    return str(lines[0]) if lines else ""


def spoken(panel: W.Widget, mark: str) -> str:
    """What that line says to its reader."""
    return words(markup(panel, mark))


def words(text: str) -> str:
    """HTML without its tags."""
    return html.unescape(re.sub("<[^>]*>", "", text))
