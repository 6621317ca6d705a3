"""The former place of :mod:`srtoolkit.measures.paths`, for one release; ``srtoolkit.paths`` as an attribute stays."""

import sys
import warnings

from srtoolkit.measures import paths

warnings.warn(
    "The module srtoolkit.paths is srtoolkit.measures.paths now: use `from srtoolkit import paths`, or the latter; the "
    "former spelling ends with the next release.",
    DeprecationWarning,
    stacklevel=2,
)
# The same module under its former name: the attribute is never a second module with functions of its own.
sys.modules[__name__] = paths
