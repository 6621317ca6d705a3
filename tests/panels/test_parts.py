"""What all panels share: one worker whose latest job wins, a picture that stays, errors in place. No model."""

from __future__ import annotations

import base64
import io
import threading
import time

import ipywidgets as W
import numpy as np
import pytest
import torch
from PIL import Image

from seen import control, markup, spoken, widgets
from srtoolkit.panels.parts.foot import Foot
from srtoolkit.panels.parts.panel import ERROR_LENGTH, Panel
from srtoolkit.panels.parts.picture import Picture
from srtoolkit.panels.parts.text import drawable, shorten
from srtoolkit.panels.parts.worker import CancelledError


class Doubler(Panel):
    """Shows twice the number of its control; jobs wait for ``gate`` and note whether they were still wanted."""

    def __init__(self):
        self.number = W.IntText(0, description="number")
        self.gate = threading.Event()
        self.gate.set()
        self.ran, self.unwanted = [], []
        self._picture = Picture(3, 2)
        super().__init__("Twice <b>", [self.number], [self._picture])
        self.follow(self.number, self.request)

    def request(self):
        number = self.number.value
        if number < 0:
            raise ValueError(f"number={number}: expected <i>one</i> from 0 on.")

        def job(progress):
            self.ran.append(number)
            self.gate.wait(10)
            try:
                progress(1, 2)
            except CancelledError:
                self.unwanted.append(number)
                raise
            if number == 13:
                raise RuntimeError("thirteen & more")
            return 2 * number

        self.submit(job, self.show, f"doubling {number}")

    def show(self, result):
        self.result = result
        self._picture.draw(f"{result} is shown")


@pytest.fixture
def panel():
    return Doubler()


def test_twenty_rapid_changes_end_with_the_last(panel):
    for number in range(1, 21):
        panel.number.value = number
    panel.settle(10)
    assert panel.result == 40 and panel.alt == "40 is shown" == spoken(panel, "status")
    assert panel.ran[-1] == 20
    assert control(panel, "Cancel").disabled


def test_what_nobody_waits_for_is_not_run(panel):
    panel.gate.clear()
    for number in range(1, 21):
        panel.number.value = number
        if number == 1:
            while not panel.ran:
                time.sleep(0.001)
    panel.gate.set()
    panel.settle(10)
    assert panel.ran == [1, 20] and panel.unwanted == [1] and panel.result == 40


def test_the_picture_stays_until_the_new_one_is_there(panel):
    panel.number.value = 4
    panel.settle(10)
    before = panel.png, panel.picture.value
    panel.gate.clear()
    panel.number.value = 5
    assert (panel.png, panel.picture.value) == before and panel.alt == "8 is shown"
    assert spoken(panel, "status").strip() == "doubling 5" and "<progress" in markup(panel, "status")
    assert 'data-state="busy"' in markup(panel, "status").replace("'", '"') and not control(panel, "Cancel").disabled
    with pytest.raises(TimeoutError, match="still computing"):
        panel.settle(0.05)
    panel.gate.set()
    panel.settle(10)
    assert panel.alt == "10 is shown" and "<progress" not in markup(panel, "status")


def test_cancel_keeps_what_is_shown_and_the_panel_goes_on(panel):
    panel.number.value = 4
    panel.settle(10)
    panel.gate.clear()
    panel.number.value = 5
    while 5 not in panel.ran:
        time.sleep(0.001)
    control(panel, "Cancel").click()
    assert "Cancelled" in spoken(panel, "status") and "8 is shown" in spoken(panel, "status")
    assert control(panel, "Cancel").disabled
    panel.gate.set()
    panel.settle(10)
    assert panel.result == 8 and panel.unwanted == [5]
    assert "Cancelled" in spoken(panel, "status")
    panel.number.value = 6
    panel.settle(10)
    assert panel.result == 12


def test_an_error_of_a_job_is_shown_and_gone_when_it_works_again(panel):
    panel.number.value = 13
    panel.settle(10)
    assert isinstance(panel.error, RuntimeError) and panel.result is None
    assert control(panel, "Cancel").disabled and "<progress" not in markup(panel, "status")
    shown = markup(panel, "error")
    assert 'role="alert"' in shown.replace("'", '"') and "thirteen &amp; more" in shown
    assert shown.index("<details>") < shown.index("Traceback") and "<details open" not in shown
    panel.number.value = 3
    panel.settle(10)
    assert panel.error is None and markup(panel, "error") == "" and panel.result == 6


def test_an_error_of_a_callback_is_shown_too(panel):
    panel.number.value = -1
    assert isinstance(panel.error, ValueError)
    assert "&lt;i&gt;one&lt;/i&gt;" in markup(panel, "error") and "<i>" not in markup(panel, "error")
    panel.number.value = 2
    panel.settle(10)
    assert panel.error is None and panel.result == 4


def test_one_readable_line_of_a_long_error(panel):
    panel.show_error(ValueError("first line\nsecond  line " + "x" * 1000))
    line = spoken(panel, "error").split("ValueError")[0]
    assert line.startswith("Error: first line second line x") and len(line) < ERROR_LENGTH + 20


def test_a_result_may_ask_for_another(panel):
    seen = []
    panel.submit(lambda _: 1, lambda one: panel.submit(lambda _: one + 1, seen.append, "two"), "one")
    panel.settle(10)
    assert seen == [2] and control(panel, "Cancel").disabled


def test_progress_shows_how_much_is_done_and_ends_a_job_that_nobody_wants(panel):
    told, ended = [], []

    def job(progress):
        progress(1, 4)
        told.append(markup(panel, "status"))
        progress(2, 4, "the second half")
        told.append(spoken(panel, "status"))
        panel.cancel()
        try:
            progress(3, 4)
        finally:
            ended.append(spoken(panel, "status"))

    panel.submit(job, told.append, "counting")
    panel.settle(10)
    assert 'value="0.250"' in told[0] and "counting" in told[0] and told[1].strip() == "the second half"
    assert len(told) == 2 and "Cancelled" in ended[0] and panel.error is None


def test_jobs_run_on_one_thread_that_takes_no_gradients_and_ends(panel):
    names = []
    for _ in range(3):
        panel.submit(lambda _: (threading.current_thread().name, torch.is_grad_enabled()), names.append, "looking")
        panel.settle(10)
    assert names == [("panel: Twice <b>", False)] * 3
    assert torch.is_grad_enabled()
    assert "panel: Twice <b>" not in [thread.name for thread in threading.enumerate()]


def test_many_panels_at_once(panel):
    others = [Doubler() for _ in range(6)]
    hands = [
        threading.Thread(target=lambda one=one: [setattr(one.number, "value", n) for n in range(30)]) for one in others
    ]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(20)
    for one in others:
        one.settle(20)
        assert one.result == 58 and one.alt == "58 is shown"


def test_a_notebook_without_kernel_has_the_picture(panel, tmp_path):
    panel.number.value = 4
    data, _ = panel._repr_mimebundle_()  # waits for the picture
    assert base64.b64decode(data["image/png"]) == panel.png
    assert data["text/plain"] == "Panel: Twice <b> | 8 is shown"
    panel.save(tmp_path / "it.png")
    assert Image.open(tmp_path / "it.png").size == (300, 200)


def test_nothing_is_saved_under_a_name_that_lies_or_before_there_is_something(panel, tmp_path):
    with pytest.raises(ValueError, match=r"it\.jpg'.*\.png, \.svg, \.pdf, \.csv, \.nc"):
        panel.save(tmp_path / "it.jpg")
    with pytest.raises(ValueError, match="nothing is shown yet"):
        panel.save(tmp_path / "it.pdf")
    assert not list(tmp_path.iterdir())


def test_a_file_has_what_moves_too(panel):
    """What is drawn over a stored rendering is in every file, and is drawn over it again afterwards."""
    picture = Picture(3, 2)
    moving = picture.figure.text(0.1, 0.5, "it moves")
    picture.draw("a text", [moving])
    before = picture.png
    assert "it moves" in picture.file("svg").decode()
    picture.move("again")
    assert picture.png == before and moving.get_animated()


@pytest.fixture
def sent(panel):
    """What the page is sent when it asks for something."""
    (foot,) = [one for one in widgets(panel) if isinstance(one, Foot)]
    found = []
    foot.send = lambda message, buffers: found.append((message, *buffers))
    panel.ask = lambda message: foot._handle_custom_msg(message, [])
    return found


def test_the_page_gets_the_file_that_it_asks_for(panel, sent):
    panel.number.value = 4
    panel.settle(10)
    panel.ask({"form": "pdf"})
    ((message, content),) = sent
    assert message == {"form": "pdf", "name": "twice-b.pdf"} and content.startswith(b"%PDF")
    for other in ({"form": "exe"}, {"other": 1}, "pdf"):
        panel.ask(other)
    assert len(sent) == 1 and panel.error is None


def test_what_cannot_be_taken_away_is_an_error_in_the_panel_until_it_can(panel, sent):
    panel.ask({"form": "png"})
    assert not sent and "nothing is shown yet" in spoken(panel, "error")
    panel.result = 8  # with nothing computed since
    panel.ask({"form": "png"})
    assert sent and panel.error is None


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_what_moves_is_drawn_over_what_stays():
    """After a move the picture is the one that drawing everything anew gives."""
    moved, anew = Picture(3, 2), Picture(3, 2)
    for picture, start in ((moved, 0.2), (anew, 0.7)):
        ax = picture.figure.subplots()
        ax.plot([0, 1], [0, 1])
        (dot,) = ax.plot([start], [0.5], "o", ms=9)
        picture.draw("a dot", [dot])
        picture.dot = dot
    before = pixels(moved.png)
    moved.dot.set_xdata([0.7])
    moved.move("it moved")
    assert (pixels(moved.png) == pixels(anew.png)).all() and (pixels(moved.png) != before).any()
    assert moved.alt == "it moved"


def test_the_image_has_its_size_and_an_alternative_text_that_is_text():
    picture = Picture(3, 2)
    picture.draw("a \"quoted\" <b>'word'</b> & more")
    tag = picture.value
    assert tag.startswith('<img width="300" height="200" ')
    assert ' alt="a &quot;quoted&quot; &lt;b&gt;&#x27;word' in tag
    assert tag.count("<") == 1 and tag.count('"') == 10


@pytest.mark.parametrize(
    ("text", "shown"), [("short", "short"), ("a\nb", "a⏎b"), ("x" * 61, "x" * 29 + "…" + "x" * 30), ("", "")]
)
def test_shorten(text, shown):
    assert shorten(text) == shown and len(shown) <= 60


def test_what_the_font_lacks_is_escaped_and_nothing_is_a_formula(recwarn):
    assert drawable("漢a") == "\\u6f22a"
    assert drawable("\x00\t") == "\\x00\\t"
    picture = Picture(3, 2)
    text = picture.figure.text(0, 0, drawable("$\\frac{$ 漢 שלום 👩‍🚀 $x^2$", 40))
    picture.draw("odd")
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
    assert text._preprocess_math(text.get_text()) == (
        drawable("$\\frac{$ 漢 שלום 👩‍🚀 $x^2$", 40).replace("\\$", "$"),
        False,
    )
