"""The models of the nano suite by name: the earlier runs, and those of both series."""

from __future__ import annotations

from functools import cache

from srtoolkit.suite import series
from srtoolkit.suite.sizes import VOCABULARY, Configuration, sizes

__all__ = ["VOCABULARY", "Configuration", "carried", "configuration", "names"]


def names() -> list[str]:
    """Names of the models that the package carries, smallest first."""
    return [one.name for one in _all() if one.shipped]


def configuration(name: str) -> Configuration:
    """The configuration of a model of the suite, or of a size.

    Args:
        name: Name of the model, one of :func:`names`, or of a size, such as ``"nano-3m"``.

    Raises:
        ValueError: The suite has no such model.
    """
    for one in _all():
        if one.name == name:
            return one
    raise ValueError(f"{name!r} is not a model of the nano suite; they are {names()}.")


def carried(name: str) -> str | None:
    """The name of the model that a name means: a size of which only the series has runs means its first run.

    Args:
        name: Any name.

    Returns:
        One of :func:`names`, or ``None`` where the name is of no model of the suite.
    """
    return next((one for one in (name, series.first_run(name)) if one in names()), None)


@cache
def _all() -> tuple[Configuration, ...]:
    return tuple(
        sorted((*sizes(), *series.runs(), *series.training_runs()), key=lambda one: (one.parameters, one.name))
    )
