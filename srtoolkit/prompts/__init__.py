"""Pairs of prompts: the paper's own, random ones from prose, and the user's."""

from srtoolkit.prompts.pairs import PromptPairs, all_pairs, from_text, paper_pairs
from srtoolkit.prompts.sampling import sample_pairs

__all__ = ["PromptPairs", "all_pairs", "from_text", "paper_pairs", "sample_pairs"]


def __dir__() -> list[str]:
    return sorted(__all__)
