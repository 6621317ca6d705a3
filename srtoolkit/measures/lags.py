"""How predictions and outputs differ between two points of a path that are some steps apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from srtoolkit.measures.distances import jsd_of
from srtoolkit.validation import check_whole, listed

#: What is compared, by the name that :func:`srtoolkit.divergence` gives it; curves have these with ``_lag`` behind.
COMPARED = {
    "jsd": "Jensen-Shannon divergence of two points' predictions, nats",
    "same_token": "whether two points' most probable tokens are the same",
    "output_distance": "L2 distance of two points' outputs after the final norm",
}


def check_lags(lags: Any, steps: int, least: int = 1) -> tuple[int, ...]:
    """Numbers of steps between two points, checked.

    Args:
        lags: What was given.
        steps: Number of points of the path.
        least: Least number of lags.

    Raises:
        ValueError: There are fewer, or one is not between 1 and ``steps - 1``.
    """
    given = listed(lags)
    found = tuple(check_whole(lag, "lags", 1, steps - 1) for lag in given or [])
    if given is None or len(found) < least:
        raise ValueError(
            f"lags={lags!r}: expected numbers of steps from 1 to {steps - 1}, one less than steps={steps}."
        )
    return found


def compare_at_lags(
    logprobs: Float[Tensor, "point d_vocab"],
    probabilities: Float[Tensor, "point d_vocab"],
    outputs: Float[Tensor, "point d_model"],
    lags: Sequence[int],
) -> dict[str, Shaped[Tensor, "lag point"]]:
    """Divergence, agreement and distance of one pair's points with those some steps further, NaN beyond the last.

    Args:
        logprobs: Log-probabilities of the next token at each point, in the order of the path.
        probabilities: The probabilities themselves.
        outputs: Outputs after the final norm.
        lags: Numbers of steps between the two points.
    """
    top = logprobs.argmax(-1).double().masked_fill(logprobs.isnan().any(-1), torch.nan)
    found = {name: torch.full((len(lags), len(logprobs)), torch.nan, dtype=torch.float64) for name in COMPARED}
    for place, lag in enumerate(lags):
        here = {
            "jsd": jsd_of(probabilities[:-lag], probabilities[lag:]),
            "same_token": top[:-lag] == top[lag:],
            "output_distance": (outputs[lag:].float() - outputs[:-lag].float()).norm(dim=-1),
        }
        undefined = (top[:-lag] + top[lag:]).isnan()
        for name, values in here.items():
            found[name][place, :-lag] = values.double().masked_fill(undefined, torch.nan).cpu()
    return found
