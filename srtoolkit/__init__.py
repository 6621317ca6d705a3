"""Stable regions in the residual stream of language models: measure them, see them, question them."""

__version__ = "0.1.0"

from srtoolkit import hub, paths, plot, prompts, reference
from srtoolkit.controls import noise_floor
from srtoolkit.interpolation import interpolate
from srtoolkit.loading import available_models, load_model
from srtoolkit.models import Model
from srtoolkit.patching import capture, patch
from srtoolkit.predictions import next_tokens
from srtoolkit.prompts import PromptPairs, from_text, paper_pairs, sample_pairs
from srtoolkit.results import load, save
from srtoolkit.settings import Profile, preset, profile
from srtoolkit.sharpness import sharpness
from srtoolkit.slices import slice_colours, slice_plane
from srtoolkit.summary import summarise
from srtoolkit.sweeps import sweep
from srtoolkit.verdicts import scorecard, verdict

__all__ = [
    "Model",
    "Profile",
    "PromptPairs",
    "available_models",
    "capture",
    "from_text",
    "hub",
    "interpolate",
    "load",
    "load_model",
    "next_tokens",
    "noise_floor",
    "paper_pairs",
    "patch",
    "paths",
    "plot",
    "preset",
    "profile",
    "prompts",
    "reference",
    "sample_pairs",
    "save",
    "scorecard",
    "sharpness",
    "slice_colours",
    "slice_plane",
    "summarise",
    "sweep",
    "verdict",
]
