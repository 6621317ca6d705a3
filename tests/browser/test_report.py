"""A reader of the report clicks a verdict and sees the cell that made it."""

from __future__ import annotations

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

from srtoolkit.report import __main__ as report

MAKE = """
import srtoolkit as srt
srt.verdict("exist-peak", model="m", value=4.2, low=4, high=5, n=9)
"""


#: The contrast of every text with the page's ground, by WCAG 2.
CONTRASTS = """() => {
  const light = colour => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map(part => part / 255);
    const [r, g, b] = parts.map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = light(getComputedStyle(document.body).backgroundColor);
  const texts = [...document.querySelectorAll("body *")].filter(one => one.innerText);
  return texts.map(one => light(getComputedStyle(one).color)).map(
    text => (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05));
}"""


@pytest.fixture
def index(tmp_path):
    """The first page of a report in which a long way lies before the verdict."""
    cells = [*(f"print('one more\\n' * 40, {number})" for number in range(9)), MAKE]
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), tmp_path / "00_long.ipynb")
    assert report.main(["run", "--notebooks", str(tmp_path), "--build", str(tmp_path / "build")]) == 0
    return tmp_path / "build/report/index.html"


def test_a_verdict_leads_to_its_cell_whose_code_unfolds(index, browser):
    page = browser.new_page()
    page.goto(index.as_uri())
    page.get_by_role("link", name="00_long.ipynb").click()
    page.wait_for_url("**/00_long.html#*")
    expect(page.get_by_role("table")).to_be_in_viewport()
    expect(page.get_by_text("srt.verdict(")).not_to_be_visible()
    page.get_by_role("button", name="show the code").click()
    expect(page.get_by_text("srt.verdict(")).to_be_visible()
    page.get_by_role("link", name="← report").click()
    page.wait_for_url("**/index.html")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_the_report_can_be_read_on_a_phone_and_in_the_dark(index, browser, width, scheme):
    """Nothing wider than the page, texts at a contrast of 4.5 or more, and no request to anywhere."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(index.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert min(page.evaluate(CONTRASTS)) >= 4.5
    assert all(url.startswith(("file:", "data:")) for url in asked)
    page.close()
