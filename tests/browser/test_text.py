"""The coloured text as who opens its page meets it: numbers under the pointer and where the keyboard stands."""

from __future__ import annotations

import pytest

import srtoolkit as srt
from lab import BUILD

TEXT = "The king of England opened the <b>door</b> and went into the house, and the ship sailed out to the open sea."

#: Where the numbers of the token under the pointer are shown, in the page, and what they say.
TIP = """(token) => {
  const style = getComputedStyle(token, '::after'), box = token.getBoundingClientRect();
  return {said: style.content, width: parseFloat(style.width), box: [box.left, box.top],
          beyond: document.documentElement.scrollWidth - document.documentElement.clientWidth};
}"""


@pytest.fixture(scope="module")
def result():
    return srt.text_map(srt.load_model("nano-0.4m"), TEXT)


@pytest.fixture(params=[1000, 420], ids=["wide", "phone"])
def page(open_file, result, tmp_path, request):
    path = tmp_path / "text.html"
    path.write_text(srt.plot.text(result).page("A <i>text</i>"), encoding="utf-8")
    return open_file(path, request.param, 700, f"text-{request.param}.png")


def test_numbers_show_under_the_pointer_and_the_keyboard_and_stay_on_the_page(page, result):
    tokens = page.locator(".srt-text .t")
    assert tokens.count() == result.sizes["pos"] and page.locator("b").count() == 0
    assert tokens.first.evaluate(TIP)["said"] == "none"
    for index in (*range(tokens.count()), 12):
        tokens.nth(index).hover()
        found = tokens.nth(index).evaluate(TIP)
        assert f"token {index}:" in found["said"] and "surprisal" in found["said"]
        assert found["beyond"] <= 0, f"the numbers of token {index} reach beyond the page"
    page.screenshot(path=BUILD / f"text-hovered-{page.viewport_size['width']}.png")
    tokens.first.focus()
    page.keyboard.press("Tab")
    page.mouse.move(0, 0)
    assert "token 1:" in tokens.nth(1).evaluate(TIP)["said"]
