"""Shipped prompts with a known meaning: sentences that differ in their last word, verses in two translations, words of
eight classes, contrasts, numerals. ``srtoolkit/stimuli/data/SOURCES.md`` says what they are; most are made by
``python -m srtoolkit.stimuli``.
"""

from srtoolkit.stimuli.encoders import similarity
from srtoolkit.stimuli.sets import classes, contrasts, exchanged_verses, last_words, numerals, verses

__all__ = ["classes", "contrasts", "exchanged_verses", "last_words", "numerals", "similarity", "verses"]


def __dir__() -> list[str]:
    return sorted(__all__)
