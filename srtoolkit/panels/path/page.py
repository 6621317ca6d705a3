"""A page of paths to drag along, in one file, without a kernel and without any request."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from srtoolkit.files.disk import write_text
from srtoolkit.panels.parts.assets import script, style
from srtoolkit.panels.path.story import facts_of, tell
from srtoolkit.plot.style import by_name
from srtoolkit.plot.text_pages import text

_PLACE = Path(__file__).parent


def explorer(
    results: xr.Dataset | Mapping[str, xr.Dataset],
    path: str | Path,
    *,
    shuffled: xr.Dataset | Mapping[str, xr.Dataset] | None = None,
    title: str | None = None,
) -> Path:
    """Write a page on which one drags along paths, or reads the map of a text.

    Of paths it shows a curve for each pair, its motion, and what the model would say; of a text, each token's distance
    from its boundary as a colour, and all its numbers under the pointer.

    The page is one file that opens anywhere, needs no kernel, and asks nothing of any server.

    Args:
        results: From :func:`srtoolkit.interpolate` with ``top=50``; one result, or several by name. Every pair gets a
            button. Or one result of :func:`srtoolkit.text_map`.
        path: Path of the file to write.
        shuffled: The same of a model of shuffled weights (:func:`srtoolkit.null_model`), for comparison on request.
        title: Heading of the page; by default, it says what is shown.

    Returns:
        The path of the file.

    Raises:
        TypeError: A result is no Dataset.
        ValueError: A result was measured without ``top``, or ``shuffled`` holds other pairs, or goes with a text.
        DiskError: The disk is full, or the file cannot be written.
    """
    if isinstance(results, xr.Dataset) and "predicted_boundary" in results:
        return _write_text(results, Path(path), shuffled, title)
    named = by_name(results, ("text_a", "text_b"), "srtoolkit.interpolate with top=50")
    nulls = by_name(shuffled, ("text_a", "step"), "srtoolkit.interpolate") if shuffled is not None else {}
    stories = [story for name, result in named.items() for story in _stories(name, result, nulls.get(name))]
    write_text(Path(path), page_of(stories, "From one prompt to another" if title is None else title))
    return Path(path)


def _write_text(result: xr.Dataset, file: Path, shuffled: Any, title: str | None) -> Path:
    """The page of a text's map."""
    if shuffled is not None:
        raise ValueError("shuffled: goes with paths; write the map of the shuffled model as a page of its own.")
    write_text(file, text(result).page("How far each token is from its boundary" if title is None else title))
    return file


def page_of(stories: Sequence[Mapping[str, Any]], title: str) -> str:
    """The page of some stories, as HTML.

    Args:
        stories: From :func:`srtoolkit.panels.path.story.tell`, each with the prompts' texts as ``a`` and ``b``, the
            ``name`` of its button, and a line ``about`` it.
        title: Heading of the page.
    """
    page = (_PLACE / "page.html").read_text(encoding="utf-8")
    parts = {
        "TITLE": html.escape(title),
        "STYLE": style("path", "path"),
        "SCRIPT": script("path", "path"),
        "STORIES": json.dumps(list(stories), allow_nan=False).replace("<", "\\u003c"),  # no text may end the script
    }
    # In one go: a prompt may hold the name of a place, too.
    return re.sub(r"\{\{(TITLE|STYLE|SCRIPT|STORIES)\}\}", lambda found: parts[found[1]], page)


def _stories(name: str, result: xr.Dataset, null: xr.Dataset | None) -> list[dict[str, Any]]:
    """One story a pair, with both prompts and the name of its button."""
    if null is not None and any(null[f"text_{s}"].values.tolist() != result[f"text_{s}"].values.tolist() for s in "ab"):
        raise ValueError("shuffled: expected curves of the same pairs in the same order as in results.")
    count = result.sizes["pair"]
    found = []
    for pair in range(count):
        number = f" {pair + 1}" if count > 1 else ""
        about = f"{result.attrs.get('model', 'a model')}, after block {result.attrs.get('layer', '?')}"
        facts = facts_of(result, pair)
        told = tell(
            result, pair, shuffled=None if null is None else null.isel(pair=[pair]), facts=facts, label=" ".join(facts)
        )
        texts = {side: str(result[f"text_{side}"].values[pair]) for side in "ab"}
        found.append({**told, **texts, "name": (f"{name}{number}" if name else f"pair{number}"), "about": about})
    return found
