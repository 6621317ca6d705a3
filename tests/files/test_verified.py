"""The model cache: complete or not there, never trusted."""

from __future__ import annotations

import errno
import multiprocessing
import subprocess
import sys
import textwrap

import pytest

from srtoolkit.files.disk import CacheError
from srtoolkit.files.hashes import check_hash
from srtoolkit.files.verified import MANIFEST, cached_whole, damage, write_verified


def fill(folder):
    (folder / "weights").write_bytes(b"w" * 1000)
    (folder / "config").write_text("{}")


def test_what_was_written_is_whole(tmp_path):
    made = write_verified(tmp_path / "cache", fill)
    assert damage(made) is None
    assert {path.name for path in made.iterdir()} == {"weights", "config", MANIFEST}


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / "weights").write_bytes(b"w" * 999), "weights has other content"),
        (lambda folder: (folder / "weights").write_bytes(b"v" * 1000), "weights has other content"),
        (lambda folder: (folder / "config").unlink(), "names"),
        (lambda folder: (folder / "more").write_text("x"), "more"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "unreadable manifest"),
        (lambda folder: (folder / MANIFEST).unlink(), "no manifest"),
    ],
)
def test_every_kind_of_damage_is_seen(tmp_path, harm, words):
    made = write_verified(tmp_path / "cache", fill)
    harm(made)
    assert words in damage(made)


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def fail(folder):
        fill(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CacheError, match="the disk is full"):
        write_verified(tmp_path / "cache", fail)
    assert list(tmp_path.iterdir()) == []


def test_too_little_room_is_said_beforehand(tmp_path):
    with pytest.raises(CacheError, match=r"it takes .* MB, .* free in .*Make room .*SRT_CACHE"):
        write_verified(tmp_path / "cache", fill, needs=10**18)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_no_half_written_cache(tmp_path):
    """The kernel refuses the write: a file size limit stands in for a full disk."""
    script = f"""
    import resource, pathlib
    from srtoolkit.files.verified import CacheError, write_verified
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    target = pathlib.Path({str(tmp_path)!r}) / "cache"
    try:
        write_verified(target, lambda folder: (folder / "weights").write_bytes(b"w" * 10**6))
    except CacheError as error:
        print("refused:", error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert "refused:" in done.stdout and "no file of that size" in done.stdout
    assert list(tmp_path.iterdir()) == []


def _race(folder, barrier):
    barrier.wait()
    write_verified(folder, fill)


def test_two_processes_at_once_both_get_a_whole_cache(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    racers = [context.Process(target=_race, args=(tmp_path / "cache", barrier)) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
    assert [racer.exitcode for racer in racers] == [0, 0]
    assert damage(tmp_path / "cache") is None
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_a_file_with_another_hash_is_refused(tmp_path):
    (tmp_path / "wheel").write_bytes(b"something else")
    with pytest.raises(CacheError, match=r"SHA-256 is .* expected 00ff"):
        check_hash(tmp_path / "wheel", "00ff")


def test_a_cached_folder_is_filled_once_and_again_when_it_is_damaged(tmp_path, caplog):
    scratches = []

    def fill_from(target, scratch):
        scratches.append(scratch)
        (scratch / "archive").write_bytes(b"w" * 1000)
        fill(target)

    for _ in range(2):
        made = cached_whole("weights", tmp_path / "cache", fill_from, 1000)
    assert len(scratches) == 1 and not caplog.text
    (made / "weights").write_bytes(b"v" * 1000)
    assert damage(cached_whole("weights", made, fill_from, 1000)) is None
    assert len(scratches) == 2 and "weights: the cached copy" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
