"""Every public name and where it is defined: what type checkers read, and what the package loads on first use."""

from . import panels, plot, prompts, reference, stimuli, toy
from .analysis.agreement import agreement, chance_agreement
from .analysis.bootstrap import Bootstrap, summarise
from .analysis.colours import slice_colours
from .analysis.couples import contrast, paired_ratio, share_below
from .analysis.decomposition import decompose, null_structure
from .analysis.equivalence import equivalent
from .analysis.estimates import (
    Estimate,
    correlation,
    interquartile_range,
    median,
    null_range,
    ratio,
    trend,
)
from .analysis.frames import FrameTest, frame_effects, within_frame
from .analysis.jumps import calibrate_jump
from .analysis.matching import balance, match
from .analysis.mixtures import MixtureExponent, mixture_exponent
from .analysis.motion import motion
from .analysis.orders import exact_trend
from .analysis.places import same_place
from .analysis.polytopes import around_jumps, polytopes_by_region
from .analysis.predictions import (
    divergence_at_equal_output,
    divergence_by_region,
    ratio_at_equal_output,
    token_change_at,
)
from .analysis.region_counts import count_unseen, effective_regions, region_labels
from .analysis.regions import (
    cluster,
    map_prompts,
    null_threshold,
    path_matrix,
    region_graph,
)
from .analysis.responses import boundary_ratio, first_boundary
from .analysis.runs import across_runs, difference_over_runs, slope_over_runs
from .analysis.scorecards import scorecard
from .analysis.sharpness import sharpness
from .analysis.shortfalls import shortfall
from .analysis.structure_trends import structure_trend
from .analysis.tables import table
from .analysis.texts import text_correlation
from .analysis.verdicts import verdict
from .analysis.volumes import share_inside
from .costs.estimate import estimate_cost
from .costs.work import Work
from .files.disk import DiskError
from .measures import directions, paths
from .measures.baselines import path_cosine, token_distance
from .measures.boundary import boundary
from .measures.continuation import continuation
from .measures.curves import interpolate
from .measures.freezing import freeze
from .measures.gate_flips import count_gate_flips, locate_gate_flips
from .measures.layer_map import layer_map
from .measures.loss import surprisal, text_loss
from .measures.noise import noise_floor, output_spread
from .measures.noise_growth import noise_growth
from .measures.perturb import perturb
from .measures.planes import lay_out
from .measures.predicted_radius import predicted_radius
from .measures.predictions import divergence, next_tokens
from .measures.radius import radius
from .measures.region_count import count_regions
from .measures.slice_predictions import line_on_plane, slice_predictions
from .measures.slices import slice_gates, slice_plane
from .measures.text_map import text_map
from .models.catalogue import available_models
from .models.checkpoints import checkpoints
from .models.hub.errors import HubError
from .models.loading import load_model
from .models.model import Model
from .models.ndif import RemoteError
from .models.nulls import null_model
from .models.wrapping import wrap
from .panels.path.page import explorer
from .patching.patch import capture, patch
from .profiles import Profile, profile
from .prompts.pairs import (
    PromptPairs,
    all_pairs,
    from_text,
    paper_pairs,
)
from .prompts.sampling import sample_pairs
from .reference.presets import preset
from .results import ResultError, load, save
from .sweeps.joining import concat
from .sweeps.sweep import sweep
from .version import __version__

__all__ = [
    "Bootstrap",
    "DiskError",
    "Estimate",
    "FrameTest",
    "HubError",
    "MixtureExponent",
    "Model",
    "Profile",
    "PromptPairs",
    "RemoteError",
    "ResultError",
    "Work",
    "__version__",
    "across_runs",
    "agreement",
    "all_pairs",
    "around_jumps",
    "available_models",
    "balance",
    "boundary",
    "boundary_ratio",
    "calibrate_jump",
    "capture",
    "chance_agreement",
    "checkpoints",
    "cluster",
    "concat",
    "continuation",
    "contrast",
    "correlation",
    "count_gate_flips",
    "count_regions",
    "count_unseen",
    "decompose",
    "difference_over_runs",
    "directions",
    "divergence",
    "divergence_at_equal_output",
    "divergence_by_region",
    "effective_regions",
    "equivalent",
    "estimate_cost",
    "exact_trend",
    "explorer",
    "first_boundary",
    "frame_effects",
    "freeze",
    "from_text",
    "interpolate",
    "interquartile_range",
    "lay_out",
    "layer_map",
    "line_on_plane",
    "load",
    "load_model",
    "locate_gate_flips",
    "map_prompts",
    "match",
    "median",
    "mixture_exponent",
    "motion",
    "next_tokens",
    "noise_floor",
    "noise_growth",
    "null_model",
    "null_range",
    "null_structure",
    "null_threshold",
    "output_spread",
    "paired_ratio",
    "panels",
    "paper_pairs",
    "patch",
    "path_cosine",
    "path_matrix",
    "paths",
    "perturb",
    "plot",
    "polytopes_by_region",
    "predicted_radius",
    "preset",
    "profile",
    "prompts",
    "radius",
    "ratio",
    "ratio_at_equal_output",
    "reference",
    "region_graph",
    "region_labels",
    "same_place",
    "sample_pairs",
    "save",
    "scorecard",
    "share_below",
    "share_inside",
    "sharpness",
    "shortfall",
    "slice_colours",
    "slice_gates",
    "slice_plane",
    "slice_predictions",
    "slope_over_runs",
    "stimuli",
    "structure_trend",
    "summarise",
    "surprisal",
    "sweep",
    "table",
    "text_correlation",
    "text_loss",
    "text_map",
    "token_change_at",
    "token_distance",
    "toy",
    "trend",
    "verdict",
    "within_frame",
    "wrap",
]
