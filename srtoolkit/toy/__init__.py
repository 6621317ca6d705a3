"""Maps and models whose truth is known: a known exponent, boundaries at known places, known belief states."""

from srtoolkit.toy.boundary_maps import BoundaryMap, ball, cone, half_space, respond, staircase
from srtoolkit.toy.feature_maps import FeatureMap, features
from srtoolkit.toy.hidden_markov import HiddenMarkov, hmm
from srtoolkit.toy.processes import Process

__all__ = [
    "BoundaryMap",
    "FeatureMap",
    "HiddenMarkov",
    "Process",
    "ball",
    "cone",
    "features",
    "half_space",
    "hmm",
    "respond",
    "staircase",
]


def __dir__() -> list[str]:
    return sorted(__all__)
