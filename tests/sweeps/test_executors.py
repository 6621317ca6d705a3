"""Sweeps on other processes: the same numbers, whoever runs them, and whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import distributed
import pytest
import submitit
import torch
import xarray as xr

import srtoolkit as srt
from checkpoints_on_disk import save_tiny
from srtoolkit.sweeps import executors, marks
from srtoolkit.sweeps.store import Store

SPAWN = get_context("spawn")


def measure(model):
    return srt.sharpness(srt.interpolate(model, [("the cat sat", "a dog ran")], steps=5, reads="final_norm"))


def measure_and_note(model, notes="", kills=(), seconds=0.0):
    """As ``measure``, leaving a note of every run; models in ``kills`` take their process with them so many times."""
    name = Path(model.name).name
    Path(notes, f"{name} {uuid.uuid4().hex}").touch()
    time.sleep(seconds)
    if runs(notes)[name] <= dict(kills).get(name, 0):
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(model)


def runs(notes):
    """How often each model was measured, or begun."""
    return Counter(note.name.split()[0] for note in Path(notes).iterdir())


def sweep_both(members, store, notes):
    return srt.sweep(members, partial(measure_and_note, notes=notes, seconds=0.2), store=store)


@pytest.fixture(scope="module", autouse=True)
def one_thread_everywhere():
    """Here and in the processes started from here, which must also find this file."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("TQDM_DISABLE", "1")
        here = Path(__file__).parent
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (here, here.parent / "support"))))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return [str(save_tiny(root / f"tiny{seed}", seed=seed)) for seed in range(4)]


@pytest.fixture
def notes(tmp_path):
    (tmp_path / "notes").mkdir()
    return str(tmp_path / "notes")


@pytest.fixture(scope="module")
def alone(folders, tmp_path_factory):
    """What one process gives."""
    return srt.sweep(folders, measure, store=tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def pool(one_thread_everywhere):
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        yield pool


@pytest.fixture(scope="module")
def dask(one_thread_everywhere):
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        yield client.get_executor()


@pytest.mark.slow
def test_a_process_pool_gives_what_one_process_gives(folders, alone, pool, tmp_path):
    xr.testing.assert_identical(srt.sweep(folders, measure, store=tmp_path, executor=pool), alone)


@pytest.mark.slow
def test_threads_give_what_one_thread_gives(folders, tmp_path):
    members = [*folders[:2], *({"name": folders[0], "init": "random", "seed": seed} for seed in (1, 2))]
    with ThreadPoolExecutor(4) as threads:
        found = srt.sweep(members, measure, store=tmp_path / "threads", executor=threads)
    xr.testing.assert_identical(found, srt.sweep(members, measure, store=tmp_path / "alone"))


@pytest.mark.slow
def test_a_failure_is_one_models_own(folders, pool, tmp_path, notes):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    counting = partial(measure_and_note, notes=notes)
    found = srt.sweep([str(broken), *folders], counting, store=tmp_path / "store", executor=pool)
    assert "cannot load" in found["error"].values[0] and not any(found["error"].values[1:])
    (report,) = (tmp_path / "store").glob("*.error.txt")
    assert "Traceback" in report.read_text()
    assert found["max_slope"].isel(model=0).isnull().all() and found["max_slope"][1:].notnull().all()
    save_tiny(broken, seed=9)
    again = srt.sweep([str(broken), *folders], counting, store=tmp_path / "store", executor=pool)
    assert not any(again["error"].values) and not list((tmp_path / "store").glob("*.error.txt"))
    assert set(runs(notes).values()) == {1}


@pytest.mark.slow
def test_a_killed_process_of_a_pool_costs_its_model_only(folders, alone, tmp_path, notes):
    """One model takes its process with it once, another always; the pool does not survive the first."""
    killing = partial(measure_and_note, notes=notes, kills=(("tiny1", 1), ("tiny2", 99)))
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        found = srt.sweep(folders[:3], killing, store=tmp_path / "store", executor=pool)
    assert "did not come back, 3 times; the last, BrokenProcessPool" in found["error"].values[2]
    assert found["error"].values[:2].tolist() == ["", ""]
    xr.testing.assert_identical(found.isel(model=[0, 1]), alone.isel(model=[0, 1]))
    assert runs(notes)["tiny1"] == 2  # what the pool's other process had in hand is run again, too
    assert runs(notes)["tiny0"] <= 2 <= runs(notes)["tiny2"] <= 3


@pytest.mark.slow
def test_dask_gives_what_one_process_gives_though_a_worker_is_killed(folders, alone, dask, tmp_path, notes):
    once = partial(measure_and_note, notes=notes, kills=(("tiny1", 1),))
    xr.testing.assert_identical(srt.sweep(folders, once, store=tmp_path, executor=dask), alone)
    assert runs(notes) == {"tiny0": 1, "tiny1": 2, "tiny2": 1, "tiny3": 1}


@pytest.mark.slow
def test_dask_sends_a_function_of_no_module_and_tries_a_failure_again(folders, dask, alone, tmp_path):
    ready = tmp_path / "ready"

    def of_no_module(model):
        if not ready.exists():
            raise OSError("not ready")
        return measure(model)

    with pytest.raises(RuntimeError, match=r"every model failed.*OSError: not ready"):
        srt.sweep(folders[:1], of_no_module, store=tmp_path / "store", executor=dask)
    ready.touch()
    found = srt.sweep(folders[:1], of_no_module, store=tmp_path / "store", executor=dask)
    assert found["max_slope"].values.tolist() == alone["max_slope"][:1].values.tolist()


@pytest.mark.slow
def test_submitit_gives_what_one_process_gives_though_a_job_is_killed(folders, alone, tmp_path, notes, monkeypatch):
    monkeypatch.setattr(submitit.LocalJob, "_results_timeout_s", 1)  # how long it looks for a dead job's result
    jobs = submitit.AutoExecutor(folder=tmp_path / "jobs", cluster="local")
    jobs.update_parameters(timeout_min=10)
    once = partial(measure_and_note, notes=notes, kills=(("tiny1", 1),))
    found = srt.sweep(folders[:2], once, store=tmp_path / "store", executor=jobs)
    xr.testing.assert_identical(found, srt.sweep(folders[:2], measure, store=tmp_path / "alone"))
    assert runs(notes) == {"tiny0": 1, "tiny1": 2}


@pytest.mark.slow
def test_after_an_interrupt_pool_and_store_go_on(folders, pool, tmp_path, notes):
    """Ctrl-C when the first result is there: what waits is cancelled, and the same pool goes on."""
    members = [*folders, *(str(save_tiny(tmp_path / f"more{seed}", seed=seed)) for seed in range(10, 16))]
    store, slow = tmp_path / "store", partial(measure_and_note, notes=notes, seconds=0.5)

    def interrupt():
        while not list(store.glob("*.nc")):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            srt.sweep(members, slow, store=store, executor=pool)
    finally:
        signal.signal(signal.SIGINT, before)
    pool.submit(int).result()  # behind what the pool had begun
    assert 1 <= sum(runs(notes).values()) < len(members)
    found = srt.sweep(members, slow, store=store, executor=pool)
    assert not any(found["error"].values) and found["max_slope"].notnull().all()
    assert runs(notes) == dict.fromkeys((Path(member).name for member in members), 1)


@pytest.mark.slow
def test_two_sweeps_into_one_store_measure_nothing_twice(folders, alone, pool, tmp_path, notes):
    both = [pool.submit(sweep_both, folders, tmp_path / "store", notes) for _ in range(2)]
    for one in both:
        xr.testing.assert_identical(one.result(), alone)
    assert runs(notes) == {"tiny0": 1, "tiny1": 1, "tiny2": 1, "tiny3": 1}


@pytest.mark.slow
def test_what_a_process_pool_cannot_run_is_refused_by_name(folders, pool, tmp_path):
    for unsendable in (lambda model: measure(model), partial(measure_and_note, notes=threading.Lock())):
        with pytest.raises(ValueError, match=r"cannot be sent the measurement.*put it into a module"):
            srt.sweep(folders, unsendable, store=tmp_path, executor=pool)
    with (
        ProcessPoolExecutor(2, mp_context=get_context("fork")) as forking,
        pytest.raises(ValueError, match=r"forks.*get_context\('spawn'\)"),
    ):
        srt.sweep(folders, measure, store=tmp_path, executor=forking)
    with pytest.raises(TypeError, match=r"client\.get_executor"):
        executors.check(3, measure)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_notebooks_own_function_is_refused_by_name(pool, monkeypatch):
    """As in a kernel, whose main module is no file."""
    main = sys.modules["__main__"]
    monkeypatch.delattr(main, "__file__", raising=False)  # a worker of pytest-xdist has none
    monkeypatch.setattr(main, "typed_in", None, raising=False)
    exec("def typed_in(model, steps): ...", vars(main))
    with pytest.raises(ValueError, match="defined in a notebook; put it into a module"):
        executors.check(pool, partial(main.typed_in, steps=5))


def test_a_worker_that_cannot_write_says_why(folders, tmp_path):
    store = Store(tmp_path / "store")
    assert "a disk that all of them share" in store.unusable_here()
    store.claim(marks.mark(measure))
    assert store.unusable_here() == ""
    mark = tmp_path / "store" / "sweep.json"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "srtoolkit": "0.0.1"}))
    assert "has srtoolkit" in store.unusable_here() and "the sweep 0.0.1" in store.unusable_here()


@pytest.mark.slow
def test_a_result_that_shows_late_is_waited_for(tmp_path, monkeypatch):
    store = Store(tmp_path)
    late = threading.Timer(0.7, store.file("a").touch)
    late.start()
    assert store.await_file("a") == ""
    monkeypatch.setattr("srtoolkit.sweeps.store._SHOWS_WITHIN", 0.0)
    assert "does not show here" in store.await_file("b")


@pytest.mark.slow
def test_a_closed_executor_is_the_callers_error_and_costs_nothing(folders, tmp_path):
    with ThreadPoolExecutor(1) as threads:
        pass
    with pytest.raises(RuntimeError, match="after shutdown"):
        srt.sweep(folders[:1], measure, store=tmp_path, executor=threads)
    assert srt.sweep(folders[:1], measure, store=tmp_path)["error"].values.tolist() == [""]
