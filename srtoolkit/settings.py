"""Named settings: the paper's for every call, and how much the notebooks measure."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

#: Every setting of Janiak et al. 2024, by the call that takes it.
JANIAK2024: dict[str, dict[str, Any]] = {
    "load_model": {"dtype": "float32"},
    "sample_pairs": {"n": 999, "length": 10, "bos": False, "seed": 0, "source": "gutenberg"},
    "paper_pairs": {"bos": False},
    "interpolate": {"layer": 0, "steps": 50, "path": "linear", "reads": ("final_norm", "logits")},
    "sharpness": {"of": "relative_distance"},
}

PRESETS = {"janiak2024": JANIAK2024}


@dataclass(frozen=True)
class Profile:
    """How much the notebooks measure, and on what.

    Attributes:
        name: ``"quick"``, ``"full"`` or ``"paper"``.
        model: The model of the notebooks that need one.
        pairs: Random pairs of the main measurement.
        few_pairs: Random pairs where many settings are compared.
        source: Where random prompts come from.
    """

    name: str
    model: str
    pairs: int
    few_pairs: int
    source: str


PROFILES = {
    "quick": Profile("quick", "smollm2-135m", 200, 60, "prose"),
    "full": Profile("full", "smollm2-135m", 999, 300, "prose"),
    "paper": Profile("paper", "Qwen/Qwen2-0.5B", 999, 999, "gutenberg"),
}


def preset(name: str) -> dict[str, dict[str, Any]]:
    """Every setting of a paper, by the call that takes it: ``srt.interpolate(model, pairs, **preset["interpolate"])``.

    Raises:
        ValueError: No preset of that name.
    """
    if name not in PRESETS:
        raise ValueError(f"preset {name!r} is not one of {tuple(PRESETS)}.")
    return {call: dict(settings) for call, settings in PRESETS[name].items()}


def profile() -> Profile:
    """The notebooks' sizes, from the environment variable ``SRT_PROFILE``.

    ``quick`` (the default, and CI's) measures packaged models in minutes, ``full`` the same with tight intervals,
    ``paper`` the paper's models and prompts from the hub.

    Raises:
        ValueError: ``SRT_PROFILE`` names no profile.
    """
    name = os.environ.get("SRT_PROFILE", "quick")
    if name not in PROFILES:
        raise ValueError(f"SRT_PROFILE={name!r} is not one of {tuple(PROFILES)}.")
    return PROFILES[name]
