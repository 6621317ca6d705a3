"""Where gates change sign on a plane through three prompts; ``python -m docs.gates`` draws ``docs/gates.png``."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import xarray as xr

import srtoolkit as srt

PICTURE = Path(__file__).with_name("gates.png")
TITLES = ("trained: gates change sign where regions meet", "the same weights, shuffled: they change sign all over")


def measure() -> list[xr.Dataset]:
    """Gates of the last block and outputs of SmolLM2, then of the same weights in another order; some minutes."""
    model = srt.load_model("smollm2-135m")
    triple, last = srt.paper_pairs(model)[3:].text_a, model.n_layers - 1
    results = []
    for one in (model, srt.null_model(model, "permuted", seed=0)):
        results.append(srt.slice_gates(one, triple, last))
        results.append(srt.slice_plane(one, triple, tolerance=0.01, reads="final_norm"))
    return results


def draw(results: list[xr.Dataset], picture: Path = PICTURE) -> None:
    """Write the picture.

    Args:
        results: From :func:`measure`.
        picture: The file to write.
    """
    srt.plot.notebook_style(dpi=84)
    axes = srt.plot.gates_at_boundaries(*results, titles=TITLES)
    axes[0].figure.savefig(picture, pil_kwargs={"optimize": True})
    plt.close(axes[0].figure)


if __name__ == "__main__":
    draw(measure())
