"""Whether a number is as good as none: not "no difference was found", but "there is none that would matter"."""

from __future__ import annotations

from collections.abc import Sequence

from srtoolkit.analysis.estimates import Estimate
from srtoolkit.validation import check_number, listed


def equivalent(estimate: Estimate, margin: Sequence[float]) -> bool:
    """Whether an interval lies within a margin: two one-sided tests at 5% where the interval is that of 90%.

    Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15. An interval that reaches out of the margin
    shows nothing, neither a difference nor its absence. The margin is chosen before the estimate is seen.

    Args:
        estimate: An estimate with its interval, such as ``srt.contrast(..., bootstrap=srt.Bootstrap(level=0.9))``. With
            the usual 95% both tests are at 2.5%, so that less is called equivalent.
        margin: The smallest and largest value that are as good as none: ``(1 / 1.1, 1.1)`` for a ratio.

    Returns:
        ``True`` where both ends of the interval lie between the margin's; ``False`` where one does not, or is NaN.

    Raises:
        TypeError: ``estimate`` is no :class:`srtoolkit.Estimate`.
        ValueError: ``margin`` is not two numbers of which the second is the larger.
    """
    if not isinstance(estimate, Estimate):
        raise TypeError(f"estimate={estimate!r}: expected an srt.Estimate, which carries an interval.")
    ends = listed(margin) or []
    if len(ends) != 2:
        raise ValueError(f"margin={margin!r}: expected two numbers, such as (1 / 1.1, 1.1) for a ratio.")
    least, most = (check_number(end, "margin") for end in ends)
    if not least < most:
        raise ValueError(f"margin={margin!r}: expected the smaller number first, and a larger one second.")
    return bool(least < estimate.low and estimate.high < most)
