"""Stable regions in the residual stream of language models: measure them, see them, question them.

Public names load on first use, so that importing the package costs nothing; ``__init__.pyi`` lists them.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
