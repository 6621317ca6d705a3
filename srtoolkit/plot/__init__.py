"""Pictures: every function takes results and, if wished, Axes to draw on, and returns the Axes. None keeps state.

Colours are seaborn's colour-blind-safe palette; the paper's digitised values are always black and dashed.
"""

from __future__ import annotations

from srtoolkit.plot.curve_plots import curves, median_curve, slope_against, slope_histogram
from srtoolkit.plot.effect_plots import decomposition, estimates, matched_bins
from srtoolkit.plot.flip_plots import flip_histogram, flips_around_jump, flips_by_block
from srtoolkit.plot.gate_plots import gate_boundaries, gate_crossings, gates_at_boundaries
from srtoolkit.plot.layer_plots import layer_map
from srtoolkit.plot.median_plots import growth, medians, scaling
from srtoolkit.plot.motion_plots import peak_against_calm, speed
from srtoolkit.plot.plane_frame import ANCHOR_COLOURS, REGION_COLOURS
from srtoolkit.plot.radius_plots import radii
from srtoolkit.plot.region_plots import dendrogram, prompt_map, tokens_around_jump
from srtoolkit.plot.response_plots import contour, response
from srtoolkit.plot.slice_plots import margin, plane, plane_strip, regions, tokens
from srtoolkit.plot.style import PALETTE, SIZE, notebook_style, scale_above_one
from srtoolkit.plot.text_pages import TextPicture, text

__all__ = [
    "ANCHOR_COLOURS",
    "PALETTE",
    "REGION_COLOURS",
    "SIZE",
    "TextPicture",
    "contour",
    "curves",
    "decomposition",
    "dendrogram",
    "estimates",
    "flip_histogram",
    "flips_around_jump",
    "flips_by_block",
    "gate_boundaries",
    "gate_crossings",
    "gates_at_boundaries",
    "growth",
    "layer_map",
    "margin",
    "matched_bins",
    "median_curve",
    "medians",
    "notebook_style",
    "peak_against_calm",
    "plane",
    "plane_strip",
    "prompt_map",
    "radii",
    "regions",
    "response",
    "scale_above_one",
    "scaling",
    "slope_against",
    "slope_histogram",
    "speed",
    "text",
    "tokens",
    "tokens_around_jump",
]


def __dir__() -> list[str]:
    return sorted(__all__)
