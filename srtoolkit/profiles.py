"""Named settings: the paper's for every call, and how much the notebooks measure."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import platformdirs


@dataclass(frozen=True)
class Profile:
    """How much the notebooks measure, and on which models and prompts.

    Attributes:
        name: ``"quick"``, ``"full"``, ``"paper"`` or ``"shuffled"``.
        model: The model of the notebooks that need one.
        init: How that model, and all that a notebook calls trained, is loaded; see :func:`srtoolkit.load_model`.
        seed: Seed of what ``init`` draws; none of the seeds of the notebooks' own nulls.
        pairs: Number of random pairs in the main measurement.
        few_pairs: Number of random pairs where many settings are compared.
        many_pairs: Number of random pairs where rare ones are looked for, at fewer steps.
        sweep_pairs: Number of random pairs where checkpoints and sizes are compared, whose differences are small.
        source: The text that random prompts are cut from, as :func:`srtoolkit.sample_pairs` takes it.
        growth: Models whose checkpoints are measured; the first is shown in detail.
        growth_tokens: Numbers of training tokens of the checkpoints to measure; all checkpoints where ``None``.
        growth_runs: Runs of the first of these, each with two checkpoints or more, over which the claim that regions
            sharpen is judged; none where empty.
        families: Models that differ in size, smallest first, by family; one of each size.
        runs: Likewise, with every run of each size, on which the claim about size is tested.
        outside: A model of no family, measured in addition to them; ``None`` for none.
        resolution: Number of points along each axis of a 2-D slice.
    """

    name: str
    model: str
    init: str
    seed: int
    pairs: int
    few_pairs: int
    many_pairs: int
    sweep_pairs: int
    source: str
    growth: tuple[str, ...]
    growth_tokens: tuple[float, ...] | None
    growth_runs: tuple[str, ...]
    families: Mapping[str, tuple[str, ...]]
    runs: Mapping[str, tuple[str, ...]]
    outside: str | None
    resolution: int

    def store(self, name: str) -> Path:
        """Folder for the results of a notebook's sweep. Only ``full`` and ``paper`` keep theirs.

        Kept results lie in ``$SRT_STORE``, or in the platform's cache folder, and a sweep resumes from them.

        Args:
            name: Name of the sweep.
        """
        if self.name in ("quick", "shuffled"):
            return Path(_scratch().name) / name
        root = os.environ.get("SRT_STORE") or platformdirs.user_cache_path("srtoolkit") / "sweeps"
        return Path(root) / self.name / name


#: The series of the nano suite: runs of each size.
_NANO_RUNS = {"0.4m": (11, 12, 13), "0.7m": (11, 12, 13), "1m": (11, 12, 13), "3m": (11, 12), "6m": (11, 12)}
_QUICK = Profile(
    name="quick",
    model="smollm2-135m",
    init="pretrained",
    seed=0,
    pairs=200,
    few_pairs=60,
    many_pairs=1000,
    sweep_pairs=500,
    source="prose",
    growth=("nano-1m", "nano-1m-seed1"),
    growth_tokens=None,
    growth_runs=("nano-1m-run21", "nano-1m-run22", "nano-1m-run23", "nano-1m-run24"),
    families={"nano": tuple(f"nano-{size}-run11" for size in _NANO_RUNS)},
    runs={"nano": tuple(f"nano-{size}-run{run}" for size, runs in _NANO_RUNS.items() for run in runs)},
    outside="smollm2-135m",
    resolution=61,
)
_PAPER_FAMILIES = {
    "OLMo": ("allenai/OLMo-1B-0724-hf", "allenai/OLMo-7B-0724-hf"),
    "Qwen2": ("Qwen/Qwen2-0.5B", "Qwen/Qwen2-1.5B", "Qwen/Qwen2-7B"),
}
_PAPER = Profile(
    name="paper",
    model="Qwen/Qwen2-0.5B",
    init="pretrained",
    seed=0,
    pairs=999,
    few_pairs=999,
    many_pairs=9999,
    sweep_pairs=999,
    source="gutenberg",
    growth=("allenai/OLMo-7B-0724-hf", "allenai/OLMo-1B-0724-hf"),
    # Of Fig. 4c; the last is beyond the end of training, and so takes the last checkpoint.
    growth_tokens=(0.0, 4e9, 10e9, 31e9, 100e9, 500e9, 1e12, 4e12),
    growth_runs=(),
    families=_PAPER_FAMILIES,
    runs=_PAPER_FAMILIES,
    outside=None,
    resolution=61,
)
PROFILES = {
    "quick": _QUICK,
    "full": replace(_QUICK, name="full", pairs=999, few_pairs=300, many_pairs=3000, sweep_pairs=999),
    "paper": _PAPER,
    "shuffled": replace(
        _QUICK,
        name="shuffled",
        init="permuted",
        seed=100,
        pairs=60,
        few_pairs=30,
        many_pairs=200,
        sweep_pairs=60,
        resolution=21,
    ),
}


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder that lives as long as the process."""
    return tempfile.TemporaryDirectory(prefix="srtoolkit-")


def profile() -> Profile:
    """The profile of the notebooks, from the environment variable ``SRT_PROFILE``.

    ``quick`` (the default) measures packaged models in minutes, ``full`` the same models with tighter intervals,
    ``paper`` the paper's models and prompts from the hub. ``shuffled`` puts permuted weights in the place of trained
    ones: no claim about what training makes may hold then.

    Raises:
        ValueError: ``SRT_PROFILE`` names no profile.
    """
    name = os.environ.get("SRT_PROFILE", "quick")
    if name not in PROFILES:
        raise ValueError(f"SRT_PROFILE={name!r} is not one of {tuple(PROFILES)}.")
    return PROFILES[name]
