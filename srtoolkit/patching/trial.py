"""A trial of patching methods on contexts at hand: how far their outputs are from whole prompts'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.methods.method import Contexts, rows_for
from srtoolkit.patching.passes import stream
from srtoolkit.patching.reads import Readout

#: Largest error, relative to how far the outputs move, at which a method counts as agreeing with the full path.
AGREEMENT = {"float64": 1e-8, "float32": 1e-3, "float16": 3e-2, "bfloat16": 2e-1}

#: Error that rounding alone can make, in steps of the number format at the size of the output.
ROUNDING_STEPS = 8

#: Two activations nearer than this share of their norm are no path to try a method on: rounding would decide.
_APART = 1e-2


class Error(NamedTuple):
    """How far a method's outputs are from those of whole prompts, relative to how far those of a context move.

    Attributes:
        share: The largest of these; NaN where an output is no number.
        beyond: The largest of those that rounding alone cannot make, or 0.
    """

    share: float
    beyond: float


@dataclass(frozen=True, eq=False)
class Trial:
    """A path in each of two contexts, and what whole prompts give at both ends of one and in the middle of the other.

    A method that is wrong is wrong there. A path has as many points as one sequence will have. Whole prompts are most
    of what a trial costs, so there are three: of the operations of 100 pairs with 50 points on SmolLM2, a trial takes
    2.5% at 10 tokens, 3.6% at 64 and 4.7% at 1,024. Where a path is one point, there are four: it and its context's own
    activation in both.

    Attributes:
        model: The model.
        two: Token ids of the two contexts.
        points: The points of both paths.
        readout: The output after the final norm, and where the points go in.
        places: Which points are compared: indices of the context and of the point.
        expected: Outputs of the full path there.
        moved: Distance of the outputs at the ends of a path, of the contexts where whole prompts ran both: the first,
            or both.
    """

    model: Model
    two: Int[Tensor, "context pos"]
    points: Float[Tensor, "context point d_model"]
    readout: Readout
    places: tuple[tuple[int, int], ...]
    expected: Float[Tensor, "_place d_model"]
    moved: Float[Tensor, " _context"]

    @property
    def finite(self) -> bool:
        """Whether no output is NaN or infinite; otherwise nothing can be compared."""
        return bool(self.expected.isfinite().all() and self.moved.isfinite().all())

    def error(self, method: str) -> Error:
        """How far a method is from the full path, each context measured by its own outputs' movement.

        Where whole prompts ran but one point of a path, the movement is that of the method's own outputs: a method that
        is wrong by as much as they move is wrong in the middle, too.

        Args:
            method: Name of the method; what it raises is not caught.
        """
        found = METHODS[method].run(self.model, self.two, self.points, self.readout)["final_norm"].double()
        context, point = torch.tensor(self.places, device=found.device).T
        off = (found[context, point] - self.expected).norm(dim=-1)
        paths = found[len(self.moved) :]
        lengths = (paths - paths[:, :1]).norm(dim=-1).nan_to_num(0.0, posinf=0.0).amax(1)
        moved = torch.cat([self.moved, lengths]).clamp(min=torch.finfo(torch.float32).tiny)
        # Some families compute in float32 whatever the model's format is.
        step = max(torch.finfo(dtype).eps for dtype in (self.model.hf.dtype, torch.float32))
        rounds = off <= ROUNDING_STEPS * step * self.expected.norm(dim=-1)
        share = off / moved[context]
        return Error(float(share.max()), float(share.where(~rounds, 0).max()))


def set_up(model: Model, context: Int[Tensor, "context pos"], contexts: Contexts, layer: int) -> Trial:
    """A trial on the first and the last context.

    Args:
        model: From :func:`srtoolkit.load_model`.
        context: Token ids of the contexts.
        contexts: Their lengths and numbers.
        layer: Block whose output is replaced.
    """
    readout = Readout(("final_norm",), layer, behind=contexts.behind)
    two = context[[0, -1]] if len(context) > 1 else torch.cat([context, context.roll(1, 1)])
    own = stream(model, two, layer, last=1 + contexts.behind)[:, 0]
    points = _paths(own, rows_for(contexts.n_points, contexts.behind)[1])
    last, middle = points.shape[1] - 1, points.shape[1] // 2

    def whole(at: int, activations: Float[Tensor, "_point d_model"]) -> Float[Tensor, "_point d_model"]:
        found = METHODS["full"].run(model, two[at : at + 1], activations[None], readout)
        return found["final_norm"][0].double()

    if not last:
        ends = torch.stack([whole(at, torch.stack([own[at], points[at, 0]])) for at in (0, 1)])
        return Trial(model, two, points, readout, ((0, 0), (1, 0)), ends[:, 1], _apart(ends))
    # A path's first point is the context's own activation.
    ends, other = whole(0, points[0, [0, last]]), whole(1, points[1, middle : middle + 1])
    places = ((0, 0), (0, last), (1, middle))
    return Trial(model, two, points, readout, places, torch.cat([ends, other]), _apart(ends[None]))


def _apart(ends: Float[Tensor, "context 2 d_model"]) -> Float[Tensor, " context"]:
    return (ends[:, 1] - ends[:, 0]).norm(dim=-1)


def _paths(own: Float[Tensor, "context d_model"], n_points: int) -> Float[Tensor, "context point d_model"]:
    """Points on a straight line from each of two activations to the other, the last at its end.

    Where the two are nearly the same, the line leads a random way instead.
    """
    step = own.flip(0) - own
    noise = torch.randn(own.shape, generator=torch.Generator().manual_seed(0)).to(own)
    away = 0.5 * own.norm(dim=-1, keepdim=True) * noise / noise.norm(dim=-1, keepdim=True)
    apart = step.norm(dim=-1, keepdim=True) > _APART * own.norm(dim=-1, keepdim=True)
    alphas = torch.linspace(0, 1, n_points) if n_points > 1 else torch.ones(1)
    return own[:, None] + alphas.to(own)[:, None] * torch.where(apart, step, away)[:, None]
