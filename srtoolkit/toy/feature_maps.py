"""A map with known features, each of which corrects its own errors: the p of its response is known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from srtoolkit.measures.directions import Directions, rows
from srtoolkit.validation import check_number, check_whole


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """A map that reads features off and brings each nearer to the closest whole number.

    With ``c = W x``, what the output keeps of the rest ``r = c - round(c)`` of each feature is
    ``sign(r) |2 r|^(p / 2) / 2``. So around a point whose features are whole numbers, and up to a push of 1/2, the
    output moves by ``|2 r|_p^(p / 2) / 2`` (L2): a function of the L^p norm of the push's features. With p = 2 nothing
    is corrected; with larger p, small errors all but vanish, and plateaus end at halves.

    Attributes:
        directions: The features ``W``, one row each, of length 1.
        p: The exponent.
    """

    directions: Directions
    p: float

    def __call__(self, points: Float[Tensor, "*point d_model"]) -> Float[Tensor, "*point feature"]:
        """Outputs at some points.

        Args:
            points: Any number of them.
        """
        read = points.double() @ self.directions.vectors.double().T
        rest = read - read.round()
        return read.round() + rest.sign() * (2 * rest.abs()) ** (self.p / 2) / 2

    def draw(self, n: int, active: int = 3, *, seed: int = 0) -> Float[Tensor, "point d_model"]:
        """Points at which some features, drawn by chance, are 1 and no other is put in.

        Args:
            n: How many points.
            active: Number of active features of each.
            seed: Seed of the draw.
        """
        generator = torch.Generator().manual_seed(check_whole(seed, "seed"))
        active = check_whole(active, "active", 0, len(self.directions))
        chosen = [torch.randperm(len(self.directions), generator=generator)[:active] for _ in range(n)]
        return torch.stack([self.directions.vectors[places].sum(0) for places in chosen]).double()


def features(n: int, d_model: int, p: float = 4.0, *, seed: int = 0) -> FeatureMap:
    """A map with ``n`` known features in ``d_model`` dimensions, whose response has a known exponent.

    Up to as many features as dimensions, they are orthogonal, and p is exact. More of them are in superposition:
    random directions, which read a little of each other.

    Args:
        n: Number of features.
        d_model: Number of dimensions.
        p: The exponent, from 1 on; 2 corrects nothing.
        seed: Seed of the draw of the features.

    Raises:
        ValueError: A number is out of range.
    """
    n, d_model = check_whole(n, "n", 1, 10**5), check_whole(d_model, "d_model", 1, 10**5)
    p, seed = check_number(p, "p", 1.0, 100.0), check_whole(seed, "seed", 0, 2**63 - 1)
    drawn = torch.randn(n, d_model, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if n <= d_model:
        drawn = torch.linalg.qr(drawn.T).Q.T
    return FeatureMap(rows(drawn, [f"feature {i}" for i in range(n)]), p)
