"""What all panels share: a title, controls, a status line, a place for errors, and a picture."""

from __future__ import annotations

import contextlib
import html
import re
import threading
import traceback
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets as W
import xarray as xr

from srtoolkit.analysis.tables import table
from srtoolkit.files.disk import write_whole
from srtoolkit.panels.parts.foot import Foot
from srtoolkit.panels.parts.picture import Picture
from srtoolkit.panels.parts.worker import Job, Worker
from srtoolkit.results import content_of

#: Characters of an error that its one line shows; all of it is in the folded traceback.
ERROR_LENGTH = 400

#: Seconds that showing a panel waits for its picture, which then is in the saved notebook, too.
FIRST_PICTURE = 120.0

#: Pictures that a panel can be saved as.
PICTURES = ("png", "svg", "pdf")

#: Height of the place where status and errors are said.
SAID = "88px"

# JupyterLab's own text colour, so that words are readable in its light and dark themes.
_TEXT = "color:var(--jp-ui-font-color1,inherit);line-height:1.5"


class Panel(W.VBox):
    """Controls above a picture that follows them.

    Callbacks of controls run on the thread that the front end chooses, jobs on the panel's worker. Both change what the
    panel shows only while holding ``lock``. A callback never waits for a model.

    Args:
        title: Heading of the panel.
        controls: Widgets above the picture, each with a visible label.
        pictures: Widgets below the controls; ``png``, ``alt`` and ``save`` take the first :class:`Picture` among them.

    Attributes:
        title: Heading of the panel.
        result: The Dataset that is shown; ``None`` before the first one.
        error: The last error, until something works again; else ``None``.
        lock: Lock that is held while what is shown changes.
        forms: What can be saved: endings of files, without the dot.
        rows: Axes of ``result`` that make the rows of the saved table, as :func:`srtoolkit.table` takes them.
    """

    forms: ClassVar[tuple[str, ...]] = (*PICTURES, "csv", "nc")
    rows: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, title: str, controls: Sequence[W.Widget] = (), pictures: Sequence[W.Widget] = ()) -> None:
        super().__init__()
        self.title = title
        self.result: xr.Dataset | None = None
        self.error: Exception | None = None
        self.lock = threading.RLock()
        self._worker = Worker(f"panel: {title}", self.lock)
        self._computing = False
        self._failing: object = None  # the callback that the error shown is from, or None for a job
        self._status, self._error_line = W.HTML(), W.HTML()
        asked = {form: partial(self._take_away, form) for form in ("code", *self.forms)}
        self._foot = Foot(list(asked), lambda form: self.run(asked[form]))
        cancel = {"tooltip": "Stop computing; the picture stays", "layout": W.Layout(flex="0 0 auto")}
        self._cancel = W.Button(description="Cancel", disabled=True, **cancel)
        self._cancel.on_click(lambda _: self.cancel())
        self.add_class("srt-panel")
        self.arrange(controls, pictures)

    def arrange(
        self, controls: Sequence[W.Widget], pictures: Sequence[W.Widget], below: Sequence[W.Widget] = ()
    ) -> None:
        """Put the panel's widgets in their places; the status line is above the pictures, or below where no control is.

        Args:
            controls: Widgets above the picture, each with a visible label.
            pictures: Widgets below the controls; ``png``, ``alt`` and ``save`` take the first :class:`Picture` among
                them.
            below: Widgets below the picture, each with a visible label.
        """
        self.picture = next((widget for widget in pictures if isinstance(widget, Picture)), None)
        line = W.HBox([self._cancel, self._status], layout=W.Layout(align_items="flex-start", min_height="36px"))
        # Of a fixed height, so that nothing below moves, whatever is said.
        said = W.VBox([self._error_line, line], layout=W.Layout(height=SAID, overflow="auto", flex="0 0 auto"))
        heading = W.HTML(_styled(f"<b>{html.escape(self.title)}</b>"))
        order = (*controls, said, *pictures) if controls else (*pictures, said)
        self.children = (heading, *order, *below, self._foot)
        self.say("")

    @property
    def png(self) -> bytes:
        """The picture that is shown, as the content of a PNG file."""
        return self.picture_as("png") if self.picture is None else self.picture.png

    @property
    def alt(self) -> str:
        """The alternative text of the picture that is shown: what it shows, in words and numbers."""
        assert self.picture is not None
        return self.picture.alt

    @property
    def summary(self) -> str:
        """What the status line says while nothing is computed."""
        return self.alt

    def code(self) -> str:
        """The library calls that make ``result``."""
        raise NotImplementedError

    def picture_as(self, form: str) -> bytes:
        """The picture that is shown, as the content of a file.

        Args:
            form: One of ``PICTURES``.
        """
        assert self.picture is not None
        return self.picture.file(form)

    def export(self, form: str) -> bytes:
        """What is shown, as the content of a file: the picture, or the data of ``result``.

        Args:
            form: One of ``forms``: ``"csv"`` is the table of ``rows``, ``"nc"`` all of ``result``, for
                :func:`srtoolkit.load`.

        Raises:
            ValueError: Nothing is shown yet, or there is no such form.
        """
        with self.lock:
            if form not in self.forms:
                raise ValueError(f"form={form!r}: expected one of {', '.join(self.forms)}.")
            if self.result is None:
                raise ValueError("nothing is shown yet.")
            if form == "csv":
                return table(self.result, rows=self.rows).to_csv(index=False).encode()
            return content_of(self.result) if form == "nc" else self.picture_as(form)

    def save(self, path: str | Path) -> None:
        """Write the picture that is shown, or the data of ``result``, in the format that the name asks for.

        Args:
            path: Path of the file to write; it ends in a dot and one of ``forms``.

        Raises:
            ValueError: The path ends in something else, or nothing is shown yet.
            DiskError: The disk is full, or the folder cannot be written.
        """
        form = Path(path).suffix.lower().removeprefix(".")
        if form not in self.forms:
            known = ", ".join(f".{one}" for one in self.forms)
            raise ValueError(f"path={str(path)!r}: expected a name that ends in one of {known}.")
        write_whole(Path(path), self.export(form), "save elsewhere")

    def _take_away(self, form: str) -> None:
        """Send the page what its reader asked for."""
        content = self.code().encode() if form == "code" else self.export(form)
        name = re.sub(r"\W+", "-", self.title.lower()).strip("-")
        self._foot.give(form, f"{name}.{form}", content)

    def submit(self, job: Job, then: Callable[[Any], None], text: str) -> None:
        """Compute in the background, then show the result; a later call replaces this one.

        Args:
            job: Function that computes the result, on the panel's one worker. It takes a function that it gives to
                measurements as ``progress=``, which shows how much is done, and ends the job once its result is not
                wanted.
            then: Function that takes the result and shows it.
            text: What the panel says meanwhile.
        """

        def shown(done: int, total: int, now: str = "", /) -> None:
            self.say(now or text, busy=True, share=round(done / total, 2))  # a hundred messages to the page, no more

        def apply(result: Any) -> None:
            self._clear_error()
            self._computing = False
            then(result)
            if not self._computing:  # unless ``then`` has submitted another job
                self._idle()

        def failed(error: Exception) -> None:
            self._idle()
            self.show_error(error)

        with self.lock:
            self._computing = True
            self._clear_error()
            self._cancel.disabled = False
            self.say(text, busy=True)
            self._worker.submit(job, shown, apply, failed)

    def cancel(self) -> None:
        """Stop what is being computed; the picture stays as it is."""
        with self.lock:
            if self._worker.cancel():
                self._idle()
                self.say(f"Cancelled. Still shown: {self.summary}")

    def settle(self, timeout: float | int = 60.0) -> None:
        """Wait until nothing is being computed and the picture is current; errors are in ``error``, and shown.

        Args:
            timeout: Most seconds to wait.

        Raises:
            TimeoutError: The panel is still computing.
        """
        if not self._worker.settle(timeout):
            raise TimeoutError(f"{self.title}: still computing after {timeout:g} s.")

    def follow(self, widget: W.Widget, callback: Callable[[], None], trait: str = "value") -> None:
        """Call back when a control changes; what the callback raises is shown in the panel.

        Args:
            widget: The control.
            callback: Function without arguments, which reads the controls.
            trait: Name of the control's trait to follow.
        """
        widget.observe(lambda _: self.run(callback), trait)

    def run(self, callback: Callable[[], None]) -> None:
        """Run a callback under the panel's lock; what it raises is shown in the panel.

        Args:
            callback: Function without arguments.
        """
        with self.lock:
            try:
                callback()
            except Exception as error:  # an observer's exception would go to a log that nobody reads
                self.show_error(error)
                self._failing = callback
            else:
                if self.error is not None and self._failing == callback:
                    self._clear_error()
                if not self._computing:
                    self.say(self.summary)

    def say(self, text: str, busy: bool = False, share: float | int | None = None) -> None:
        """Show a line of text as the panel's status, which screen readers read out.

        Args:
            text: The line of text.
            busy: Show a progress bar beside it.
            share: Share that is done, from 0 to 1, where it is known.
        """
        value = "" if share is None else f' value="{share:.3f}"'
        bar = f'<progress aria-label="computing" style="width:6em"{value}></progress> ' if busy else ""
        words = f'<span data-srt="text" style="{_WRAP}">{html.escape(text)}</span>'
        state = "busy" if busy else "idle"
        self._status.value = _styled(f"<div role='status' data-srt='status' data-state='{state}'>{bar}{words}</div>")

    def show_error(self, error: Exception) -> None:
        """Show an error in one line with its traceback folded; the panel goes on.

        Args:
            error: The exception that was raised.
        """
        self.error, self._failing = error, None
        line = " ".join(str(error).split()) or type(error).__name__
        line = line if len(line) <= ERROR_LENGTH else line[:ERROR_LENGTH] + " …"
        details = html.escape("".join(traceback.format_exception(error)))
        self._error_line.value = _styled(
            f"<div role='alert' data-srt='error' style='{_WRAP}'><b style='color:var(--jp-error-color0,#b00020)'>Error"
            f"</b>: {html.escape(line)}<details><summary>{type(error).__name__}: traceback</summary>"
            f"<pre style='overflow:auto;max-height:20em'>{details}</pre></details></div>"
        )

    def _clear_error(self) -> None:
        self.error = self._failing = None
        self._error_line.value = ""

    def _idle(self) -> None:
        """Say what is shown, now that nothing is being computed."""
        self._computing = False
        self._cancel.disabled = True
        self.say(self.summary)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and for a notebook without a kernel the picture and a line of text."""
        with contextlib.suppress(TimeoutError):  # a first picture that takes longer than this comes when it comes
            self.settle(FIRST_PICTURE)
        found = super()._repr_mimebundle_(**options)
        data, metadata = found if isinstance(found, tuple) else (found, {})
        if not data:
            return found
        still = {"image/png": b64encode(self.png).decode(), "text/plain": f"Panel: {self.title} | {self.alt}"}
        return {**data, **still}, metadata


_WRAP = "white-space:pre-wrap;overflow-wrap:anywhere"


def _styled(content: str) -> str:
    return f"<div style='{_TEXT}'>{content}</div>"
