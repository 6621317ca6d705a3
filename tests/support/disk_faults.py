"""Faults of a real machine, for the length of a block: a disk that takes no more, folders that may not be written."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Environment of subprocesses: one thread, no bars, the tests' own modules on the path.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONPATH": str(ROOT / "tests" / "support"),
}


def script(code: str) -> list[str]:
    """A command that runs ``code``."""
    return [sys.executable, "-c", textwrap.dedent(code)]


def run(code: str, **environment: str) -> str:
    """What ``code`` prints, in a process of its own."""
    done = subprocess.run(
        script(code), capture_output=True, text=True, timeout=120, env={**os.environ, **ENVIRONMENT, **environment}
    )
    assert done.returncode == 0, (done.returncode, done.stdout[-2000:], done.stderr[-3000:])
    return done.stdout


@contextlib.contextmanager
def full_disk(room: int):
    """No file of this process can grow beyond ``room`` bytes: the kernel refuses the write, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def can_mount() -> bool:
    """Whether this process may make file systems of its own."""
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0 and os.geteuid() == 0


@contextlib.contextmanager
def read_only(folder: Path):
    """Nothing below ``folder`` can be written, by root neither."""
    paths = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
    modes = {path: path.stat().st_mode for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        with _permissions_hold():
            yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


#: Of ``linux/capability.h``: the version of its structures, and root's leave to pass over permissions.
_VERSION, _OVERRIDES = 0x20080522, 0b1110


@contextlib.contextmanager
def _permissions_hold():
    """This thread obeys permissions, as any user's does; root's otherwise does not."""
    if os.geteuid() != 0:
        yield
        return
    libc, header, data = ctypes.CDLL(None, use_errno=True), _Header(_VERSION, 0), (_Data * 2)()
    assert libc.capget(ctypes.byref(header), data) == 0, os.strerror(ctypes.get_errno())
    before = data[0].effective
    data[0].effective &= ~_OVERRIDES
    assert libc.capset(ctypes.byref(header), data) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        data[0].effective = before
        assert libc.capset(ctypes.byref(header), data) == 0, os.strerror(ctypes.get_errno())
