"""The training panel as a person meets it: dragged, keyed and played through the checkpoints."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lab import BUILD

CELLS = [
    "import srtoolkit as srt\nfrom srtoolkit.panels.training import TrainingPanel",
    "panel = TrainingPanel('nano-1m', near=[0, 2e5, 8e5, 5e6], resolution=9)\npanel",
    "panel.settle()",
]


def check(notebook):
    """The place of the checkpoint that both page and kernel show."""
    alt, index = notebook.check(), notebook.value("panel.checkpoint.index")
    assert notebook.value("panel.result.model.values.tolist()")[index] in alt
    return index


@pytest.fixture(autouse=True)
def at_the_end(notebook):
    """The panel as it was at first."""
    notebook.kernel("panel.checkpoint.index = len(panel.checkpoint.options) - 1")
    notebook.settle()


def test_every_checkpoint_is_measured_and_the_last_is_shown(notebook):
    assert notebook.value("panel.result.sizes['model']") == 4
    assert check(notebook) == 3


def test_dragging_and_keys_go_through_the_checkpoints(notebook):
    pictures = {notebook.picture().get_attribute("src")}
    notebook.drag("checkpoint", 0.0)
    assert check(notebook) == 0
    pictures.add(notebook.picture().get_attribute("src"))
    for index in (1, 2, 3):
        notebook.press("checkpoint", "ArrowRight")
        assert check(notebook) == index
        pictures.add(notebook.picture().get_attribute("src"))
    assert len(pictures) == 4


def test_the_readout_is_whole_and_the_slider_has_a_name(notebook):
    slider = notebook.labelled("checkpoint")
    readout = slider.locator(".widget-readout")
    assert readout.inner_text() == notebook.value("panel.checkpoint.label")
    assert readout.evaluate("one => one.scrollWidth <= one.clientWidth + 1")
    inside = notebook.page.locator(".srt-panel").first.bounding_box()
    box = readout.bounding_box()
    assert box["x"] + box["width"] <= inside["x"] + inside["width"]
    assert slider.locator(".noUi-handle").get_attribute("aria-label") == "checkpoint"
    expect(notebook.page.get_by_role("slider", name="checkpoint")).to_have_count(1)


def test_playing_shows_every_checkpoint(notebook):
    notebook.press("checkpoint", "Home")
    assert check(notebook) == 0
    notebook.kernel("seen = []; panel.checkpoint.observe(lambda change: seen.append((change.new, panel.alt)), 'index')")
    notebook.page.locator(".widget-play button").first.click()
    notebook.wait_for("[index for index, _ in seen][:3]", [1, 2, 3])
    alts = dict(notebook.value("seen"))
    assert len(set(alts.values())) == 3 and "step2400" in alts[3]
    assert check(notebook) == 3
    notebook.page.locator(".widget-play button").nth(1).click()  # stops, and goes back to the first
    notebook.wait_for("panel.checkpoint.index", 0)
    check(notebook)


def test_odd_prompts_are_text_and_an_empty_one_is_refused(notebook):
    alt = notebook.value("panel.alt")
    notebook.type("prompt B", "")
    expect(notebook.error()).to_contain_text("prompt B: an empty prompt")
    assert notebook.value("panel.alt") == alt
    odd = "<b id=boo>&amp;</b><script>boo()</script> 'quote\" \U0001f600 עברית $x_1$ the"
    notebook.type("prompt B", odd)
    notebook.settle()
    expect(notebook.error()).to_have_count(0)
    assert notebook.value("panel.result.text.values.tolist()")[1] == odd
    assert notebook.page.locator("#boo").count() == 0
    assert "<b id=boo>" in notebook.value("panel.alt")
    check(notebook)


def test_cancel_keeps_the_picture(notebook):
    alt = notebook.value("panel.alt")
    notebook.kernel("import threading, srtoolkit.panels.training as there; gate = threading.Event()")
    notebook.kernel("real = there.measure; there.measure = lambda *a, **k: (gate.wait(), real(*a, **k))[1]")
    notebook.type("prompt A", "Once upon a time there was")
    expect(notebook.status()).to_have_attribute("data-state", "busy")
    notebook.click("Cancel")
    expect(notebook.status()).to_contain_text("Cancelled. Still shown")
    notebook.kernel("gate.set(); there.measure = real")
    notebook.settle()
    assert notebook.value("panel.alt") == alt
    expect(notebook.picture()).to_have_attribute("alt", alt)


@pytest.mark.parametrize("dark", [True, False])
def test_text_can_be_read_in_both_themes(notebook, dark):
    notebook.use_dark_theme(dark)
    notebook.check_contrast(".widget-label", "[data-srt=text]", ".widget-readout", "input")
    notebook.check_pictures_fit()
    notebook.screenshot(BUILD / "test_training_panel" / f"theme-{'dark' if dark else 'light'}.png")
