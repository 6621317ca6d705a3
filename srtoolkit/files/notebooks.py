"""The notebooks, wherever the package lies: in a wheel they are inside it, in a clone beside it."""

from __future__ import annotations

from pathlib import Path

from srtoolkit.files.disk import write_whole

_PACKAGE = Path(__file__).parents[1]

#: Where they may be: ``setup.py`` puts them into the wheel.
PLACES = (_PACKAGE / "notebooks", _PACKAGE.parent / "notebooks")


def carried() -> list[Path]:
    """Paths of all notebooks of this version, in their order.

    Raises:
        FileNotFoundError: This installation has none.
    """
    for place in PLACES:
        if found := sorted(place.glob("[0-9][0-9]_*.ipynb")):
            return found
    raise FileNotFoundError(f"this installation has no notebooks: there are none in {PLACES[0]}. Install it anew.")


def copy_notebooks(folder: Path) -> list[Path]:
    """Copy the notebooks into a folder; a file that is there already with another content is left, and refused.

    Args:
        folder: The folder, which is made as needed.

    Returns:
        Paths of the copies, in their order.

    Raises:
        FileExistsError: A notebook of that name is there, and is not as this version has it. Nothing is copied then.
        DiskError: The disk is full, or the folder cannot be written.
    """
    contents = {folder / source.name: source.read_bytes() for source in carried()}
    if changed := [path.name for path, content in contents.items() if path.exists() and path.read_bytes() != content]:
        raise FileExistsError(
            f"{folder} has {', '.join(changed)} with another content, perhaps your own; give another folder, or move "
            "them away."
        )
    for path, content in contents.items():
        write_whole(path, content, "copy them elsewhere")
    return list(contents)
