"""Stable regions in the residual stream of language models: measure them, see them, question them."""

__version__ = "0.1.0"

from srtoolkit import panels, paths, plot, prompts, reference, stimuli
from srtoolkit.boundaries import around_jumps, polytopes_by_region
from srtoolkit.catalogue import available_models
from srtoolkit.checkpoints import checkpoints
from srtoolkit.comparisons import (
    Estimate,
    contrast,
    correlation,
    interquartile_range,
    median,
    ratio,
    share_below,
    trend,
)
from srtoolkit.controls import noise_floor, output_spread
from srtoolkit.costs import estimate_cost
from srtoolkit.disk import DiskError
from srtoolkit.groupings import agreement, chance_agreement
from srtoolkit.hub_errors import HubError
from srtoolkit.interpolation import interpolate
from srtoolkit.loading import load_model
from srtoolkit.matching import match
from srtoolkit.models import Model
from srtoolkit.patching import capture, patch
from srtoolkit.polytopes import count_gate_flips, locate_gate_flips
from srtoolkit.predictions import divergence, divergence_by_region, next_tokens, text_loss, token_change_at
from srtoolkit.prompts import PromptPairs, all_pairs, from_text, paper_pairs, sample_pairs
from srtoolkit.regions import (
    cluster,
    map_prompts,
    null_threshold,
    path_matrix,
    region_graph,
)
from srtoolkit.remote import RemoteError
from srtoolkit.results import ResultError, load, save
from srtoolkit.settings import Profile, preset, profile
from srtoolkit.sharpness import sharpness
from srtoolkit.slices import slice_colours, slice_gates, slice_plane
from srtoolkit.summary import summarise
from srtoolkit.sweeps import sweep
from srtoolkit.verdicts import scorecard, verdict
from srtoolkit.work import Work

__all__ = [
    "DiskError",
    "Estimate",
    "HubError",
    "Model",
    "Profile",
    "PromptPairs",
    "RemoteError",
    "ResultError",
    "Work",
    "agreement",
    "all_pairs",
    "around_jumps",
    "available_models",
    "capture",
    "chance_agreement",
    "checkpoints",
    "cluster",
    "contrast",
    "correlation",
    "count_gate_flips",
    "divergence",
    "divergence_by_region",
    "estimate_cost",
    "from_text",
    "interpolate",
    "interquartile_range",
    "load",
    "load_model",
    "locate_gate_flips",
    "map_prompts",
    "match",
    "median",
    "next_tokens",
    "noise_floor",
    "null_threshold",
    "output_spread",
    "panels",
    "paper_pairs",
    "patch",
    "path_matrix",
    "paths",
    "plot",
    "polytopes_by_region",
    "preset",
    "profile",
    "prompts",
    "ratio",
    "reference",
    "region_graph",
    "sample_pairs",
    "save",
    "scorecard",
    "share_below",
    "sharpness",
    "slice_colours",
    "slice_gates",
    "slice_plane",
    "stimuli",
    "summarise",
    "sweep",
    "text_loss",
    "token_change_at",
    "trend",
    "verdict",
]
