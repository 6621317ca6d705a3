"""The slice explorer without a browser: what the page is sent, what a pin measures, and what goes wrong on the way."""

from __future__ import annotations

import io
import threading

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from PIL import Image
from scipy.interpolate import RegularGridInterpolator

import srtoolkit as srt
from families import hooked
from seen import markup, widgets
from srtoolkit.panels.slice import explored, question
from srtoolkit.panels.slice.panel import SliceExplorer
from srtoolkit.plot.slice_plots import mixed

PROMPTS = ("the cat sat", "a dog", "rain fell on us")


@pytest.fixture
def panel(text_model):
    made = SliceExplorer(text_model, PROMPTS, resolution=9, tolerance=None)
    made.settle()
    assert made.error is None
    return made


@pytest.fixture
def gate(monkeypatch):
    """Holds back every slice until it is set; ``gate.started`` is set when one waits."""
    event, measure = threading.Event(), explored.slice_plane
    event.started = threading.Event()

    def held(*arguments, **settings):
        event.started.set()
        assert event.wait(30)
        return measure(*arguments, **settings)

    monkeypatch.setattr(explored, "slice_plane", held)
    return event


def colours(panel):
    n = panel.canvas.points
    return np.frombuffer(panel.canvas.colours, np.uint8).reshape(n, n, 4)


def test_the_page_has_the_slice(text_model, panel):
    expected = srt.slice_plane(text_model, PROMPTS, resolution=9)
    np.testing.assert_allclose(colours(panel)[..., :3], mixed(expected.rgb.values) * 255, atol=1)
    sent = np.frombuffer(panel.canvas.distances, np.float32).reshape(3, 9, 9)
    np.testing.assert_array_equal(sent, expected.distance.values.astype(np.float32))
    assert panel.canvas.reach == [expected.alpha.values[0], expected.alpha.values[-1]]
    corner = panel.canvas.anchors[2]
    assert (corner["name"], corner["alpha"], corner["beta"]) == ("C", expected.c_alpha.item(), 1.0)


@pytest.mark.parametrize("anchor", ["A", "C"])
def test_the_page_has_the_predictions_of_plain_hooks(text_model, panel, anchor):
    panel.context.value = anchor
    panel.settle()
    places, probabilities = panel.canvas.table(rank=5)
    tokens = [text_model.tokenize(text) for text in PROMPTS]
    a, b, c = (hooked(text_model, ids, 0)["own"] for ids in tokens)
    foot = a + ((b - a) @ (c - a)) / ((b - a) @ (b - a)) * (b - a)
    axis = torch.linspace(*panel.canvas.reach, 9)
    for row, column in ((0, 0), (4, 7), (8, 3)):
        point = a + axis[column] * (b - a) + axis[row] * (c - foot)
        best = hooked(text_model, tokens["ABC".index(anchor)], 0, point)["logprobs"].topk(5)
        texts = [repr(text_model.token_text(token)) for token in best.indices.tolist()]
        assert [panel.canvas.vocabulary[place] for place in places[row, column]] == texts
        np.testing.assert_allclose(probabilities[row, column], best.values.exp(), rtol=1e-3)
    assert panel.result.attrs["context"] == anchor and panel.canvas.context == anchor


def test_until_predictions_are_known_the_page_has_the_top_token(text_model, monkeypatch):
    event, fill = threading.Event(), explored.fill_tokens
    monkeypatch.setattr(explored, "fill_tokens", lambda *given: event.wait(30) and fill(*given))
    panel = SliceExplorer(text_model, PROMPTS, resolution=9, tolerance=0.5)
    while not panel.canvas.points and panel.error is None:
        event.wait(0.01)
    plane = srt.slice_plane(text_model, PROMPTS, resolution=9, tolerance=0.5, top=5).sel(anchor="A")
    measured = plane["measured"].values
    assert measured.any() and not measured.all()
    places, probabilities = panel.canvas.table(rank=5)
    assert (np.isfinite(probabilities).all(-1) == measured).all()
    shown = np.array(panel.canvas.vocabulary)[places]
    top = [[repr(text_model.token_text(token)) for token in row] for row in plane["top_token"].values.tolist()]
    assert shown[..., 0].tolist() == top and (shown[~measured][:, 1:] == "").all() and (shown[measured] != "").all()
    event.set()
    panel.settle()
    assert np.isfinite(panel.canvas.table(rank=5)[1]).all() and (panel.result["token"].sel(anchor="A") >= 0).all()


@pytest.fixture
def n_predicted(text_model):
    """The number of points at which the model was asked for its next token, pass by pass."""
    counted = []
    hook = text_model.hf.lm_head.register_forward_pre_hook(lambda _, args: counted.append(args[0].shape[:-1].numel()))
    yield counted
    hook.remove()


@pytest.mark.parametrize("tolerance", [None, 0.5])
def test_no_point_is_measured_twice(text_model, n_predicted, tolerance):
    plane = srt.slice_plane(text_model, PROMPTS, resolution=9, tolerance=tolerance)
    left = int((~plane["measured"].sel(anchor="A")).sum())
    alone = sum(n_predicted)
    n_predicted.clear()
    panel = SliceExplorer(text_model, PROMPTS, resolution=9, tolerance=tolerance)
    panel.settle()
    assert panel.error is None and (left > 0) == (tolerance is not None)
    assert sum(n_predicted) == alone + left
    n_predicted.clear()
    panel.shown.value = question.TOKENS
    panel.settle()
    assert not n_predicted


def test_filled_points_have_the_predictions_that_measuring_all_gives(text_model):
    panel = SliceExplorer(text_model, PROMPTS, resolution=9, tolerance=0.5)
    panel.settle()
    panel.context.value = "B"
    panel.settle()
    expected = srt.slice_plane(text_model, PROMPTS, resolution=9, top=5)
    for anchor in "AB":
        here = panel.result.sel(anchor=anchor)
        assert (here["token"].values == expected["token"].sel(anchor=anchor).values).all()
        np.testing.assert_allclose(here["probability"], expected["probability"].sel(anchor=anchor), rtol=1e-4)
    assert (panel.result["token"].sel(anchor="C") < 0).any()
    again = {}
    exec(panel.code(), again)
    xr.testing.assert_allclose(again["result"], panel.result, rtol=1e-4)
    assert again["result"].attrs == panel.result.attrs


def test_a_pinned_point_has_the_curve_of_the_straight_line_to_it(text_model, panel):
    panel.context.value, panel.canvas.pin = "B", [6, 2]
    panel.settle()
    a, b, c = (srt.capture(text_model, text_model.tokenize(text)[None])[0] for text in PROMPTS)
    foot = a + ((b - a) @ (c - a)) / ((b - a) @ (b - a)) * (b - a)
    alpha, beta = float(panel.result.alpha[2]), float(panel.result.beta[6])
    end = a + alpha * (b - a) + beta * (c - foot)
    points = torch.stack([b + share * (end - b) for share in torch.linspace(0, 1, 50)])
    outputs = srt.patch(text_model, text_model.tokenize(PROMPTS[1])[None], points[None], method="full")[0]
    expected = (outputs - outputs[:1]).norm(dim=-1).numpy()
    np.testing.assert_allclose(panel.line.distance[0], expected, rtol=1e-2, atol=1e-4 * expected.max())
    assert f"from B the output moves by {expected[-1]:.3g}" in panel.alt
    assert panel.canvas.line == panel.line.distance.values[0].tolist() and panel.canvas.line_label in panel.alt
    panel.canvas.pin = []
    panel.settle()
    assert panel.line is None and panel.canvas.line == [] and panel.canvas.line_label == ""
    assert "Pinned" not in panel.alt


def test_a_line_to_an_anchor_is_the_path_between_prompts(text_model):
    curve = srt.interpolate(text_model, [PROMPTS[:2]], steps=9)
    path = srt.line_on_plane(text_model, PROMPTS, 1.0, 0.0)
    line = srt.interpolate(text_model, [(PROMPTS[0], PROMPTS[2])], steps=9, path=path)
    np.testing.assert_allclose(line.distance, curve.distance, rtol=1e-4, atol=1e-5)


def test_gate_density_is_that_of_slice_gates(text_model, panel):
    panel.shown.value = question.GATES
    panel.settle()
    expected = srt.slice_gates(text_model, PROMPTS, 1, resolution=9)
    np.testing.assert_array_equal(panel.result.crossings, expected.crossings)
    counts = expected.crossings.values[:-1, :-1]
    low, high = (
        colours(panel)[:-1, :-1].astype(int).sum(-1)[counts == value] for value in (counts.min(), counts.max())
    )
    assert (low == low[0]).all() and low[0] < high[0]
    assert (colours(panel)[-1, :, 3] == 0).all()  # no next point to compare with
    panel.layer.value = text_model.n_layers - 1
    panel.settle()
    assert "the last block" in str(panel.error) and panel.result.attrs["layer"] == 0
    panel.shown.value = question.MARGIN
    panel.settle()
    assert panel.error is None and panel.result.attrs["layer"] == text_model.n_layers - 1


@pytest.mark.parametrize("name", question.PICTURES)
@pytest.mark.slow
def test_every_picture_has_words_a_legend_and_a_still(panel, name):
    panel.shown.value = name
    panel.settle()
    assert f"Shown: {name}" in panel.alt and panel.alt == panel.canvas.label
    assert len(panel.canvas.legend) > 1 and panel.canvas.title
    whole = Image.open(io.BytesIO(panel.png))
    panel.canvas.pin = [3, 3]
    panel.settle()
    with_line = Image.open(io.BytesIO(panel.png))
    assert with_line.height > whole.height and with_line.width == whole.width


def test_contour_lines_are_where_the_nearness_is_theirs(text_model):
    """Nearness is interpolated at the points of every line, by scipy, and is one of the levels there."""
    panel = SliceExplorer(text_model, PROMPTS, resolution=21, tolerance=None)
    panel.settle()
    near = panel.result.rgb
    axes = panel.result.beta.values, panel.result.alpha.values
    at = [RegularGridInterpolator(axes, near.sel(anchor=anchor).values) for anchor in "ABC"]
    assert panel.canvas.contours
    for line in panel.canvas.contours:
        alpha, beta = np.array(line).T
        off = [
            np.abs(of((beta.clip(*axes[0][[0, -1]]), alpha.clip(*axes[1][[0, -1]]))) - level).max()
            for of in at
            for level in (0.5, 0.75)
        ]
        assert min(off) < 1e-2
    panel.shown.value = question.TOKENS
    panel.settle()
    assert panel.canvas.contours == []


@pytest.mark.parametrize("form", SliceExplorer.forms)
@pytest.mark.slow
def test_a_slice_is_saved_in_every_form(panel, tmp_path, form):
    panel.canvas.pin = [3, 3]
    panel.settle()
    panel.save(tmp_path / f"slice.{form}")
    if form == "nc":
        assert srt.load(tmp_path / "slice.nc").drop_attrs().equals(panel.result.drop_attrs())
    if form == "csv":
        rows = pd.read_csv(tmp_path / "slice.csv").set_index(["anchor", "beta", "alpha"])
        np.testing.assert_allclose(rows["distance"].to_xarray().sel(anchor=[*"ABC"]), panel.result.distance, rtol=1e-5)


def test_shares_in_words_are_those_of_the_regions(panel):
    shares = [(panel.result.region == index).mean().item() for index in (0, 1, 2, -1)]
    for share, where in zip(shares, ("near A's", "near B's", "near C's", "near none"), strict=True):
        assert f"{share:.0%} {where}" in panel.alt


def test_of_twenty_rapid_changes_the_last_is_shown_and_nothing_is_mixed(text_model, panel):
    seen = []
    panel.canvas.observe(lambda change: seen.append(change.new), "label")
    for number in range(20):
        panel.prompt_a.value = f"number {number}"
        panel.layer.value = number % 2
        panel.context.value = "ABC"[number % 3]
        panel.canvas.pin = [number % 9, 4]
    panel.settle()
    fresh = SliceExplorer(text_model, ("number 19", *PROMPTS[1:]), layer=1, resolution=9, tolerance=None)
    fresh.context.value, fresh.canvas.pin = "B", [1, 4]
    fresh.settle()
    assert panel.error is None and panel.alt == fresh.alt
    assert panel.result.equals(fresh.result) and panel.line.equals(fresh.line)
    for trait in ("colours", "tokens", "probabilities", "distances", "vocabulary", "anchors", "context", "label"):
        assert getattr(panel.canvas, trait) == getattr(fresh.canvas, trait), trait
    assert 1 <= len(seen) < 20


def test_going_back_leaves_what_is_shown(panel, gate):
    before = panel.result
    panel.layer.value = 1
    assert gate.started.wait(10)
    panel.layer.value = 0
    gate.set()
    panel.settle()
    assert panel.result.attrs["layer"] == 0 and panel.result.equals(before)


@pytest.mark.slow
def test_cancel_keeps_the_picture_and_the_next_change_works(panel, gate):
    alt, png = panel.alt, panel.png
    panel.prompt_b.value = "another prompt"
    assert gate.started.wait(10)
    panel.cancel()
    gate.set()
    panel.settle()
    assert panel.alt == alt and panel.png == png
    panel.layer.value = 1
    panel.settle()
    assert panel.result["text"].values[1] == "another prompt" and panel.result.attrs["layer"] == 1


def test_a_cancelled_slice_ends_between_batches(panel, n_predicted, monkeypatch):
    monkeypatch.setattr("srtoolkit.patching.batches.CPU_TOKENS", 16)
    before = panel.result
    status = next(one for one in widgets(panel) if getattr(one, "value", None) == markup(panel, "status"))
    status.observe(lambda change: 'value="0.1' in change.new and panel.cancel(), "value")
    panel.prompt_a.value = "another prompt"
    panel.settle()
    assert panel.result is before and panel.error is None
    assert 0 < sum(n_predicted) < 3 * 81 / 2


@pytest.mark.parametrize(
    ("control", "value", "said"),
    [
        ("prompt_b", "", "prompt B: an empty prompt"),
        ("prompt_c", "word " * 3000, "prompt C"),
        ("prompt_c", PROMPTS[0], "span no plane"),
    ],
)
def test_an_error_is_shown_and_the_panel_goes_on(panel, control, value, said):
    alt, kept = panel.alt, getattr(panel, control).value
    getattr(panel, control).value = value
    panel.settle()
    assert said in str(panel.error) and panel.alt == alt
    getattr(panel, control).value = kept
    panel.settle()
    assert panel.error is None and panel.alt == alt


def test_a_pin_outside_the_plane_is_refused(panel):
    panel.canvas.pin = [9, 0]
    panel.settle()
    assert "pin=[9, 0]: expected a row and a column from 0 to 8" in str(panel.error) and panel.line is None


def test_other_points_a_side_forget_the_pin(panel):
    panel.canvas.pin = [8, 8]
    panel.resolution.value = 21
    panel.settle()
    assert panel.canvas.pin == [] and panel.canvas.points == 21 and panel.error is None


def test_code_gives_what_is_shown(panel, tiny_folder):
    panel.shown.value, panel.context.value, panel.canvas.pin = question.GATES, "C", [5, 2]
    panel.settle()
    again = {}
    exec(panel.code(), again)
    assert again["result"].equals(panel.result) and again["line"].equals(panel.line)


ODD = "<b>&amp;</b> 'quote\" $x_1$ \U0001f600 \u05e2\u05d1\u05e8\u05d9\u05ea \\ \n end"


@pytest.mark.filterwarnings("error")
def test_odd_text_is_kept_as_it_is(text_model):
    panel = SliceExplorer(text_model, (ODD, *PROMPTS[1:]), resolution=5)
    panel.canvas.pin = [1, 1]
    panel.shown.value = question.TOKENS
    panel.settle()
    assert panel.error is None and panel.result["text"].values[0] == ODD
    assert "<b>&amp;</b>" in panel.canvas.label
    assert Image.open(io.BytesIO(panel.png)).width > 100


def test_three_prompts_are_asked_for():
    with pytest.raises(ValueError, match="three texts"):
        SliceExplorer("nano-0.4m", ("a", "b"))
