"""The path panel as a person meets it: dragged, keyed, edited, swapped, compared, cancelled, broken and mended."""

from __future__ import annotations

import base64
import json

import pytest
from playwright.sync_api import expect

from lab import BUILD

CELLS = [
    "import srtoolkit as srt\nfrom srtoolkit.panels import InterpolationPanel",
    "panel = InterpolationPanel('nano-0.4m')\npanel",
    "panel.settle()",
]

#: Text that would break a page or a picture that took it for anything but text.
ODD = "<b id=boo>&amp;</b><script>boo()</script> 'quote\" \U0001f600 עברית $x_1$\n and the"

# Drags over the figure by pointer events, and notes how long each takes until the next frame could be drawn.
TIMES = """() => {
  const figure = document.querySelector('.srt-panel .srt-path svg');
  const box = figure.getBoundingClientRect();
  const at = (share, type) => figure.dispatchEvent(new PointerEvent(type, {
    clientX: box.left + box.width * share, clientY: box.top + 100, pointerId: 1, bubbles: true, buttons: 1}));
  figure.setPointerCapture = () => {};
  figure.hasPointerCapture = () => true;
  at(0.2, 'pointerdown');
  const took = [];
  for (let step = 0; step < 60; step += 1) {
    const start = performance.now();
    at(0.15 + step / 100, 'pointermove');
    figure.getBoundingClientRect();  // the layout is made now
    took.push(performance.now() - start);
  }
  return took;
}"""

# Counts what the page sends to the kernel by the panel's widgets.
SENT = """() => {
  const kernel = window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel;
  window.sent = [];
  kernel.anyMessage.connect((_, {msg, direction}) => {
    if (direction === 'send' && msg.header.msg_type === 'comm_msg') window.sent.push(msg.content.data);
  });
}"""


@pytest.fixture
def figure(notebook):
    """The figure, with the panel as it was at first."""
    notebook.kernel(
        "with panel.held(): panel.prompt_a.value, panel.prompt_b.value, panel.layer.value, panel.metric.value, "
        "panel.shuffled.value = 'He opened the door and went into the', 'The ship sailed out to the open', 0, "
        "'L2 distance', False\npanel.alpha.value = 0.5; panel.request()"
    )
    notebook.settle()
    assert notebook.value("panel.error is None")
    return notebook.page.locator(".srt-panel .srt-path svg").first


def said(notebook):
    """The line of the point that is shown."""
    return notebook.page.locator(".srt-panel .srt-path-point").first.inner_text()


def shown(figure):
    """Alpha of the point that is shown."""
    return float(figure.get_attribute("aria-valuenow"))


def drag(notebook, figure, start, end):
    """Drag from one share of the figure's width to another, without letting go."""
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    notebook.page.mouse.move(box["x"] + box["width"] * start, box["y"] + 100)
    notebook.page.mouse.down()
    notebook.page.mouse.move(box["x"] + box["width"] * end, box["y"] + 120, steps=20)


def test_the_figure_shows_what_the_kernel_has(notebook, figure):
    expect(figure).to_have_attribute("aria-label", f"the way from A to B. {notebook.value('panel._words')}")
    texts = notebook.value("panel.result.text[0, 24, :3].values.tolist()")
    line = said(notebook)
    assert line.startswith("At α 0.49 the next token is")
    assert all(text.strip() in line for text in texts)
    assert "Peak speed" in notebook.page.locator(".srt-path-say").first.inner_text()
    drawn = figure.locator(".srt-path-curve.srt-path-a").get_attribute("d")
    assert drawn.count("L") == notebook.value("panel.result.sizes['alpha']") - 1
    notebook.page.locator(".srt-panel").screenshot(path=BUILD / "interpolation-panel.png")


def test_dragging_asks_no_kernel_until_it_ends(notebook, figure):
    notebook.page.evaluate(SENT)
    before = said(notebook)
    drag(notebook, figure, 0.4, 0.7)
    assert notebook.page.evaluate("window.sent") == []
    assert said(notebook) != before and shown(figure) > 0.6
    notebook.page.mouse.up()
    notebook.wait_for("round(panel.alpha.value, 2)", shown(figure))
    assert f"At alpha {shown(figure):.2f}" in notebook.value("panel.alt")


def test_keys_move_the_point(notebook, figure):
    figure.focus()
    notebook.page.keyboard.press("Home")
    assert shown(figure) == 0
    for _ in range(3):
        notebook.page.keyboard.press("ArrowRight")
    assert shown(figure) == pytest.approx(3 / 49, abs=0.01)
    notebook.page.keyboard.press("PageUp")
    notebook.page.keyboard.press("Shift+ArrowRight")
    assert shown(figure) == pytest.approx(13 / 49, abs=0.01)
    notebook.page.keyboard.press("End")
    assert shown(figure) == 1 and "alpha 1.00, next token" in figure.get_attribute("aria-valuetext")
    notebook.wait_for("panel.alpha.value", 1.0)


def test_a_drag_is_drawn_within_a_frame(notebook, figure):
    """From the pointer's move to the new layout, in the page; the times are kept in build/browser/latency.json."""
    took = sorted(notebook.page.evaluate(TIMES))
    (BUILD / "latency.json").write_text(json.dumps({"drag to picture, ms": took}))
    assert took[len(took) // 2] < 16, took


def test_edited_prompts_of_other_lengths_are_measured(notebook, figure):
    notebook.edit("prompt A", "the king of")
    expect(notebook.labelled("prompt A").locator("[data-srt=token]").filter(has_text="king")).to_have_count(1)
    notebook.settle()
    assert notebook.value("panel.result.text_a.values.tolist()") == ["the king of"]
    expect(notebook.page.locator(".srt-path-say").first).to_contain_text("Lengths differ: 3 and 8 tokens")


def test_escape_leaves_a_prompt_as_it_was(notebook, figure):
    before = notebook.value("panel.prompt_a.value")
    notebook.labelled("prompt A").locator(".srt-prompt-tokens").click()
    notebook.page.keyboard.type("something else")
    notebook.page.keyboard.press("Escape")
    expect(notebook.labelled("prompt A").locator(".srt-prompt-tokens")).to_be_visible()
    assert notebook.value("panel.prompt_a.value") == before


def test_swapping_exchanges_the_prompts(notebook, figure):
    a, b = notebook.value("[panel.prompt_a.value, panel.prompt_b.value]")
    notebook.click("Swap A and B")
    notebook.wait_for("[*panel.result.text_a.values, *panel.result.text_b.values]", [b, a])
    expect(notebook.labelled("prompt A").locator("[data-srt=token]").first).to_have_text(b.split()[0])


def test_an_example_and_the_shuffled_model(notebook, figure):
    notebook.click("same last token: why is it flat?")
    expect(notebook.page.locator(".srt-path-say").first).to_contain_text("end in the same token")
    notebook.settle()
    notebook.page.get_by_label("beside shuffled weights").check()
    expect(figure.locator(".srt-path-ghost")).to_have_count(1)
    notebook.settle()


@pytest.mark.parametrize("dark", [True, False])
def test_text_can_be_read_in_both_themes(notebook, figure, dark):
    notebook.use_dark_theme(dark)
    expect(notebook.page.locator(".srt-path").first).to_have_attribute("data-dark", str(dark).lower())
    words = (".srt-path-point", ".srt-path-word0", ".srt-path-say div", "[data-srt=token]", ".srt-prompt-note")
    notebook.check_contrast(*words, "[data-srt=text]")
    notebook.check_contrast(*(f".srt-path text.srt-path-name{index}" for index in range(5)), fill=True)
    notebook.screenshot(BUILD / "test_interpolation_panel" / f"theme-{'dark' if dark else 'light'}.png")


@pytest.mark.parametrize(("width", "height"), [(640, 500), (700, 900)], ids=["200% zoom", "700 px"])
def test_curve_and_handle_are_seen_together(notebook, figure, width, height):
    notebook.page.set_viewport_size({"width": width, "height": height})
    try:
        notebook.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        notebook.page.wait_for_timeout(300)
        figure.evaluate("one => one.scrollIntoView({block: 'center'})")
        notebook.page.wait_for_timeout(100)
        box, frame = figure.bounding_box(), notebook.page.locator(".jp-WindowedPanel-outer").first.bounding_box()
        assert box["y"] >= frame["y"] and box["y"] + box["height"] <= frame["y"] + frame["height"], (box, frame)
        assert box["x"] + box["width"] <= frame["x"] + frame["width"]
        notebook.screenshot(BUILD / "test_interpolation_panel" / f"{width}x{height}.png")
    finally:
        notebook.page.set_viewport_size({"width": 1280, "height": 1400})


def test_nothing_moves_whatever_is_said(notebook, figure):
    """The places of all that follows the figure stay, through points, errors and longer prompts."""
    place = lambda: notebook.labelled("prompt B").bounding_box()["y"]  # noqa: E731
    figure.scroll_into_view_if_needed()
    at_first = place()
    figure.focus()
    notebook.page.keyboard.press("End")
    assert place() == at_first
    notebook.edit("prompt A", "word " * 40)
    notebook.settle()
    assert place() == at_first
    notebook.edit("prompt A", "")
    expect(notebook.error()).to_contain_text("prompt A: an empty prompt")
    assert place() == at_first


@pytest.mark.parametrize("metric", ["KL divergence", "JS divergence", "logit difference"])
def test_another_metric_is_another_curve(notebook, figure, metric):
    before = figure.locator(".srt-path-curve").first.get_attribute("d")
    notebook.kernel(f"panel.metric.value = {metric!r}")
    expect(figure.locator(".srt-path-curve")).to_have_count(1)
    assert figure.locator(".srt-path-curve").get_attribute("d") != before


def test_another_layer_model_and_one_that_does_not_exist(notebook, figure):
    notebook.page.get_by_text("model, block, steps, metric").click()
    notebook.press("after block", "ArrowRight")
    notebook.wait_for("int(panel.result.attrs['layer'])", 1)
    notebook.settle()
    words = notebook.value("panel.alt")
    notebook.page.locator(".srt-panel select").first.select_option(label="another: hub id or folder")
    notebook.type("hub id or folder", "/no/such/folder")
    notebook.click("Load model")
    expect(notebook.error()).to_contain_text("/no/such/folder")
    assert notebook.value("panel.alt") == words
    notebook.type("revision", "step100")
    notebook.choose("model", notebook.value("next(l for l, v in panel.picker.choice.options if v == 'nano-1m')"))
    notebook.wait_for("panel.picker.revision.value", "")  # another model has other revisions
    notebook.type("revision", "step100")
    notebook.click("Load model")
    notebook.wait_for("panel.result.attrs['revision']", "step100")
    expect(notebook.error()).to_have_count(0)
    notebook.kernel("panel.use(srt.load_model('nano-0.4m'))")
    notebook.settle()
    notebook.page.get_by_text("model, block, steps, metric").click()


def test_an_error_is_shown_in_place_and_the_panel_goes_on(notebook, figure):
    words = notebook.value("panel.alt")
    notebook.edit("prompt B", "")
    expect(notebook.error()).to_contain_text("prompt B: an empty prompt")
    notebook.error().locator("summary").click()
    expect(notebook.error().locator("pre")).to_contain_text("Traceback")
    assert notebook.value("panel.alt") == words
    notebook.edit("prompt B", "A bird flew over the")
    notebook.settle()
    expect(notebook.error()).to_have_count(0)
    assert "to “A bird flew over the”" in notebook.value("panel.alt")


def test_odd_text_is_text(notebook, figure):
    notebook.edit("prompt A", ODD)
    notebook.settle()
    assert notebook.value("panel.error is None")
    assert notebook.value("panel.result.text_a.values.tolist()") == [ODD]
    assert notebook.page.locator("#boo").count() == 0
    assert "<b id=boo>" in figure.get_attribute("aria-label")


def test_ten_thousand_characters_are_refused_in_words(notebook, figure):
    notebook.edit("prompt A", "word " * 2000)
    expect(notebook.error()).to_contain_text("prompt A: prompts of")
    assert 0 < notebook.page.locator("[data-srt=token]").count() < 100


def test_cancel_keeps_the_picture_dimmed(notebook, figure):
    label = figure.get_attribute("aria-label")
    notebook.kernel("import threading, srtoolkit.panels.interpolation.panel as there; gate = threading.Event()")
    notebook.kernel("real = there.measure; there.measure = lambda *a, **k: (gate.wait(), real(*a, **k))[1]")
    notebook.edit("prompt A", "Once upon a time there was")
    expect(notebook.status()).to_have_attribute("data-state", "busy")
    expect(notebook.page.locator(".srt-path-stale").first).to_be_visible()
    notebook.click("Cancel")
    expect(notebook.status()).to_contain_text("Cancelled. Still shown")
    notebook.kernel("gate.set(); there.measure = real")
    notebook.settle()
    expect(figure).to_have_attribute("aria-label", label)
    notebook.edit("prompt A", "Once upon a time there")
    notebook.settle()
    expect(notebook.page.locator(".srt-path-stale")).to_have_count(0)
    assert "From “Once upon a time there” to" in notebook.value("panel.alt")


def test_code_gives_what_is_shown(notebook, figure):
    notebook.kernel("again = {}\nexec(panel.code(), again)")
    assert notebook.value("again['result'].equals(panel.result)")


def test_what_it_would_write_from_the_point(notebook, figure):
    place = lambda: notebook.labelled("prompt B").bounding_box()["y"]  # noqa: E731
    at_first = place()
    notebook.click("what it would write from here")
    notebook.settle()
    text = notebook.value("list(panel.alpha.story['texts'].values())")[0]
    expect(notebook.page.locator(".srt-path-text")).to_have_text(f"“{text}”".replace("\n", "⏎"))
    expect(figure.locator(".srt-path-written")).to_have_count(1)
    assert place() == at_first
    figure.focus()
    notebook.page.keyboard.press("Home")
    expect(notebook.page.locator(".srt-path-say").first).to_contain_text("is known at α 0.49")


@pytest.mark.parametrize("form", ["png", "svg", "pdf", "csv", "nc", "html"])
def test_what_is_shown_is_downloaded(notebook, figure, form):
    name = {"csv": "data, CSV", "nc": "data, netCDF", "html": "page"}.get(form, form.upper())
    with notebook.page.expect_download() as arriving:
        notebook.page.locator(".srt-foot").get_by_role("button", name=name, exact=True).click()
    assert arriving.value.suggested_filename == f"from-prompt-a-to-prompt-b.{form}"
    content = arriving.value.path().read_bytes()
    known = notebook.value(f"__import__('base64').b64encode(panel.export({form!r})).decode()")
    if form in ("svg", "pdf"):  # these have their date in them
        assert content[:8] == base64.b64decode(known)[:8] and abs(len(content) - len(base64.b64decode(known))) < 200
    else:
        assert content == base64.b64decode(known)


def test_the_code_is_copied(notebook, figure):
    notebook.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    notebook.page.locator(".srt-foot").get_by_role("button", name="copy code").click()
    expect(notebook.page.locator(".srt-foot").get_by_role("button", name="copied")).to_have_count(1)
    assert notebook.page.evaluate("() => navigator.clipboard.readText()") == notebook.value("panel.code()")


def test_where_the_clipboard_is_closed_the_code_is_shown(notebook, figure):
    notebook.page.context.clear_permissions()
    notebook.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('closed')); }")
    notebook.page.locator(".srt-foot").get_by_role("button", name="copy code").click()
    field = notebook.page.locator(".srt-foot-code")
    expect(field).to_have_value(notebook.value("panel.code()"))
    notebook.page.locator(".srt-foot-dialog").get_by_role("button", name="close").click()
    expect(field).to_be_hidden()
