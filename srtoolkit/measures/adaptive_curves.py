"""Curves at the points that decide their steepest step: what is asked, how it runs, and what of it is entered."""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.measures import distances
from srtoolkit.measures.adaptive import GRANTED, Moves, Room, refine
from srtoolkit.measures.along_path import PointTable
from srtoolkit.measures.read_points import vectors
from srtoolkit.measures.walk import Batch, Walk, pairs_that_fit
from srtoolkit.models.model import Model
from srtoolkit.patching.rounds import Rounds, contexts_that_fit
from srtoolkit.validation import check_names, check_number

#: What adaptive points can be placed for.
CERTIFIED = tuple(GRANTED)

#: Points of one path whose log-probabilities are allowed for, of longer paths: about what the longest take.
USUALLY = 64

#: Bytes of the points of one batch's paths, of which all are made before any runs.
POINT_BYTES = 256 * 2**20


class Rule(NamedTuple):
    """What adaptive points are placed for.

    Attributes:
        certify: ``"max_slope"`` or ``"peak"``.
        of: The read point whose curve counts.
        tolerance: Share of the steepest slope by which a step that did not run may be steeper.
    """

    certify: str
    of: str
    tolerance: float


def check_rule(where: str, certify: str, tolerance: float, reads: tuple[str, ...]) -> Rule | None:
    """What adaptive points are placed for, checked; ``None`` for even ones.

    Args:
        where: ``"even"`` or ``"adaptive"``.
        certify: What adaptive points are placed for.
        tolerance: Share of the steepest slope by which a step that did not run may be steeper.
        reads: What is read.

    Raises:
        ValueError: A name is not known, ``tolerance`` is no share, or is given for even points.
    """
    (where,), (certify,) = check_names(where, ("even", "adaptive"), "where"), check_names(certify, CERTIFIED, "certify")
    tolerance = check_number(tolerance, "tolerance", 0.0)
    if where == "even":
        if tolerance or certify != CERTIFIED[0]:
            raise ValueError(
                f"certify={certify!r}, tolerance={tolerance}: these place adaptive points, and where='even' runs all; "
                "give where='adaptive', or leave them out."
            )
        return None
    of = next(read for read in ("final_norm", "resid", *vectors(reads), "logits") if read in reads)
    return Rule(certify, of, tolerance)


def pairs_at_once(walk: Walk, rule: Rule | None, with_logprobs: bool, with_own: bool = False) -> int:
    """Number of pairs in one batch, so that what is held of their points fits in memory.

    Adaptive points hold the outputs of those pairs only that are in the rounds, so a batch of them may be larger.

    Args:
        walk: The paths that are measured.
        rule: What adaptive points are placed for; ``None`` for even ones.
        with_logprobs: Whether log-probabilities are held at all.
        with_own: Whether each prompt B's own outputs are held with them.
    """
    steps = len(walk.alphas)
    if rule is None:
        return pairs_that_fit(walk.model, steps, with_logprobs=with_logprobs)
    if with_logprobs and with_own:
        return _room(walk.model, max(map(len, walk.pairs.tokens_a)), steps, with_logprobs).pairs
    return max(1, POINT_BYTES // (steps * walk.a[0].nbytes))


def _room(model: Model, length: int, steps: int, with_logprobs: bool) -> Room:
    """What one round has room for: points of one pass, and the prefixes and outputs of the pairs on their way."""
    points = contexts_that_fit(model, length)
    held = pairs_that_fit(model, min(steps, USUALLY), with_logprobs=True) if with_logprobs else points
    return Room(max(1, min(points // 2, held)), points)


def run_adaptive(
    model: Model,
    batch: Batch,
    layer: int,
    reads: tuple[str, ...],
    table: PointTable,
    own: list[dict[str, Float[Tensor, "1 _width"]]] | None,
    rule: Rule,
) -> None:
    """Enter every measure at the points of some pairs that decide what is asked.

    Args:
        model: From :func:`srtoolkit.load_model`.
        batch: The pairs.
        layer: Block whose output is replaced.
        reads: What is read.
        table: Where it is entered, with ``evaluated``, ``certified`` and ``input_step``.
        own: B's own outputs, where they are to be compared with.
        rule: What the points are placed for.
    """
    points, (pairs, steps) = batch.points, batch.points.shape[:2]
    wanted = tuple("logprobs" if read == "logits" else read for read in reads)
    context = Rounds(model, batch.context, layer=layer, reads=wanted, position=batch.position, method=batch.method)

    def run(rows: Int[Tensor, " point"], places: Int[Tensor, " point"]) -> dict[str, Tensor]:
        return context(rows, points[rows, places])

    table["input_step"] = torch.zeros(pairs, steps)
    table["evaluated"] = torch.zeros(pairs, steps, dtype=torch.bool)
    table["certified"] = torch.zeros(pairs, dtype=torch.bool)

    settled = refine(
        run, pairs, steps, "logprobs" if rule.of == "logits" else rule.of, functools.partial(_moves, rule=rule),
        granted=GRANTED[rule.certify], tolerance=rule.tolerance, progress=batch.progress,
        room=_room(model, batch.context.shape[1], steps, "logits" in reads),
    )  # fmt: skip
    for pair, of_pair in settled:
        ran = torch.from_numpy(of_pair.places)
        order = torch.tensor([0, len(ran) - 1, *range(1, len(ran) - 1)])
        found = {name: values[order.to(values.device)] for name, values in of_pair.outputs.items()}
        table.enter(pair, found, order, None if own is None else own[pair], ran)
        table["evaluated"][pair, ran], table["certified"][pair] = True, of_pair.certified
        table["input_step"][pair, ran[1:]] = points[pair, ran].diff(dim=0).norm(dim=-1).cpu()


def _moves(outputs: Float[Tensor, "point width"], rule: Rule) -> Moves:
    """By how much the distance from A grows over each interval, and how far apart the outputs at its ends are."""
    if rule.of == "logits":
        outputs = (outputs / 2).exp()  # square roots of probabilities, whose distance is Hellinger's
    ways = outputs.diff(dim=0).norm(dim=-1).double().cpu().numpy()
    if rule.certify == "peak":
        return Moves(ways, ways)
    return Moves(distances.l2_from_first(outputs).double().diff().cpu().numpy(), ways)
