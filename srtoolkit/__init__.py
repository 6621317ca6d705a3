"""Stable regions in the residual stream of language models: measure them, see them, question them.

Public names load on first use, so that importing the package costs nothing; ``__init__.pyi`` lists them.
"""

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)


class _Package(types.ModuleType):
    """The package, with the one name that every object has once nnsight is loaded, so that none looks further."""

    @functools.cached_property
    def save(self) -> Callable[..., Any]:
        from srtoolkit import results

        return results.save


sys.modules[__name__].__class__ = _Package
