"""What a panel's page runs and how it looks, from the files that lie beside its code."""

from __future__ import annotations

from importlib.resources import files


def script(room: str, name: str) -> str:
    """A JavaScript module, behind what all of them make elements with.

    Args:
        room: Folder of ``srtoolkit/panels``.
        name: Name of the file, without its ending.
    """
    return f"{_text('parts', 'elements.js')}\n{_text(room, f'{name}.js')}"


def style(room: str, name: str) -> str:
    """A style sheet.

    Args:
        room: Folder of ``srtoolkit/panels``.
        name: Name of the file, without its ending.
    """
    return _text(room, f"{name}.css")


def _text(room: str, name: str) -> str:
    return (files("srtoolkit.panels") / room / name).read_text(encoding="utf-8")
