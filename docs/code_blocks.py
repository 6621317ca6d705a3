"""The Python on the pages, as a reader would run it; ``python -m docs.code_blocks`` draws the recipes' pictures.

All blocks of a page run one after the other as one script. A block that cannot run here, such as one that asks the
hub, has a line ``<!-- not run: why -->`` above it. A picture on a recipe is the file that the recipe's code writes.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "docs" / "recipes"

_FENCE = re.compile(r"(?P<not_run><!-- not run: [^>]+ -->\n+)?```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)/]+\.png)\)")


def code(page: Path) -> str:
    """The Python of a page that runs, with empty lines between so that errors name the page's own lines.

    Args:
        page: A page in Markdown.
    """
    script, line = "", 0
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        if not found["not_run"]:
            before = text.count("\n", 0, found.start("code"))
            script += "\n" * (before - line) + found["code"]
            line = before + found["code"].count("\n")
    return script


def pages() -> Iterator[Path]:
    """Every page with Python that runs."""
    written = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return (page for page in written if code(page).strip())


def pictures(page: Path) -> list[str]:
    """Names of the pictures on a page that lie beside it.

    Args:
        page: A page in Markdown.
    """
    return _PICTURE.findall(page.read_text(encoding="utf-8"))


def run(page: Path, folder: Path) -> None:
    """Run a page's Python as the script that a reader would make of it.

    Args:
        page: A page in Markdown.
        folder: Where it runs, and where what it writes will lie.
    """
    script = folder / f"{page.stem.replace('-', '_').lower()}_page.py"
    script.write_text(code(page), encoding="utf-8")
    with chdir(folder), plt.rc_context():
        try:
            runpy.run_path(str(script), run_name="__main__")
        finally:
            plt.close("all")


def main() -> None:
    """Draw the pictures of all recipes."""
    os.environ["MPLBACKEND"] = "agg"
    for page in sorted(RECIPES.glob("*.md")):
        with tempfile.TemporaryDirectory() as folder:
            run(page, Path(folder))
            for name in pictures(page):
                shutil.copy(Path(folder) / name, RECIPES / name)


if __name__ == "__main__":
    main()
