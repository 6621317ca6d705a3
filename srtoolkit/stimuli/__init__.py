"""Shipped prompts with a known meaning: sentences that differ in their last word, verses in two translations, and words
of eight classes. ``srtoolkit/stimuli/data/SOURCES.md`` says what they are; ``python -m srtoolkit.stimuli`` makes them.
"""

from srtoolkit.stimuli.encoders import similarity
from srtoolkit.stimuli.sets import classes, contrasts, exchanged_verses, last_words, verses

__all__ = ["classes", "contrasts", "exchanged_verses", "last_words", "similarity", "verses"]


def __dir__() -> list[str]:
    return sorted(__all__)
