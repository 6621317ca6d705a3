"""Tests within sentence frames, on made-up values of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

import srtoolkit as srt
from strategies import sharp


def table(values, kinds, frames, **more):
    """A result of sharpness with these values, kinds and frames."""
    made = sharp(values, np.arange(2 * len(values)).reshape(2, -1))
    given = {"kind": np.array(kinds), "frame": np.array(frames), **{name: np.asarray(x) for name, x in more.items()}}
    return made.assign({name: ("pair", column) for name, column in given.items()})


def crossed(n, kinds):
    """Kinds and frames of a table with every kind in every frame, in a shuffled order."""
    order = np.random.default_rng(1).permutation(n * len(kinds))
    return np.tile(kinds, n)[order], np.repeat(np.arange(n), len(kinds))[order]


def test_the_share_of_frames_is_counted_by_hand():
    smooth = [1.0, 2.0, 3.0, 2.0, 1.0]
    rough = [2.0, 3.0, 1.0, 2.0, 4.0]  # more, more, less, a tie, more
    both = table([*smooth, *rough], ["synonym"] * 5 + ["odd"] * 5, [0, 1, 2, 3, 4] * 2)
    found = srt.within_frame(both, "odd")
    assert (found.n, found.ties, found.share.value) == (4, 1, 0.75)
    # Clopper-Pearson ends are quantiles of beta distributions; the sign test is a sum of binomial coefficients.
    assert found.share.low == pytest.approx(scipy.stats.beta.ppf(0.025, 3, 2))
    assert found.share.high == pytest.approx(scipy.stats.beta.ppf(0.975, 4, 1))
    assert found.p == pytest.approx(2 * (4 + 1) / 2**4)
    other = srt.within_frame(both, "synonym", against="odd")
    assert other.share.value == 0.25 and other.share.high == pytest.approx(1 - found.share.low)
    narrow = srt.within_frame(both, "odd", level=0.5)
    assert found.share.low < narrow.share.low < narrow.share.high < found.share.high


def test_frames_without_both_kinds_and_excluded_pairs_are_left_out():
    kinds = ["synonym", "odd", "synonym", "odd", "synonym", "category"]
    both = table([1.0, 2.0, 1.0, 2.0, 5.0, 9.0], kinds, [0, 0, 1, 1, 2, 2])
    assert srt.within_frame(both, "odd").n == 2
    both["excluded"] = "pair", np.array([False, False, False, True, False, False])
    assert srt.within_frame(both, "odd").n == 1
    both["excluded"] = "pair", np.array([True, False, False, False, False, False])  # the other kind of a frame
    assert srt.within_frame(both, "odd").n == 1


def test_other_statistics_and_couples_are_taken_by_name():
    both = table([1.0, 2.0, 1.0, 2.0], ["paraphrase", "other"] * 2, [0] * 4, match=[7, 7, 8, 8], peak=[4, 3, 2, 1])
    assert srt.within_frame(both, "other", "paraphrase", frame="match").share.value == 1
    assert srt.within_frame(both, "other", "paraphrase", of="peak", frame="match").share.value == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda both: srt.within_frame(both, "rare"), "unknown .'rare'"),
        (lambda both: srt.within_frame(both, "synonym"), "a name stands twice"),
        (lambda both: srt.within_frame(both, "odd", of="kind"), "of='kind' is no variable over pairs"),
        (lambda both: srt.within_frame(both.drop_vars("kind"), "odd"), "no .'kind'"),
        (lambda both: srt.within_frame(both.assign(frame=both.frame * 0), "odd"), "frame 0 has several pairs"),
        (lambda both: srt.within_frame(both.assign(max_slope=both.frame), "odd"), "2 have equal ones"),
        (lambda both: srt.frame_effects(both, given=["none"]), "given='none' is no variable"),
        (lambda both: srt.frame_effects(both, given=["max_slope"] * 2), "each once"),
        (lambda both: srt.frame_effects(both, "rare", given=[], logs=[]), "unknown .'rare'"),
        (lambda both: srt.frame_effects(both.assign(max_slope=both.max_slope * 0), given=[], logs=[]), "no logarithm"),
        (lambda both: srt.frame_effects(both.isel(pair=both.kind == "odd"), "odd", given=[], logs=[]), "another kind"),
    ],
)
def test_what_cannot_be_compared_within_frames_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(table([1.0, 2.0, 3.0, 1.0], ["synonym", "odd"] * 2, [0, 0, 1, 1]))


def drawn(n=400, seed=0):
    """Slopes that are 1.5 times the synonym's for odd words and 1.2 times for others, the rest being distance,
    frequency, the frame and noise; odd words lie farther off, so that a plain comparison is wrong.
    """
    rng = np.random.default_rng(seed)
    kinds, frames = crossed(n, ["synonym", "category", "odd"])
    distance = np.exp(rng.normal(3, 0.2, len(kinds)) + 0.4 * (kinds == "odd"))
    zipf = rng.normal(4, 1, len(kinds))
    effect = np.log(1.2) * (kinds == "category") + np.log(1.5) * (kinds == "odd")
    frame = rng.normal(0, 0.5, n)[frames] + 0.5 * frames / n
    log_slope = frame + effect + 0.8 * np.log(distance) - 0.1 * zipf + rng.normal(0, 0.1, len(kinds))
    return table(np.exp(log_slope), kinds, frames, input_distance=distance, zipf_b=zipf)


def test_factors_are_those_that_were_put_in():
    found = srt.frame_effects(drawn())
    assert set(found) == {"category", "odd"}
    for name, factor in {"category": 1.2, "odd": 1.5}.items():
        assert found[name].low < factor < found[name].high, name
        assert found[name].high / found[name].low < 1.08
    assert srt.frame_effects(drawn(), given=[], logs=[])["odd"].low > 1.9, (
        "distance is in it where it is not held fixed"
    )


def test_factors_are_those_of_a_regression_with_a_dummy_for_every_frame():
    both = drawn(40)
    columns = [both.kind == "category", both.kind == "odd", np.log(both.input_distance), both.zipf_b]
    columns += [both.frame == number for number in range(40)]
    x = np.column_stack([np.asarray(column, float) for column in columns])
    expected = np.exp(np.linalg.lstsq(x, np.log(both.max_slope.values), rcond=None)[0][:2])
    found = srt.frame_effects(both, bootstrap=srt.Bootstrap(resamples=2))
    assert [found["category"].value, found["odd"].value] == pytest.approx(expected, rel=1e-9)


def test_two_kinds_alone_are_paired_differences():
    both = drawn(50)
    two = both.isel(pair=both.kind.isin(["synonym", "odd"]).values).sortby("frame")
    logs = [np.log(two.max_slope.values[two.kind.values == kind]) for kind in ("odd", "synonym")]
    found = srt.frame_effects(two, given=[], logs=[], bootstrap=srt.Bootstrap(resamples=4000))["odd"]
    mean = scipy.stats.bootstrap([logs[0] - logs[1]], np.mean, method="percentile", n_resamples=4000, rng=1)
    assert found.value == pytest.approx(np.exp(np.mean(logs[0] - logs[1])))
    assert (found.low, found.high) == pytest.approx(np.exp([*mean.confidence_interval]), rel=0.01)


def test_covariates_that_are_the_kind_itself_are_refused():
    both = drawn(20)
    with pytest.raises(ValueError, match=r"cannot tell the kinds .* with \['zipf_b'\] held fixed"):
        srt.frame_effects(both.assign(zipf_b=(both.kind == "odd").astype(float)), given=["zipf_b"], logs=[])
