"""A reader of the report clicks a verdict and sees the cell that made it."""

from __future__ import annotations

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

from srtoolkit import report

MAKE = """
import srtoolkit as srt
srt.verdict("exist-peak", model="m", value=4.2, low=4, high=5, n=9)
"""


@pytest.fixture
def index(tmp_path):
    """The first page of a report in which a long way lies before the verdict."""
    cells = [*(f"print('one more\\n' * 40, {number})" for number in range(9)), MAKE]
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), tmp_path / "00_long.ipynb")
    assert report.main(["run", "--notebooks", str(tmp_path), "--build", str(tmp_path / "build")]) == 0
    return tmp_path / "build/report/index.html"


def test_a_verdict_leads_to_its_cell(index, browser):
    page = browser.new_page()
    page.goto(index.as_uri())
    page.get_by_role("link", name="00_long.ipynb").click()
    page.wait_for_url("**/00_long.html#*")
    expect(page.get_by_text("srt.verdict(")).to_be_in_viewport()
    expect(page.get_by_role("table")).to_be_in_viewport()
    page.goto(page.url.partition("#")[0])
    expect(page.get_by_text("srt.verdict(")).not_to_be_in_viewport()
    page.close()
