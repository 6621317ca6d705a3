"""The page of paths as who opens the file meets it: without a kernel, without a server."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

import srtoolkit as srt

PAIRS = [
    ("He opened the door and went into the", "The ship sailed out to the open"),
    ("</script><b id=boo>{{STORIES}} of the", "<img src=x onerror=boo()> king"),
]


@pytest.fixture(scope="module")
def results():
    model = srt.load_model("nano-0.4m")
    null = srt.null_model(model, "permuted", seed=0)
    return srt.interpolate(model, PAIRS, top=50), srt.interpolate(null, PAIRS, reads="final_norm")


@pytest.fixture
def page(open_file, results, tmp_path):
    path = srt.explorer(results[0], tmp_path / "paths.html", shuffled=results[1], title="Two <i>paths</i>")
    assert path.stat().st_size < 200_000
    return open_file(path, 1000, 800, "explorer.png")


def test_one_drags_along_what_was_measured(page, results):
    figure = page.get_by_role("slider")
    expect(page.get_by_role("heading")).to_have_text("Two <i>paths</i>")
    figure.focus()
    page.keyboard.press("End")
    token = results[0].text.values[0, -1, 0].strip()
    expect(page.locator(".srt-path-point")).to_contain_text(f"At α 1.00 the next token is “{token}”")
    box = figure.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 100, steps=5)
    page.mouse.up()
    assert 0.1 < float(figure.get_attribute("aria-valuenow")) < 0.6
    curve = page.locator(".srt-path-curve.srt-path-a").get_attribute("d")
    heights = [float(point.split(",")[1]) for point in re.split("[ML]", curve)[1:]]
    relative = results[0].relative_distance.values[0]
    shares = [(height - heights[0]) / (heights[-1] - heights[0]) for height in heights]
    assert shares == pytest.approx(relative.tolist(), abs=0.002)


def test_another_pair_and_the_shuffled_model(page):
    page.get_by_role("button", name="pair 2").click()
    expect(page.locator("#a")).to_have_text(f"A: {PAIRS[1][0]}")
    assert page.locator("#boo").count() == 0 and page.locator("img").count() == 0
    expect(page.locator(".srt-path-ghost")).to_have_count(0)
    page.get_by_role("button", name="beside shuffled weights").click()
    expect(page.locator(".srt-path-ghost")).to_have_count(1)


@pytest.mark.parametrize("width", [360, 560, 1000])
def test_no_labels_stand_on_each_other_and_nothing_is_cut_off(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_timeout(200)
    boxes = json.loads(
        page.evaluate(
            """() => JSON.stringify([...document.querySelectorAll('.srt-path text')].map(text => {
              const {left, right, top, bottom} = text.getBoundingClientRect();
              return [text.textContent, left, right, top, bottom];
            }))"""
        )
    )
    assert boxes and all(left >= 0 and right <= width for _, left, right, _, _ in boxes)
    for index, (one, left, right, top, bottom) in enumerate(boxes):
        for other, l2, r2, t2, b2 in boxes[index + 1 :]:
            # A line of text is taller than its letters: two pixels may be shared.
            apart = right <= l2 or r2 <= left or bottom <= t2 + 3 or b2 <= top + 3
            assert apart, (one, other)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_results_without_tokens_are_refused(results, tmp_path):
    with pytest.raises(ValueError, match="top=50"):
        srt.explorer(results[1], tmp_path / "no.html")
    with pytest.raises(ValueError, match="same pairs"):
        srt.explorer(results[0], tmp_path / "no.html", shuffled=results[1].isel(pair=[1, 0]))
    assert not (tmp_path / "no.html").exists()
