"""A picture with alternative text, redrawn fast enough to follow a slider."""

from __future__ import annotations

import html
import io
import threading
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple

import ipywidgets as W
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

#: Matplotlib is not made for threads: one picture is drawn at a time, whichever panel it belongs to.
DRAWING = threading.RLock()

DPI = 100


class Frame(NamedTuple):
    """A picture that was drawn.

    Attributes:
        png: Content of the PNG file.
        alt: Alternative text: what the picture shows, in words and numbers.
    """

    png: bytes
    alt: str


class Picture(W.HTML):
    """A matplotlib figure as an image of fixed size with alternative text.

    The figure is kept. What moves with a slider is drawn over a stored rendering of what does not move, or comes from
    frames that were drawn before.

    Args:
        width: Width in inches, with ``DPI`` pixels to an inch.
        height: Height in inches.

    Attributes:
        figure: The figure to draw on, while holding ``DRAWING``; pyplot does not know it.
        png: Content of the PNG file of what is shown.
        alt: Alternative text: what is shown, in words and numbers.
    """

    def __init__(self, width: float | int, height: float | int) -> None:
        super().__init__()
        self.figure = Figure((width, height), dpi=DPI, facecolor="white")
        self._canvas = FigureCanvasAgg(self.figure)
        self._moving: Sequence[Artist] = ()
        self._still: Any = None
        self.png, self.alt = b"", ""
        self.draw("Nothing to show yet.")

    def draw(self, alt: str, moving: Sequence[Artist] = ()) -> None:
        """Render the whole figure anew, and show it.

        Args:
            alt: Alternative text of the picture.
            moving: Artists that :meth:`move` will draw again, from the lowest to the topmost.
        """
        with DRAWING:
            self._moving = moving
            for artist in moving:
                artist.set_animated(True)  # left out of the next line's rendering
            self._canvas.draw()
            self._still = self._canvas.copy_from_bbox(self.figure.bbox)
            self.move(alt)

    def move(self, alt: str) -> None:
        """Render the moving artists again, and show the picture; all else stays as at the last :meth:`draw`.

        Args:
            alt: Alternative text of the picture.
        """
        with DRAWING:
            self._canvas.restore_region(self._still)
            for artist in self._moving:
                self.figure.draw_artist(artist)
            self.show(Frame(self._encode(), alt))

    def frame(self, alt: str) -> Frame:
        """Render the whole figure without showing it.

        Args:
            alt: Alternative text of the picture.
        """
        with DRAWING:
            self._canvas.draw()
            return Frame(self._encode(), alt)

    def file(self, form: str) -> bytes:
        """The figure as the content of a file, which needs no screen's pixels.

        Args:
            form: One that matplotlib knows, such as ``"svg"``.
        """
        with DRAWING:
            for artist in self._moving:
                artist.set_animated(False)  # matplotlib leaves out animated texts of a figure even in a file
            content = file_of(self.figure, form)
            for artist in self._moving:
                artist.set_animated(True)
        return content

    def show(self, frame: Frame) -> None:
        """Show a picture that was rendered before.

        Args:
            frame: The picture, from :meth:`frame`.
        """
        self.png, self.alt = frame
        self.value = image(self.png, self.alt, *self._canvas.get_width_height())

    def _encode(self) -> bytes:
        size = self._canvas.get_width_height()
        file = io.BytesIO()
        Image.frombuffer("RGBA", size, self._canvas.buffer_rgba()).convert("RGB").save(file, "PNG", compress_level=3)
        return file.getvalue()


def file_of(figure: Figure, form: str) -> bytes:
    """A figure as the content of a file.

    Args:
        figure: The figure, made while holding ``DRAWING``.
        form: One that matplotlib knows, such as ``"svg"``.
    """
    file = io.BytesIO()
    figure.savefig(file, format=form)
    return file.getvalue()


def image(png: bytes, alt: str, width: int, height: int) -> str:
    """An HTML ``<img>`` element that holds its picture.

    Args:
        png: Content of the PNG file.
        alt: Alternative text of the picture.
        width: Width in pixels.
        height: Height in pixels.
    """
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    style = "max-width:100%;height:auto"  # a notebook's column may be narrower
    return f'<img width="{width}" height="{height}" style="{style}" alt="{html.escape(alt)}" src="{source}">'
