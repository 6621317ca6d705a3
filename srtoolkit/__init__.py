"""Stable regions in the residual stream of language models: measure them, see them, question them."""

from srtoolkit import panels, plot, prompts, reference, stimuli
from srtoolkit.analysis.agreement import agreement, chance_agreement
from srtoolkit.analysis.bootstrap import summarise
from srtoolkit.analysis.colours import slice_colours
from srtoolkit.analysis.estimates import (
    Estimate,
    contrast,
    correlation,
    interquartile_range,
    median,
    ratio,
    share_below,
    trend,
)
from srtoolkit.analysis.jumps import around_jumps, divergence_by_region, polytopes_by_region, token_change_at
from srtoolkit.analysis.matching import match
from srtoolkit.analysis.regions import cluster, map_prompts, null_threshold, path_matrix, region_graph
from srtoolkit.analysis.sharpness import sharpness
from srtoolkit.analysis.verdicts import scorecard, verdict
from srtoolkit.costs.estimate import estimate_cost
from srtoolkit.costs.work import Work
from srtoolkit.files.disk import DiskError
from srtoolkit.measures import paths
from srtoolkit.measures.curves import interpolate
from srtoolkit.measures.gate_flips import count_gate_flips, locate_gate_flips
from srtoolkit.measures.loss import text_loss
from srtoolkit.measures.noise import noise_floor, output_spread
from srtoolkit.measures.planes import lay_out
from srtoolkit.measures.predictions import divergence, next_tokens
from srtoolkit.measures.slice_predictions import line_on_plane, slice_predictions
from srtoolkit.measures.slices import slice_gates, slice_plane
from srtoolkit.models.catalogue import available_models
from srtoolkit.models.checkpoints import checkpoints
from srtoolkit.models.hub.errors import HubError
from srtoolkit.models.loading import load_model
from srtoolkit.models.model import Model
from srtoolkit.models.ndif import RemoteError
from srtoolkit.patching.patch import capture, patch
from srtoolkit.profiles import Profile, profile
from srtoolkit.prompts.pairs import PromptPairs, all_pairs, from_text, paper_pairs
from srtoolkit.prompts.sampling import sample_pairs
from srtoolkit.reference.presets import preset
from srtoolkit.results import ResultError, load, save
from srtoolkit.sweeps.sweep import sweep
from srtoolkit.version import __version__

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
    "__version__",
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
    "lay_out",
    "line_on_plane",
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
    "slice_predictions",
    "stimuli",
    "summarise",
    "sweep",
    "text_loss",
    "token_change_at",
    "trend",
    "verdict",
]
