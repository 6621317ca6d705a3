"""The models of a sweep: how a call names them, and how its result labels them along ``model``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: A model as :func:`srtoolkit.sweep` takes it: ``"name"``, ``"name@revision"``, or ``load_model``'s arguments by name.
Member = str | Mapping[str, Any]

#: A packaged model or a repository of the hub, with a revision. A path is neither, and may have any "@" in it.
_WITH_REVISION = re.compile(r"(?P<name>\w[\w.-]*(/\w[\w.-]*)?)@(?P<revision>.+)")


def arguments_of(member: Member) -> dict[str, Any]:
    """The arguments with which :func:`srtoolkit.load_model` loads a model of a sweep.

    A name with an "@" is split into name and revision, unless it is a path.

    Args:
        member: The model, as :func:`srtoolkit.sweep` takes it.

    Raises:
        ValueError: The member is neither a name nor a mapping with one.
    """
    if isinstance(member, str):
        split = None if Path(member).is_dir() else _WITH_REVISION.fullmatch(member)
        return split.groupdict() if split else {"name": member}
    if not isinstance(member, Mapping) or "name" not in member:
        raise ValueError(f"a model of a sweep is a name, name@revision, or a mapping with a 'name', not {member!r}.")
    return dict(member)


def label(member: Member) -> str:
    """The label of a model of a sweep along ``model``: its name, its revision, and any other arguments.

    Args:
        member: The model, as :func:`srtoolkit.sweep` takes it.
    """
    arguments = arguments_of(member)
    name, revision = arguments.pop("name"), arguments.pop("revision", None)
    rest = ", ".join(f"{key} {value}" for key, value in sorted(arguments.items()))
    return f"{name}{f'@{revision}' if revision else ''}{f' ({rest})' if rest else ''}"
