"""The mark of a measurement: a text that changes with the measurement and with its settings."""

from __future__ import annotations

import hashlib
import inspect
from functools import partial
from typing import Any


def mark(measure: Any) -> str:
    """A text that identifies a measurement: its name, and a hash of its source and of the values it closes over.

    Args:
        measure: The measurement.
    """
    if isinstance(measure, partial):
        return f"{mark(measure.func)} with {measure.args!r} {sorted(measure.keywords.items())!r}"
    try:
        source = inspect.getsource(measure)
        hidden = inspect.getclosurevars(measure)
        values = {
            **{key: value for key, value in hidden.globals.items() if isinstance(value, str | int | float | tuple)},
            **{key: value for key, value in hidden.nonlocals.items() if isinstance(value, str | int | float | tuple)},
        }
    except (OSError, TypeError):  # typed into an interpreter, or not a function
        return str(getattr(measure, "__qualname__", type(measure).__qualname__))
    digest = hashlib.sha256(f"{source}{sorted(values.items())!r}".encode()).hexdigest()[:12]
    return f"{measure.__qualname__} {digest}"
