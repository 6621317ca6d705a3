"""Analysis and pictures of stored results load neither torch nor nnsight."""

from __future__ import annotations

import subprocess
import sys

#: A bare package stands in for srtoolkit's own first page, which may load what it likes.
LOAD = """
import importlib, pathlib, sys, types
import importlib.util
folder = pathlib.Path(importlib.util.find_spec("srtoolkit").origin).parent
package = types.ModuleType("srtoolkit")
package.__path__ = [str(folder)]
sys.modules["srtoolkit"] = package
rooms = [path for room in ("analysis", "plot") for path in sorted((folder / room).glob("[a-z]*.py"))]
for name in ["validation", "results", *(f"{path.parent.name}.{path.stem}" for path in rooms)]:
    importlib.import_module(f"srtoolkit.{name}")
print(len(rooms), sorted({"torch", "nnsight"} & set(sys.modules)))
"""


def test_analysis_and_plots_load_without_torch():
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    rooms, loaded = done.stdout.split(maxsplit=1)
    assert int(rooms) > 10 and loaded.strip() == "[]"
