"""Several processes at one thing at once, and processes killed in the middle of it: all get it whole."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import threading
import time

import huggingface_hub
import pytest

import srtoolkit as srt
from disk_faults import ENVIRONMENT, script
from srtoolkit.files import disk, verified
from srtoolkit.models.hub import cache as hub_cache
from srtoolkit.models.hub import snapshots
from srtoolkit.models.hub.errors import HubError

WORK = """
import dataclasses, json, pathlib, sys
import numpy as np, xarray as xr
import srtoolkit as srt
from srtoolkit.report import __main__ as report
from srtoolkit.models import packaged

me, folder = int(sys.stdin.readline()), pathlib.Path(sys.stdin.readline().strip())
packaged.PACKAGED["tiny"] = packaged.PackagedModel(**json.loads(sys.stdin.readline()))
print("ready", flush=True)
sys.stdin.readline()
for turn in range(25):
    content = np.full((40, 40), 100 * me + turn, dtype=float)
    srt.save(xr.Dataset({"x": (("pair", "alpha"), content)}), folder / "same.nc")
    found = srt.load(folder / "same.nc").x.values
    assert found.min() == found.max(), found
    report.run([], folder / "report")
    assert json.loads((folder / "report" / "claims.json").read_text()) == []
print(srt.load_model("tiny").fingerprint)
"""


def killed_while(action):
    """Run ``action``, which is to kill its own process, in a copy of this one."""
    child = os.fork()
    if not child:
        try:
            action()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_two_processes_convert_save_and_report_at_once(wheels, tmp_path):
    folder, spec = wheels
    own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "SRT_CACHE": str(tmp_path / "cache")}
    start = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(script(WORK), env={**os.environ, **ENVIRONMENT, **own}, **start) for _ in range(2)]
    for number, one in enumerate(both):
        one.stdin.write(f"{number}\n{tmp_path}\n{json.dumps(dataclasses.asdict(spec))}\n")
        one.stdin.flush()
    for one in both:
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate(timeout=120) for one in both]
    assert [one.returncode for one in both] == [0, 0], [errors[-2000:] for _, errors in said]
    assert len({out.splitlines()[-1] for out, _ in said}) == 1
    assert sum("first use" in errors for _, errors in said) == 1  # the other waited, and took that copy
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "report", "same.nc"]
    (made,) = (path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock")
    assert verified.damage(made) is None


def test_what_a_killed_conversion_left_is_cleared_and_made_anew(tmp_path):
    def half(folder):
        (folder / "weights").write_bytes(b"half")
        die()

    killed_while(lambda: verified.write_verified(tmp_path / "cache", half))
    assert not (tmp_path / "cache").exists() and list(tmp_path.glob(".cache-*/weights"))
    verified.write_verified(tmp_path / "cache", lambda folder: (folder / "weights").write_bytes(b"whole"))
    assert verified.damage(tmp_path / "cache") is None and not list(tmp_path.glob(".cache-*"))


def test_a_save_that_is_killed_leaves_the_old_file(tmp_path, monkeypatch):
    result = srt.interpolate(srt.load_model("nano-0.4m"), [("the king", "the house")], steps=3)
    path = srt.save(result, tmp_path / "curves.nc")
    monkeypatch.setattr(disk.os, "fsync", lambda _: die())
    killed_while(lambda: srt.save(result.isel(alpha=[0]), path))
    monkeypatch.undo()
    assert srt.load(path).identical(result)
    for scratch in tmp_path.glob(".*"):
        os.utime(scratch, (0, 0))
    disk.remove_scratch(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["curves.nc"]


def test_a_download_that_was_killed_before_its_hash_was_compared_is_compared_later(hub, tmp_path, monkeypatch):
    content = bytearray((tmp_path / "main" / "model.safetensors").read_bytes())
    content[-1] ^= 1
    hub.fails(at="model.safetensors", method="GET", body=bytes(content))

    def killed():
        huggingface_hub.close_session()
        checked = snapshots.Snapshot._check
        snapshots.Snapshot._check = lambda *given: die() if "safetensors" in given[2] else checked(*given)
        srt.load_model("lab/tiny")

    killed_while(killed)
    (weights,) = (tmp_path / "cache").rglob("model.safetensors")
    assert weights.read_bytes() == content
    with pytest.raises(HubError, match=r"model\.safetensors of 'lab/tiny' at commit .* its SHA-256 is .*not used"):
        srt.load_model("lab/tiny")
    hub.faults.clear()
    assert srt.load_model("lab/tiny").fingerprint == srt.load_model(str(tmp_path / "main")).fingerprint
    assert not list((tmp_path / "cache").rglob("*.unchecked"))


def test_who_borrows_a_revision_last_drops_it(hub, tmp_path):
    def there():
        return hub_cache.cached_commit("lab/tiny", "main") is not None

    first, second = (hub_cache.borrowed("lab/tiny", "main", keep=False) for _ in range(2))
    with first:
        srt.load_model("lab/tiny", revision="main")
        second.__enter__()
    assert there()
    second.__exit__(None, None, None)
    assert not there()

    def killed():
        third = hub_cache.borrowed("lab/tiny", "main", keep=False)
        third.__enter__()
        die()

    killed_while(killed)
    srt.load_model("lab/tiny", revision="main")
    with hub_cache.borrowed("lab/tiny", "main", keep=False):
        assert there()
    assert not there()  # for the one that was killed
    assert not [path for path in hub_cache.notes("lab/tiny").iterdir() if path.suffix in (".using", ".borrowed")]


def test_a_drop_takes_nothing_that_another_revision_is_about_to_use(hub, tmp_path, monkeypatch):
    """Both revisions share configuration and tokenizer. The drop has looked, and deletes once the other has linked."""
    loaded, snapshots = [], tmp_path / "cache" / "models--lab--tiny" / "snapshots"
    other = threading.Thread(target=lambda: loaded.append(srt.load_model("lab/tiny", revision="step1000")))
    strategy = type(huggingface_hub.scan_cache_dir(tmp_path).delete_revisions())
    execute = strategy.execute

    def late(self):
        other.start()
        while len(list((snapshots / hub.commits[1]).glob("*"))) < 3:
            time.sleep(0.01)
        execute(self)

    monkeypatch.setattr(strategy, "execute", late)
    with hub_cache.borrowed("lab/tiny", "main", keep=False):
        srt.load_model("lab/tiny", revision="main")
    other.join(60)
    assert loaded[0].fingerprint == srt.load_model(str(tmp_path / "step1000")).fingerprint
    assert not (snapshots / hub.commits[0]).exists()
