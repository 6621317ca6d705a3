"""Stable regions in the residual stream of language models: measure them, see them, question them."""

from srtoolkit.models import Model, available_models, load_model
from srtoolkit.patching import capture, patch
