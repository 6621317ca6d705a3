"""The map of prompts as a person meets it: prompts picked, the threshold dragged, another model loaded."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lab import BUILD

ODD = "<b id=boo>&amp;</b><script>boo()</script> 'quote\" \U0001f600 עברית $x_1$"

CELLS = [
    "import srtoolkit as srt\nfrom srtoolkit.panels.region_map import RegionMap",
    f"""texts = ["he went to France", "he went to Italy", "she had two", "she had three", {ODD!r}]
panel = RegionMap("nano-0.4m", texts, ["places", "places", "numbers", "numbers", "odd"], steps=20)
panel""",
    "panel.settle()",
]


def check(notebook):
    """The words, once the page shows what the kernel has: dots, lines and the curve."""
    notebook.settle()
    figure = notebook.page.locator(".srt-map-figures > svg")
    alt = notebook.value("panel.alt")
    expect(figure.first).to_have_attribute("aria-label", alt)
    expect(figure.first.locator(".srt-map-dot")).to_have_count(notebook.value("len(panel.map.dots)"))
    expect(figure.first.locator(".srt-map-edge")).to_have_count(notebook.value("len(panel.map.edges)"))
    points = (figure.nth(1).locator(".srt-map-curve").get_attribute("points") or "").split()
    assert len(points) == notebook.value("len(panel.map.curve['values'])")
    expect(notebook.page.locator(".srt-map-path")).to_have_text(notebook.value("panel.map.path"))
    return alt


def dot(notebook, text):
    """The dot of a prompt, to point at."""
    texts = notebook.value("[one['text'] for one in panel.map.dots]")
    return notebook.page.locator(f".srt-map-hit[data-dot='{texts.index(text)}']")


def curve(notebook):
    return notebook.page.locator(".srt-map-curve").get_attribute("points")


def option(notebook, text):
    """What the lists call a prompt."""
    return notebook.value(f"next(label for label, index in panel.start.options if panel.texts[index] == {text!r})")


def test_the_map_is_of_all_paths(notebook):
    assert notebook.value("panel.result.sizes['pair']") == 10
    assert "5 prompts on nano-0.4m" in check(notebook)


def test_two_picked_prompts_show_their_path(notebook):
    before = curve(notebook)
    notebook.choose("from", option(notebook, "she had two"))
    notebook.choose("to", option(notebook, "he went to Italy"))
    alt = check(notebook)
    assert "From “he went to Italy” to “she had two”" in alt
    sharp = "panel.result.isel(pair=int(((panel.result.text_a == 'he went to Italy') & "
    sharp += "(panel.result.text_b == 'she had two')).values.argmax()))"
    assert f"peak speed {notebook.value(f'float({sharp}.peak)'):.2f}" in alt
    assert curve(notebook) != before
    notebook.choose("to", option(notebook, "she had two"))
    assert "pick two different prompts" in check(notebook).lower()


def test_pointing_at_a_prompt_shows_its_text_and_lines(notebook):
    notebook.enter("threshold", 12)
    check(notebook)
    dot(notebook, ODD).hover()
    expect(notebook.page.locator(".srt-map-text")).to_have_text(ODD)
    expect(notebook.page.locator(".srt-map-near")).to_have_count(4)
    notebook.page.mouse.move(5, 5)
    expect(notebook.page.locator(".srt-map-near")).to_have_count(0)
    assert notebook.page.locator("#boo").count() == 0


def test_two_clicks_pick_a_path(notebook):
    dot(notebook, "she had three").click()
    check(notebook)
    dot(notebook, "he went to France").click()
    notebook.wait_for("panel.texts[panel.end.value]", "he went to France")
    assert "From “he went to France” to “she had three”" in check(notebook)
    assert notebook.value("panel.texts[panel.start.value]") == "she had three"


def test_words_do_not_cover_each_other(notebook):
    boxes = [one.bounding_box() for one in notebook.page.locator(".srt-map-figures > svg").first.locator("text").all()]
    for index, one in enumerate(boxes):
        for other in boxes[:index]:
            apart = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
            assert apart or one["y"] + one["height"] <= other["y"] + 4 or other["y"] + other["height"] <= one["y"] + 4


def test_prompts_are_typed(notebook):
    kept = notebook.value("panel.prompts.value")
    notebook.page.get_by_text("prompts: type or paste them").click()
    notebook.type("prompts", "the king of | crown\nthe queen of | crown\nshe had two")
    notebook.settle()
    assert "3 prompts on nano-0.4m" in check(notebook)
    assert notebook.page.locator(".srt-map-legend bdi").all_inner_texts() == ["crown", "prompt"]
    notebook.type("prompts", "alone")
    expect(notebook.error()).to_contain_text("expected two or more")
    notebook.type("prompts", kept)
    notebook.settle()
    expect(notebook.error()).to_have_count(0)
    assert "5 prompts on nano-0.4m" in check(notebook)
    notebook.page.get_by_text("prompts: type or paste them").click()


def test_the_threshold_joins_and_parts_prompts(notebook):
    assert notebook.enter("threshold", 12) == 12
    assert "1 component, the largest of 5" in check(notebook)
    assert notebook.drag("threshold", 0.0) == 1
    assert f"{notebook.value('int(panel.result.component.max()) + 1')} component" in check(notebook)
    assert notebook.press("threshold", "ArrowRight") == pytest.approx(1.1)
    check(notebook)


def test_colour_by_component(notebook):
    colours = "() => [...document.querySelectorAll('.srt-map-figures .srt-map-dot')].map(dot => dot.style.fill)"
    before = notebook.page.evaluate(colours)
    notebook.choose("colour by", "component")
    check(notebook)
    assert notebook.page.evaluate(colours) != before
    notebook.choose("colour by", "class")
    check(notebook)


def test_odd_text_is_text(notebook):
    notebook.choose("from", option(notebook, "she had two"))
    notebook.choose("to", option(notebook, ODD))
    assert "<b id=boo>" in check(notebook)
    assert notebook.page.locator("#boo").count() == 0


def test_another_model_and_one_that_does_not_exist(notebook):
    alt = check(notebook)
    notebook.page.get_by_text("model and block").click()
    notebook.type("revision", "step7")
    notebook.click("Load model")
    expect(notebook.error()).to_contain_text("no revision 'step7'")
    assert notebook.value("panel.alt") == alt
    notebook.type("revision", "step100")
    notebook.click("Load model")
    notebook.wait_for("panel.result.attrs['revision']", "step100")
    expect(notebook.error()).to_have_count(0)
    check(notebook)


def test_cancel_keeps_the_picture(notebook):
    alt = check(notebook)
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
    assert check(notebook) == alt
    notebook.page.get_by_text("model and block").click()


@pytest.mark.parametrize("dark", [True, False])
def test_text_can_be_read_in_both_themes(notebook, dark):
    notebook.use_dark_theme(dark)
    notebook.check_contrast(".widget-label", "[data-srt=text]", ".widget-readout", "select", ".srt-map-path")
    notebook.check_contrast(".srt-map-figures text", fill=True)
    notebook.screenshot(BUILD / "test_region_map" / f"theme-{'dark' if dark else 'light'}.png")
