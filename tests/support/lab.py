"""A real JupyterLab on this machine's loopback, with a home of its own, for as long as a test run needs it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Where screenshots and the server's log are kept.
BUILD = ROOT / "build" / "browser"

#: Seconds that the server may take to answer; it takes two to seven.
START_TIMEOUT = 120

OPTIONS = (
    "--no-browser",
    "--allow-root",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.terminals_enabled=False",
    "--LabApp.expose_app_in_browser=True",  # window.jupyterapp, by which the driver runs cells and asks the kernel
    "--LabApp.extension_manager=readonly",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
)

#: Every cell is in the page, wherever one has scrolled; nothing asks, tells news or saves by itself.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "docmanager-extension/plugin": {"autosave": False},
}


@dataclass(frozen=True)
class Lab:
    """A running server.

    Attributes:
        url: Without a slash at its end.
        token: Without which it answers nobody.
        folder: What it serves.
    """

    url: str
    token: str
    folder: Path


@contextlib.contextmanager
def serve(home: Path, log: Path) -> Iterator[Lab]:
    """JupyterLab of this Python, ready to answer; ended with all its kernels.

    Args:
        home: An empty folder: notebooks, settings and everything else that it writes go there.
        log: What it says.
    """
    for name, values in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    folder = home / "notebooks"
    folder.mkdir()
    lab = Lab(f"http://127.0.0.1:{(port := _free_port())}", secrets.token_hex(16), folder)
    command = [sys.executable, "-m", "jupyterlab", *OPTIONS, f"--ServerApp.port={port}"]
    command += [f"--IdentityProvider.token={lab.token}", f"--ServerApp.root_dir={folder}"]
    with log.open("w") as output:
        # In a session of its own, so that its kernels can be ended with it.
        process = subprocess.Popen(
            command, env=_environment(home), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait(lab, process, log)
            yield lab
        finally:
            _end(process)


def _environment(home: Path) -> dict[str, str]:
    """This process's, but with all of Jupyter's folders below ``home``."""
    places = {
        name: str(home / name.lower()) for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    }
    places |= {"JUPYTER_RUNTIME_DIR": str(home / "runtime"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
    places |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "MPLCONFIGDIR": str(BUILD / "matplotlib")}
    for path in places.values():
        Path(path).mkdir(parents=True, exist_ok=True)
    quiet = {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1"}
    return os.environ | places | quiet


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(lab: Lab, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"JupyterLab ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{lab.url}/api/status?token={lab.token}", timeout=5).read()
            return
        time.sleep(0.2)
    raise TimeoutError(f"JupyterLab did not answer within {START_TIMEOUT} s:\n{log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop, with all it started; kill what does not."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
