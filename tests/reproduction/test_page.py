"""The pages of a reproduction and of the report, with names and texts that a browser could take for its own."""

from __future__ import annotations

from html.parser import HTMLParser

import pandas as pd

import srtoolkit as srt
from srtoolkit.profiles import PROFILES
from srtoolkit.report.pages import index_page
from srtoolkit.reproduction import page
from srtoolkit.reproduction.figures import find_figures
from srtoolkit.reproduction.running import Outcome

ODD = """<script>boo()</script><img src=x onerror='boo()'>" onmouseover="boo()" 'quoted' &lt; </td></table>"""


class Seen(HTMLParser):
    """What a browser would make of a page: its elements, their attributes, and its text."""

    def __init__(self, written: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(written)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def outcomes():
    """One figure that was made, of a model with an odd name, and one that failed with an odd error."""
    row = {"quantity": ODD, "model": ODD, "ours": 1.0, "low": 0.5, "high": 1.5, "paper_model": ODD, "paper": 1.0}
    table = pd.DataFrame([{**row, "deviation": 0.0, "ratio": 1.0, "agrees": "yes"}])
    made, failed, *_ = (Outcome(figure) for figure in find_figures("janiak2024", []))
    made.state, made.table, made.note, made.models = "made", table, ODD, ODD
    failed.fail(ODD)
    return [made, failed]


def test_a_reproduction_shows_odd_names_as_text(tmp_path):
    written = page.write_page("janiak2024", outcomes(), PROFILES["quick"], tmp_path).read_text()
    seen = Seen(written)
    assert not seen.tags & {"script", "iframe", "object"}
    assert not {name for name in seen.attributes if name.startswith("on")}
    assert seen.text.count(ODD) >= 5 and "<script" not in written


def test_a_report_shows_odd_names_as_text():
    kept = srt.verdict("exist-peak", model=ODD, value=4.2, low=4, high=5, n=9, null=1.1).as_json()
    claim = {**kept, "notebook": f"{ODD}.ipynb", "cell": ODD}
    written = index_page({"odd <script>boo().ipynb": ""}, [claim])
    seen = Seen(written)
    assert not seen.tags & {"script", "img", "iframe"}
    assert not {name for name in seen.attributes if name.startswith("on")}
    assert seen.text.count(ODD) >= 2 and "odd <script>boo()" in seen.text
