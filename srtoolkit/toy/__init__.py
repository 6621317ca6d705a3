"""Maps whose truth is known, to try estimators on: features with a known exponent, boundaries at known places."""

from srtoolkit.toy.boundary_maps import BoundaryMap, ball, cone, half_space, respond, staircase
from srtoolkit.toy.feature_maps import FeatureMap, features

__all__ = ["BoundaryMap", "FeatureMap", "ball", "cone", "features", "half_space", "respond", "staircase"]


def __dir__() -> list[str]:
    return sorted(__all__)
