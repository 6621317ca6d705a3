"""Groups are drawn in the colours asked for, or in the next ones of the Axes: a call for each gives each its own."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba

import srtoolkit as srt
from srtoolkit.plot.contrast import legible, luminance
from srtoolkit.plot.style import label_ends

mpl.use("agg")
ALPHAS = np.linspace(0, 1, 11)


@pytest.fixture
def curves():
    values = np.stack([ALPHAS, ALPHAS**2, ALPHAS**3])
    steps = np.diff(values, axis=1, prepend=0)
    return xr.Dataset(
        {
            "relative_distance": (("pair", "alpha"), values),
            "step": (("pair", "alpha"), steps),
            "degenerate": ("pair", [False] * 3),
            "excluded": ("pair", [False] * 3),
            "max_slope": ("pair", [1.0, 2.0, 3.0]),
            "distance": (("prompt", "direction", "size"), values[:, None, 1:] + 0.1),
        },
        {"pair": list("abc"), "alpha": ALPHAS, "size": ALPHAS[1:]},
    )


@pytest.fixture
def ax():
    with mpl.rc_context():
        figure, ax = plt.subplots()
        yield ax
        plt.close(figure)


def colours(ax):
    """Colours of named things, in their order."""
    handles, names = ax.get_legend_handles_labels()
    drawn = [
        to_rgba(one.get_color() if hasattr(one, "get_color") else getattr(one, "patches", [one])[0].get_facecolor())[:3]
        for one in handles
    ]
    return dict(zip(names, drawn, strict=True))


DRAWN = {
    "median_curve": lambda curves, **given: srt.plot.median_curve(curves, straight=False, **given),
    "speed": srt.plot.speed,
    "response": srt.plot.response,
    "slope_histogram": srt.plot.slope_histogram,
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_call_for_each_group_gives_what_one_call_for_all_gives(curves, ax, draw):
    draw({"one": curves, "two": curves, "three": curves}, ax=ax)
    at_once = colours(ax)
    _, other = plt.subplots()
    for name in ("one", "two", "three"):
        draw(curves, ax=other, label=name)
    assert colours(other) == at_once and len(set(at_once.values())) == 3


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_the_users_cycle_color_and_palette_are_followed(curves, draw):
    with mpl.rc_context({"axes.prop_cycle": mpl.cycler(color=["#111111", "#222222"])}):
        _, ax = plt.subplots()
        assert list(colours(draw({"a": curves, "b": curves}, ax=ax)).values()) == [
            to_rgba("#111111")[:3],
            to_rgba("#222222")[:3],
        ]
    both = {"a": curves, "b": curves}
    for given, expected in (
        ({"color": "red"}, ["red", "red"]),
        ({"palette": ["red", "blue"]}, ["red", "blue"]),
        ({"palette": {"b": "lime", "a": "k"}}, ["k", "lime"]),
    ):
        _, ax = plt.subplots()
        assert list(colours(draw(both, ax=ax, **given)).values()) == [to_rgba(one)[:3] for one in expected]
    plt.close("all")


def test_lines_of_a_setting_and_of_pairs_have_the_next_colour_each(curves, ax):
    row = xr.Dataset(dict.fromkeys(("median", "q25", "q75", "low", "high"), 1.0), {"quantity": "max_slope"})
    for name in ("a", "b"):
        srt.plot.medians({1: row, 2: row}, "tokens", ax=ax, label=name)
    assert ax.lines[0].get_color() != ax.lines[1].get_color()
    _, other = plt.subplots()
    srt.plot.curves(curves, ax=other, palette={"a": "red", "b": "blue", "c": "lime"})
    assert [line.get_color() for line in other.lines] == ["red", "blue", "lime"]
    _, grey = plt.subplots()
    many = xr.concat([curves[["relative_distance"]]] * 5, "pair")
    assert {line.get_color() for line in srt.plot.curves(many, ax=grey).lines} == {"0.3"}
    assert {line.get_color() for line in srt.plot.curves(many, ax=grey, color="red").lines[15:]} == {"red"}
    plt.close("all")


def test_bands_are_drawn_or_not(curves):
    for draw in (srt.plot.median_curve, srt.plot.speed, srt.plot.response):
        assert len(draw(curves).collections) == 1
        assert len(draw(curves, band=False).collections) == 0
    plt.close("all")


def test_one_pair_has_a_curve_and_no_median(curves, ax):
    srt.plot.median_curve(curves.isel(pair=[1]), ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["curve of one pair"]
    assert not ax.collections


def test_names_at_the_ends_of_speeds_are_all_there_once_after_two_calls(curves, ax):
    srt.plot.speed(curves, ax=ax, label="one")
    srt.plot.speed(curves.assign(step=curves["step"][:, ::-1]), ax=ax, label="two")
    assert sorted(text.get_text() for text in ax.texts) == ["even motion", "one", "two"]


def test_what_is_no_colour_is_refused(curves, ax):
    both = {"a": curves, "b": curves}
    for given, message in (
        ({"color": "no colour"}, r"color='no colour'.*matplotlib knows"),
        ({"palette": "no palette"}, r"palette='no palette'.*seaborn"),
        ({"palette": {"a": "red"}}, r"none for \['b'\]"),
        ({"palette": []}, r"palette='\[\]'"),
        ({"palette": ["red", 7]}, r"palette='7'"),
        ({"color": "red", "palette": ["red"]}, r"expected one of them"),
        ({"label": "both"}, r"label='both'.*2 results"),
    ):
        with pytest.raises(ValueError, match=message):
            srt.plot.median_curve(both, ax=ax, **given)


def contrast(first, second):
    """By WCAG 2, with the luminances that its page gives for the primaries."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_names_at_the_ends_of_lines_can_be_read_and_keep_their_hue():
    assert contrast("k", "w") == pytest.approx(21) and luminance("#ff0000") == pytest.approx(0.2126)
    for ground in ("w", "#111111"):
        for color in (*srt.plot.PALETTE, "k", "w", "0.5"):
            assert contrast(legible(color, ground), ground) >= 4.5
    assert legible(srt.plot.PALETTE[0]) == pytest.approx(srt.plot.PALETTE[0]), "blue can be read as it is"
    red, green, blue = legible(srt.plot.PALETTE[1])
    assert red > green > blue, "orange stays orange"
    _, ax = plt.subplots()
    label_ends(ax, {"one": (0.5, srt.plot.PALETTE[1])})
    assert contrast(ax.texts[0].get_color(), "w") >= 4.5
    plt.close("all")
