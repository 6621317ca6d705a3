"""The mark of a measurement: what a store remembers of it, so that other results are never taken for its own."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from srtoolkit import results
from srtoolkit.sweeps import codes
from srtoolkit.sweeps.contents import content_hash
from srtoolkit.version import __version__


def mark(measure: Callable[..., Any]) -> dict[str, Any]:
    """What identifies a measurement: its name, and a hash of its code and of each thing that it uses.

    Two measurements have one mark only if they run the same code on the same values, functions of the user's included,
    with libraries of the same versions. Python's version is part of it, since it changes the code of a function.

    Args:
        measure: The measurement.

    Raises:
        TypeError: It uses something whose content cannot be hashed. The message says what.
    """
    inputs = {name: content_hash(value, name) for name, value in sorted(_inputs(measure).items())}
    version = ".".join(platform.python_version_tuple()[:2])
    own = {"srtoolkit": __version__, "format": results.FORMAT, "python": version}
    return {**own, "measure": f"{_name(measure)} {content_hash(inputs, 'inputs')[:12]}", "inputs": inputs}


def vouched(text: str) -> dict[str, Any]:
    """The mark of a measurement that the user answers for.

    Args:
        text: The user's own mark.
    """
    return {"srtoolkit": __version__, "measure": text}


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """In what two marks differ, in words.

    Args:
        theirs: The mark of a store.
        ours: The mark of the measurement in hand.
    """
    keys = [key for key in ("python", "format") if theirs.get(key) != ours[key]]
    said = [f"{key} {theirs.get(key)}, now {ours[key]}" for key in keys]
    before, now = theirs["inputs"], ours["inputs"]
    said += [f"{name} is another" for name in before if name in now and before[name] != now[name]]
    said += [f"{name} is no longer used" for name in before if name not in now]
    said += [f"{name} is new" for name in now if name not in before]
    return "; ".join(said) or f"it is called {theirs.get('measure')!r}, now {ours['measure']!r}"


def _name(measure: Any) -> str:
    measure = measure.func if isinstance(measure, partial) else measure
    return str(getattr(measure, "__qualname__", type(measure).__qualname__))


def _inputs(measure: Any) -> dict[str, Any]:
    """By name, all that decides what a measurement gives, so that an error can say which of it has changed."""
    if isinstance(measure, partial):
        given = {f"argument {index}": value for index, value in enumerate(measure.args)}
        return {**_inputs(measure.func), **given, **{f"argument {key}": v for key, v in measure.keywords.items()}}
    if isinstance(measure, MethodType):
        return {**_inputs(measure.__func__), "self": measure.__self__}
    if isinstance(measure, FunctionType) and not codes.is_of_library(measure):
        code, uses = codes.taken_apart(measure)
        return {"its code": code, **uses}
    return {type(measure).__qualname__: measure}
