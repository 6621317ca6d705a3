"""Checks of settings and results, whose errors name the argument; former names of arguments go on working."""

from __future__ import annotations

import functools
import inspect
import math
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import xarray as xr

#: A NUL or half a character, which results cannot keep.
UNKEPT = re.compile("[\0\ud800-\udfff]")

_Function = TypeVar("_Function", bound=Callable[..., Any])


def check_whole(value: Any, what: str, low: int = 0, high: int | None = None) -> int:
    """A whole number, after a check that it is one and in range.

    Args:
        value: The value to check.
        what: Name of the argument, for the error message.
        low: Smallest number allowed.
        high: Largest number allowed; any where ``None``.

    Raises:
        ValueError: The value is no whole number, or out of range.
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
    """A finite number as a float, after a check that it is one and in range.

    Args:
        value: The value to check.
        what: Name of the argument, for the error message.
        low: Smallest number allowed.
        high: Largest number allowed.

    Raises:
        ValueError: The value is no finite number, or out of range.
    """
    number = as_float(value)
    if number is None or not math.isfinite(number) or not low <= number <= high:
        reach = f" from {low:g} to {high:g}" if math.isfinite(low) and math.isfinite(high) else ""
        reach = reach or (f" from {low:g} on" if math.isfinite(low) else "")
        raise ValueError(f"{what}={_shown(value)}: expected a finite number{reach}.")
    return number


def check_share(value: Any, what: str) -> float:
    """A share as a float, after a check that it is above 0 and below 1.

    Args:
        value: The value to check.
        what: Name of the argument, for the error message.

    Raises:
        ValueError: The value is no number, or out of range.
    """
    number = as_float(value)
    if number is None or not 0 < number < 1:
        raise ValueError(f"{what}={_shown(value)}: expected a share between 0 and 1, such as 0.95.")
    return number


def check_names(given: str | Iterable[str], known: Iterable[str], what: str) -> tuple[str, ...]:
    """Names as a tuple, after a check that all are known and different.

    Args:
        given: One name, or several.
        known: Names that are allowed.
        what: Name of the argument, for the error message.

    Raises:
        ValueError: There is no name, a name stands twice, or one is not known.
    """
    names = (given,) if isinstance(given, str) else tuple(listed(given) or ())
    known = tuple(known)
    unknown = [name for name in names if not isinstance(name, str) or name not in known]
    if unknown or not names or len(set(names)) != len(names):
        problem = f"unknown {unknown}" if unknown else "empty" if not names else "a name stands twice"
        raise ValueError(f"{what}={_shown(given)}: {problem}; known are {known}.")
    return names


def listed(given: Any) -> list[Any] | None:
    """A list of the items of anything that can be iterated over; ``None`` for a text and for anything else.

    Args:
        given: Any value.
    """
    try:
        return None if isinstance(given, str | bytes) else list(given)
    except TypeError:
        return None


def check_dataset(given: Any, variables: Sequence[str], what: str, source: str) -> xr.Dataset:
    """A Dataset, after a check that it is one and holds some variables.

    Args:
        given: The value to check.
        variables: Names of the variables that it must hold, coordinates included.
        what: Name of the argument, for the error message.
        source: The function that makes such a Dataset, for the error message.

    Raises:
        TypeError: The value is no Dataset.
        ValueError: A variable is missing.
    """
    if not isinstance(given, xr.Dataset):
        raise TypeError(f"{what}: expected an xarray.Dataset from {source}, got {type(given).__name__}.")
    missing = [name for name in variables if name not in given.variables]
    if missing:
        has = sorted(map(str, given.variables))
        raise ValueError(f"{what}: expected a result of {source}, but it has no {missing}; it has {has}.")
    return given


def check_axes(given: xr.Dataset, axes: Mapping[str, Sequence[str]], what: str, source: str) -> xr.Dataset:
    """A Dataset, after a check that some variables have the axes that they need; they may have more.

    Args:
        given: The Dataset to check.
        axes: Axes by the name of the variable.
        what: Name of the argument, for the error message.
        source: The function that makes such a Dataset, for the error message.

    Raises:
        ValueError: A variable lacks an axis.
    """
    for name, needed in axes.items():
        if missing := [axis for axis in needed if axis not in given[name].dims]:
            raise ValueError(
                f"{what}: expected a result of {source}, whose {name!r} has axes {list(needed)}; here it has no "
                f"{missing}, but {list(map(str, given[name].dims))}. Give the whole result, before any selection."
            )
    return given


def check_variable(dataset: xr.Dataset, name: Any, dims: tuple[str, ...], what: str) -> xr.DataArray:
    """A numeric variable of a Dataset, after a check of its dimensions.

    Args:
        dataset: The Dataset that should have the variable.
        name: Name of the variable.
        dims: The variable's dimensions, in this order.
        what: Name of the argument, for the error message.

    Raises:
        ValueError: The Dataset has no numeric variable of that name over these dimensions.
    """
    known = [
        str(key) for key, values in dataset.data_vars.items() if values.dims == dims and values.dtype.kind in "biuf"
    ]
    if not isinstance(name, str) or name not in known:
        kind = {("pair",): "variable over pairs", ("pair", "alpha"): "curve"}.get(dims, f"variable over {dims}")
        raise ValueError(f"{what}={_shown(name)} is no {kind} of this Dataset; it has {known}.")
    return dataset[name]


def as_float(value: Any) -> float | None:
    """A single real number of any type as a float; ``None`` for anything else.

    Args:
        value: Any value.
    """
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
        by_keyword: Arguments that must be given by keyword now, in the order of their former positions, which followed
            those that are still positional.
        renamed: New names of arguments, by their former names.

    Returns:
        A decorator. Calls in the new spelling are not affected.
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
