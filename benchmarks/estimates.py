"""How long :func:`srtoolkit.estimate_cost` says that work takes, beside how long it then takes.

    python -m benchmarks.estimates

Each is the fastest of six, taken in turns, so that other work on the machine slows both; the ratio should be near 1.
"""

from __future__ import annotations

import time

import torch

import srtoolkit as srt
from srtoolkit.costs.work import run

WORK = (
    srt.Work("nano-1m", pairs=100),
    srt.Work("nano-1m", call="slice_plane", resolution=41),
    srt.Work("smollm2-135m", pairs=6, reads=("final_norm",)),
)


def compared(work: srt.Work, repeats: int = 6) -> tuple[float, float]:
    """Seconds as estimated, and as taken."""
    estimated, taken = [], []
    for _ in range(repeats):
        estimated.append(float(srt.estimate_cost(work, calibrate=4)["seconds"].iloc[0]))
        start = time.perf_counter()
        run(srt.load_model(work.model), work)
        taken.append(time.perf_counter() - start)
    return min(estimated), min(taken)


def main() -> None:
    """Print a row for each piece of work."""
    torch.set_num_threads(1)  # threads that wait for each other are slowed unevenly by whatever else runs
    print(f"{'work':<40}{'estimated':>12}{'taken':>12}{'ratio':>8}")
    for work in WORK:
        estimated, taken = compared(work)
        print(f"{work.label:<40}{estimated:10.2f} s{taken:10.2f} s{estimated / taken:8.2f}")


if __name__ == "__main__":
    main()
