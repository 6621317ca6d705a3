"""Stable regions in the residual stream of language models: measure them, see them, question them."""

__version__ = "0.1.0"

from srtoolkit import paths, plot, prompts, reference
from srtoolkit.checkpoints import checkpoints
from srtoolkit.comparisons import Estimate, interquartile_range, ratio, trend
from srtoolkit.controls import noise_floor, output_spread
from srtoolkit.interpolation import interpolate
from srtoolkit.loading import available_models, load_model
from srtoolkit.models import Model
from srtoolkit.patching import capture, patch
from srtoolkit.polytopes import count_gate_flips, locate_gate_flips
from srtoolkit.predictions import next_tokens, text_loss
from srtoolkit.prompts import PromptPairs, from_text, paper_pairs, sample_pairs
from srtoolkit.results import load, save
from srtoolkit.settings import Profile, preset, profile
from srtoolkit.sharpness import sharpness
from srtoolkit.slices import slice_colours, slice_plane
from srtoolkit.summary import summarise
from srtoolkit.sweeps import sweep
from srtoolkit.verdicts import scorecard, verdict

__all__ = [
    "Estimate",
    "Model",
    "Profile",
    "PromptPairs",
    "available_models",
    "capture",
    "checkpoints",
    "count_gate_flips",
    "from_text",
    "interpolate",
    "interquartile_range",
    "load",
    "load_model",
    "locate_gate_flips",
    "next_tokens",
    "noise_floor",
    "output_spread",
    "paper_pairs",
    "patch",
    "paths",
    "plot",
    "preset",
    "profile",
    "prompts",
    "ratio",
    "reference",
    "sample_pairs",
    "save",
    "scorecard",
    "sharpness",
    "slice_colours",
    "slice_plane",
    "summarise",
    "sweep",
    "text_loss",
    "trend",
    "verdict",
]
