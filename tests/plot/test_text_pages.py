"""A coloured text holds every token and its numbers, nothing that a text says is run, and no server is asked."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

import srtoolkit as srt

WORDS = ["<script>", "alert('x')", '"&amp;', "\n", "é"]


def a_map(boundary, words=WORDS):
    n = len(words)
    data = {
        "boundary": ("pos", np.array(boundary, dtype=float), {"long_name": "distance"}),
        "predicted_boundary": ("pos", np.arange(n) + 0.25),
        "surprisal": ("pos", [np.nan, *range(1, n)]),
        "entropy": ("pos", np.full(n, 2.5)),
        "radius": (("pos", "alternative"), np.full((n, 1), np.inf)),
        "away": (("pos", "alternative"), np.full((n, 1), 7.0)),
    }
    coords = {"token_text": ("pos", words), "alternative_text": (("pos", "alternative"), [["<b>other"]] * n)}
    return xr.Dataset(data, coords, {"model": "<i>m", "layer": 3})


class Read(HTMLParser):
    """Elements, with the text and the attributes of the tokens."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.tokens, self._inside = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside = tag == "span"
        if self._inside:
            self.tokens.append([dict(attrs), ""])

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "span"

    def handle_data(self, data):
        if self._inside:
            self.tokens[-1][1] += data


def test_every_token_is_there_as_text_with_its_numbers():
    found = Read(srt.plot.text(a_map([1, 2, 3, np.inf, np.nan])).html)
    assert [text for _, text in found.tokens] == WORDS
    assert set(found.tags) == {"div", "style", "p", "span", "small", "i"}
    tips = [attributes["data-tip"] for attributes, _ in found.tokens]
    assert (
        "token 1: \"alert('x')\"" in tips[1] and "nearest boundary 2\n" in tips[1] and "by derivatives 1.25" in tips[1]
    )
    assert "surprisal unknown" in tips[0] and "entropy 2.5 nats" in tips[0] and "nearest boundary none found" in tips[3]
    assert "towards '<b>other': none found of 7" in tips[2]
    assert all(attributes["tabindex"] == "0" for attributes, _ in found.tokens)


def lightness(attributes):
    red, green, blue = (int(part, 16) for part in re.findall("..", attributes["style"].split("#")[1]))
    return 0.2126 * (red / 255) ** 2.2 + 0.7152 * (green / 255) ** 2.2 + 0.0722 * (blue / 255) ** 2.2


def test_the_nearest_is_darkest_and_black_text_can_be_read_on_it():
    found = Read(srt.plot.text(a_map([5, 1, np.inf, 1000, np.nan])).html)
    far, near, never, further, unknown = (lightness(attributes) for attributes, _ in found.tokens)
    assert near < far < further < never <= unknown == 1
    assert (near + 0.05) / 0.055 > 4.5  # the contrast that WCAG asks for


def test_colours_go_by_the_variable_that_was_asked_for():
    result = a_map([5, 4, 3, 2, 1])
    by_distance, by_surprisal = (
        Read(srt.plot.text(result, of).html).tokens for of in ("boundary", "predicted_boundary")
    )
    assert [one["style"] for one, _ in by_distance] == [one["style"] for one, _ in by_surprisal][::-1]


def test_the_page_is_one_file_that_asks_for_nothing(tmp_path):
    path = srt.explorer(a_map([1, 2, 3, 4, 5]), tmp_path / "text.html", title="<b>Mine")
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|src=|href=|url\(|@import|<script", page)
    assert "<title>&lt;b&gt;Mine</title>" in page and [text for _, text in Read(page).tokens] == WORDS
    assert "How far each token" in srt.explorer(a_map([1] * 5), tmp_path / "other.html").read_text(encoding="utf-8")
    assert srt.plot.text(a_map([1] * 5))._repr_html_() == srt.plot.text(a_map([1] * 5)).html


def test_what_is_no_map_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"srtoolkit\.text_map"):
        srt.plot.text(a_map([1] * 5).drop_vars("entropy"))
    with pytest.raises(ValueError, match="of='loudness'"):
        srt.plot.text(a_map([1] * 5), "loudness")
    with pytest.raises(ValueError, match="shuffled"):
        srt.explorer(a_map([1] * 5), tmp_path / "no.html", shuffled=a_map([1] * 5))
