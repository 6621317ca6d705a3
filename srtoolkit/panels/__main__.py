"""``python -m srtoolkit.panels``: the pictures of panels that the README shows, as the panels save them."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtoolkit.panels.interpolation.panel import InterpolationPanel
from srtoolkit.panels.parts.panel import Panel
from srtoolkit.panels.slice.panel import SliceExplorer


def main() -> None:
    """Write the pictures of the panels into a folder."""
    parser = argparse.ArgumentParser(prog="python -m srtoolkit.panels", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs"), help="where they are written")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    street = " The house at the end of the street was"
    panels: dict[str, Panel] = {
        "interpolation": InterpolationPanel("smollm2-135m", f"{street} very", f"{street} in"),
        "slice": SliceExplorer("nano-1m"),
    }
    for name, panel in panels.items():
        panel.settle(1200)
        if panel.error is not None:
            raise panel.error
        panel.save(folder / f"{name}.png")


if __name__ == "__main__":
    main()
