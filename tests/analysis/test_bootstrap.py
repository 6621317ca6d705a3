"""Medians and their intervals, against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest

from slopes import sharp
from srtoolkit.analysis.bootstrap import Bootstrap, median_interval, summarise
from srtoolkit.analysis.estimates import correlation
from srtoolkit.analysis.resampling import bootstrap_weights


def test_medians_quartiles_and_counts():
    found = summarise(sharp([1, 2, 3, 4, np.nan], excluded=[0, 0, 0, 0, 1]), ["max_slope"]).isel(quantity=0)
    assert (found["median"], found.q25, found.q75) == (2.5, 1.75, 3.25)
    assert (found.n, found.excluded) == (4, 1)


def test_the_interval_covers_the_true_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        low, high = median_interval(
            rng.normal(size=60), bootstrap_weights(np.arange(60), np.arange(60, 120), 400, trial)
        )
        hits += low <= 0 <= high
    assert 0.90 <= hits / 200 <= 0.99


def test_the_interval_covers_when_consecutive_pairs_share_a_prompt():
    """Pair i has prompts i and i + 1, and its value is a sum of theirs: neighbours are correlated by 1/2."""
    rng, chain = np.random.default_rng(1), np.arange(61)
    hits, naive = 0, 0
    for trial in range(200):
        prompts = rng.normal(size=61)
        values = prompts[:-1] + prompts[1:]
        low, high = median_interval(values, bootstrap_weights(chain[:-1], chain[1:], 400, trial))
        hits += low <= 0 <= high
        low, high = median_interval(values, bootstrap_weights(chain[:-1], chain[1:] + 100, 400, trial))
        naive += low <= 0 <= high
    assert hits / 200 >= 0.93
    assert naive / 200 < 0.93  # resampling pairs as if they were independent promises too much


def test_pairs_of_a_prompt_with_itself_count_once():
    weights = bootstrap_weights(np.arange(5), np.arange(5), 100, 0)
    assert (weights.sum(axis=1) == 5).all()


def test_all_pairs_excluded_gives_nan_and_no_error():
    found = summarise(sharp([np.nan, np.nan], excluded=[1, 1]), ["max_slope"]).isel(quantity=0)
    assert np.isnan(found["median"]) and np.isnan(found.low) and found.n == 0


def test_an_unknown_quantity_is_refused_by_name():
    with pytest.raises(ValueError, match="sharpest"):
        summarise(sharp([1.0]), ["sharpest"])


def test_former_settings_of_the_bootstrap_work_and_say_the_new_spelling():
    result = sharp(np.random.default_rng(5).lognormal(size=60))
    new = summarise(result, ["max_slope"], bootstrap=Bootstrap(level=0.8, resamples=50, seed=3))
    with pytest.warns(DeprecationWarning, match=r"bootstrap=srt\.Bootstrap\(level=0\.8, resamples=50, seed=3\)"):
        old = summarise(result, ["max_slope"], level=0.8, resamples=50, seed=3)
    assert new.identical(old)
    with pytest.warns(DeprecationWarning, match="called of= now"):
        assert summarise(result, quantities=["max_slope"], bootstrap=Bootstrap(0.8, 50, 3)).identical(new)
    with pytest.raises(TypeError, match="give bootstrap="):
        summarise(result, level=0.8, bootstrap=Bootstrap())
    with pytest.raises(TypeError, match=r"expected srt\.Bootstrap"):
        summarise(result, bootstrap=0.8)


def test_a_former_setting_leaves_the_others_at_the_functions_own_defaults():
    result = sharp(np.random.default_rng(5).lognormal(size=60)).assign(place=("pair", np.arange(60.0)))
    with pytest.warns(DeprecationWarning):
        assert correlation(result, "place", seed=3) == correlation(
            result, "place", bootstrap=Bootstrap(resamples=1000, seed=3)
        )


@pytest.mark.parametrize("settings", [{"level": 1.5}, {"resamples": 0}, {"seed": -1}])
def test_a_bootstrap_that_is_none_is_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))}="):
        Bootstrap(**settings)
