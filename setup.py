"""Puts the notebooks into the wheel, for ``srt notebooks``; everything else is in ``pyproject.toml``."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithNotebooks(build_py):
    """Copies the notebooks beside the modules, where a wheel is built."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib) / "srtoolkit" / "notebooks"
        folder.mkdir(parents=True, exist_ok=True)
        for notebook in Path("notebooks").glob("[0-9][0-9]_*.ipynb"):
            shutil.copy(notebook, folder)


setup(cmdclass={"build_py": WithNotebooks})
