"""Every public name and where it is defined: what type checkers read, and what the package loads on first use."""

from . import panels, plot, prompts, reference, stimuli
from .analysis.agreement import agreement, chance_agreement
from .analysis.bootstrap import Bootstrap, summarise
from .analysis.colours import slice_colours
from .analysis.estimates import (
    Estimate,
    contrast,
    correlation,
    interquartile_range,
    median,
    ratio,
    share_below,
    trend,
)
from .analysis.jumps import (
    around_jumps,
    divergence_by_region,
    polytopes_by_region,
    token_change_at,
)
from .analysis.matching import match
from .analysis.motion import motion
from .analysis.regions import (
    cluster,
    map_prompts,
    null_threshold,
    path_matrix,
    region_graph,
)
from .analysis.sharpness import sharpness
from .analysis.verdicts import scorecard, verdict
from .costs.estimate import estimate_cost
from .costs.work import Work
from .files.disk import DiskError
from .measures import paths
from .measures.curves import interpolate
from .measures.gate_flips import count_gate_flips, locate_gate_flips
from .measures.loss import text_loss
from .measures.noise import noise_floor, output_spread
from .measures.planes import lay_out
from .measures.predictions import divergence, next_tokens
from .measures.slice_predictions import line_on_plane, slice_predictions
from .measures.slices import slice_gates, slice_plane
from .models.catalogue import available_models
from .models.checkpoints import checkpoints
from .models.hub.errors import HubError
from .models.loading import load_model
from .models.model import Model
from .models.ndif import RemoteError
from .models.nulls import null_model
from .models.wrapping import wrap
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
    "concat",
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
    "motion",
    "next_tokens",
    "noise_floor",
    "null_model",
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
    "wrap",
]
