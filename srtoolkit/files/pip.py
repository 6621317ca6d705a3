"""Archives of the Python package index, fetched with the user's own pip."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from srtoolkit.files import disk
from srtoolkit.files.disk import MOVE_THE_CACHE, CacheError


def pip_download(requirement: str, folder: Path, options: Sequence[str] = ()) -> Path:
    """The archive of one requirement, fetched by pip with the user's own index and proxy.

    Args:
        requirement: The pinned requirement.
        folder: An empty folder for the archive.
        options: Further options for ``pip download``.

    Raises:
        CacheError: The archive could not be fetched.
    """
    download = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", *options]
    command = [*download, "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if (number := disk.refusal(done.stderr)) is not None:
            raise CacheError(disk.describe(number, folder, f"{MOVE_THE_CACHE}, or TMPDIR and PIP_CACHE_DIR for pip"))
        raise CacheError(
            f"pip could not download {requirement}. A network or a package mirror is needed. "
            f"pip said: {done.stderr.strip()[-500:]}"
        )
    (archive,) = (path for path in folder.iterdir() if path.suffix in (".whl", ".gz", ".zip"))
    return archive
