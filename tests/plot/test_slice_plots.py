"""Pictures of slices and polytopes draw what they are given, name it, and leave the results alone."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb

import srtoolkit as srt

mpl.use("agg")
PLACE = np.linspace(-0.25, 1.25, 7)
HALF = 0.125


@pytest.fixture
def picture():
    """Seven points a side: token 5 above, 6 below, 7 in one corner; the last column is nobody's."""
    token = np.full((3, 7, 7), 5)
    token[:, 4:] = 6
    token[0, 0, 0], token[2, 0, 1] = 7, 8
    region = np.tile([0, 0, 0, 1, 1, 2, -1], (7, 1))
    own = np.random.default_rng(0).random((3, 7, 7))
    dims = ("anchor", "beta", "alpha")
    data = {"distance": (dims, own), "top_token": (dims, token), "margin": (dims, own), "region": (dims[1:], region)}
    corner = {"c_alpha": ((), 0.5), "c_beta": ((), 1.0), "largest_distance": ("anchor", own.max(axis=(1, 2)))}
    corner["anchor_token"] = "anchor", [5, 6, 6]
    return xr.Dataset(data | corner, {"anchor": list("ABC"), "alpha": PLACE, "beta": PLACE})


@pytest.fixture
def gates(picture):
    """Gate 0 opens at alpha = 0.4, gate 1 at beta = 0.6, gate 2 never."""
    beta, alpha = np.meshgrid(PLACE, PLACE, indexing="ij")
    values = np.stack([alpha - 0.4, beta - 0.6, np.full_like(alpha, -1.0)], axis=-1)
    crossings = np.arange(49).reshape(7, 7)
    data = {"pre_activation": (("beta", "alpha", "gate"), values), "crossings": (("beta", "alpha"), crossings)}
    return picture[["c_alpha", "c_beta"]].assign(data).assign_coords(alpha=PLACE, beta=PLACE)


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def text(token):
    return {5: " cat", 6: "\n", 7: "$x$", 8: "dog"}[token]


#: What deuteranopes and protanopes see of linear red, green and blue; Machado, Oliveira & Fernandes 2009, severity 1.
VISION = {
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}


def seen(colours, vision):
    """sRGB colours as others see them, in CIE L*a*b*."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    linear = (linear @ np.array(VISION[vision]).T).clip(0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt((linear @ to_xyz.T / [0.9505, 1.0, 1.089]).clip(1e-6)).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@pytest.mark.parametrize("vision", VISION)
def test_colours_of_regions_can_be_told_apart_by_the_colour_blind(vision):
    lab = seen(np.array([*srt.plot.REGION_COLOURS, (1.0, 1.0, 1.0)]), vision)
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)[np.triu_indices(4, 1)]
    assert apart.min() > 25  # ten times what is just noticed


def near_only(picture, anchor):
    """The same plane with every point at the output of one anchor, and as far as can be from the others'."""
    largest = picture["largest_distance"]
    far = xr.zeros_like(picture["distance"]) + largest
    return picture.assign(distance=far.where(picture["anchor"] != anchor, 0.0))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_plane_has_an_anchor_s_colour_at_its_output_and_white_far_from_all(picture, index):
    anchor = "ABC"[index]
    ax = srt.plot.plane(near_only(picture, anchor), contours=False)
    assert np.asarray(ax.images[0].get_array())[3, 3] == pytest.approx(srt.plot.REGION_COLOURS[index])
    far = near_only(picture, "nobody")
    white = srt.plot.plane(far, contours=False)
    assert np.asarray(white.images[0].get_array())[3, 3] == pytest.approx([1, 1, 1])
    paper = srt.plot.plane(near_only(picture, anchor), palette="paper", contours=False)
    assert np.asarray(paper.images[0].get_array())[3, 3].tolist() == np.eye(3)[index].tolist()
    plt.close("all")


def test_lines_of_equal_nearness_lie_at_it(picture, ax):
    alpha = xr.DataArray(PLACE, dims="alpha")
    slope = (
        ((alpha - PLACE[0]) / np.ptp(PLACE)).broadcast_like(picture["distance"]).transpose("anchor", "beta", "alpha")
    )
    srt.plot.plane(picture.assign(distance=slope, largest_distance=("anchor", np.ones(3))), ax=ax)
    found = {round(float(x), 6) for drawn in ax.collections for path in drawn.get_paths() for x in path.vertices[:, 0]}
    assert {PLACE[0] + 0.5 * 1.5, PLACE[0] + 0.25 * 1.5} <= found


def test_the_key_names_the_prompts(picture, ax):
    texts = ["a cat", "a line\nand $more$ of the same without an end", "x"]
    srt.plot.plane(picture.assign_coords(text=("anchor", texts)), ax=ax)
    first, second, third, far, lines = legend_of(ax)
    assert (first, third) == ("as A: “a cat”", "as C: “x”") and "far from all three" in far and "0.5" in lines
    assert second.startswith(r"as B: “a line and \$more\$") and second.endswith("…”")
    with pytest.raises(ValueError, match="palette"):
        srt.plot.plane(picture, ax=ax, palette="rainbow")


@pytest.mark.parametrize("name", ["plane", "tokens", "margin", "regions", "gate_crossings"])
def test_every_picture_of_a_plane_has_its_frame(name, picture, gates, ax):
    drawn = gates if name == "gate_crossings" else picture
    before = drawn.copy(deep=True)
    assert getattr(srt.plot, name)(drawn, *([text] if name == "tokens" else []), ax=ax) is ax
    ax.figure.canvas.draw()
    assert ax.get_xlabel() == "α, along AB" and ax.get_ylabel() == "β, towards C"
    assert ax.images[0].get_extent() == pytest.approx([-0.25 - HALF, 1.25 + HALF, 1.25 + HALF, -0.25 - HALF])
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # beta grows downwards
    marks = {note.get_text(): note.xy for note in ax.texts}
    assert marks == {"A": (0, 0), "B": (1, 0), "C": (0.5, 1)}
    assert drawn.identical(before)


def test_tokens_are_named_by_frequency_and_the_rest_is_grey(picture, ax):
    srt.plot.tokens(picture, text, "A", ax=ax, top=3)
    assert legend_of(ax) == ["' cat'", "'\\n'", r"'\$x\$'"]  # 8 is in no place in the context of A
    image = np.asarray(ax.images[0].get_array())
    colours = [patch.get_facecolor()[:3] for patch in ax.get_legend().get_patches()]
    assert image[1, 1] == pytest.approx(colours[0]) and image[5, 5] == pytest.approx(colours[1])
    assert image[0, 0] == pytest.approx(colours[2])


def test_tokens_have_the_same_colours_in_every_context(picture, ax):
    image = {}
    for anchor in "AC":
        srt.plot.tokens(picture, text, anchor, ax=ax, top=3, legend=False)
        image[anchor] = np.asarray(ax.images[-1].get_array())
    assert ax.get_legend() is None
    srt.plot.tokens(picture, text, "C", ax=ax, top=3)
    assert legend_of(ax) == ["' cat'", "'\\n'", "1 others, in greys"]  # 7 is in no place in the context of C
    assert image["A"][1:].tolist() == image["C"][1:].tolist()
    assert image["C"][0, 1] == pytest.approx(to_rgb("0.6"))  # the rarest of the four
    srt.plot.tokens(picture, text, ax=ax)
    assert "others" not in " ".join(legend_of(ax))


def test_the_anchors_own_tokens_come_first_and_the_others_can_be_told_apart(picture, ax):
    own = picture.assign(anchor_token=("anchor", [8, 8, 8]))
    srt.plot.tokens(own, text, "C", ax=ax, top=1)
    assert legend_of(ax) == ["'dog'", "2 others, in greys"]
    image = np.asarray(ax.images[0].get_array())
    shades = {tuple(image[place].round(3)) for place in ((1, 1), (5, 5))}
    assert len(shades) == 2 and all(len(set(shade)) == 1 for shade in shades)
    assert image[0, 1] == pytest.approx(to_rgb(srt.plot.PALETTE[0]))


def test_regions_name_nobody_s_and_hatch_it(picture, ax):
    srt.plot.regions(picture, ax=ax)
    assert legend_of(ax) == ["as A: 43%", "as B: 29%", "as C: 14%", "none of the three: 14%"]
    hatches = [patch.get_hatch() for patch in ax.get_legend().get_patches()]
    assert hatches == [None, None, None, "////"]
    image = np.asarray(ax.images[0].get_array())
    colours = [patch.get_facecolor()[:3] for patch in ax.get_legend().get_patches()]
    for column, index in ((0, 0), (3, 1), (5, 2), (6, 3)):
        assert image[0, column] == pytest.approx(colours[index])
    full = picture.assign(region=abs(picture["region"]))
    srt.plot.regions(full, ax=ax)
    assert legend_of(ax)[-1] == "none of the three: 0%"


def test_the_margin_has_a_bar_in_nats(picture, ax):
    srt.plot.margin(picture, "B", ax=ax, vmax=2.0)
    np.testing.assert_array_equal(ax.images[0].get_array(), picture["margin"].values[1])
    (bar,) = ax.child_axes
    assert "nats" in bar.get_ylabel() and bar.get_ylim() == (0, 2)


def test_gate_boundaries_lie_where_the_gates_change_sign(gates, ax):
    srt.plot.gate_boundaries(gates, ax=ax)
    lines = [collection.get_paths()[0].vertices for collection in ax.collections]
    assert len(lines) == 2  # the third never opens
    assert lines[0][:, 0] == pytest.approx(0.4) and lines[1][:, 1] == pytest.approx(0.6)
    some = srt.plot.gate_boundaries(gates, gates=[1, 2], colors="r")
    assert some.get_xlabel() == "α, along AB"
    assert sum(to_rgb("r") == tuple(line.get_edgecolor()[0, :3]) for line in some.collections) == 1
    plt.close(some.figure)


def test_crossings_have_no_value_where_there_is_no_next_point(gates, ax):
    srt.plot.gate_crossings(gates, ax=ax)
    image = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert image[:-1, :-1].tolist() == gates["crossings"].values[:-1, :-1].tolist()
    assert np.isnan(image[-1]).all() and np.isnan(image[:, -1]).all()


def test_gates_are_ink_on_one_scale_over_pale_regions(picture, gates):
    half = gates.assign(crossings=gates["crossings"] // 2)
    before = picture.copy(deep=True), gates.copy(deep=True)
    axes = srt.plot.gates_at_boundaries(gates, picture, half, picture, titles=["one", "other"])
    axes[0].figure.canvas.draw()
    regions, ink = (np.asarray(image.get_array()) for image in axes[0].images)
    other = np.asarray(axes[1].images[1].get_array())
    assert [ax.get_title() for ax in axes] == ["one", "other"]
    assert ink[..., :3].max() == 0 and (np.diff(ink[3, :6, 3]) > 0).all()
    scale = np.nanquantile(gates["crossings"].values[:-1, :-1], 0.99)
    assert ink[3, 2, 3] == pytest.approx(23 / scale) and other[3, 2, 3] == pytest.approx(11 / scale)
    assert ink[-1, :, 3].max() == 0 and ink[:, -1, 3].max() == 0  # these have no next point
    assert axes[0].get_xlim()[1] == pytest.approx(1.25 - HALF)  # nor are they shown
    assert len({tuple(regions[3, column]) for column in (0, 3, 5, 6)}) == 4 and regions.min() >= 0.6 - 1e-9
    assert (picture.identical(before[0]), gates.identical(before[1])) == (True, True)
    with pytest.raises(ValueError, match="expected two"):
        srt.plot.gates_at_boundaries(gates, picture, half, picture, axes=axes[:1])
    plt.close("all")


def test_the_flip_histogram_counts_pairs_by_share(ax):
    ends = np.array([[10, 20], [30, 40], [30, 80]])
    flips = xr.Dataset({"ends_differ": (("pair", "block"), ends), "gates": ("block", [100, 100])}, {"block": [1, 2]})
    srt.plot.flip_histogram({"last": flips.sel(block=[2]), "before": flips.sel(block=[1])}, ax=ax, paper=True)
    assert sum(patch.get_height() for patch in ax.patches) == 6
    assert {"last: median 0.40", "before: median 0.30"} < set(legend_of(ax))
    assert any("paper" in label and "0.23" in label for label in legend_of(ax))
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([927 / 4864, 1117 / 4864, 1410 / 4864])
    with pytest.raises(ValueError, match="flips of 2 blocks"):
        srt.plot.flip_histogram({"all": flips}, ax=ax)


def test_blocks_show_the_whole_path_beside_its_ends(ax):
    flips = xr.Dataset(
        {
            "flips": (("pair", "alpha", "block"), np.arange(12).reshape(2, 3, 2)),
            "ends_differ": (("pair", "block"), np.array([[2, 4], [4, 8]])),
            "gates": ("block", [100, 100]),
        },
        {"block": [1, 2]},
    )
    srt.plot.flips_by_block({"trained": flips}, ax=ax)
    assert legend_of(ax) == ["trained, whole path", "trained, ends only"]
    whole, ends = (line.get_ydata() for line in ax.lines)
    assert whole == pytest.approx([0.15, 0.18]) and ends == pytest.approx([0.03, 0.06])
    assert list(ax.lines[0].get_xdata()) == [1, 2] and "0: first" in ax.get_xlabel()


def test_flips_around_the_fastest_step_are_medians_beside_the_speed(ax):
    offsets = np.array([-0.1, 0.0, 0.1])
    values = np.array([[1.0, 3.0, 1.0], [1.0, 5.0, np.nan], [2.0, 4.0, np.nan], [9.0, 9.0, 9.0]])
    around = xr.Dataset(
        {
            "flips": (("pair", "offset"), values),
            "slope": (("pair", "offset"), 2 * values),
            "excluded": ("pair", [False, False, False, True]),
        },
        {"offset": offsets},
    )
    before = around.copy(deep=True)
    srt.plot.flips_around_jump({"all": around, "half": around.assign(flips=around.flips / 2)}, ax=ax)
    assert legend_of(ax) == ["speed of the output", "all", "half"]
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert drawn["all"] == [1, 4] and drawn["half"] == [0.5, 2] and drawn["speed of the output"] == [2, 8]
    assert "mean over the path" in ax.get_ylabel() and "fastest step" in ax.get_xlabel()
    assert around.identical(before)


def test_what_was_not_measured_is_asked_for_by_name(picture, ax):
    with pytest.raises(ValueError, match="reads='logits'"):
        srt.plot.tokens(picture.drop_vars("top_token"), text, ax=ax)
    with pytest.raises(ValueError, match="reads='final_norm'"):
        srt.plot.regions(picture.drop_vars("region"), ax=ax)
    with pytest.raises(ValueError, match="anchor='D' is not one of"):
        srt.plot.margin(picture, "D", ax=ax)


def test_without_axes_a_new_figure_is_made(picture):
    for draw in (srt.plot.plane, srt.plot.regions, srt.plot.margin):
        ax = draw(picture)
        assert ax.get_xlabel() == "α, along AB"
        plt.close(ax.figure)
