"""Every figure of Janiak et al. 2024, and its table."""

from __future__ import annotations

from collections.abc import Sequence

from srtoolkit.reproduction.curve_figures import Layer, Semantic, Sizes, Training
from srtoolkit.reproduction.figure import Figure
from srtoolkit.reproduction.other_figures import Configurations, GateFlips, Slice, Slopes

#: Fig. 1 shows again what Fig. 13 shows.
FIRST_SLICE, FIRST_TRIPLE, FIG1_TRIPLE = 5, 0, 8

_STRIP = "Planes through three prompts, in training"

JANIAK2024: tuple[Figure, ...] = (
    Slice("1", _STRIP, "OLMo-7B", FIG1_TRIPLE),
    Semantic("2", "Curves of similar and of dissimilar prompts", "Qwen2-0.5B"),
    Sizes("3", "Regions and the size of models", "OLMo and Qwen2"),
    Training("4", "Regions and training", "OLMo-1B and OLMo-7B"),
    *(Slice(str(FIRST_SLICE + triple), _STRIP, "OLMo-7B", FIRST_TRIPLE + triple) for triple in range(18)),
    Layer("23", "Curves, patched after block 0", "Qwen2-1.5B", 0),
    Layer("24", "Curves, patched after block 6", "Qwen2-1.5B", 6),
    GateFlips("25", "Gates whose sign differs between the ends of a path", "Qwen2-0.5B"),
    Slopes("26", "Largest slopes of random pairs", "Qwen2-0.5B"),
    Configurations("table1", "Sizes of the models", "OLMo and Qwen2"),
)

PAPERS: dict[str, tuple[Figure, ...]] = {"janiak2024": JANIAK2024}


def find_paper(name: str) -> tuple[Figure, ...]:
    """The figures of a paper.

    Args:
        name: Name of the paper.

    Raises:
        ValueError: There is no paper of that name.
    """
    if name not in PAPERS:
        raise ValueError(f"paper {name!r} is not one of {', '.join(PAPERS)}.")
    return PAPERS[name]


def find_figures(paper: str, keys: Sequence[str] = ()) -> list[Figure]:
    """Some of a paper's figures, in its order.

    Args:
        paper: Name of the paper.
        keys: Numbers of figures, and ``"table1"``; all figures where it is empty.

    Raises:
        ValueError: The paper has no such figure.
    """
    figures = {figure.key: figure for figure in find_paper(paper)}
    if unknown := [key for key in keys if key not in figures]:
        *numbers, table = figures
        raise ValueError(
            f"{paper} has no figure {', '.join(unknown)}; it has {numbers[0]} to {numbers[-1]} and {table}."
        )
    return [figure for key, figure in figures.items() if not keys or key in keys]
