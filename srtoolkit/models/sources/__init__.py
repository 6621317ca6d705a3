"""Where a model's name leads: each kind of source has a file of its own, and :func:`find_source` tells them apart."""

from srtoolkit.models.sources.finding import announce, borrowed, find_source, known_sources

__all__ = ["announce", "borrowed", "find_source", "known_sources"]
