"""Measures of one pair's outputs along its path: from both ends, from B's own output, and from the point before."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from srtoolkit.measures import distances, likely_tokens
from srtoolkit.measures.lags import compare_at_lags
from srtoolkit.measures.likely_tokens import likeliest
from srtoolkit.measures.read_points import vectors


class Predictions(NamedTuple):
    """What several distances between predictions are made of, computed once.

    Attributes:
        probabilities: Probabilities of the next token at each point.
        roots: Their square roots.
    """

    probabilities: Float[Tensor, "point d_vocab"]
    roots: Float[Tensor, "point d_vocab"]

    @classmethod
    def of(cls, found: dict[str, Float[Tensor, "point _width"]]) -> Predictions | None:
        """Those of one pair; ``None`` where its predictions were not read.

        Args:
            found: Outputs at each point, by read point.
        """
        if "logprobs" not in found:
            return None
        probabilities = found["logprobs"].exp()
        return cls(probabilities, probabilities.sqrt())


def compare_ends(
    found: dict[str, Float[Tensor, "point _width"]], shared: Predictions | None, top: int, jsd_steps: bool
) -> dict[str, Shaped[Tensor, "point ..."]]:
    """All measures of one pair's points, the first two of which are the ends.

    Args:
        found: Outputs at each point, by read point.
        shared: What distances between predictions are made of; ``None`` where these were not read.
        top: Number of likeliest next tokens to keep.
        jsd_steps: Whether the divergence from the far end is asked for, too.
    """
    out = {}
    for read, suffix in vectors(found).items():
        out[f"distance{suffix}"] = distances.l2_from_first(found[read])
        out[f"distance_b{suffix}"] = distances.l2_from_second(found[read])
        out[f"output_norm{suffix}"] = found[read].norm(dim=-1)
        wide = found[read].double()  # a cosine near 1 is an angle near 0 only to half the digits
        out[f"output_cosine{suffix}"] = F.cosine_similarity(wide[:1], wide, dim=-1)
    if shared is not None:
        logprobs, (probabilities, roots) = found["logprobs"], shared
        out["kl"] = distances.kl_from_first(logprobs)
        out["jsd"] = distances.jsd_of(probabilities[:1], probabilities)
        if jsd_steps:
            out["jsd_b"] = distances.jsd_of(probabilities[1:2], probabilities)
        out["hellinger"], out["hellinger_b"] = distances.hellinger_from_ends(roots)
        out["logit_difference"] = distances.logit_difference(logprobs)
        out["top_token"], out["top_probability"] = likely_tokens.top_token(logprobs)
        if top:
            out["token"], out["probability"] = likeliest(logprobs, top)
    return out


def compare_own(
    found: dict[str, Float[Tensor, "point _width"]],
    shared: Predictions | None,
    own: dict[str, Float[Tensor, "1 _width"]],
) -> dict[str, Float[Tensor, " point"]]:
    """How far one pair's outputs are from B's own in its own context.

    Args:
        found: Outputs at each point, by read point.
        shared: What distances between predictions are made of; ``None`` where these were not read.
        own: B's own output, by read point.
    """
    out = {f"own_b{suffix}": (found[read] - own[read]).norm(dim=-1) for read, suffix in vectors(found).items()}
    if shared is not None:
        out["own_b_hellinger"] = distances.hellinger((own["logprobs"] / 2).exp(), shared.roots)
    return out


def compare_neighbours(
    found: dict[str, Float[Tensor, "point _width"]],
    shared: Predictions | None,
    order: Int[Tensor, " point"],
    jsd_steps: bool,
) -> tuple[Int[Tensor, " step"], dict[str, Float[Tensor, " step"]]]:
    """How far one pair's outputs are from those one point before, at the points of which these are at hand.

    Args:
        found: Outputs at each point, by read point.
        shared: What distances between predictions are made of; ``None`` where these were not read.
        order: Place of each point on the path.
        jsd_steps: Whether the square root of the divergence is asked for, too.

    Returns:
        The places, and the distances at them.
    """
    sorting = order.argsort()
    follows = order[sorting].diff() == 1
    before, here = sorting[:-1][follows], sorting[1:][follows]
    out = {
        f"step{suffix}": (found[read][here] - found[read][before]).norm(dim=-1)
        for read, suffix in vectors(found).items()
    }
    if shared is not None:
        probabilities, roots = shared
        in_order = roots[sorting]
        out["step_hellinger"] = distances.hellinger(in_order[:-1], in_order[1:])[follows]
        if jsd_steps:
            out["step_jsd"] = distances.jsd_of(probabilities[before], probabilities[here]).sqrt()
    return order[here], out


class PointTable(dict[str, Tensor]):
    """Measures of some pairs by name, ``[pair, place, ...]``, entered point by point; NaN or -1 where nothing ran.

    Args:
        pairs: Number of pairs.
        places: Number of places on each path.
        top: Number of likeliest next tokens to keep.
        jsd_steps: Whether the motion of predictions is measured by Jensen-Shannon divergence, too.
        lags: Numbers of steps between two points that are compared, where all points of a path run together.
    """

    def __init__(
        self, pairs: int, places: int, *, top: int = 0, jsd_steps: bool = False, lags: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self._shape, self._top, self._jsd_steps, self._lags = (pairs, places), top, jsd_steps, lags

    def enter(
        self,
        pair: int,
        found: dict[str, Float[Tensor, "point _width"]],
        order: Int[Tensor, " point"],
        own: dict[str, Float[Tensor, "1 _width"]] | None,
        ran: Int[Tensor, " _ran"] | None = None,
    ) -> None:
        """All measures of some points of one pair, of which the first two are the path's ends.

        Args:
            pair: Index of the pair.
            found: Outputs at each point, by read point.
            order: Number of each point among those that run.
            own: B's own output, by read point, where it is to be compared with.
            ran: Places of the points that run; all of the path by default.
        """
        places = torch.arange(self._shape[1]) if ran is None else ran
        shared = Predictions.of(found)
        measured = compare_ends(found, shared, self._top, self._jsd_steps)
        if own is not None:
            measured |= compare_own(found, shared, own)
        for name, values in measured.items():
            self._blank(name, values)[pair, places[order]] = values.cpu()
        here, measured = compare_neighbours(found, shared, order, self._jsd_steps)
        for name, values in measured.items():
            whole = self._blank(name, values)
            whole[pair, 0], whole[pair, places[here]] = 0.0, values.cpu()
        if self._lags and shared is not None:
            along = order.argsort()
            of_path = found["logprobs"][along], shared.probabilities[along], found["final_norm"][along]
            for name, values in compare_at_lags(*of_path, self._lags).items():
                self._blank(f"{name}_lag", values.T)[pair] = values.T

    def _blank(self, name: str, like: Tensor) -> Tensor:
        """The whole of one measure, made where it is not yet there."""
        empty = float("nan") if like.is_floating_point() else -1
        return self.setdefault(name, torch.full((*self._shape, *like.shape[1:]), empty, dtype=like.dtype))
