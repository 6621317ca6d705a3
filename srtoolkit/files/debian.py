"""Packages of Debian, fetched with the user's own apt."""

from __future__ import annotations

import subprocess
from pathlib import Path

from srtoolkit.files.disk import CacheError


def apt_download(package: str, folder: Path) -> Path:
    """The archive of one package, fetched by apt from the user's own mirror.

    Args:
        package: The package with its version, as apt takes it: ``"name=version"``.
        folder: An empty folder for the archive.

    Raises:
        CacheError: The archive could not be fetched.
    """
    advice = "Debian's apt-get is needed, with a mirror that has this version (apt-get update)."
    try:
        done = subprocess.run(
            ["apt-get", "download", "--quiet", package], capture_output=True, text=True, check=False, cwd=folder
        )
    except FileNotFoundError:
        raise CacheError(f"cannot fetch the Debian package {package}: there is no apt-get here. {advice}") from None
    archives = list(folder.glob("*.deb"))
    if done.returncode or len(archives) != 1:
        raise CacheError(f"apt-get could not download {package}. {advice} It said: {done.stderr.strip()[-500:]}")
    return archives[0]
