"""A report of all notebooks with their claims, and the copies of notebooks that the repository keeps.

``python -m srtoolkit.report`` is the command; see :mod:`srtoolkit.report.__main__`.
"""

from srtoolkit.report.claims import by_claim, claims_of
from srtoolkit.report.running import execute

__all__ = ["by_claim", "claims_of", "execute"]
