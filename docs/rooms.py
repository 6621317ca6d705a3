"""The rooms of srtoolkit and who imports whom; ``python -m docs.rooms`` draws ``docs/architecture.svg``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "srtoolkit"

#: Lowest first. A room imports from floors below its own, and from no other.
FLOORS = (
    ("version", "validation", "files", "reference", "profiles"),
    ("analysis", "suite", "results"),
    ("models",),
    ("prompts", "patching", "stimuli"),
    ("sweeps",),
    ("measures",),
    ("plot", "costs", "toy"),
    ("panels", "reproduction"),
    ("__init__", "__main__", "report", "paths"),
)

#: How far to the right each room stands in the picture, so that no arrow runs behind a box. Not shown are what all
#: rooms import (``version``, ``validation``), and the former name of a module (``paths``).
PLACES = {
    "files": 0.73,
    "reference": 0.36,
    "profiles": 0.93,
    "analysis": 0.57,
    "suite": 0.17,
    "results": 0.78,
    "models": 0.31,
    "prompts": 0.23,
    "patching": 0.40,
    "stimuli": 0.07,
    "sweeps": 0.74,
    "measures": 0.42,
    "plot": 0.62,
    "costs": 0.88,
    "toy": 0.47,
    "panels": 0.2,
    "reproduction": 0.75,
    "__init__": 0.2,
    "__main__": 0.75,
    "report": 0.5,
}

Edge = tuple[str, str]


def room_of(module: str) -> str:
    """The room of a module or of anything in it, such as ``models`` for ``srtoolkit.models.hub.cache``."""
    return [*module.split("."), "__init__"][1]


def imports() -> Iterator[tuple[Path, str]]:
    """Every module file with each thing of srtoolkit that it imports, imports within functions included."""
    for path in sorted([*PACKAGE.rglob("*.py"), PACKAGE / "__init__.pyi"]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                home = ".".join(filter(None, ["srtoolkit" if node.level else "", node.module]))
                names = [f"{home}.{alias.name}" for alias in node.names]
            else:
                continue
            yield from ((path, name) for name in names if name.split(".")[0] == "srtoolkit")


def edges() -> set[Edge]:
    """Who imports whom, between rooms."""
    pairs = {(path.relative_to(PACKAGE).parts[0].split(".")[0], room_of(name)) for path, name in imports()}
    return {(upper, lower) for upper, lower in pairs if upper != lower}


def listed(graph: set[Edge]) -> str:
    """A graph as text: a line for every room that imports others."""
    rooms = sorted({upper for upper, _ in graph})
    return "".join(f"{room}: {', '.join(sorted(low for up, low in graph if up == room))}\n" for room in rooms)


def reached(graph: set[Edge], room: str) -> set[str]:
    """The rooms that one imports, itself or through others."""
    below = {lower for upper, lower in graph if upper == room}
    return below.union(*(reached(graph, lower) for lower in below))


def needed(graph: set[Edge]) -> set[Edge]:
    """The arrows that no chain of other arrows implies: fewer, and they say the same about what stands on what."""
    between = {(upper, lower) for upper, middle in graph for lower in reached(graph, middle)}
    return graph - between


def draw(graph: set[Edge], path: Path) -> None:
    """Draw the rooms on their floors, with an arrow down to what each stands on; those that reach a model stand out.

    Args:
        graph: Who imports whom.
        path: Of the picture; its format is that of the suffix.
    """
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "rooms"  # the same graph gives the same file
    blue, orange = sns.color_palette("colorblind")[:2]
    axes = Figure(figsize=(9, 7.6)).add_axes((0, 0, 1, 1))
    places = {room: (PLACES[room], level) for level, floor in enumerate(FLOORS) for room in floor if room in PLACES}
    for level in range(0, len(FLOORS), 2):
        axes.axhspan(level - 0.5, level + 0.5, color="0.96", zorder=0)
    axes.set(xlim=(0, 1), ylim=(-0.5, len(FLOORS) - 0.5))
    axes.set_axis_off()
    boxes = {}
    for room, (x, y) in places.items():
        name = {"__init__": "import srtoolkit", "__main__": "srt"}.get(room, room)
        colour = orange if "models" in {room, *reached(graph, room)} else blue
        box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": colour, "linewidth": 2.5}
        boxes[room] = axes.text(x, y, name, ha="center", va="center", fontsize=14, bbox=box, zorder=3)
    axes.figure.draw_without_rendering()  # a box has its size from here on, and arrows end at its edge
    for upper, lower in sorted(needed(graph)):
        if upper in places and lower in places and upper not in FLOORS[-1]:
            line = {"arrowstyle": "-|>,head_width=0.25,head_length=0.5", "color": "0.3", "linewidth": 1.3}
            ends = {"patchA": boxes[upper].get_bbox_patch(), "patchB": boxes[lower].get_bbox_patch()}
            axes.annotate("", places[lower], places[upper], arrowprops={**line, **ends, "shrinkA": 0, "shrinkB": 2})
    axes.figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Write the picture, and its graph as text beside it, which a test compares with the code."""
    graph = edges()
    draw(graph, ROOT / "docs" / "architecture.svg")
    (ROOT / "docs" / "architecture.txt").write_text(listed(graph), encoding="utf-8")


if __name__ == "__main__":
    main()
