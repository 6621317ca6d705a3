"""Every setting of a paper, by the call that takes it."""

from __future__ import annotations

from typing import Any

#: Every setting of Janiak et al. 2024, by the call that takes it.
JANIAK2024: dict[str, dict[str, Any]] = {
    "load_model": {"dtype": "float32"},
    "sample_pairs": {"n": 999, "length": 10, "bos": False, "seed": 0, "source": "gutenberg", "consecutive": True},
    "paper_pairs": {"bos": False},
    "interpolate": {"layer": 0, "steps": 50, "path": "linear", "reads": ("final_norm", "logits")},
    "sharpness": {"of": "relative_distance"},
    "count_gate_flips": {"layer": 0, "steps": 50, "path": "linear"},
    "slice_plane": {"layer": 0, "resolution": 61, "margin": 0.25},
    "slice_colours": {"jointly": False},
}


PRESETS = {"janiak2024": JANIAK2024}


def preset(name: str) -> dict[str, dict[str, Any]]:
    """Every setting of a paper, by the call that takes it.

    With ``settings = srt.preset("janiak2024")``, call ``srt.interpolate(model, pairs, **settings["interpolate"])``.

    Args:
        name: Name of the paper: ``"janiak2024"``.

    Raises:
        ValueError: There is no preset of that name.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"preset {name!r} is not one of {tuple(PRESETS)}.")
    return {call: dict(settings) for call, settings in PRESETS[name].items()}
