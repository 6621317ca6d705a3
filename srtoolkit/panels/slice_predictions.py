"""The former place of ``srtoolkit.slice_predictions`` and ``srtoolkit.line_on_plane``, for one release."""

import warnings

from srtoolkit.measures.slice_predictions import line_on_plane, slice_predictions

__all__ = ["line_on_plane", "slice_predictions"]

warnings.warn(
    "The module srtoolkit.panels.slice_predictions is gone: what was in it is public, as "
    "srtoolkit.slice_predictions and srtoolkit.line_on_plane; the former spelling ends with the next release.",
    DeprecationWarning,
    stacklevel=2,
)
