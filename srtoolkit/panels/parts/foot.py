"""The foot of every panel: buttons to take away what is shown, as code, as a picture, or as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets as T

from srtoolkit.panels.parts.assets import script, style

#: What the button of each form says.
NAMES = {
    "code": "copy code",
    "png": "PNG",
    "svg": "SVG",
    "pdf": "PDF",
    "csv": "data, CSV",
    "nc": "data, netCDF",
    "html": "page",
}


class Foot(anywidget.AnyWidget):
    """Buttons that put a panel's code on the clipboard, or download what it shows.

    The page asks for a form, and gets the file's content back. It also names the handles of the panel's sliders, which
    ipywidgets leaves without a name for who cannot see.

    Args:
        forms: Forms that are offered, keys of ``NAMES``.
        asked: Called with a form when its button was pressed; it calls :meth:`give`.

    Attributes:
        buttons: Form and text of each button.
    """

    _esm = script("parts", "foot")
    _css = style("parts", "foot")

    buttons = T.List(T.List(T.Unicode())).tag(sync=True)

    def __init__(self, forms: Sequence[str], asked: Callable[[str], None]) -> None:
        super().__init__(buttons=[[form, NAMES[form]] for form in forms])

        def heard(_: Any, message: Any, __: Any) -> None:
            if isinstance(message, dict) and message.get("form") in forms:
                asked(message["form"])

        self.on_msg(heard)

    def give(self, form: str, name: str, content: bytes) -> None:
        """Send a file to the page that asked for it.

        Args:
            form: The form that was asked for.
            name: Name of the file, for the download.
            content: Content of the file.
        """
        self.send({"form": form, "name": name}, [content])
