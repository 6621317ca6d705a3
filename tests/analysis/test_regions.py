"""Regions of maps whose regions are known: piecewise constant ones, and planted groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import adjusted_rand_score

from srtoolkit.analysis.agreement import agreement, chance_agreement
from srtoolkit.analysis.bootstrap import Bootstrap
from srtoolkit.analysis.motion import motion
from srtoolkit.analysis.regions import cluster, map_prompts, null_threshold, path_matrix, region_graph

ALPHAS = np.linspace(0, 1, 50)


def pairwise(places, outputs):
    """Curves between all pairs of places in a plane, under a map from places to outputs."""
    pairs = list(itertools.combinations(range(len(places)), 2))
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    path = places[a][:, None] + ALPHAS[:, None] * (places[b] - places[a])[:, None]
    values = outputs(path.reshape(-1, 2)).reshape(len(pairs), len(ALPHAS), -1)
    distance, distance_b = (np.linalg.norm(values - values[:, [end]], axis=-1) for end in (0, -1))
    step = np.pad(np.linalg.norm(np.diff(values, axis=1), axis=-1), ((0, 0), (1, 0)))
    degenerate = distance[:, -1] < 1e-9
    with np.errstate(invalid="ignore"):
        relative = np.where(degenerate[:, None], np.nan, distance / distance[:, -1:])
    return xr.Dataset(
        {
            "distance": (("pair", "alpha"), distance),
            "distance_b": (("pair", "alpha"), distance_b),
            "step": (("pair", "alpha"), step),
            "relative_distance": (("pair", "alpha"), relative),
            "degenerate": ("pair", degenerate),
            "prompt_a": ("pair", a + 7),
            "prompt_b": ("pair", b + 7),
            "input_distance": ("pair", np.linalg.norm(places[b] - places[a], axis=1)),
        },
        {
            "pair": [f"{i}-{j}" for i, j in pairs],
            "alpha": ALPHAS,
            "text_a": ("pair", [f"prompt {i}" for i in a]),
            "text_b": ("pair", [f"prompt {i}" for i in b]),
        },
    )


@pytest.fixture
def quadrants():
    """Twenty places in a plane, and a map that is constant within each quadrant but for a slight slope."""
    rng = np.random.default_rng(0)
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]).repeat(5, axis=0)
    places = signs * rng.uniform(0.2, 1, size=(20, 2))
    curves = pairwise(places, lambda points: np.sign(points) * 5 + 0.01 * points)
    return motion(curves), np.arange(4).repeat(5)


def test_regions_of_a_piecewise_constant_map_are_found(quadrants):
    sharp, quadrant = quadrants
    graph = region_graph(sharp)
    assert graph.attrs["edge_of"] == "same_region"
    xr.testing.assert_equal(graph.edge, region_graph(sharp, 1.5).edge)
    assert graph.components == 4 and graph.largest == 5
    assert agreement(graph.component, quadrant).value == 1
    assert graph.transitivity == 1
    assert graph.density == pytest.approx(4 * 10 / 190)
    assert list(graph.text.values[:2]) == ["prompt 0", "prompt 1"]


def test_a_flat_map_joins_what_gives_the_same_output():
    places = np.array([[-2.0, 0], [-1, 0], [1, 0], [2, 0]])
    curves = pairwise(places, lambda points: np.sign(points[:, :1]) + 0 * points)
    sharp = motion(curves)
    assert sharp.degenerate.sum() == 2
    graph = region_graph(sharp)
    assert graph.component.values.tolist() == [0, 0, 1, 1]


def test_groups_join_by_the_quantity_between_them(quadrants):
    sharp, quadrant = quadrants
    found = cluster(sharp, 4)
    assert adjusted_rand_score(found.cluster, quadrant) == 1
    assert sorted(found.place.values) == list(range(20))
    assert found.sizes == {"prompt": 20, "merge": 19, "part": 4}
    assert adjusted_rand_score(cluster(sharp, 4, of="input_distance").cluster, quadrant) > 0.5


@pytest.mark.slow
def test_planted_groups_are_found_through_noise():
    rng = np.random.default_rng(1)
    planted = np.arange(8).repeat(15)
    pairs = np.array(list(itertools.combinations(range(120), 2)))
    same = planted[pairs[:, 0]] == planted[pairs[:, 1]]
    sharp = named(pairs, np.where(same, 2.0, 4.0) + rng.normal(0, 0.5, len(pairs)))
    assert agreement(cluster(sharp, 8).cluster, planted).value > 0.95
    assert abs(chance_agreement(cluster(sharp, 8).cluster, planted).value) < 0.05


def test_the_linkage_decides_about_outliers():
    """Two tight groups and one prompt far from all: average linkage keeps it alone, Ward's halves evenly."""
    places = np.array([0.0, 0.1, 0.2, 4.0, 4.1, 4.2, 9.0])
    pairs = np.array(list(itertools.combinations(range(7), 2)))
    sharp = named(pairs, abs(places[pairs[:, 0]] - places[pairs[:, 1]]))
    average, ward = (cluster(sharp, 2, linkage=linkage) for linkage in ("average", "ward"))
    assert np.bincount(average.cluster).min() == 1 and np.bincount(ward.cluster).min() == 3
    assert ward.attrs["linkage"] == "ward"
    with pytest.raises(ValueError, match="linkage='single'"):
        cluster(sharp, 2, linkage="single")


def named(pairs, values):
    """Paths between numbered prompts, whose peaks have these natural logs."""
    texts = np.array([f"prompt {number}" for number in range(pairs.max() + 1)])
    values = np.array(values, float)
    data = {
        "gap": ("pair", values),
        "peak": ("pair", np.exp(values)),
        "non_finite": ("pair", np.zeros(len(values), bool)),
    }
    for side, column in zip("ab", pairs.T, strict=True):
        data |= {f"prompt_{side}": ("pair", column), f"text_{side}": ("pair", texts[column])}
    return xr.Dataset(data)


def test_edges_that_do_not_close_are_not_transitive():
    star = named(np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]), [1, 1, 1, 5, 5, 5])
    graph = region_graph(star, 2.0, "gap")
    assert graph.components == 1 and graph.transitivity == 0 and graph.density == 0.5
    closed = region_graph(star, 5.0, "gap")
    assert closed.transitivity == 1
    assert np.isnan(region_graph(star, 0.5, "gap").transitivity)


def test_directions_are_averaged_and_what_is_not_measured_is_no_edge():
    both = named(np.array([[0, 1], [1, 0], [1, 2]]), [1, 3, 4])
    matrix = path_matrix(both, "gap")
    assert matrix.values.tolist() == [[0, 2, np.inf], [2, 0, 4], [np.inf, 4, 0]]
    graph = region_graph(both, 10.0, "gap")
    assert not graph.edge[0, 2] and graph.density == 1
    with pytest.raises(ValueError, match="1 pairs of the 3 prompts were not measured"):
        cluster(both, 2)
    with pytest.raises(ValueError, match="not measured"):
        map_prompts(both)


def test_a_map_keeps_distances_that_a_plane_can_hold():
    rng = np.random.default_rng(2)
    places = rng.normal(size=(15, 2))
    pairs = np.array(list(itertools.combinations(range(15), 2)))
    distances = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)
    found = map_prompts(named(pairs, distances))
    again = np.linalg.norm(found.values[pairs[:, 0]] - found.values[pairs[:, 1]], axis=1)
    assert np.corrcoef(distances, again)[0, 1] > 0.99
    assert found.attrs["stress"] < 0.05 and found.attrs["fit"] == "fair" and found.attrs["map_of"] == "log of peak"


def test_a_map_that_says_little_warns_of_it():
    pairs = np.array(list(itertools.combinations(range(20), 2)))
    with pytest.warns(UserWarning, match=r"stress is 0\.\d\d, above 0\.2"):
        found = map_prompts(named(pairs, np.ones(len(pairs))))  # twenty places all equally far apart
    assert found.attrs["stress"] > 0.2 and found.attrs["fit"] == "poor"


def test_ward_is_refused_where_distances_are_not_those_of_points_in_space():
    """A star: three prompts at 1 from the middle one, and at 2.5 from each other, which no triangle allows."""
    star = named(np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]), [1, 1, 1, 2.5, 2.5, 2.5])
    with pytest.raises(ValueError, match=r"ward.*log of peak is not such a one.*linkage='average'"):
        cluster(star, 2, linkage="ward")
    assert cluster(star, 2, linkage="complete").sizes["prompt"] == 4
    # 1 and 2 are the distances of points on three rays that meet at right angles to nothing: in a plane at 120 degrees.
    flat = named(np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]), [1, 1, 1, 3**0.5, 3**0.5, 3**0.5])
    assert cluster(flat, 2, linkage="ward").attrs["clustered_by"] == "log of peak"


def test_slopes_are_taken_by_their_logs():
    pairs = np.array(list(itertools.combinations(range(3), 2)))
    slopes = named(pairs, [0, 0, 0]).assign(max_slope=("pair", [1.0, 2.0, 4.0]))
    merges = cluster(slopes, 2, "max_slope").linkage.values
    assert merges[:, 2] == pytest.approx([0, 1.5 * np.log(2)])  # log 1, then the mean of log 2 and log 4
    with pytest.raises(ValueError, match="'max_slope' has values that are below 1"):
        cluster(slopes.assign(max_slope=slopes["max_slope"] / 2), 2, "max_slope")


def test_a_jump_in_either_direction_parts_and_what_rounding_made_is_not_measured():
    both = named(np.array([[0, 1], [1, 0], [1, 2], [2, 1]]), np.zeros(4))
    graph = region_graph(both.assign(same_region=("pair", [True, False, True, True])))
    assert graph.edge.values.tolist() == [[False, False, False], [False, False, True], [False, True, False]]
    assert graph.density == 0.5
    with pytest.raises(ValueError, match=r"expected a result of srtoolkit\.motion"):
        region_graph(both)
    rounded = both.assign(same_region=("pair", [True] * 4), rounded=("pair", [True, False, False, False]))
    graph = region_graph(rounded)
    assert not graph.edge[0, 1] and graph.edge[1, 2] and graph.density == 1
    with pytest.raises(ValueError, match="2 pairs of the 3 prompts were not measured"):
        cluster(rounded, 2)


def test_the_former_threshold_is_a_quantile_of_the_null_and_says_what_to_take_now():
    pairs = np.array([[0, number] for number in range(1, 101)])
    null = named(pairs, np.arange(100))
    with pytest.warns(DeprecationWarning, match="calibrate_jump"):
        assert null_threshold(null, 0.9, "gap") == pytest.approx(89.1)
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match=r"level=1\.5"):
        null_threshold(null, 1.5, "gap")


@pytest.mark.slow
def test_agreement_less_that_of_other_groups_is_the_difference_on_the_same_halves():
    rng = np.random.default_rng(4)
    classes = np.repeat(np.arange(4), 20)
    good, poor = (np.where(rng.random(80) < wrong, rng.integers(0, 4, 80), classes) for wrong in (0.2, 0.6))
    found = agreement(good, classes, against=poor)
    assert found.value == pytest.approx(adjusted_rand_score(classes, good) - adjusted_rand_score(classes, poor))
    assert 0 < found.low < found.value < found.high
    assert agreement(good, classes, against=good) == (0, 0, 0)
    with pytest.raises(ValueError, match="expected one of each a prompt"):
        agreement(good, classes, against=poor[:-1])


@pytest.mark.slow
def test_agreement_is_1_for_the_same_groups_and_0_by_chance():
    classes = np.array(list("abcdefgh")).repeat(15)
    for measure in ("adjusted_rand", "mutual_information"):
        assert agreement(classes, classes, measure) == pytest.approx((1, 1, 1))
    rng = np.random.default_rng(3)
    noise = agreement(rng.integers(0, 8, 120), classes)
    assert noise.low < 0 < noise.high
    by_chance = chance_agreement(rng.integers(0, 8, 120), classes, "mutual_information")
    assert by_chance.value > 0.1  # not corrected for chance


@pytest.mark.slow
def test_the_interval_covers_what_other_samples_give():
    """Intervals from one sample of noisy groups hold the mean over many such samples about as often as they say."""
    rng = np.random.default_rng(4)
    classes = np.arange(8).repeat(15)

    def sample():
        return np.where(rng.random(120) < 0.7, classes, rng.integers(0, 8, 120))

    truth = np.mean([adjusted_rand_score(classes, sample()) for _ in range(300)])
    held = [
        found.low <= truth <= found.high
        for found in (agreement(sample(), classes, bootstrap=Bootstrap(resamples=200)) for _ in range(60))
    ]
    assert np.mean(held) > 0.8


@pytest.mark.parametrize(
    ("groups", "classes", "measure", "message"),
    [
        ([0, 0, 1], ["a", "a", "b"], "adjusted_rand", "class 'b' has one member"),
        ([0, 0], ["a", "a", "b"], "adjusted_rand", "expected one of each a prompt"),
        ([0, 0], ["a", "a"], "purity", "not one of"),
    ],
)
def test_labels_that_cannot_be_compared(groups, classes, measure, message):
    with pytest.raises(ValueError, match=message):
        agreement(groups, classes, measure)


def test_what_cannot_be_grouped_is_refused(quadrants):
    sharp, _ = quadrants
    with pytest.raises(ValueError, match="no variable over pairs"):
        path_matrix(sharp, "loudness")
    with pytest.raises(ValueError, match="21 groups of 20 prompts"):
        cluster(sharp, 21)
    broken = sharp.assign(non_finite=("pair", np.arange(sharp.sizes["pair"]) < 3))
    with pytest.raises(ValueError, match="3 of 190 curves"):
        region_graph(broken)
    with pytest.raises(ValueError, match="3 of 190 curves"):
        cluster(broken, 2)
