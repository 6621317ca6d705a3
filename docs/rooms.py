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
    ("plot", "costs"),
    ("panels", "reproduction"),
    ("__init__", "__main__", "report", "paths"),
)

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


def draw(graph: set[Edge], path: Path) -> None:
    """Draw the rooms on their floors, and a line from each down to those that it imports.

    Args:
        graph: Who imports whom.
        path: Of the picture; its format is that of the suffix.
    """
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "rooms"  # the same graph gives the same file
    shown = [[room for room in floor if room not in ("version", "validation", "paths")] for floor in FLOORS]
    colours = sns.color_palette("colorblind", len(shown))
    places = {
        room: ((column + 0.5) / len(floor) + 0.06 * (-1) ** level, float(level))
        for level, floor in enumerate(shown)
        for column, room in enumerate(floor)
    }
    axes = Figure(figsize=(9, 8.5)).add_axes((0, 0, 1, 1))
    for upper, lower in sorted(graph):
        if upper in places and lower in places and upper not in shown[-1]:
            (x, y), (x_low, y_low) = places[upper], places[lower]
            axes.annotate(
                "",
                (x_low, y_low + 0.2),
                (x, y - 0.2),
                arrowprops={"arrowstyle": "-|>", "color": colours[int(y)], "alpha": 0.75, "shrinkA": 0, "shrinkB": 0},
            )
    for room, (x, y) in places.items():
        name = {"__init__": "import srtoolkit", "__main__": "srt (command)"}.get(room, room)
        box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": colours[int(y)], "linewidth": 2}
        axes.text(x, y, name, ha="center", va="center", fontsize=13, bbox=box, zorder=3)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.5, len(shown) - 0.5))
    axes.set_axis_off()
    axes.figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Write the picture, and its graph as text beside it, which a test compares with the code."""
    graph = edges()
    draw(graph, ROOT / "docs" / "architecture.svg")
    (ROOT / "docs" / "architecture.txt").write_text(listed(graph), encoding="utf-8")


if __name__ == "__main__":
    main()
