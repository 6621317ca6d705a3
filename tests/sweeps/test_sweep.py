"""Sweeps: what is measured is kept, whatever happens; a second call measures only what is missing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial
from pathlib import Path

import huggingface_hub
import pytest
import torch
import xarray as xr

import srtoolkit as srt
from checkpoints_on_disk import save_tiny
from srtoolkit.models.hub import cache
from srtoolkit.models.sources import announce
from srtoolkit.sweeps.members import arguments_of, label
from srtoolkit.sweeps.store import Store

PAIRS = [("the cat sat", "a dog ran"), ("rain", "snow falls")]


def measure(model, steps=5):
    return srt.sharpness(srt.interpolate(model, PAIRS, steps=steps, reads="final_norm"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return [str(save_tiny(root / f"tiny{seed}", seed=seed)) for seed in range(4)]


@pytest.mark.slow
def test_a_result_has_every_model_in_order_and_says_what_it_was(folders, tmp_path):
    members = [*folders[:2], {"name": folders[0], "init": "random", "seed": 3}]
    found = srt.sweep(members, measure, store=tmp_path)
    assert found["model"].values.tolist() == [label(member) for member in members]
    assert found["max_slope"].dims == ("model", "pair")
    for index, member in enumerate(members):
        alone = measure(srt.load_model(**(member if isinstance(member, dict) else {"name": member})))
        assert found["max_slope"][index].values.tolist() == alone["max_slope"].values.tolist()
        assert found["fingerprint"].values[index] == alone.attrs["fingerprint"]
    assert found["parameters"].dims == found["revision"].dims == ("model",)
    assert not any(found["error"].values)
    assert found.attrs["steps"] == 5 and "model" not in found.attrs
    srt.save(found, tmp_path / "joined.nc")
    xr.testing.assert_identical(found, srt.load(tmp_path / "joined.nc"))


def test_a_measurement_may_join_a_model_and_its_nulls(folders, tmp_path):
    def beside(model):
        null = srt.null_model(model, "permuted", seed=1)
        return srt.concat({"own": measure(model), "permuted": measure(null)}, "weights")

    found = srt.sweep(folders[:2], beside, store=tmp_path)
    assert found["max_slope"].dims == ("model", "weights", "pair")
    assert found["model"].values.tolist() == [label(folder) for folder in folders[:2]]
    assert found["name"].sel(weights="permuted").values.tolist() == [f"{folder} permuted 1" for folder in folders[:2]]
    null = srt.null_model(srt.load_model(folders[1]), "permuted", seed=1)
    assert found["max_slope"][1].sel(weights="permuted").values.tolist() == measure(null).max_slope.values.tolist()


@pytest.mark.slow
def test_a_second_call_loads_no_model(folders, tmp_path, monkeypatch):
    first = srt.sweep(folders[:2], measure, store=tmp_path)
    monkeypatch.setattr("srtoolkit.sweeps.tasks.load_model", lambda **_: pytest.fail("measured again"))
    assert srt.sweep(folders[:2], measure, store=tmp_path).identical(first)
    assert srt.sweep(folders[1::-1], measure, store=tmp_path)["model"].values.tolist() == folders[1::-1]


@pytest.mark.slow
def test_a_failed_model_is_recorded_and_tried_again(folders, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    found = srt.sweep([folders[0], str(broken), folders[1]], measure, store=tmp_path / "store")
    errors = dict(zip(found["model"].values, found["error"].values, strict=True))
    assert errors[folders[0]] == errors[folders[1]] == ""
    assert "cannot load" in errors[str(broken)]
    assert found["max_slope"].isel(model=1).isnull().all() and found["max_slope"].isel(model=2).notnull().all()
    assert found["revision"].values[1] == "" and found["parameters"].values[1] == -1
    (report,) = (tmp_path / "store").glob("*.error.txt")
    assert "Traceback" in report.read_text()
    save_tiny(broken, seed=9)
    again = srt.sweep([folders[0], str(broken), folders[1]], measure, store=tmp_path / "store")
    assert not any(again["error"].values) and not list((tmp_path / "store").glob("*.error.txt"))


def test_when_all_fail_the_sweep_does(tmp_path):
    with pytest.raises(RuntimeError, match="every model failed"):
        srt.sweep(["no/such-model"], measure, store=tmp_path)


@pytest.mark.slow
def test_two_names_of_the_same_weights_are_refused_by_name(folders, tmp_path):
    twin = save_tiny(tmp_path / "twin", seed=0)
    with pytest.raises(ValueError, match=r"tiny0.*twin.*same weights"):
        srt.sweep([*folders[:2], str(twin)], measure, store=tmp_path / "store")
    assert len(list((tmp_path / "store").glob("*.nc"))) == 3
    with pytest.raises(ValueError, match=r"tiny0.*twin.*same weights"):
        srt.sweep([*folders[:2], str(twin)], measure, store=tmp_path / "store")


def test_a_store_belongs_to_one_measurement(folders, tmp_path):
    srt.sweep(folders[:1], partial(measure, steps=5), store=tmp_path)
    for other in (measure, partial(measure, steps=6), lambda model: measure(model)):
        with pytest.raises(ValueError, match="another measurement"):
            srt.sweep(folders[:1], other, store=tmp_path)
    mark = json.loads((tmp_path / "sweep.json").read_text())
    (tmp_path / "sweep.json").write_text(json.dumps({**mark, "srtoolkit": "0.0.1"}))
    with pytest.raises(ValueError, match="or version"):
        srt.sweep(folders[:1], partial(measure, steps=5), store=tmp_path)


@pytest.mark.slow
def test_a_value_that_a_measurement_closes_over_counts(folders, tmp_path):
    def closing(steps):
        return lambda model: measure(model, steps)

    srt.sweep(folders[:1], closing(5), store=tmp_path)
    srt.sweep(folders[:1], closing(5), store=tmp_path)
    with pytest.raises(ValueError, match="another measurement"):
        srt.sweep(folders[:1], closing(6), store=tmp_path)


HELD = ["the cat sat"]


def helped(model):
    return measure(model).assign(held=len(HELD))


def test_a_store_never_gives_old_results_for_new_inputs(folders, tmp_path, monkeypatch):
    found = srt.sweep(folders[:1], helped, store=tmp_path)
    monkeypatch.setitem(globals(), "HELD", ["the cat sat", "rain"])
    with pytest.raises(ValueError, match=r"another measurement, 'helped \w+': HELD is another\. Give this sweep"):
        srt.sweep(folders[:1], helped, store=tmp_path)
    monkeypatch.setitem(globals(), "HELD", ["the cat sat"])
    with monkeypatch.context() as patched:
        patched.setitem(globals(), "measure", lambda _: None)
        with pytest.raises(ValueError, match="measure is another"):
            srt.sweep(folders[:1], helped, store=tmp_path)
    assert srt.sweep(folders[:1], helped, store=tmp_path).identical(found)


@pytest.mark.slow
def test_a_resumed_sweep_says_what_it_took_from_the_store(folders, tmp_path, caplog):
    srt.sweep(folders[:1], measure, store=tmp_path)
    assert "taken from" not in caplog.text
    srt.sweep(folders[:2], measure, store=tmp_path)
    assert f"1 of 2 models taken from {tmp_path}." in caplog.text


@pytest.mark.slow
def test_a_mark_of_the_users_own_stands_for_the_measurement(folders, tmp_path):
    lock = threading.Lock()

    def locked(model):
        with lock:
            return measure(model)

    with pytest.raises(TypeError, match=r"uses lock, of type lock.*mark="):
        srt.sweep(folders[:1], locked, store=tmp_path / "store")
    assert not (tmp_path / "store").exists()
    found = srt.sweep(folders[:1], locked, store=tmp_path / "store", mark="locked, first")
    assert srt.sweep(folders[:1], locked, store=tmp_path / "store", mark="locked, first").identical(found)
    with pytest.raises(ValueError, match="its mark is 'locked, first', not 'second'"):
        srt.sweep(folders[:1], locked, store=tmp_path / "store", mark="second")
    for bad in ("", {"other": "x"}):
        with pytest.raises(ValueError, match="mark="):
            srt.sweep(folders[:1], locked, store=tmp_path / "store", mark=bad)
    both = {"a": locked, "b": measure}
    srt.sweep(folders[:1], both, store=tmp_path / "both", mark={"a": "mine"})
    said = {name: json.loads((tmp_path / "both" / name / "sweep.json").read_text()) for name in both}
    assert said["a"]["measure"] == "mine" and "PAIRS" in said["b"]["inputs"]


@pytest.mark.slow
def test_a_store_of_before_inputs_were_compared_is_used_on_the_users_word(folders, tmp_path):
    found = srt.sweep(folders[:1], measure, store=tmp_path)
    said = {"srtoolkit": srt.__version__, "measure": "measure 0123456789ab"}
    (tmp_path / "sweep.json").write_text(json.dumps(said))
    with pytest.raises(ValueError, match=r"may hold results of another.*earlier.*mark='measure 0123456789ab'"):
        srt.sweep(folders[:1], measure, store=tmp_path)
    assert srt.sweep(folders[:1], measure, store=tmp_path, mark="measure 0123456789ab").identical(found)
    assert json.loads((tmp_path / "sweep.json").read_text()) == said


@pytest.mark.slow
def test_twins_are_swept_when_asked_for_and_said_to_be_twins(folders, tmp_path, caplog):
    twin = str(save_tiny(tmp_path / "twin", seed=0))
    found = srt.sweep([folders[0], folders[1], twin], measure, store=tmp_path / "store", allow_same_weights=True)
    assert found["fingerprint"].values[0] == found["fingerprint"].values[2]
    assert found["max_slope"].values[0].tolist() == found["max_slope"].values[2].tolist()
    said = f"100% of its weights are those of {folders[0]}"
    assert found["shared_weights"].values.tolist() == ["", "", said] and f"{twin}: {said}" in caplog.text


@pytest.mark.slow
def test_a_checkpoint_with_one_tensor_of_its_own_is_said_to_share_the_others(folders, tmp_path):
    model = srt.load_model(folders[0])
    largest = max(model.hf.parameters(), key=torch.numel)
    with torch.no_grad():
        largest += 1
    edited = tmp_path / "edited"
    model.hf.save_pretrained(edited)
    model.tokenizer.save_pretrained(edited)
    share = 1 - largest.numel() / model.n_parameters
    found = srt.sweep([*folders[:2], str(edited)], measure, store=tmp_path / "store")
    assert found["shared_weights"].values.tolist() == [
        "", "", f"{int(100 * share)}% of its weights are those of {folders[0]}"
    ]  # fmt: skip


@pytest.mark.parametrize("members", [[], ["a", "a"], ["a@b", {"name": "a", "revision": "b"}], [{"revision": "b"}]])
def test_bad_lists_are_refused(members, tmp_path):
    with pytest.raises(ValueError, match="sweep"):
        srt.sweep(members, measure, store=tmp_path)


def test_a_measurement_that_gives_no_dataset_is_said(folders, tmp_path):
    with pytest.raises(RuntimeError, match=r"must return an xarray\.Dataset, not float"):
        srt.sweep(folders[:1], lambda _: 1.0, store=tmp_path)


@pytest.mark.slow
def test_prompts_of_different_lengths_join(folders, tmp_path):
    def own_pairs(model):
        text = "a" * (3 + model.name.count("1"))
        return srt.interpolate(model, [(text, "bb")], steps=4, reads="final_norm")

    found = srt.sweep(folders[:2], own_pairs, store=tmp_path)
    assert found["tokens_a"].dtype.kind == "i"
    assert (found["tokens_a"].values[:, 0] == -1).sum(axis=1).tolist() == [1, 0]


SCRIPT = """
import sys, torch
torch.set_num_threads(1)
import srtoolkit as srt

def measure(model):
    return srt.interpolate(model, [("the cat sat", "a dog ran")], steps=50, reads=("final_norm", "logits"))

print("ready", flush=True)
srt.sweep(sys.argv[2:], measure, store=sys.argv[1])
"""


@pytest.mark.slow
def test_killed_ten_times_it_loses_at_most_the_model_in_hand(folders, tmp_path):
    """SIGKILL at ten random moments, each anywhere in a run's expected time."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    members = [*folders, *(str(save_tiny(tmp_path / f"more{seed}", seed=seed)) for seed in range(10, 18))]

    def start(store):
        command = [sys.executable, str(script), str(store), *members]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "TQDM_DISABLE": "1"})
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        return process

    began = time.monotonic()
    assert start(tmp_path / "whole").wait() == 0
    expected, rng = time.monotonic() - began, random.Random(0)
    store, written = tmp_path / "killed", {}
    for _ in range(10):
        process = start(store)
        time.sleep(rng.uniform(0, expected / 4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = {path.name: path.stat().st_mtime_ns for path in store.glob("*.nc")}
        assert written.items() <= now.items()  # nothing lost, nothing measured twice
        for name in now:
            srt.load(store / name)
        written = now
    assert start(store).wait() == 0

    def joined(folder: Path) -> xr.Dataset:
        namespace: dict = {}
        exec(compile(SCRIPT.split("print")[0], str(script), "exec"), namespace)
        return srt.sweep(members, namespace["measure"], store=folder)

    assert joined(store).identical(joined(tmp_path / "whole"))


@pytest.mark.slow
def test_revisions_of_a_hub_model(hub_cache, tmp_path):
    found = srt.sweep(["lab/tiny@main", "lab/tiny@step1000"], measure, store=tmp_path)
    assert found["commit"].values.tolist() == [f"{seed:040x}" for seed in (1, 2)]
    assert len(list((hub_cache / "snapshots").iterdir())) == 2  # what was there before is not dropped


def test_what_was_downloaded_for_a_sweep_is_dropped_again(hub_cache):
    commit = cache.cached_commit("lab/tiny", "step1000")
    away = hub_cache.parent / "away"
    (hub_cache / "snapshots" / commit).rename(away)
    for keep, left in ((False, None), (True, commit)):
        with cache.borrowed("lab/tiny", "step1000", keep):
            assert cache.cached_commit("lab/tiny", "step1000") is None
            if away.exists():
                away.rename(hub_cache / "snapshots" / commit)  # as a download would leave it
            else:
                save_tiny(hub_cache / "snapshots" / commit, seed=1)
                (hub_cache / "refs" / "step1000").write_text(commit)
        assert cache.cached_commit("lab/tiny", "step1000") == left
    assert cache.cached_commit("lab/tiny", "main") is not None


def test_checkpoints_are_found_by_tokens(hub_cache):
    for branch in ("step500-tokens2B", "step1000-tokens4B", "step7500-tokens31B"):
        (hub_cache / "refs" / branch).write_text("1".zfill(40))
    every = {"step500-tokens2B": 2e9, "step1000-tokens4B": 4e9, "step7500-tokens31B": 31e9}
    assert srt.checkpoints("lab/tiny") == every
    assert list(srt.checkpoints("lab/tiny")) == list(every)
    assert srt.checkpoints("lab/tiny", [0.0, 30e9, 1e12]) == {"step500-tokens2B": 2e9, "step7500-tokens31B": 31e9}
    with pytest.raises(ValueError, match="no branches named"):
        srt.checkpoints("lab/none")


def test_the_disk_a_sweep_needs_is_said(monkeypatch, caplog):
    files = [type("File", (), {"rfilename": name, "size": 3_000_000_000}) for name in ("a.safetensors", "b.bin")]
    info = type("Info", (), {"siblings": files})
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
    announce([("lab/big", "step1"), ("lab/big", "step2"), ("smollm2-135m", None)])
    assert "2 of these models are fetched from the hub" in caplog.text
    assert "up to 3.0 GB at a time" in caplog.text and "6.0 GB in all" in caplog.text


@pytest.mark.slow
def test_several_measurements_load_each_model_once(folders, tmp_path, monkeypatch):
    loaded = []

    def counted(**arguments):
        loaded.append(arguments["name"])
        return srt.load_model(**arguments)

    monkeypatch.setattr("srtoolkit.sweeps.tasks.load_model", counted)
    both = {"coarse": measure, "fine": partial(measure, steps=9)}
    found = srt.sweep(folders[:2], both, store=tmp_path / "both")
    assert loaded == folders[:2]
    for name, one in both.items():
        assert found[name].identical(srt.sweep(folders[:2], one, store=tmp_path / "alone" / name))
    loaded.clear()
    assert srt.sweep(folders[:2], both["fine"], store=tmp_path / "both" / "fine").identical(found["fine"])
    assert srt.sweep(folders[:2], both, store=tmp_path / "both")["coarse"].identical(found["coarse"])
    assert not loaded


@pytest.mark.slow
def test_a_measurement_that_fails_costs_no_other_its_result(folders, tmp_path):
    def fails_on_one(model):
        if model.name == folders[1]:
            raise ArithmeticError("not on this one")
        return measure(model)

    both = {"fails": fails_on_one, "works": measure}
    found = srt.sweep(folders[:2], both, store=tmp_path)
    assert found["works"]["error"].values.tolist() == ["", ""]
    assert found["fails"]["error"].values.tolist() == ["", "ArithmeticError: not on this one"]
    assert "Traceback" in next((tmp_path / "fails").glob("*.error.txt")).read_text()
    with pytest.raises(RuntimeError, match=r"every model failed in 'fails'.*not on this one"):
        srt.sweep(folders[1:2], both, store=tmp_path)


@pytest.mark.parametrize("measures", [{}, {"": measure}, {"../up": measure}, {".hidden": measure}])
def test_names_that_cannot_name_a_folder_are_refused(measures, folders, tmp_path):
    with pytest.raises(ValueError, match="measurement"):
        srt.sweep(folders[:1], measures, store=tmp_path)


@pytest.mark.slow
def test_a_folder_with_an_at_in_its_name_is_one_model(tmp_path):
    folder = str(save_tiny(tmp_path / "me@lab" / "tiny@2"))
    found = srt.sweep([folder], measure, store=tmp_path / "store")
    assert found["model"].values.tolist() == [folder] and found["error"].values.tolist() == [""]
    assert arguments_of(str(tmp_path / "me@lab" / "gone")) == {"name": str(tmp_path / "me@lab" / "gone")}
    assert arguments_of("lab/tiny@refs/pr/1") == {"name": "lab/tiny", "revision": "refs/pr/1"}


@pytest.mark.slow
@pytest.mark.parametrize(("harm", "said"), [(Path.unlink, "has not been"), (lambda file: file.write_text(""), "damag")])
def test_a_store_that_is_only_read_says_what_it_lacks(harm, said, folders, tmp_path):
    found = srt.sweep(folders[:2], measure, store=tmp_path)
    store = Store(tmp_path)
    assert store.read(folders[:2]).identical(found)
    harm(store.file(folders[1]))
    with pytest.raises(ValueError, match=rf"1 of 2 results.*tiny1.*{said}"):
        store.read(folders[:2])
    assert not store.holds(folders[1]) and store.holds(folders[0])


@pytest.mark.slow
def test_a_list_that_a_measurement_appends_to_is_not_another_input(folders, tmp_path):
    """As the measurement left it, the list is the sweep's own; as anybody else made it, it is another."""
    seen = []

    def noting(model):
        seen.append(model.name)
        return measure(model)

    found = srt.sweep(folders[:1], noting, store=tmp_path)
    both = srt.sweep(folders[:2], noting, store=tmp_path)
    assert seen == folders[:2] and both.isel(model=[0])["max_slope"].equals(found["max_slope"])
    seen.append("by hand")
    with pytest.raises(ValueError, match="seen is another"):
        srt.sweep(folders[:2], noting, store=tmp_path)
    seen.clear()
    assert srt.sweep(folders[:2], noting, store=tmp_path)["error"].values.tolist() == ["", ""] and not seen
