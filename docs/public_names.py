"""The directive ``{public-names}``: an entry for every public name of some rooms, from their docstrings.

Pages of the API name rooms, not functions, so a call that is new in a room stands on its page by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import srtoolkit as srt


def room_of(thing: Any) -> str:
    """The room in which something public is defined: ``"models"`` for ``srt.load_model``.

    Args:
        thing: What a public name stands for.
    """
    module = thing.__name__ if inspect.ismodule(thing) else getattr(thing, "__module__", "srtoolkit.version")
    return module.split(".")[1]


def entries(room: str) -> Iterator[str]:
    """The autodoc directive of each public name of a room, modules with all that they offer.

    Args:
        room: Name of a package or module in ``srtoolkit``.
    """
    for name in sorted(srt.__all__, key=str.lower):
        thing = getattr(srt, name)
        if name.startswith("__") or room_of(thing) != room:
            continue
        if not inspect.ismodule(thing):
            yield _entry(f"srtoolkit.{name}", thing)
            continue
        yield f".. py:module:: srtoolkit.{name}\n"
        for member in members(thing):
            if member not in srt.__all__ or getattr(srt, member) is not getattr(thing, member):
                yield _entry(f"srtoolkit.{name}.{member}", getattr(thing, member))


def members(module: Any) -> list[str]:
    """What a public module offers: its ``__all__``, or the functions and classes that it defines.

    Args:
        module: A module that has a public name.
    """
    own = (
        name
        for name, thing in vars(module).items()
        if getattr(thing, "__module__", None) == module.__name__ and not name.startswith("_")
    )
    return list(getattr(module, "__all__", own))


def _entry(path: str, thing: Any) -> str:
    if inspect.isclass(thing):
        kind = "autoexception" if issubclass(thing, Exception) else "autoclass"
    elif callable(thing):
        kind = "autofunction"
    else:  # autodoc would tell what a dict is
        module, _, name = path.rpartition(".")
        return f".. py:data:: {name}\n   :module: {module}\n   :type: {type(thing).__name__}\n"
    members = "   :members:\n" if kind == "autoclass" else ""
    return f".. {kind}:: {path}\n{members}"


class PublicNames(SphinxDirective):
    """Entries of all public names of the rooms that are named."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """The entries, parsed."""
        rooms = self.arguments[0].split()
        text = "\n".join(entry for room in rooms for entry in entries(room))
        page = StringList(["```{eval-rst}", *text.splitlines(), "```"], source=self.env.docname)
        holder = nodes.container()
        self.state.nested_parse(page, 0, holder)
        return holder.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Enter the directive.

    Args:
        app: Sphinx.
    """
    app.add_directive("public-names", PublicNames)
    return {"parallel_read_safe": True}
