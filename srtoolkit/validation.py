"""Refusing settings and results that make no sense, by name; arguments that had another name go on working."""

from __future__ import annotations

import functools
import inspect
import math
import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import xarray as xr

_Function = TypeVar("_Function", bound=Callable[..., Any])


def check_whole(value: Any, what: str, low: int = 0, high: int | None = None) -> int:
    """``value`` as a whole number from ``low`` to ``high``.

    Raises:
        ValueError: No whole number, or one out of range.
    """
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        reach = f"from {low} on" if high is None else f"from {low} to {high}"
        raise ValueError(f"{what}={_shown(value)}: expected a whole number {reach}.")
    return number


def check_number(value: Any, what: str, low: float = -math.inf, high: float = math.inf) -> float:
    """``value`` as a finite number from ``low`` to ``high``.

    Raises:
        ValueError: No number, not finite, or out of range.
    """
    number = as_float(value)
    if number is None or not math.isfinite(number) or not low <= number <= high:
        reach = f" from {low:g} to {high:g}" if math.isfinite(low) and math.isfinite(high) else ""
        reach = reach or (f" from {low:g} on" if math.isfinite(low) else "")
        raise ValueError(f"{what}={_shown(value)}: expected a finite number{reach}.")
    return number


def check_share(value: Any, what: str) -> float:
    """``value`` as a number between 0 and 1, neither of them.

    Raises:
        ValueError: No number, or one out of range.
    """
    number = as_float(value)
    if number is None or not 0 < number < 1:
        raise ValueError(f"{what}={_shown(value)}: expected a share between 0 and 1, such as 0.95.")
    return number


def check_names(given: str | Iterable[str], known: Iterable[str], what: str) -> tuple[str, ...]:
    """``given`` as a tuple of names out of ``known``.

    Raises:
        ValueError: No name, a name twice, or one that is not known.
    """
    names = (given,) if isinstance(given, str) else tuple(listed(given) or ())
    known = tuple(known)
    unknown = [name for name in names if not isinstance(name, str) or name not in known]
    if unknown or not names or len(set(names)) != len(names):
        problem = f"unknown {unknown}" if unknown else "empty" if not names else "a name stands twice"
        raise ValueError(f"{what}={_shown(given)}: {problem}; known are {known}.")
    return names


def listed(given: Any) -> list[Any] | None:
    """What can be iterated over as a list; ``None`` for anything else, a text included."""
    try:
        return None if isinstance(given, str | bytes) else list(given)
    except TypeError:
        return None


def check_dataset(given: Any, variables: Sequence[str], what: str, source: str) -> xr.Dataset:
    """``given`` as a Dataset that holds some variables.

    Args:
        given: What a caller gave.
        variables: That it must hold, coordinates included.
        what: The argument's name.
        source: What makes such a Dataset, for the message.

    Raises:
        TypeError: No Dataset.
        ValueError: A variable is missing.
    """
    if not isinstance(given, xr.Dataset):
        raise TypeError(f"{what}: expected an xarray.Dataset from {source}, got {type(given).__name__}.")
    missing = [name for name in variables if name not in given.variables]
    if missing:
        has = sorted(map(str, given.variables))
        raise ValueError(f"{what}: expected a result of {source}, but it has no {missing}; it has {has}.")
    return given


def check_variable(dataset: xr.Dataset, name: Any, dims: tuple[str, ...], what: str) -> xr.DataArray:
    """A numeric variable of a Dataset over just these dimensions.

    Args:
        dataset: That should have it.
        name: Of the variable.
        dims: In this order.
        what: The argument's name.

    Raises:
        ValueError: No such variable, or not a numeric one over these dimensions.
    """
    known = [
        str(key) for key, values in dataset.data_vars.items() if values.dims == dims and values.dtype.kind in "biuf"
    ]
    if not isinstance(name, str) or name not in known:
        kind = {("pair",): "variable over pairs", ("pair", "alpha"): "curve"}.get(dims, f"variable over {dims}")
        raise ValueError(f"{what}={_shown(name)} is no {kind} of this Dataset; it has {known}.")
    return dataset[name]


def as_float(value: Any) -> float | None:
    """A single real number as a float, whoever made it; ``None`` for anything else."""
    if isinstance(value, bool | np.bool_ | str | bytes) or not hasattr(value, "__float__"):
        return None
    try:
        return float(value) if getattr(value, "ndim", 0) == 0 else None
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def former_spellings(*by_keyword: str, **renamed: str) -> Callable[[_Function], _Function]:
    """Let a function be called as it was before, for one release, with a warning that says the new spelling.

    Args:
        by_keyword: Arguments that are given by keyword only now, in the order in which they could be given by position
            behind those that still can.
        renamed: What an argument is called now, by its former name.

    Returns:
        A decorator. Callers that use the new spelling notice nothing of it.
    """

    def decorate(function: _Function) -> _Function:
        kinds = [argument.kind for argument in inspect.signature(function).parameters.values()]
        n_places = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
        name = function.__name__

        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            extra = dict(zip(by_keyword, given[n_places:], strict=False))
            if extra and len(extra) == len(given[n_places:]) and not extra.keys() & named.keys():
                _warn_of_spelling(f"{name}(..., {', '.join(f'{key}=...' for key in extra)}): give these by keyword")
                given, named = given[:n_places], {**extra, **named}
            for old in renamed.keys() & named.keys():
                if renamed[old] in named:
                    raise TypeError(f"{name}: {old}= is the former name of {renamed[old]}=; give the latter alone.")
                _warn_of_spelling(f"{name}({old}=...): this argument is called {renamed[old]}= now")
                named[renamed[old]] = named.pop(old)
            return function(*given, **named)

        return cast(_Function, call)

    return decorate


def _warn_of_spelling(what: str) -> None:
    warnings.warn(f"{what}; the former spelling ends with the next release.", DeprecationWarning, stacklevel=3)
