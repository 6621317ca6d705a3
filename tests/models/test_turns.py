"""A model in a process that was forked while another thread was measuring with it."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import torch

import srtoolkit as srt
from families import tiny
from srtoolkit.sweeps import tasks


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # torch's own threads do not come through a fork
    yield
    torch.set_num_threads(threads)


def in_a_fork(what, seconds=20.0):
    """What a function gives in a forked process: whether it is true, and ``None`` where it did not come back."""
    child = os.fork()
    if not child:
        try:
            os._exit(0 if what() else 1)
        finally:
            os._exit(2)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_fork_while_another_thread_measures_gives_the_same_numbers(one_thread):
    model = tiny("llama")
    ids, points = torch.randint(4, 60, (4, 12)), torch.randn(4, 200, model.d_model)
    expected, stop, began = srt.patch(model, ids, points), threading.Event(), threading.Event()

    def measure():
        while not stop.is_set():
            began.set()
            srt.patch(model, ids, points)

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        began.wait()
        found = [in_a_fork(lambda: torch.equal(srt.patch(model, ids, points), expected)) for _ in range(3)]
    finally:
        stop.set()
        thread.join()
    assert found == [True] * 3
    assert torch.equal(srt.patch(model, ids, points), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_fork_during_a_sweep_may_sweep_itself():
    with tasks._ONE_AT_A_TIME:
        assert in_a_fork(lambda: tasks._ONE_AT_A_TIME.acquire(timeout=1))


def test_autocast_is_refused_and_nothing_else_is_changed_by_it(text_model):
    expected = srt.interpolate(text_model, [("abc", "xyz")], steps=4)
    calls = [
        lambda: srt.interpolate(text_model, [("abc", "xyz")], steps=4),
        lambda: srt.capture(text_model, torch.tensor([[1, 2]])),
        lambda: srt.text_loss(text_model, [("abc", "xyz")]),
        lambda: srt.slice_plane(text_model, ["abc", "bcd", "xyz"], resolution=3),
        lambda: srt.noise_floor(text_model, [("abc", "xyz")]),
    ]
    for call in calls:
        with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(RuntimeError, match=r"autocast is on for cpu"):
            call()
    with torch.autocast("cpu", enabled=False):
        assert srt.interpolate(text_model, [("abc", "xyz")], steps=4).identical(expected)
