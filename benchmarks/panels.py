"""Speed of the panels beside what a user would otherwise write, in one run: only the ratios mean something elsewhere.

    python benchmarks/panels.py [--model nano-1m] [--moves 30]

Prints how long each panel takes to its first picture; then how long a slider's move takes until the panel holds its new
picture, and the same for a new pyplot figure of the same content, without and with measuring again: the median and the
95th percentile by the clock, and the median of the processor's time, which other work on the machine does not add to.
What the browser adds is measured by the browser tests.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterable

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import srtoolkit as srt
from srtoolkit.panels.interpolation.pair import measure
from srtoolkit.panels.interpolation.panel import InterpolationPanel
from srtoolkit.panels.parts.panel import Panel
from srtoolkit.panels.region_map import RegionMap
from srtoolkit.panels.slice.panel import SliceExplorer
from srtoolkit.panels.training import TrainingPanel

PROMPTS = ("the king of England", "He opened the door and went into the", "I do not know what you")
TEXTS = [
    f"{start} {end}" for start in ("the king of", "he went to", "I saw") for end in ("France", "the sea", "men", "it")
]


def pyplot(result: xr.Dataset, alpha: float) -> bytes:
    """A new figure of the path panel's content, as a callback of ``ipywidgets.interact`` would draw it."""
    fig, (curve, bars) = plt.subplots(1, 2, figsize=(9.4, 3.9), layout="constrained")
    at = result.isel(pair=0).sel(alpha=alpha, method="nearest")
    srt.plot.curves(result, ax=curve)
    curve.axvline(float(at["alpha"]))
    bars.barh([repr(str(text)) for text in at["text"].values], at["probability"])
    bars.set(title=f"next token at α = {float(at['alpha']):.2f}", xlabel="probability")
    bars.invert_yaxis()
    file = io.BytesIO()
    fig.savefig(file)
    plt.close(fig)
    return file.getvalue()


def seconds(act: Callable[[float], object], values: Iterable[float]) -> np.ndarray:
    """How long each act takes, by the clock and by the processor; the first, which fills caches, is left out."""
    found = []
    for value in values:
        clock, processor = time.perf_counter(), time.process_time()
        act(value)
        found.append((time.perf_counter() - clock, time.process_time() - processor))
    return np.array(found[1:]).T


def first_picture(make: Callable[[], Panel]) -> tuple[Panel, float, float]:
    """A panel, the seconds to its first picture, and to the end of all that it computes."""
    start = time.perf_counter()
    panel = make()
    while panel.result is None and panel.error is None:
        time.sleep(0.002)
    with panel.lock:  # held while it draws
        shown = time.perf_counter() - start
    panel.settle(600)
    assert panel.error is None, panel.error
    return panel, shown, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano-1m")
    parser.add_argument("--moves", type=int, default=30)
    given = parser.parse_args()
    model = srt.load_model(given.model)
    measure(model, *PROMPTS[:2], layer=0, steps=50)  # the model's first pass chooses its patching method

    path, *path_first = first_picture(lambda: InterpolationPanel(model, *PROMPTS[:2]))
    map_, *map_first = first_picture(lambda: RegionMap(model, TEXTS))
    _, *plane_first = first_picture(lambda: SliceExplorer(model, PROMPTS))
    training, *training_first = first_picture(lambda: TrainingPanel("nano-1m", PROMPTS))
    assert isinstance(path, InterpolationPanel) and isinstance(map_, RegionMap) and isinstance(training, TrainingPanel)
    result = path.result
    assert result is not None
    print(f"time to first picture, and to the end ({given.model}; training: nano-1m)")
    firsts = {"path": path_first, "plane": plane_first, "map": map_first, "training": training_first}
    for name, (shown, done) in firsts.items():
        print(f"  {name:<10}{shown:8.2f} s{done:8.2f} s")

    alphas, turns = np.linspace(0, 1, given.moves + 1), range(given.moves + 1)
    rows = {
        "map: threshold": seconds(lambda alpha: setattr(map_.threshold, "value", 1 + 3 * alpha), alphas),
        "map: prompt": seconds(lambda turn: setattr(map_.end, "value", int(turn) % 11 + 1), turns),
        "training: checkpoint": seconds(lambda turn: setattr(training.checkpoint, "index", int(turn) % 12), turns),
        "new pyplot figure": seconds(lambda alpha: pyplot(result, alpha), alphas),
        "measured again, too": seconds(
            lambda alpha: pyplot(measure(model, *PROMPTS[:2], layer=0, steps=50).result, alpha), alphas[::3]
        ),
    }
    ours = np.median(rows["training: checkpoint"], axis=1)
    print(
        f"\n{'one move (ms)':<24}" + "".join(f"{head:>12}" for head in ("clock", "95%", "ratio", "processor", "ratio"))
    )
    for name, (clock, processor) in rows.items():
        middles = np.median(clock), np.median(processor)
        cells = (1e3 * middles[0], 1e3 * np.quantile(clock, 0.95), middles[0] / ours[0])
        print(f"{name:<24}" + "".join(f"{cell:12.1f}" for cell in (*cells, 1e3 * middles[1], middles[1] / ours[1])))


if __name__ == "__main__":
    main()
