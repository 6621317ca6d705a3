"""What is told of one path: its curve, its motion, and the tokens that matter on it, as a page can draw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from srtoolkit.analysis.curves import READS
from srtoolkit.analysis.jumps import speed_of
from srtoolkit.analysis.motion import END, motion
from srtoolkit.analysis.sharpness import sharpness
from srtoolkit.validation import check_dataset

#: Tokens whose probability is drawn over the whole path.
TOKENS = 5
#: Likeliest tokens in the line below the figure.
BEST = 3
#: An end is shaded, and called calm, where the output moves at less than this part of its mean speed.
CALM = 0.6

#: Curves that can be drawn: their name, and whether they end at 1 by definition.
CURVES = {
    "relative_distance": ("distance of the output, over d(1)", "distance from A's"),
    "kl": ("KL divergence from A's prediction, nats", "KL from A's"),
    "jsd": ("JS divergence from A's prediction, nats", "JS from A's"),
    "logit_difference": ("logit difference, A's token less B's", "logit difference"),
}

#: Variables that a story is told of, and the call that measures them.
NEEDED = ("distance", "distance_b", "relative_distance", "step", "token", "probability", "text", "degenerate")


def tell(
    result: xr.Dataset,
    pair: int = 0,
    of: str = "relative_distance",
    *,
    shuffled: xr.Dataset | None = None,
    facts: Sequence[str] = (),
    label: str = "",
) -> dict[str, Any]:
    """The story of one pair: numbers, texts and words that ``path.js`` draws, without any NaN.

    Args:
        result: From :func:`srtoolkit.interpolate` with ``top``.
        pair: Index of the pair.
        of: Curve that is drawn, a key of ``CURVES``.
        shuffled: The same pair's curves in a model of shuffled weights.
        facts: Sentences about the whole path.
        label: All of it in words, for who does not see the figure.

    Raises:
        TypeError: ``result`` is no Dataset.
        ValueError: ``result`` lacks what is told.
    """
    check_dataset(result, NEEDED, "result", "srtoolkit.interpolate with top=50")
    one = result.isel(pair=[pair])
    moves = motion(one).isel(pair=0)
    texts, probabilities = (one[name].values[0] for name in ("text", "probability"))
    tokens, over_path = matter(one["token"].values[0], probabilities)
    names, places = np.unique(texts, return_inverse=True)
    places = places.reshape(texts.shape)
    ids = one["token"].values[0]
    by_id = dict(zip(ids.ravel().tolist(), texts.ravel().tolist(), strict=True))
    known = bool(~moves["excluded"])
    return {
        "label": label,
        "alpha": one["alpha"].values.tolist(),
        "curve": _curve(one, of),
        "speed": speeds(one)[0].tolist() if known else [],
        "shuffled": speeds(shuffled)[0].tolist() if shuffled is not None else None,
        "peak": _number(moves["peak"]),
        "calm": _calm(moves) if known else [],
        "tokens": [by_id[token] for token in tokens],
        "probabilities": [_plain(values) for values in over_path],
        "names": names.tolist(),
        "top": places[:, 0].tolist(),
        "best": [
            [
                [int(name), float(share)]
                for name, share in zip(row[:BEST], chance[:BEST], strict=True)
                if np.isfinite(share)
            ]
            for row, chance in zip(places, probabilities, strict=True)
        ],
        "facts": list(facts),
    }


def speeds(curves: xr.Dataset) -> Float[np.ndarray, "pair step"]:
    """Speed of each pair's output along its own path, on every step; even motion has 1.

    Args:
        curves: From :func:`srtoolkit.interpolate`.
    """
    steps = curves[READS["final_norm"][0]].transpose("pair", "alpha").values[:, 1:].astype(np.float64)
    return speed_of(curves["alpha"].values.astype(np.float64), steps)


def matter(
    tokens: Int[np.ndarray, "alpha rank"], probabilities: Float[np.ndarray, "alpha rank"], count: int = TOKENS
) -> tuple[list[int], Float[np.ndarray, "token alpha"]]:
    """The tokens that are most probable somewhere on the path, and their probability everywhere.

    Where a token is not among the likeliest that were kept, its probability is below the last of these, and is taken
    as 0.

    Args:
        tokens: Ids of the likeliest tokens at every point.
        probabilities: Their probabilities.
        count: Most tokens to give, by their largest probability; ties by id.
    """
    ids, chances = tokens, np.nan_to_num(probabilities)
    largest: dict[int, float] = {}
    for token, chance in zip(ids.ravel().tolist(), chances.ravel().tolist(), strict=True):
        if token >= 0:
            largest[token] = max(chance, largest.get(token, 0.0))
    chosen = sorted(largest, key=lambda token: (-largest[token], token))[:count]
    return chosen, np.array([np.where(ids == token, chances, 0.0).sum(axis=1) for token in chosen])


def facts_of(result: xr.Dataset, pair: int = 0) -> list[str]:
    """What a path shows as a whole, in sentences and in the words of the glossary.

    Args:
        result: From :func:`srtoolkit.interpolate`.
        pair: Index of the pair.
    """
    one = result.isel(pair=[pair])
    moves = motion(one).isel(pair=0)
    said = [_straight(one)] if _same_last_token(one) else []
    if moves["degenerate"]:
        return ["A and B give the same output, so there is no way to go.", *said]
    if moves["excluded"]:
        return ["The output is not finite, or its steps are within rounding, so its motion says nothing.", *said]
    peak, jumps = float(moves["peak"]), int(moves["jumps"])
    slope = float(sharpness(one)["max_slope"].values[0])
    motion_says = (
        f"Peak speed {peak:.1f} at α {float(moves['peak_at']):.2f} (even motion has 1); "
        f"mean speed {float(moves['calm_a']):.2f} in the first tenth, {float(moves['calm_b']):.2f} in the last. "
    )
    verdict = {0: "No jump: both ends lie in one region.", 1: "One jump: a boundary lies between two regions."}
    counted = verdict.get(jumps, f"{jumps} jumps: the path goes through {jumps + 1} regions.")
    return [f"{motion_says}{counted} The paper's largest slope is {slope:.1f}.", *said]


def _same_last_token(one: xr.Dataset) -> bool:
    ends = [one[f"tokens_{side}"].values[0] for side in "ab" if f"tokens_{side}" in one]
    return len(ends) == 2 and bool(ends[0][ends[0] >= 0][-1] == ends[1][ends[1] >= 0][-1])


def _straight(one: xr.Dataset) -> str:
    layer, apart = one.attrs.get("layer"), float(one["input_distance"].values[0])
    share = apart / float(one["norm_a"].values[0])
    return (
        f"Both prompts end in the same token. After block {layer}, B is only {share:.0%} of A's length away, so the "
        "path is short and often straight. Choose prompts with other last words, or a deeper block."
    )


def _curve(one: xr.Dataset, of: str) -> dict[str, Any]:
    name, label = CURVES[of]
    values = one[of].values[0].astype(np.float64)
    back = None
    if of == "relative_distance":
        with np.errstate(all="ignore"):
            back = _plain(one["distance_b"].values[0] / one["distance"].values[0, -1])
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    shift = min(low, 0.0)  # the axis starts at 0, or at the lowest value
    most = max(high - shift, 1e-9)
    if of == "relative_distance":
        most = max(1.08, high, *[value for value in back or [] if value is not None])
        ticks = [[0.0, "0"], [0.5, "0.5"], [1.0, "1"]]
    else:
        ticks = [[0.0, f"{shift:.2g}"], [most, f"{high:.2g}"]]
        most *= 1.05
    return {"name": name, "label": label, "values": _plain(values - shift), "back": back, "most": most, "ticks": ticks}


def _calm(moves: xr.Dataset) -> list[dict[str, Any]]:
    ends = ((0.0, END, "calm_a"), (1 - END, 1.0, "calm_b"))
    return [
        {"from": start, "to": end, "text": f"calm {float(moves[name]):.2f}"}
        for start, end, name in ends
        if float(moves[name]) < CALM
    ]


def _plain(values: Any) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _number(value: xr.DataArray) -> float:
    found = float(value)
    return found if np.isfinite(found) else 0.0
