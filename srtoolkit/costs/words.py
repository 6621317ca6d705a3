"""Costs in units that one reads: MiB, minutes, millions of tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

#: Letters of a call's name that a printed table shows, so that 80 columns are enough.
NAME = 30


def duration(seconds: float | int) -> str:
    """A duration in words; nothing where it is not known.

    Args:
        seconds: The duration in seconds.
    """
    if math.isnan(seconds):
        return ""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 or seconds == 0 else f"{seconds:.2g} s"


def size(count: float | int) -> str:
    """A number of bytes in words; nothing for none.

    Args:
        count: Number of bytes.
    """
    return _scaled(count, (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))) if count else ""


def number(count: float | int) -> str:
    """A large number with three digits, such as ``"12.3M"``.

    Args:
        count: The number.
    """
    return _scaled(count, (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))).replace(" ", "")


def _scaled(count: float | int, units: Sequence[tuple[str, int]]) -> str:
    for unit, one in units:
        if count >= one:
            return f"{count / one:.3g} {unit}" if count < 999.5 * one else f"{count / one:,.0f} {unit}"
    return f"{count:.0f}"


class Costs(pd.DataFrame):
    """A table of costs, which is printed in units that one reads; its numbers are tokens, operations, bytes, seconds.

    A part of it, such as ``costs[["seconds"]]``, is a plain table.
    """

    def in_words(self) -> pd.DataFrame:
        """The columns that decide whether one runs it, as texts."""
        shown = {
            "tokens": ("forward_tokens", number),
            "operations": ("flops", number),
            "memory": ("peak_bytes", size),
            "download": ("download_bytes", size),
            "time": ("seconds", duration),
        }
        names = [name if len(name) <= NAME else name[: NAME - 1] + "…" for name in map(str, self.index)]
        cells = {name: [say(float(one)) for one in self[column]] for name, (column, say) in shown.items()}
        return pd.DataFrame(cells, pd.Index(names, name="work"))

    def __repr__(self) -> str:
        return self.in_words().to_string() if set(NEEDED) <= set(self.columns) else super().__repr__()

    def _repr_html_(self) -> str | None:
        return self.in_words().to_html() if set(NEEDED) <= set(self.columns) else super()._repr_html_()  # type: ignore[misc]  # pandas has it, its stubs do not


#: What :meth:`Costs.in_words` is made of.
NEEDED = ("forward_tokens", "flops", "peak_bytes", "download_bytes", "seconds")
