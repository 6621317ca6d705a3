"""A trial of patching methods on contexts at hand: how far their outputs are from whole prompts'."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Trial:
    """A path in each of two contexts, and what whole prompts give at both ends of one and in the middle of the other.

    A method that is wrong is wrong there. A path has as many points as one sequence will have. Whole prompts are most
    of what a trial costs, so there are three: of the operations of 100 pairs with 50 points on SmolLM2, a trial takes
    2.5% at 10 tokens, 3.6% at 64 and 4.7% at 1,024.

    Attributes:
        model: The model.
        two: Token ids of the two contexts.
        points: The points of both paths.
        readout: The output after the final norm, and where the points go in.
        places: Which points are compared: indices of the context and of the point.
        expected: Outputs of the full path there.
        moved: Distance of the outputs at the ends of the first context's path.
    """

    model: Model
    two: Int[Tensor, "context pos"]
    points: Float[Tensor, "context point d_model"]
    readout: Readout
    places: tuple[tuple[int, int], ...]
    expected: Float[Tensor, "_place d_model"]
    moved: float

    @property
    def finite(self) -> bool:
        """Whether no output is NaN or infinite; otherwise nothing can be compared."""
        return bool(self.expected.isfinite().all()) and math.isfinite(self.moved)

    @property
    def rounding(self) -> float:
        """Distance that rounding alone can make; some families compute in float32 whatever the model's format."""
        step = max(torch.finfo(dtype).eps for dtype in (self.model.hf.dtype, torch.float32))
        return ROUNDING_STEPS * step * float(self.expected.norm(dim=-1).max())

    def error(self, method: str) -> float:
        """Largest distance of a method's outputs from those of the full path.

        Args:
            method: Name of the method; what it raises is not caught.
        """
        found = METHODS[method].run(self.model, self.two, self.points, self.readout)["final_norm"]
        there = torch.stack([found[context, point] for context, point in self.places])
        return float((there.double() - self.expected).norm(dim=-1).max())


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

    ends = whole(0, torch.stack([own[0], points[0, last]]))
    other = whole(1, points[1, middle : middle + 1])
    # A path's first point is the context's own activation; where there is but one point, it is the last.
    places = ((0, 0), (0, last), (1, middle)) if last else ((0, last), (1, middle))
    moved = max(float((ends[1] - ends[0]).norm()), torch.finfo(torch.float32).tiny)
    return Trial(model, two, points, readout, places, torch.cat([ends if last else ends[1:], other]), moved)


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
