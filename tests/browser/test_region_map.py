"""The map of prompts as a person meets it: prompts picked, the threshold dragged, another model loaded."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lab import BUILD

ODD = "<b id=boo>&amp;</b> 'quote\" \U0001f600 עברית $x_1$"

CELLS = [
    "import srtoolkit as srt\nfrom srtoolkit.panels.region_map import RegionMap",
    f"""texts = ["he went to France", "he went to Italy", "she had two", "she had three", {ODD!r}]
panel = RegionMap("nano-0.4m", texts, ["places", "places", "numbers", "numbers", "odd"], steps=20)
panel""",
    "panel.settle()",
]


def option(notebook, text):
    """What the lists call a prompt."""
    return notebook.value(f"next(label for label, index in panel.start.options if panel.texts[index] == {text!r})")


def test_the_map_is_of_all_paths(notebook):
    assert notebook.value("panel.result.sizes['pair']") == 10
    assert "5 prompts on nano-0.4m" in notebook.check()


def test_two_picked_prompts_show_their_path(notebook):
    before = notebook.picture().get_attribute("src")
    notebook.choose("from", option(notebook, "she had two"))
    notebook.choose("to", option(notebook, "he went to Italy"))
    alt = notebook.check()
    assert "From “he went to Italy” to “she had two”" in alt
    sharp = "panel.result.isel(pair=int(((panel.result.text_a == 'he went to Italy') & "
    sharp += "(panel.result.text_b == 'she had two')).values.argmax()))"
    assert f"peak speed {notebook.value(f'float({sharp}.peak)'):.2f}" in alt
    assert notebook.picture().get_attribute("src") != before
    notebook.choose("to", option(notebook, "she had two"))
    assert "pick two different prompts" in notebook.check().lower()


def test_the_threshold_joins_and_parts_prompts(notebook):
    assert notebook.enter("threshold", 12) == 12
    assert "1 component, the largest of 5" in notebook.check()
    assert notebook.drag("threshold", 0.0) == 1
    assert f"{notebook.value('int(panel.result.component.max()) + 1')} component" in notebook.check()
    assert notebook.press("threshold", "ArrowRight") == pytest.approx(1.1)
    notebook.check()


def test_colour_by_component(notebook):
    before = notebook.picture().get_attribute("src")
    notebook.choose("colour by", "component")
    notebook.check()
    assert notebook.picture().get_attribute("src") != before
    notebook.choose("colour by", "class")
    notebook.check()


def test_odd_text_is_text(notebook):
    notebook.choose("from", option(notebook, "she had two"))
    notebook.choose("to", option(notebook, ODD))
    assert "<b id=boo>" in notebook.check()
    assert notebook.page.locator("#boo").count() == 0


def test_another_model_and_one_that_does_not_exist(notebook):
    alt = notebook.check()
    notebook.type("revision", "step7")
    notebook.click("Load model")
    expect(notebook.error()).to_contain_text("no revision 'step7'")
    assert notebook.value("panel.alt") == alt
    notebook.type("revision", "step100")
    notebook.click("Load model")
    notebook.wait_for("panel.result.attrs['revision']", "step100")
    expect(notebook.error()).to_have_count(0)
    notebook.check()


def test_cancel_keeps_the_picture(notebook):
    alt = notebook.check()
    notebook.kernel("import threading, srtoolkit.panels.region_map as there; gate = threading.Event()")
    notebook.kernel("real = there.interpolate; there.interpolate = lambda *a, **k: (gate.wait(), real(*a, **k))[1]")
    notebook.type("revision", "")
    notebook.click("Load model")
    expect(notebook.status()).to_contain_text("measuring 10 paths")
    notebook.click("Cancel")
    expect(notebook.status()).to_contain_text("Cancelled. Still shown")
    notebook.kernel("gate.set(); there.interpolate = real")
    notebook.settle()
    assert notebook.value("panel.alt") == alt
    expect(notebook.picture()).to_have_attribute("alt", alt)


@pytest.mark.parametrize("dark", [True, False])
def test_text_can_be_read_in_both_themes(notebook, dark):
    notebook.use_dark_theme(dark)
    notebook.check_contrast(".widget-label", "[data-srt=text]", ".widget-readout", "select")
    notebook.check_pictures_fit()
    notebook.screenshot(BUILD / "test_region_map" / f"theme-{'dark' if dark else 'light'}.png")
