"""Every picture of any valid result is drawn, with its axes named; of anything else, it is refused."""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import srtoolkit as srt
from oracles import cases, refused
from strategies import all_paths, curves, flipped_curves, odd, or_missing, sharp, sharps, texts


def drawn(axes):
    """Whether a picture comes out as an image, with both its axes named."""
    for ax in np.ravel(axes):
        ax.figure.canvas.draw()
        assert ax.get_xlabel()
    plt.close("all")


@pytest.fixture(autouse=True)
def glyphs():
    """Fonts lack some letters; the picture has boxes then."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph|Matplotlib currently does not support")
        yield


@cases(20)
@given(curves(), st.sampled_from(["relative_distance", "distance", "top_token"]), st.booleans())
def test_curves(result, of, several):
    finite = result.assign({of: result[of].where(np.abs(result[of]) < 1e100)})  # nobody's screen is larger
    drawn(srt.plot.curves(finite, of))
    names = {"a": finite, "b": finite} if several else finite
    drawn(srt.plot.median_curve(names, of, paper="Qwen2-0.5B"))


@cases(20)
@given(curves(), st.booleans())
def test_motion(result, ordered):
    steps = np.abs(np.diff(result["distance"], axis=1, prepend=result["distance"].values[:, :1]))
    moving = result.assign(step=(("pair", "alpha"), steps.clip(0, 1e100)))
    drawn(srt.plot.speed({"a": moving, "b": moving}, ordered=ordered))
    if not refused(lambda: srt.motion(moving)):
        few = srt.Bootstrap(resamples=2)
        drawn(srt.plot.peak_against_calm({"$a$_b": srt.motion(moving)}, bootstrap=few))


@cases(25)
@given(sharps(), st.integers(1, 50), st.booleans(), st.booleans())
@example(sharp([np.nan], [[0], [1]], np.array([True])), 4, False, False).via("discovered failure")
def test_slopes(result, bins, log, paper):
    drawn(srt.plot.slope_histogram({"$a$_b": result} if log else result, bins=bins, paper=paper))
    drawn(srt.plot.slope_against(result, "input_distance", of="jump_at"))


@cases(8)
@given(st.lists(sharps(), min_size=1, max_size=3), st.booleans())
@example([sharp([1.0], [[0], [1]])] * 12, False).via("discovered failure")
def test_more_results_than_colours(results, paper):
    rows = [srt.summarise(result, bootstrap=srt.Bootstrap(resamples=2)).sel(quantity="max_slope") for result in results]
    series = {f"model {index}": {10.0**index: row, 2.0 * 10**index: row} for index, row in enumerate(rows, 3)}
    drawn(srt.plot.growth(series, paper=paper))
    drawn(srt.plot.scaling(series, paper=paper))
    drawn(srt.plot.medians(dict(enumerate(rows)), "tokens"))


@cases(12)
@given(flipped_curves(), st.integers(1, 2) | st.just(11))
def test_flips(both, many):
    flips, curve = both
    flips = flips.assign(ends_differ=(("pair", "block"), flips["flips"].values.sum(1) % 2))
    drawn(srt.plot.flips_by_block(dict.fromkeys(map(str, range(many)), flips)))
    drawn(srt.plot.flip_histogram({"a": flips.isel(block=[0])}, paper=True))
    if not refused(lambda: srt.around_jumps(flips, curve)):
        drawn(srt.plot.flips_around_jump({"a": srt.around_jumps(flips, curve)}))
    drawn(srt.plot.tokens_around_jump(curve, srt.sharpness(curve)))


@cases(15)
@given(all_paths(or_missing), st.data())
@example(sharp([1.0, 1.0, 1.0], [[0, 0, 1], [1, 2, 2]]), None).via("discovered failure")
def test_regions(result, data):
    found = srt.cluster(result, 2, of="input_distance")
    n = found.sizes["prompt"]
    classes = ["a"] * n if data is None else data.draw(st.lists(texts, min_size=n, max_size=n))
    classes = [name.strip("_$\\\0").strip() or "x" for name in classes]  # not matplotlib's own signs
    drawn(srt.plot.dendrogram(found, classes))
    with warnings.catch_warnings(action="ignore"):  # no plane holds distances that were drawn at random
        places = srt.map_prompts(result, of="input_distance")
    drawn(srt.plot.prompt_map(places, classes, words=classes))
    assert refused(lambda: srt.plot.dendrogram(found, classes[1:]))
    assert refused(lambda: srt.plot.prompt_map(places, [*classes, "x"]))


@st.composite
def planes(draw):
    """What :func:`srtoolkit.slice_plane` and :func:`srtoolkit.slice_gates` give."""
    n = draw(st.integers(2, 6))
    shape = (3, n, n)
    distance = draw(arrays(float, shape, elements=st.sampled_from([0.0, 1.0, 2.0, np.nan])))
    token = draw(arrays(np.int64, shape, elements=st.integers(-1, 40)))
    region = draw(arrays(np.int64, (n, n), elements=st.integers(-1, 2)))
    return picture_of(distance, token, region, draw(st.sampled_from([0.5, -3.0, np.nan])))


def picture_of(distance, token, region, c_alpha):
    """A slice of one model, with what both measurements give."""
    place, dims = np.linspace(-0.25, 1.25, len(region)), ("anchor", "beta", "alpha")
    data = {
        "distance": (dims, distance),
        "largest_distance": ("anchor", np.nan_to_num(distance).max(axis=(1, 2)) + 1.0),
        "top_token": (dims, token),
        "margin": (dims, np.abs(distance)),
        "region": (dims[1:], region),
        "anchor_token": ("anchor", token[:, 0, 0]),
        "c_alpha": ((), c_alpha),
        "c_beta": ((), 1.0),
        "pre_activation": ((*dims[1:], "gate"), np.nan_to_num(distance.transpose(1, 2, 0)) - 0.5),
        "crossings": (dims[1:], token[0] + 1),
    }
    return xr.Dataset(data, {"anchor": list("ABC"), "alpha": place, "beta": place})


PLANE = picture_of(np.ones((3, 2, 2)), np.ones((3, 2, 2), int), np.zeros((2, 2), int), 0.5)


@cases(40)
@given(
    planes(),
    st.sampled_from(["plane", "tokens", "margin", "regions", "gates", "crossings", "boundaries", "paper", "strip"]),
    st.sampled_from("ABC"),
    st.integers(0, 12),
    st.integers(1, 3),
)
@example(PLANE, "strip", "A", 0, 1).via("discovered failure")
def test_planes(picture, kind, anchor, top, models):
    named = {"model": [f"m{index}" for index in range(models)]}
    strip = xr.concat([picture] * models, "model", data_vars="all").assign_coords(named)
    draw = {
        "plane": lambda: srt.plot.plane(picture),
        "tokens": lambda: srt.plot.tokens(picture, repr, anchor, top=top),
        "margin": lambda: srt.plot.margin(picture, anchor),
        "regions": lambda: srt.plot.regions(picture),
        "gates": lambda: srt.plot.gate_boundaries(picture, count=top),
        "crossings": lambda: srt.plot.gate_crossings(picture),
        "boundaries": lambda: srt.plot.gates_at_boundaries(picture, picture, picture, picture),
        "paper": lambda: srt.plot.plane(picture, palette="paper"),
        "strip": lambda: srt.plot.plane_strip(strip),  # one model has one picture
    }
    drawn(draw[kind]())


ROW = srt.summarise(sharp([1.0, 2.0], [[0, 1], [2, 3]]), bootstrap=srt.Bootstrap(resamples=2))
GOOD = sharp([1.0, 2.0], [[0, 1], [2, 3]])

#: Every picture, as a function of what it is to be drawn of.
DRAW = {
    "curves": srt.plot.curves,
    "curves of": lambda value: srt.plot.curves(GOOD, value),
    "median_curve": srt.plot.median_curve,
    "median_curve by name": lambda value: srt.plot.median_curve({"a": value}),
    "slope_histogram": srt.plot.slope_histogram,
    "slope_against": lambda value: srt.plot.slope_against(value, "input_distance"),
    "slope_against x": lambda value: srt.plot.slope_against(GOOD, value),
    "medians": lambda value: srt.plot.medians(value, "x"),
    "medians of rows": lambda value: srt.plot.medians({1: value}, "x"),
    "growth": srt.plot.growth,
    "growth by name": lambda value: srt.plot.growth({"a": value}),
    "scaling": srt.plot.scaling,
    "flip_histogram": srt.plot.flip_histogram,
    "flips_by_block": srt.plot.flips_by_block,
    "flips_around_jump": srt.plot.flips_around_jump,
    "tokens_around_jump": lambda value: srt.plot.tokens_around_jump(value, GOOD),
    "dendrogram": lambda value: srt.plot.dendrogram(value, ["a"]),
    "prompt_map": lambda value: srt.plot.prompt_map(value, ["a"]),
    "estimates": lambda value: srt.plot.estimates(value, "x"),
    "decomposition": srt.plot.decomposition,
    "decomposition of rows": lambda value: srt.plot.decomposition({1: value}),
    "layer_map": srt.plot.layer_map,
    "matched_bins": srt.plot.matched_bins,
    "peak_against_calm": srt.plot.peak_against_calm,
    "speed": srt.plot.speed,
    "speed by name": lambda value: srt.plot.speed({"a": value}),
    "gates_at_boundaries": lambda value: srt.plot.gates_at_boundaries(value, value, value, value),
    "plane": srt.plot.plane,
    "plane_strip": srt.plot.plane_strip,
    "tokens": lambda value: srt.plot.tokens(value, repr),
    "margin": srt.plot.margin,
    "regions": srt.plot.regions,
    "gate_boundaries": srt.plot.gate_boundaries,
    "gate_crossings": srt.plot.gate_crossings,
}


@cases(200)
@given(st.sampled_from(sorted(DRAW)), st.one_of(odd, st.just(GOOD), st.just(ROW)))
@example("growth", {}).via("discovered failure")
@example("medians", {}).via("discovered failure")
def test_what_is_no_result_is_refused(name, value):
    makes_sense = name in ("slope_histogram", "slope_against") and value is GOOD
    assert refused(lambda: DRAW[name](value)) != makes_sense
    plt.close("all")


@cases(30)
@given(odd, st.sampled_from(["paper", "color", "palette", "bins", "top", "anchor", "gates", "count"]), planes())
def test_odd_settings_of_pictures_are_refused_or_drawn(value, setting, picture):
    line = {"relative_distance": (("pair", "alpha"), [[0, 1.0]]), "degenerate": ("pair", [False])}
    curve = xr.Dataset(line, {"alpha": [0, 1]})
    call = {
        "paper": lambda: srt.plot.median_curve(curve, paper=value),
        "color": lambda: srt.plot.median_curve(curve, color=value),
        "palette": lambda: srt.plot.median_curve(curve, palette=value),
        "bins": lambda: srt.plot.slope_histogram(GOOD, bins=value),
        "top": lambda: srt.plot.tokens(picture, repr, top=value),
        "anchor": lambda: srt.plot.margin(picture, value),
        "gates": lambda: srt.plot.gate_boundaries(picture, gates=value),
        "count": lambda: srt.plot.gate_boundaries(picture, count=value),
    }[setting]
    if not refused(call):
        assert (
            value is None
            or isinstance(value, (int, np.integer, str, np.ndarray, list, range, tuple, set, dict))
            or hasattr(value, "__index__")
        )
    plt.close("all")
