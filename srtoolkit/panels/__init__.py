"""Widget panels: thin shells over the library, to explore a measurement interactively.

Every panel shows a picture and its numbers in words. ``result`` is the measurement, ``code()`` returns the calls that
make it, and ``save(path)`` writes the picture.
"""

from __future__ import annotations

from srtoolkit.panels.interpolation.panel import InterpolationPanel
from srtoolkit.panels.parts.panel import Panel
from srtoolkit.panels.parts.picker import ModelPicker
from srtoolkit.panels.region_map import RegionMap
from srtoolkit.panels.slice.panel import SliceExplorer
from srtoolkit.panels.training import TrainingPanel

__all__ = ["InterpolationPanel", "ModelPicker", "Panel", "RegionMap", "SliceExplorer", "TrainingPanel"]


def __dir__() -> list[str]:
    return sorted(__all__)
