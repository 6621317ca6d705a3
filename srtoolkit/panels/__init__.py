"""Widget panels: thin shells over the library, to play with a measurement instead of reading about it.

All show a picture that says its numbers in words, and give the measurement as ``result``, the calls that make it as
``code()``, and the picture as a file by ``save(path)``.
"""

from __future__ import annotations

from srtoolkit.panels.interpolation.panel import InterpolationPanel
from srtoolkit.panels.parts.panel import Panel
from srtoolkit.panels.parts.picker import ModelPicker
from srtoolkit.panels.region_map import RegionMap
from srtoolkit.panels.slice.panel import SliceExplorer
from srtoolkit.panels.training import TrainingPanel

__all__ = ["InterpolationPanel", "ModelPicker", "Panel", "RegionMap", "SliceExplorer", "TrainingPanel"]
