"""Measurements of predictions and of noise beside ``srt.interpolate``, by time a point, in one run: what matters is the
ratio, since all of them put the same number of points through the same blocks and read logits there.

    python -m benchmarks.predictions [--model smollm2-135m] [--pairs 100] [--repeats 3]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

import srtoolkit as srt

#: Points of each path.
STEPS = 50

#: Random points beside each A: with A and B, and A alone by two methods, as many points as a path has.
NEIGHBOURS = 46


def calls(model: srt.Model, pairs: srt.PromptPairs) -> dict[str, tuple[int, Callable[[], Any]]]:
    """Every measurement with the number of points that it puts in."""
    n, alphas = len(pairs), torch.linspace(0, 1, STEPS).tolist()
    return {
        "interpolate with logits": (n * STEPS, lambda: srt.interpolate(model, pairs, steps=STEPS)),
        "next_tokens": (n * STEPS, lambda: srt.next_tokens(model, pairs, alphas=alphas)),
        "divergence": (n * STEPS, lambda: srt.divergence(model, pairs, steps=STEPS)),
        "noise_floor": (n * (2 + 2 + NEIGHBOURS), lambda: srt.noise_floor(model, pairs, neighbours=NEIGHBOURS)),
    }


def main() -> None:
    """Time each in turn, several times over, and print the fastest of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predictions", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    model = srt.load_model(given.model)
    todo = calls(model, srt.sample_pairs(model, given.pairs))
    srt.interpolate(model, srt.sample_pairs(model, 2))  # settles the patching method
    fastest = dict.fromkeys(todo, float("inf"))
    for _ in range(given.repeats):
        for name, (points, call) in todo.items():
            start = time.perf_counter()
            call()
            fastest[name] = min(fastest[name], (time.perf_counter() - start) / points)
    first = fastest["interpolate with logits"]
    for name, seconds in fastest.items():
        print(f"{name:>24}{1e3 * seconds:8.2f} ms a point{seconds / first:7.2f} of interpolate's")


if __name__ == "__main__":
    main()
