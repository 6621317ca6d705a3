"""How many regions a model makes of random prompts: pairs are measured, and those without a jump counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from srtoolkit.analysis.curves import READS
from srtoolkit.analysis.estimates import Estimate
from srtoolkit.analysis.motion import motion
from srtoolkit.analysis.region_counts import effective_regions
from srtoolkit.measures.curves import interpolate
from srtoolkit.measures.paths import Path
from srtoolkit.models.checks import check_model
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress
from srtoolkit.prompts.pairs import PromptPairs, as_pairs
from srtoolkit.validation import check_names, check_share

#: Which pairs count, by their last tokens.
LAST_TOKENS = ("any", "different", "same")


def count_regions(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    last_token: str = "any",
    layer: int = 0,
    steps: int = 50,
    path: str | Path = "linear",
    reads: str = "final_norm",
    jump_speed: float | None = None,
    level: float = 0.95,
    method: str = "auto",
    progress: Progress | None = None,
) -> Estimate:
    """Effective number of regions: one over the probability that two prompts lie in the same one.

    Two prompts lie in one region where the path between them has no jump (:mod:`srtoolkit.analysis.jumps`). After
    block 0 an activation still says much about its prompt's last token, so that regions may be tokens;
    ``last_token`` tells. How far the number can be trusted, :func:`srtoolkit.effective_regions` says.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts that share none, as :func:`srtoolkit.sample_pairs` draws them, or a list of their texts.
        last_token: Which pairs count: ``"any"``; those that end in ``"different"`` tokens; or in the ``"same"``, of
            which ``sample_pairs(..., same_last_token=True)`` draws many.
        layer: Block whose output is replaced.
        steps: Number of points of each path, both ends included.
        path: ``"linear"``, ``"slerp"``, ``"arc"``, or a function of (A, B, alphas), as :func:`srtoolkit.interpolate`
            takes it.
        reads: Which output: ``"final_norm"``, ``"resid"`` or ``"logits"``.
        jump_speed: Speed of a jump, as :func:`srtoolkit.motion` takes it.
        level: Coverage of the interval, between 0 and 1.
        method: Patching method, as :func:`srtoolkit.patch` takes it.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        The number and its interval; infinite where no two prompts share a region.

    Raises:
        ValueError: A prompt, block, path or setting is not valid, a prompt is in several pairs, or no pair counts.
    """
    (last_token,) = check_names(last_token, LAST_TOKENS, "last_token")
    (reads,), level = check_names(reads, tuple(READS), "reads"), check_share(level, "level")
    pairs = as_pairs(check_model(model), pairs)
    ends = zip(pairs.tokens_a, pairs.tokens_b, strict=True)
    same = np.array([int(a[-1]) == int(b[-1]) for a, b in ends])
    counts = {"any": same | True, "different": ~same, "same": same}[last_token]
    if not counts.any():
        raise ValueError(f"last_token={last_token!r}: none of the {len(pairs)} pairs is of that kind.")
    curves = interpolate(
        model, pairs, layer=layer, steps=steps, path=path, reads=reads, method=method, progress=progress
    )  # fmt: skip
    moved = motion(curves.isel(pair=np.flatnonzero(counts)), reads, jump_speed=jump_speed)
    return effective_regions(moved, level)
