"""Stable regions in the residual stream of language models: measure them, see them, question them.

Public names load on first use, so that importing the package costs nothing; ``__init__.pyi`` lists them.
"""

import functools
import importlib
import sys
import types
from typing import Any

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)


class _Package(types.ModuleType):
    """This module, whose ``save`` is its own: nnsight gives every object one, and Python would find that first."""

    @functools.cached_property
    def save(self) -> Any:
        return __getattr__("save")

    def __reduce__(self) -> tuple[Any, ...]:
        """Modules are sent to other processes by name, this one, too; a notebook's own functions bring it along."""
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package
