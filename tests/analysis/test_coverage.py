"""How often intervals hold the truth, in simulated data whose truth is known.

Every public interval is here. Intervals of 95% are to cover 0.93 to 0.97, or what their docstring says; the simulation
itself is off by a hundredth or so, which the bounds allow for.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from sklearn.metrics import adjusted_rand_score

import srtoolkit as srt

RHO, SIZES = 0.5, np.repeat([4e5, 7e5, 1e6, 3e6, 6e6], [3, 3, 3, 2, 2])


def result(values, a=None, b=None, **more):
    """What sharpness gives, with these values, between prompts of these numbers."""
    n = len(values)
    a, b = (np.arange(n) + start if side is None else side for side, start in ((a, 0), (b, 10**6)))
    data = {"max_slope": values, "excluded": np.zeros(n, bool), "prompt_a": a, "prompt_b": b, **more}
    texts = {"text_a": a.astype(str), "text_b": b.astype(str)}
    return xr.Dataset({name: ("pair", value) for name, value in (data | texts).items()})


def coverage(draw, truth, datasets=300, resamples=400):
    """Share of simulated datasets whose interval holds the truth."""
    rng, hits = np.random.default_rng(0), 0
    for number in range(datasets):
        found = draw(rng, {"bootstrap": srt.Bootstrap(resamples=resamples, seed=number)})
        hits += found.low <= truth <= found.high
    return hits / datasets


def median(rng, how):
    return srt.median(result(rng.lognormal(0, 0.5, 60)), **how)


def summarise(rng, how):
    row = srt.summarise(result(rng.lognormal(0, 0.5, 60)), **how).isel(quantity=0)
    return srt.Estimate(row["median"].item(), row["low"].item(), row["high"].item())


def median_of_frames(rng, how):
    values = rng.normal(0, 0.4, 60).repeat(4) + rng.normal(0, 0.3, 240)
    return srt.median(result(np.exp(values), a=np.arange(60).repeat(4)), **how)


def chain(rng, how):
    """Neighbours share a prompt, which makes 30% of the variance."""
    prompts, places = rng.normal(0, np.sqrt(0.15), 61), np.arange(61)
    values = prompts[1:] + prompts[:-1] + rng.normal(0, np.sqrt(0.7), 60)
    return srt.median(result(values, places[:-1], places[1:]), **how)


def ratio(rng, how):
    common = rng.normal(0, 0.4, 60)
    later, earlier = (result(np.exp(common + rng.normal(mean, 0.2, 60))) for mean in (0.5, 0))
    return srt.ratio(later, earlier, **how)


def interquartile_range(rng, how):
    return srt.interquartile_range(result(rng.normal(size=200)), "max_slope", **how)


def correlation(rng, how):
    x = rng.normal(size=60)
    y = RHO * x + np.sqrt(1 - RHO**2) * rng.normal(size=60)
    return srt.correlation(result(y, x=x), "x", **how)


def contrast(rng, how):
    first, second = result(np.exp(rng.normal(0.3, 0.5, 60))), result(rng.lognormal(0, 0.5, 120), np.arange(120) + 500)
    return srt.contrast(first, second.assign(text_b=second["text_a"].str.replace("", "x")), **how)


def couples(rng, frame):
    """Two pairs of one frame each, of which the first has 0.1 more; their A is the same."""
    common, n = rng.normal(0, 0.3, 60), np.arange(60)
    for_both = np.exp(np.stack([common + 0.1, common]) + rng.normal(0, 0.3, (2, 60)))
    one, other = (result(values, a=frame, b=n + 1000 * side) for side, values in enumerate(for_both, 1))
    return one, other


def share_below(rng, how):
    return srt.share_below(*couples(rng, np.arange(60)), **how)


def paired_ratio(rng, how):
    return srt.paired_ratio(*couples(rng, np.arange(60)), **how)


def decomposed(rng, how):
    """Three seeds of 80 pairs, which differ by 0.03."""
    common = rng.normal(0, 0.1, 80)
    nulls = [result(np.exp(0.3 + common + rng.normal(0, 0.03) + rng.normal(0, 0.15, 80))) for _ in range(3)]
    return srt.decompose(result(np.exp(1.2 + common + rng.normal(0, 0.4, 80))), nulls, "max_slope", **how)


def structure(rng, how):
    return decomposed(rng, how).structure


def gain(rng, how):
    return decomposed(rng, how).gain


def slope_over_runs(rng, how):
    return srt.slope_over_runs(0.3 * np.log10(SIZES) + rng.normal(0, 0.05, len(SIZES)), SIZES)


def across_runs(rng, how):
    return srt.across_runs(rng.normal(1, 0.1, 3))


def labels(rng, n):
    classes = rng.integers(0, 4, n)
    return np.where(rng.random(n) < 0.6, classes, rng.integers(0, 4, n)), classes


def agreement(rng, how):
    return srt.agreement(*labels(rng, 60), bootstrap=replace(how["bootstrap"], resamples=60))


def trend(rng, how):
    """Five settings whose order is not to be mistaken: the interval is over prompts, and of one value."""
    common = rng.normal(0, 0.4, 60)
    return srt.trend(
        {float(step): result(np.exp(step / 2 + common + rng.normal(0, 0.3, 60))) for step in range(5)}, **how
    )


def name(value):
    return getattr(value, "__name__", "")


TRUE_AGREEMENT = adjusted_rand_score(*labels(np.random.default_rng(9), 400_000)[::-1])


@pytest.mark.parametrize(
    ("draw", "truth"), [(slope_over_runs, 0.3), (across_runs, 1.0)], ids=lambda it: getattr(it, "__name__", "")
)
def test_intervals_over_runs_cover_what_they_say(draw, truth):
    assert 0.935 <= coverage(draw, truth, 1000) <= 0.965


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "truth", "least", "most"),
    [
        (median, 1.0, 0.93, 0.97),
        (summarise, 1.0, 0.93, 0.97),
        (median_of_frames, 1.0, 0.93, 0.97),
        (chain, 0.0, 0.98, 1.0),
        (ratio, np.exp(0.5), 0.95, 0.98),
        (interquartile_range, 1.34898, 0.95, 0.98),
        (correlation, 6 / np.pi * np.arcsin(RHO / 2), 0.93, 0.97),
        (contrast, np.exp(0.3), 0.93, 0.97),
        (share_below, scipy.stats.norm.cdf(-0.1 / (0.3 * np.sqrt(2))), 0.93, 0.97),
        (paired_ratio, np.exp(0.1), 0.93, 0.97),
        (structure, 0.9, 0.95, 0.98),
        (gain, 0.3, 0.96, 0.99),
        (agreement, TRUE_AGREEMENT, 0.93, 0.97),
        (trend, 1.0, 1.0, 1.0),
    ],
    ids=name,
)
def test_intervals_cover_what_they_say(draw, truth, least, most):
    allowance = 0.02  # nearly two standard errors of 300 datasets
    assert least - allowance <= coverage(draw, truth) <= most + allowance
