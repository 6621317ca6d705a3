"""Shipped prompts with a known meaning: sentences that differ in their last word, verses in two translations, and words
of eight classes. ``srtoolkit/stimuli/data/SOURCES.md`` says what they are; ``python -m srtoolkit.stimuli`` makes them.
"""

from srtoolkit.stimuli.sets import classes, last_words, verses

__all__ = ["classes", "last_words", "verses"]
