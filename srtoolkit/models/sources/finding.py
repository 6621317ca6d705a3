"""The one place that decides what a model's name means."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable
from pathlib import Path

from srtoolkit.models.hub import cache
from srtoolkit.models.packaged import PACKAGED
from srtoolkit.models.sources import paper
from srtoolkit.models.sources.folder import Folder
from srtoolkit.models.sources.hub import Hub
from srtoolkit.models.sources.source import Source
from srtoolkit.models.sources.suite import Suite
from srtoolkit.models.sources.wheel import Wheel
from srtoolkit.suite import configuration

#: How alike a name must be to a known one, from 0 to 1, to be taken for a mistyped one.
_NEAR = 0.6


def find_source(name: str) -> Source:
    """The source of a model, from its name alone: nothing is fetched or loaded.

    Args:
        name: Name of the model, as :func:`srtoolkit.load_model` takes it.

    Returns:
        A :class:`Suite` for a model of the nano suite, a :class:`Wheel` for another packaged name, a :class:`Folder`
        for the path of a directory, and a :class:`Hub` for any other name.

    Raises:
        ValueError: The name is empty, or no string; or it is nearly a known name, and no owner/name of the hub.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"a model name must be a non-empty string, not {name!r}; srt.available_models() lists some.")
    if (carried := configuration.carried(name)) is not None:
        return Suite(carried)
    if name in PACKAGED:
        return Wheel(name)
    if Path(name).is_dir():
        return Folder(name)
    _refuse_mistyped(name)
    return Hub(name)


def _refuse_mistyped(name: str) -> None:
    """Refuse a name without an owner that is nearly one of the known ones, before the hub is asked for it.

    A few models of the hub have no owner in their name, such as gpt2; none of them is near to a known name.
    """
    if "/" in name or cache.cached_commit(name, None) is not None:
        return
    known = {label.rpartition("/")[2].lower(): label for label in (*PACKAGED, *configuration.names(), *paper.names())}
    near = [known[one] for one in difflib.get_close_matches(name.lower(), known, cutoff=_NEAR)]
    if near:
        raise ValueError(
            f"no model is called {name!r}; near to it are {near}. srt.available_models() lists the packaged ones; a "
            "model of the hub is written owner/name, and a folder by its path."
        )


def known_sources() -> list[Source]:
    """The sources of all packaged models, and of those that the paper measured."""
    return [
        *(Wheel(name) for name in PACKAGED),
        *(Suite(name) for name in configuration.names()),
        *(Hub(name) for name in paper.names()),
    ]


def announce(wanted: Iterable[tuple[str, str | None]]) -> None:
    """Log a warning that says how much will be downloaded, before several models are loaded one after the other.

    Args:
        wanted: Pairs of a name and a revision, as :func:`srtoolkit.load_model` takes them.
    """
    cache.announce([(name, revision) for name, revision in wanted if isinstance(find_source(name), Hub)])


def borrowed(name: str, revision: str | None, keep: bool) -> contextlib.AbstractContextManager[None]:
    """A context in which a model may be downloaded; what was downloaded is deleted at its end unless ``keep``.

    Args:
        name: Name of the model, as :func:`srtoolkit.load_model` takes it.
        revision: Branch, tag or commit; the main branch where ``None``.
        keep: Leave what was downloaded on the disk.
    """
    on_hub = isinstance(find_source(name), Hub)
    return cache.borrowed(name, revision, keep) if on_hub else contextlib.nullcontext()
