"""How often intervals hold the truth, in simulated data whose truth is known.

Every public interval is here. Intervals of 95% are to cover 0.93 to 0.97, or what their
docstring says; the simulation
itself is off by a hundredth or so, which the bounds allow for.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace
from pathlib import Path

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


def partial_data(rng, n):
    """Two variables that share a third, and are opposed beyond it."""
    z, x = rng.normal(size=(2, n))
    return x + 0.5 * z, 0.5 * z - 0.4 * x + rng.normal(size=n), z


def partial_correlation(rng, how):
    x, y, z = partial_data(rng, 97)
    return srt.correlation(result(y, x=x, z=z), "x", given="z", **how)


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


def contrast_of_couples(rng, how):
    number = "pair", np.arange(60)
    return srt.contrast(*(side.assign(couple=number) for side in couples(rng, np.arange(60))), **how)


def decomposed(rng, how):
    """Three seeds of 80 pairs, which differ by 0.03."""
    common = rng.normal(0, 0.1, 80)
    nulls = [result(np.exp(0.3 + common + rng.normal(0, 0.03) + rng.normal(0, 0.15, 80))) for _ in range(3)]
    return srt.decompose(result(np.exp(1.2 + common + rng.normal(0, 0.4, 80))), nulls, "max_slope", **how)


def total(rng, how):
    return decomposed(rng, how).total


def structure(rng, how):
    return decomposed(rng, how).structure


def gain(rng, how):
    return decomposed(rng, how).gain


def change_of_structure(rng, how):
    """From 0.2 to 0.5, three seeds each, which differ by 0.05."""

    def setting(structure):
        common = rng.normal(0, 0.1, 80)
        nulls = [result(np.exp(0.3 + common + rng.normal(0, 0.05) + rng.normal(0, 0.15, 80))) for _ in range(3)]
        return result(np.exp(0.3 + structure + common + rng.normal(0, 0.3, 80))), nulls

    return srt.structure_trend({1: setting(0.2), 2: setting(0.5)}, "max_slope", **how).change


def places(rng, n, seeds=1):
    """Two places of each pair, of which the second follows the first."""
    x = rng.normal(0.5, 0.12, n)
    return [(x, x + rng.normal(0, 0.08, n)) for _ in range(seeds)]


def same_place(rng, how, seeds=1):
    results = [result(x, x=x, y=y) for x, y in places(rng, 80, seeds)]
    return srt.same_place(results, "x", "y", **how).excess


def same_place_of_seeds(rng, how):
    return same_place(rng, how, seeds=3)


def equal_output(rng, how, seeds=1):
    """Log ratios of 34 pairs in six ranges, two fifths of which are empty."""
    of_pair, results = rng.normal(0.2, 0.6, (34, 1)), []
    for _ in range(seeds):
        logs = of_pair + rng.normal(0, 0.8, (34, 6)) + rng.normal(0, 0.05) * (seeds > 1)
        logs[rng.random(logs.shape) < 0.4] = np.nan
        results.append(result(np.ones(34)).assign(log_ratio=(("pair", "bin"), logs)))
    return srt.ratio_at_equal_output(results, **how)


def equal_output_of_seeds(rng, how):
    return equal_output(rng, how, seeds=3)


def boundary_ratio(rng, how):
    """Sixteen prompts, five directions on either side."""
    common, own = rng.normal(0, 0.3, (16, 1)), rng.normal(0.2, 0.25, (16, 1))
    sides = (np.exp(logs + np.zeros((16, 5))) for logs in (common + own, common))
    text = {"text": ("prompt", np.arange(16).astype(str))}
    return srt.boundary_ratio(
        *(xr.Dataset({"boundary": (("prompt", "direction"), side)}, text) for side in sides), **how
    )


def shortfall(rng, how):
    """Two directions each of twelve prompts, towards places of two kinds."""
    shape, ones = ("prompt", "direction"), np.ones((12, 2))
    two = [rng.lognormal(mean, 0.4, (12, 2)) for mean in (0.2, 0.0)]
    text = {"text": ("prompt", np.arange(12).astype(str))}
    radii = [xr.Dataset({"radius": (shape, ones), "predicted_radius": (shape, one)}, text) for one in two]
    return srt.shortfall(*radii, **how)


def share_inside(rng, how):
    """Four directions of each of twenty prompts, of which a share is inside that differs from prompt to prompt."""
    inside = rng.random((20, 4)) < rng.beta(2, 2, (20, 1))
    radii = {"radius": (("prompt", "direction"), np.where(inside, 2.0, 0.5)), "norm": ("prompt", np.ones(20))}
    return srt.share_inside(xr.Dataset(radii), 1.0, **how)


#: How often tokens stand in a text: the first most, the n-th an n-th as often.
OF_TOKENS = 1 / np.arange(1, 201)


def text_data(rng, n, share):
    """Tokens of a text; a share of each variable's variance is the token's own."""
    token = rng.choice(200, n, p=OF_TOKENS / OF_TOKENS.sum())

    def drawn():
        return np.sqrt(share) * rng.normal(size=200)[token] + np.sqrt(1 - share) * rng.normal(size=n)

    entropy = drawn()
    surprisal = 0.6 * entropy + 0.8 * drawn()
    boundary = -0.3 * surprisal + 0.5 * entropy + 0.8 * drawn()
    values = {"entropy": entropy, "surprisal": surprisal, "boundary": boundary, "token": token}
    return xr.Dataset({name: ("pos", one) for name, one in values.items()})


def text_correlation(rng, how):
    return srt.text_correlation(text_data(rng, 150, 0.3), **how)


def exponent(rng, how):
    """Sixteen prompts and six directions, each of which shifts the exponent a little."""
    first, angles, sizes = np.arange(6), np.arange(16) * np.pi / 8, np.geomspace(0.02, 20, 60)
    second, of_direction = (first + 1) % 6, rng.normal(0, 0.02, 6)
    p = 1 / (1 / 3 + rng.normal(0, 0.02, (16, 1, 1)) + (of_direction[first] + of_direction[second])[:, None])
    a, b = rng.lognormal(0, 0.3, (2, 16, 6, 1))
    exact = ((a * np.abs(np.cos(angles))) ** p + (b * np.abs(np.sin(angles))) ** p) ** (1 / p)
    values = ((exact * rng.lognormal(0, 0.03, exact.shape)).reshape(16, 96, 1) * sizes) ** 2
    names = {
        "first": first.repeat(16).astype(str),
        "second": second.repeat(16).astype(str),
        "angle": np.tile(angles, 6),
    }
    coords = {"size": sizes, **{name: ("direction", labels) for name, labels in names.items()}}
    response = xr.Dataset({"distance": (("prompt", "direction", "size"), values)}, coords)
    return srt.mixture_exponent(response, at=1.0, **how).inverse


def frame_effects(rng, how):
    """Odd words have 1.5 times as much, and lie farther off, which counts as well."""
    frame, odd = np.arange(60).repeat(2), np.tile([0.0, 1.0], 60)
    distance = rng.normal(3, 0.2, 120) + 0.4 * odd
    logs = rng.normal(0, 0.5, 60)[frame] + np.log(1.5) * odd + 0.8 * distance + rng.normal(0, 0.1, 120)
    more = {"kind": np.where(odd, "odd", "synonym"), "frame": frame, "input_distance": np.exp(distance)}
    return srt.frame_effects(result(np.exp(logs), **more), given=["input_distance"], **how)["odd"]


def within_frame(rng, how):
    """97 sentences, in four of five of which an odd word has more."""
    values = np.concatenate([np.ones(97), np.where(rng.random(97) < 0.8, 2.0, 0.5)])
    kinds = {"kind": np.repeat(["synonym", "odd"], 97), "frame": np.tile(np.arange(97), 2)}
    return srt.within_frame(result(values, **kinds), "odd").share


def of_documents(rng, how, share=0.2):
    """200 pairs of two of nine documents each, which make a fifth of the variance."""
    of_document, (a, b) = rng.normal(0, np.sqrt(share / 2), 9), rng.integers(0, 9, (2, 200))
    values = of_document[a] + of_document[b] + rng.normal(0, np.sqrt(1 - share), 200)
    by_document = replace(how["bootstrap"], cluster="document")
    return srt.median(result(values, document_a=a, document_b=b), bootstrap=by_document)


def of_documents_that_are_alike(rng, how):
    return of_documents(rng, how, 0.0)


def slope_over_runs(rng, how):
    return srt.slope_over_runs(0.3 * np.log10(SIZES) + rng.normal(0, 0.05, len(SIZES)), SIZES)


def across_runs(rng, how):
    return srt.across_runs(rng.normal(1, 0.1, 3))


def difference_over_runs(rng, how):
    return srt.difference_over_runs(rng.normal(1, 0.1, 4), rng.normal(0.8, 0.08, 4))


def labels(rng, n):
    classes = rng.integers(0, 4, n)
    return np.where(rng.random(n) < 0.6, classes, rng.integers(0, 4, n)), classes


def agreement(rng, how):
    return srt.agreement(*labels(rng, 60), bootstrap=replace(how["bootstrap"], resamples=60))


def agreement_beyond_another(rng, how):
    classes = rng.integers(0, 4, 128)
    good, poor = (np.where(rng.random(128) < kept, classes, rng.integers(0, 4, 128)) for kept in (0.7, 0.5))
    return srt.agreement(good, classes, against=poor, bootstrap=replace(how["bootstrap"], resamples=40))


def trend(rng, how):
    """Five settings whose order is not to be mistaken: the interval is over prompts, and of one value."""
    common = rng.normal(0, 0.4, 60)
    return srt.trend(
        {float(step): result(np.exp(step / 2 + common + rng.normal(0, 0.3, 60))) for step in range(5)}, **how
    )


def name(value):
    return getattr(value, "__name__", "")


def true_agreement(kept, n=400_000):
    rng = np.random.default_rng(9)
    classes = rng.integers(0, 4, n)
    return adjusted_rand_score(classes, np.where(rng.random(n) < kept, classes, rng.integers(0, 4, n)))


def true_partial_correlation():
    """The correlation of what is left of the ranks, by their least squares."""
    x, y, z = (scipy.stats.rankdata(side) for side in partial_data(np.random.default_rng(9), 400_000))
    left = [side - np.polyval(np.polyfit(z, side, 1), z) for side in (x, y)]
    return float(np.corrcoef(left)[0, 1])


def true_text_correlation():
    """That of a text without end; the tokens' own share does not matter to it."""
    few = srt.Bootstrap(resamples=1)
    return srt.text_correlation(text_data(np.random.default_rng(0), 100_000, 0.0), bootstrap=few).value


def true_excess():
    rng = np.random.default_rng(9)
    ((x, y),) = places(rng, 400_000)
    own, another = ((np.abs(x - other) <= 0.1).mean() for other in (y, rng.permutation(y)))
    return float(own - another)


def effective_regions(rng, _):
    """Three regions that are equally likely, so that one pair in three shares one."""
    n, same = 200, rng.random(200) < 1 / 3
    data = {"same_region": same, "excluded": np.zeros(n, bool), "degenerate": np.zeros(n, bool)}
    data |= {"prompt_a": np.arange(n), "prompt_b": np.arange(n) + n}
    return srt.effective_regions(xr.Dataset({name: ("pair", value) for name, value in data.items()}))


def count_unseen_even(rng, _):
    return srt.count_unseen(rng.integers(0, 15, 60).tolist())


def count_unseen_uneven(rng, _):
    share = 1 / np.arange(1, 41)
    return srt.count_unseen(rng.choice(40, 60, p=share / share.sum()).tolist())


OVER_RUNS = [(slope_over_runs, 0.3), (across_runs, 1.0), (difference_over_runs, 0.2)]

#: What is drawn, what is true, and between what coverage lies: as docstrings have it, or 0.93 to 0.97.
CASES = [
    (median, 1.0, 0.93, 0.97),
    (summarise, 1.0, 0.93, 0.97),
    (median_of_frames, 1.0, 0.93, 0.97),
    (chain, 0.0, 0.98, 1.0),
    (of_documents, 0.0, 0.92, 0.95),
    (of_documents_that_are_alike, 0.0, 0.98, 1.0),
    (ratio, np.exp(0.5), 0.95, 0.98),
    (interquartile_range, 1.34898, 0.95, 0.98),
    (correlation, 6 / np.pi * np.arcsin(RHO / 2), 0.93, 0.97),
    (partial_correlation, true_partial_correlation(), 0.93, 0.97),
    (contrast, np.exp(0.3), 0.93, 0.97),
    (contrast_of_couples, np.exp(0.1), 0.96, 0.99),
    (share_below, scipy.stats.norm.cdf(-0.1 / (0.3 * np.sqrt(2))), 0.93, 0.97),
    (paired_ratio, np.exp(0.1), 0.93, 0.97),
    (total, 1.2, 0.93, 0.97),
    (structure, 0.9, 0.95, 0.98),
    (gain, 0.3, 0.96, 0.99),
    (change_of_structure, 0.3, 0.98, 1.0),
    (same_place, true_excess(), 0.93, 0.97),
    (same_place_of_seeds, true_excess(), 0.97, 0.99),
    (equal_output, np.exp(0.2), 0.93, 0.97),
    (equal_output_of_seeds, np.exp(0.2), 0.97, 0.99),
    (boundary_ratio, np.exp(0.2), 0.93, 0.97),
    (shortfall, np.exp(0.2), 0.93, 0.97),
    (share_inside, 0.5, 0.91, 0.95),
    (text_correlation, true_text_correlation(), 0.93, 0.97),
    (exponent, 1 / 3, 0.91, 0.95),
    (frame_effects, 1.5, 0.93, 0.97),
    (within_frame, 0.8, 0.95, 0.98),
    (agreement, true_agreement(0.6), 0.93, 0.97),
    (agreement_beyond_another, true_agreement(0.7) - true_agreement(0.5), 0.93, 0.97),
    (trend, 1.0, 1.0, 1.0),
    (effective_regions, 3, 0.95, 0.96),
    (count_unseen_even, 15, 0.79, 1.0),
    (count_unseen_uneven, 40, 0.79, 1.0),
]

#: Calls whose ``level`` or ``bootstrap`` is no interval about a true value.
NO_INTERVAL = {
    "calibrate_jump": "the share of a null's paths that stay below",
    "null_threshold": "the same",
    "chance_agreement": "the range of shuffles",
    "null_structure": "the range of nulls over each other, whose mean is 0 by construction",
}


def called_by(draw, seen=()):
    """Public calls that a draw makes, by itself or through other functions here."""
    names = set(draw.__code__.co_names)
    here = {name for name in names - {*seen} if inspect.isfunction(globals().get(name))}
    return names.union(*(called_by(globals()[name], (*seen, *names)) for name in here))


def test_every_public_interval_is_here():
    tree = ast.parse(Path(srt.__file__).with_suffix(".pyi").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and "analysis" in (node.module or "")]
    found = {alias.name: getattr(srt, alias.name) for node in imports for alias in node.names}
    signatures = {name: inspect.signature(one).parameters for name, one in found.items() if inspect.isfunction(one)}
    intervals = {name for name, taken in signatures.items() if {"level", "bootstrap"} & set(taken)} - {*NO_INTERVAL}
    simulated = set().union(*(called_by(draw) for draw, *_ in (*OVER_RUNS, *CASES)))
    assert len(intervals) > 15 and not intervals - simulated, intervals - simulated


@pytest.mark.parametrize(("draw", "truth"), OVER_RUNS, ids=name)
def test_intervals_over_runs_cover_what_they_say(draw, truth):
    assert 0.935 <= coverage(draw, truth, 1000) <= 0.965


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "truth", "least", "most"), CASES, ids=name)
def test_intervals_cover_what_they_say(draw, truth, least, most):
    allowance = 0.02  # nearly two standard errors of 300 datasets
    assert least - allowance <= coverage(draw, truth) <= most + allowance
