"""The slice explorer as a person meets it: typed into, hovered over, clicked, keyed, cancelled, broken and mended."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from lab import BUILD
from srtoolkit.plot.slice_plots import mixed

CELLS = [
    "import srtoolkit as srt\nfrom srtoolkit.panels import SliceExplorer",
    "panel = SliceExplorer('nano-0.4m', resolution=21)\npanel",
    "panel.settle()",
]

#: Text that would break a page or a picture that took it for anything but text.
ODD = "<b id=boo>&amp;</b><script>boo()</script> 'quote\" \U0001f600 עברית $x_1$"


@pytest.fixture
def canvas(notebook):
    """The canvas, with the panel as it was at first."""
    notebook.choose("picture", "nearness to A, B and C")
    notebook.choose("in the context of", "A")
    notebook.kernel("panel.canvas.pin = []")
    notebook.settle()
    found = notebook.page.locator(".srt-slice-canvas")
    found.scroll_into_view_if_needed()
    return found


def hover(notebook, canvas, row, column, click=False):
    """Move the mouse to the middle of a point."""
    box, n = canvas.bounding_box(), notebook.value("panel.canvas.points")
    place = box["x"] + (column + 0.5) * box["width"] / n, box["y"] + (row + 0.5) * box["height"] / n
    notebook.page.mouse.move(*place)
    if click:
        notebook.page.mouse.click(*place)


def readout(notebook):
    return notebook.page.locator(".srt-slice-readout").inner_text()


def tokens_shown(notebook):
    return notebook.page.locator(".srt-slice-readout bdi").all_inner_texts()


def tokens_known(notebook, row, column):
    """What the kernel has for a point: texts and probabilities."""
    at = f"panel.result.sel(anchor=panel.context.value).isel(beta={row}, alpha={column})"
    texts = notebook.value(f"[repr(panel.model.token_text(t)) for t in {at}.token.values.tolist()]")
    return texts, notebook.value(f"{at}.probability.values.tolist()")


def pixel(notebook, canvas, row, column):
    """Red, green and blue in the middle of a point, as the page shows it."""
    return canvas.evaluate(
        """(canvas, [row, column, n]) => {
          const at = index => Math.floor((index + 0.5) / n * canvas.width);
          return [...canvas.getContext('2d').getImageData(at(column), at(row), 1, 1).data].slice(0, 3);
        }""",
        [row, column, notebook.value("panel.canvas.points")],
    )


def test_the_picture_is_the_slice_with_its_words(notebook, canvas):
    shown = mixed(np.array(notebook.value("panel.result.rgb.values.tolist()"))) * 255
    for row, column in ((2, 2), (5, 17), (18, 3), (14, 15)):
        np.testing.assert_allclose(pixel(notebook, canvas, row, column), shown[row, column], atol=1.5)
    label = canvas.get_attribute("aria-label")
    assert label.startswith(notebook.value("panel.alt"))
    assert f"{notebook.value('float((panel.result.region == 0).mean())'):.0%} near A's" in label
    expect(notebook.status()).to_have_text(notebook.value("panel.alt"))


def test_hovering_shows_predictions_without_the_kernel(notebook, canvas):
    known = {place: tokens_known(notebook, *place) for place in ((3, 3), (12, 6), (4, 18))}
    box, n = canvas.bounding_box(), notebook.value("panel.canvas.points")
    notebook.page.evaluate(
        """() => { window.sent = 0; const send = WebSocket.prototype.send;
          WebSocket.prototype.send = function (...data) { window.sent += 1; return send.apply(this, data); }; }"""
    )
    for (row, column), (texts, probabilities) in known.items():
        middle = [(index + 0.5) * box["width"] / n for index in (column, row)]
        notebook.page.mouse.move(box["x"] + middle[0], box["y"] + middle[1])
        notebook.page.wait_for_timeout(50)
        percents = notebook.page.locator(".srt-slice-percent").all_inner_texts()
        shown = dict(zip(tokens_shown(notebook), percents, strict=True))
        assert shown == {text: f"{100 * np.float32(p):.1f}%" for text, p in zip(texts, probabilities, strict=True)}
        expect(notebook.page.locator(".srt-slice-best bdi")).to_have_text(texts[0])
    assert notebook.page.evaluate("window.sent") == 0


def test_a_token_that_stays_keeps_its_row(notebook, canvas):
    rows, moved = None, 0
    for column in range(2, 20):
        hover(notebook, canvas, 10, column)
        alpha = notebook.value(f"panel.result.alpha.values[{column}]")
        either = {f"α {alpha + turn:.2f}" for turn in (-1e-6, 1e-6)}  # the page rounds what it was sent
        expect(notebook.page.locator(".srt-slice-where").first).to_contain_text(re.compile("|".join(either)))
        now = tokens_shown(notebook)
        if rows is not None:
            assert all(now.index(text) == row for row, text in enumerate(rows) if text in now)
            moved += now != tokens_known(notebook, 10, column)[0]
        rows = now
    assert moved  # in the order of their probabilities they would not


def test_contour_lines_are_drawn(notebook, canvas):
    """Without them, the pixels under them are the picture's own."""
    line = notebook.value("max(panel.canvas.contours, key=len)")
    low, high = notebook.value("panel.canvas.reach")
    n = notebook.value("panel.canvas.points")
    spots = [[((value - low) / (high - low) * (n - 1) + 0.5) / n for value in point] for point in line[2:-2]]
    colours = """(canvas, spots) => spots.map(([x, y]) => [...canvas.getContext('2d').getImageData(
      Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data].slice(0, 3))"""
    drawn = canvas.evaluate(colours, spots)
    notebook.kernel("kept = panel.canvas.contours; panel.canvas.contours = []")
    notebook.page.wait_for_timeout(200)
    plain = canvas.evaluate(colours, spots)
    notebook.kernel("panel.canvas.contours = kept")
    assert np.mean(np.abs(np.subtract(drawn, plain)).max(-1) > 10) > 0.9


def test_hovering_changes_the_page_in_the_same_frame(notebook, canvas):
    changed = canvas.evaluate(
        """async canvas => {
          const box = canvas.getBoundingClientRect();
          let changed = 0;
          for (let step = 0; step < 30; step++) {
            const [x, y] = [box.left + box.width * (step + 0.5) / 30, box.top + box.height / 2];
            const before = document.querySelector('.srt-slice-where').textContent;
            canvas.dispatchEvent(new PointerEvent('pointermove', {clientX: x, clientY: y, bubbles: true}));
            await new Promise(requestAnimationFrame);
            if (document.querySelector('.srt-slice-where').textContent !== before) changed += 1;
          }
          return changed;
        }"""
    )
    assert changed > 15


def test_a_click_pins_a_point_and_draws_the_line_to_it(notebook, canvas):
    hover(notebook, canvas, 6, 16, click=True)
    notebook.wait_for("panel.canvas.pin", [6, 16])
    notebook.settle()
    curve = notebook.page.locator(".srt-slice-pin svg")
    expect(curve).to_be_visible()
    moved = notebook.value("float(panel.line.distance[0, -1])")
    assert f"from A the output moves by {moved:.3g}" in curve.get_attribute("aria-label")
    assert len(curve.locator(".srt-slice-line").get_attribute("points").split()) == 50
    picture, beside = canvas.bounding_box(), curve.bounding_box()
    assert picture["y"] <= beside["y"] and beside["y"] + beside["height"] <= picture["y"] + picture["height"]
    notebook.page.locator(".srt-panel").screenshot(path=BUILD / "slice-explorer.png")
    assert moved == pytest.approx(notebook.value("float(panel.result.distance.sel(anchor='A')[6, 16])"), rel=0.05)
    hover(notebook, canvas, 6, 16, click=True)
    notebook.wait_for("panel.canvas.pin", [])
    expect(curve).to_have_count(0)


def test_the_keyboard_moves_and_pins(notebook, canvas):
    cells = notebook.page.locator(".jp-Cell").count()
    hover(notebook, canvas, 10, 10)
    canvas.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft", "Shift+ArrowDown"):
        notebook.page.keyboard.press(key)
    notebook.page.keyboard.press("Enter")
    notebook.wait_for("panel.canvas.pin", [14, 11])
    notebook.settle()
    where = notebook.value("[panel.result.alpha.values[11], panel.result.beta.values[14]]")
    assert f"α {where[0]:.2f}, β {where[1]:.2f}" in readout(notebook)
    spoken = notebook.page.locator(".srt-slice-spoken").inner_text()
    assert spoken.endswith(tokens_known(notebook, 14, 11)[0][0])
    # In JupyterLab's command mode these would add, cut and change cells.
    for key in ("a", "b", "x", "m"):
        notebook.page.keyboard.press(key)
    assert notebook.page.locator(".jp-Cell").count() == cells
    assert canvas.evaluate("canvas => canvas === document.activeElement")


@pytest.mark.parametrize("name", ["nearest output", "top next token", "margin of the top token", "gate density"])
def test_every_picture_is_that_of_the_plot_function(notebook, canvas, name):
    before = pixel(notebook, canvas, 2, 2), pixel(notebook, canvas, 16, 2), pixel(notebook, canvas, 3, 18)
    notebook.choose("picture", name)
    notebook.settle()
    colours = notebook.value("list(panel.canvas.colours)")
    for row, column in ((2, 2), (16, 2), (3, 18)):
        start = 4 * (row * 21 + column)
        assert pixel(notebook, canvas, row, column) == colours[start : start + 3]
    after = pixel(notebook, canvas, 2, 2), pixel(notebook, canvas, 16, 2), pixel(notebook, canvas, 3, 18)
    assert after != before
    legend = notebook.page.locator(".srt-slice-entry bdi").all_inner_texts()
    assert legend == [text for _, text in notebook.value("panel.canvas.legend")] and len(legend) > 1
    assert f"Shown: {name}" in canvas.get_attribute("aria-label")


def test_another_context_has_other_predictions(notebook, canvas):
    hover(notebook, canvas, 15, 4)
    notebook.page.wait_for_timeout(50)
    before = tokens_shown(notebook)
    notebook.choose("in the context of", "C")
    notebook.settle()
    assert tokens_shown(notebook) == tokens_known(notebook, 15, 4)[0]  # new predictions come in their own order
    assert tokens_shown(notebook) != before
    assert "in the context of C" in readout(notebook)


def test_typed_prompts_and_a_dragged_layer_are_measured(notebook, canvas):
    alt = notebook.value("panel.alt")
    notebook.edit("prompt B", "the king of")
    expect(notebook.page.locator("[data-srt=token]").filter(has_text="king")).to_have_count(1)
    notebook.settle()
    assert notebook.value("panel.result.text.values.tolist()")[1] == "the king of"
    notebook.drag("after block", 1.0)
    notebook.settle()
    assert notebook.value("int(panel.result.attrs['layer'])") == notebook.value("panel.model.n_layers - 1")
    assert notebook.enter("after block", 1) == 1
    assert notebook.press("after block", "ArrowLeft") == 0
    notebook.settle()
    assert notebook.value("int(panel.result.attrs['layer'])") == 0
    assert notebook.value("panel.alt") != alt and "the king of" in canvas.get_attribute("aria-label")


def test_an_error_is_shown_in_place_and_the_panel_goes_on(notebook, canvas):
    kept, alt = pixel(notebook, canvas, 2, 2), notebook.value("panel.alt")
    notebook.edit("prompt C", "")
    expect(notebook.error()).to_contain_text("prompt C: an empty prompt")
    assert notebook.error().locator("details").get_attribute("open") is None
    assert (pixel(notebook, canvas, 2, 2), notebook.value("panel.alt")) == (kept, alt)
    notebook.edit("prompt C", "A bird flew over the")
    notebook.settle()
    expect(notebook.error()).to_have_count(0)
    assert notebook.value("panel.result.text.values.tolist()")[2] == "A bird flew over the"


def test_odd_text_is_text(notebook, canvas):
    notebook.edit("prompt A", f"{ODD}\n and the")
    notebook.settle()
    assert notebook.value("panel.error is None")
    assert notebook.value("panel.result.text.values.tolist()")[0] == f"{ODD}\n and the"
    assert notebook.page.locator("#boo").count() == 0
    label = canvas.get_attribute("aria-label")
    assert "<b id=boo>" in label
    hover(notebook, canvas, 5, 5)
    assert sorted(tokens_shown(notebook)) == sorted(tokens_known(notebook, 5, 5)[0])
    notebook.edit("prompt A", "He opened the door and went into the")
    notebook.settle()


def test_cancel_keeps_the_picture(notebook, canvas):
    alt = notebook.value("panel.alt")
    notebook.kernel("import threading; from srtoolkit.panels.slice import explored; gate = threading.Event()")
    notebook.kernel("real = explored.slice_plane")
    notebook.kernel("explored.slice_plane = lambda *a, **k: (gate.wait(), real(*a, **k))[1]")
    notebook.edit("prompt A", "Once upon a time there was")
    expect(notebook.status()).to_have_attribute("data-state", "busy")
    notebook.click("Cancel")
    expect(notebook.status()).to_contain_text("Cancelled. Still shown")
    notebook.kernel("gate.set()")
    notebook.settle()
    assert notebook.value("panel.alt") == alt
    assert canvas.get_attribute("aria-label").startswith(alt)
    notebook.kernel("explored.slice_plane = real")
    notebook.choose("points a side", "41")
    notebook.settle()
    assert "Once upon a time" in canvas.get_attribute("aria-label")
    assert notebook.value("[panel.canvas.points, panel.result.sizes['alpha']]") == [41, 41]


def test_code_gives_what_is_shown(notebook, canvas):
    hover(notebook, canvas, 20, 30, click=True)
    notebook.wait_for("panel.canvas.pin", [20, 30])
    notebook.settle()
    notebook.kernel("again = {}\nexec(panel.code(), again)")
    # Points that were filled in afterwards ran in other batches there.
    notebook.kernel("import xarray; xarray.testing.assert_allclose(again['result'], panel.result, rtol=1e-4)")
    assert notebook.value("again['line'].equals(panel.line)")


@pytest.mark.parametrize("dark", [True, False])
def test_text_can_be_read_in_both_themes(notebook, canvas, dark):
    notebook.use_dark_theme(dark)
    hover(notebook, canvas, 20, 30, click=True)
    notebook.wait_for("panel.canvas.pin", [20, 30])
    notebook.settle()
    notebook.check_contrast(
        *(f".srt-slice-{part}" for part in ("where", "token", "percent", "axis", "distances", "pinned")),
        "[data-srt=text]",
    )
    notebook.check_pictures_fit()
    notebook.screenshot(BUILD / "test_slice_explorer" / f"theme-{'dark' if dark else 'light'}.png")
