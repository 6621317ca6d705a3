"""Curves at the points that decide their steepest step: what is asked, how it runs, and what of it is entered."""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.measures import distances
from srtoolkit.measures.adaptive import EAGER, Moves, refine
from srtoolkit.measures.along_path import PointTable
from srtoolkit.measures.read_points import vectors
from srtoolkit.measures.walk import Batch, Walk, pairs_that_fit
from srtoolkit.models.model import Model
from srtoolkit.patching.rounds import Rounds, contexts_that_fit
from srtoolkit.validation import check_names, check_number

#: What adaptive points can be placed for.
CERTIFIED = ("max_slope", "peak")

#: Points of one path whose log-probabilities are allowed for, of longer paths: about what the longest take.
USUALLY = 64


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


def pairs_at_once(walk: Walk, rule: Rule | None, with_logprobs: bool) -> int:
    """Number of pairs in one batch, so that what is held of their points fits in memory.

    Args:
        walk: The paths that are measured.
        rule: What adaptive points are placed for; ``None`` for even ones.
        with_logprobs: Whether log-probabilities are held at all.
    """
    steps = len(walk.alphas)
    if rule is None:
        return pairs_that_fit(walk.model, steps, with_logprobs=with_logprobs)
    longest = max(len(tokens) for tokens in walk.pairs.tokens_a)
    fitting = contexts_that_fit(walk.model, longest, 2 * int(EAGER))
    if not with_logprobs:
        return fitting
    return min(fitting, pairs_that_fit(walk.model, min(steps, USUALLY), with_logprobs=True))


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

    read = "logprobs" if rule.of == "logits" else rule.of
    settled = refine(
        run, pairs, steps, read, functools.partial(_moves, rule=rule), tolerance=rule.tolerance, progress=batch.progress
    )
    for pair, of_pair in enumerate(settled):
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
