"""Curves at all points of a path: run, compared with both ends and with the point before, and entered pair by pair."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from srtoolkit.measures.along_path import PointTable
from srtoolkit.measures.walk import Batch, points_held
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress
from srtoolkit.patching.patch import patch


def run_even(
    model: Model,
    batch: Batch,
    layer: int,
    reads: tuple[str, ...],
    table: PointTable,
    own: list[dict[str, Float[Tensor, "1 _width"]]] | None = None,
    held: dict[str, Float[Tensor, "pair _width"]] | None = None,
    whole: bool = False,
) -> None:
    """Enter every measure at every point of some pairs.

    A path too long for the log-probabilities at hand is cut, and each cut is run together with both ends and the point
    before it: a measure compares outputs of one batch only, so ``d(0)`` is exactly 0.

    Args:
        model: From :func:`srtoolkit.load_model`.
        batch: The pairs and the points of their paths.
        layer: Block whose output is replaced.
        reads: Outputs to measure.
        table: Where measures are entered.
        own: B's own outputs, where they are to be compared with.
        held: Outputs of parts of later blocks that are held, by read point.
        whole: Never cut a path, whatever its log-probabilities take.
    """
    points, steps = batch.points, batch.points.shape[1]
    at_once = max(4, points_held(model)) if "logits" in reads and not whole else steps + 1
    cuts = torch.arange(1, steps - 1).split(max(1, at_once - 3)) or (torch.arange(0),)
    wanted = tuple("logprobs" if read == "logits" else read for read in reads)
    table["input_step"] = F.pad(points.diff(dim=1).norm(dim=-1), (1, 0))
    for number, cut in enumerate(cuts):
        before = cut[:1] - 1 if number else cut[:0]
        order = torch.cat([torch.tensor([0, steps - 1]), before, cut])
        found = patch(
            model, batch.context, points[:, order], layer=layer, reads=wanted, method=batch.method,
            position=batch.position, held=held, progress=partial(_of_all_cuts, batch.progress, number, len(cuts)),
        )  # fmt: skip
        for pair in range(len(points)):
            of_pair = {read: value[pair] for read, value in found.items()}
            table.enter(pair, of_pair, order, None if own is None else own[pair])


def _of_all_cuts(progress: Progress, number: int, cuts: int, done: int, total: int) -> None:
    """The progress of one cut as that of the whole path."""
    progress(number * total + done, cuts * total)
