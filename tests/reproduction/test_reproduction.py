"""Reproducing the paper's figures: all of them, after any end of the process, the paper's numbers beside them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import srtoolkit as srt
from checkpoints_on_disk import save_tiny
from srtoolkit import results
from srtoolkit.__main__ import app
from srtoolkit.analysis.estimates import Estimate
from srtoolkit.profiles import PROFILES
from srtoolkit.reproduction import casting, comparing, planning, running
from srtoolkit.reproduction.casting import Cast
from srtoolkit.reproduction.figures import find_figures

ROOT = Path(__file__).parents[2]
PROSE = sorted((ROOT / "srtoolkit/prompts/data/prose").glob("*.txt"))


#: One figure of each kind, and those planes that say which prompts are whose.
SOME = ["1", "2", "3", "4", "5", "13", "22", "23", "24", "25", "26", "table1"]


def tiny_profile(folder, **changes):
    """The profile ``quick`` in miniature; its main model is a folder with eight random blocks."""
    sizes = {"pairs": 6, "many_pairs": 9, "sweep_pairs": 5, "resolution": 5, "outside": folder, "model": folder}
    return replace(PROFILES["quick"], **{**sizes, "families": {"nano": ("nano-0.4m", "nano-0.7m")}, **changes})


def invoke(profile, output, *figures):
    """The command with a profile of our own in the place of ``quick``."""
    chosen = [word for figure in figures for word in ("-f", figure)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "quick", profile)
        return CliRunner().invoke(
            app, ["reproduce", "janiak2024", *chosen, "-o", str(output)], env={"COLUMNS": "200", "NO_COLOR": "1"}
        )


def contents(output):
    """Everything that a reproduction left for its reader, in a form that can be compared."""
    found = {path.name: results.load(path) for path in output.glob("*.nc")}
    return found | {path.name: path.read_bytes() for path in output.iterdir() if path.suffix in (".png", ".csv")}


def same(first, second):
    return first.keys() == second.keys() and all(
        value.identical(second[name]) if isinstance(value, xr.Dataset) else value == second[name]
        for name, value in first.items()
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("reproduced") / "eight", num_hidden_layers=8))


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """Figures of all kinds, made without an interruption."""
    output = tmp_path_factory.mktemp("whole")
    return output, invoke(tiny_profile(folder), output, *SOME)


@pytest.mark.slow
def test_every_kind_of_figure_is_made_with_its_numbers_and_the_papers(whole):
    output, done = whole
    assert done.exit_code == 0, done.output
    for figure in find_figures("janiak2024", SOME):
        numbers = srt.load(output / f"{figure.stem}.nc")
        assert numbers.attrs["figure"] == figure.name and numbers.attrs["profile"] == "quick"
        table = pd.read_csv(output / f"{figure.stem}.csv")
        has_paper = figure.key in ("2", "3", "4", "23", "25", "26")
        assert table["paper"].notna().any() == has_paper, figure.name
        assert table["agrees"].isna().all(), "a stand-in's number need not be the paper's"
    assert not [path for path in output.rglob("*") if path.name.endswith(".part")]


@pytest.mark.slow
def test_figure_1_is_figure_13_and_measured_once(whole):
    output, done = whole
    first, again = (srt.load(output / f"figure-{number}.nc") for number in ("01", "13"))
    assert first["distance"].identical(again["distance"])
    assert len(re.findall(r"nano-1m@step0: slice-08 measured", done.output)) == 1
    assert len(list((output / "measurements").glob("slice-*"))) == 3


@pytest.mark.slow
def test_a_slice_is_the_librarys_own_through_the_right_prompts(whole):
    model = srt.load_model("nano-1m", revision="step2400")
    drawn = srt.sample_pairs(model, 19, consecutive=True)
    alone = srt.slice_plane(model, [*drawn.tokens_a, drawn.tokens_b[-1]][17:20], resolution=5, reads="final_norm")
    shown = srt.load(whole[0] / "figure-22.nc").sel(model="nano-1m@step2400")
    np.testing.assert_array_equal(shown["distance"], alone["distance"])


@pytest.mark.slow
def test_numbers_are_the_librarys_own(whole, folder):
    output, _ = whole
    model = srt.load_model(folder)
    sharp = srt.sharpness(
        srt.interpolate(model, srt.sample_pairs(model, 6, consecutive=True), reads="final_norm", layer=6)
    )
    expected = srt.summarise(sharp).sel(quantity="max_slope")
    numbers = srt.load(output / "figure-24.nc")
    assert numbers["max_slope_median"].item() == expected["median"].item()
    row = pd.read_csv(output / "figure-24.csv").iloc[0]
    assert (row["ours"], row["quantity"]) == (expected["median"].item(), "median largest slope")
    assert np.isnan(row["paper"]), "nothing was read off Fig. 24"
    deviating = pd.read_csv(output / "figure-23.csv").iloc[0]
    assert deviating["paper"] == 8.04 and deviating["paper_model"] == "Qwen2-1.5B"
    assert deviating["deviation"] == pytest.approx(deviating["ours"] - 8.04)
    assert deviating["ratio"] == pytest.approx(deviating["ours"] / 8.04)


@pytest.mark.slow
def test_the_page_says_what_stands_in_and_refers_to_files_that_are_there(whole):
    output, _ = whole
    page = (output / "index.html").read_text()
    assert "weights in another order" in page and "weights in another order" in " ".join(whole[1].output.split())
    assert "Stand-ins" in page and page.count("not made yet") == 27 - len(SOME)
    links = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert len(links) == 3 * len(SOME)
    assert all((output / link).is_file() for link in links)


@pytest.mark.slow
def test_after_a_kill_only_what_is_missing_is_measured(whole, folder, tmp_path):
    code = f"""
        import sys
        from dataclasses import replace
        from pathlib import Path
        import matplotlib
        from jaxtyping import install_import_hook
        install_import_hook("srtoolkit", "beartype.beartype")  # as here; other code is another measurement
        from srtoolkit.reproduction import figures, running
        from srtoolkit.profiles import PROFILES
        matplotlib.use("agg")
        profile = replace(PROFILES["quick"], pairs=6, many_pairs=9, sweep_pairs=5, resolution=5, outside={folder!r},
                          model={folder!r}, families={{"nano": ("nano-0.4m", "nano-0.7m")}})
        chosen = figures.find_figures("janiak2024", ["1", "3", "5", "22", "26"])
        running.reproduce(chosen, profile, Path({str(tmp_path)!r}), say=lambda line: print(line, flush=True))
    """
    code = "\n".join(line[8:] for line in code.splitlines())
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        measured = 0
        for line in process.stdout:
            measured += "measured" in line
            if measured == 7:
                process.send_signal(signal.SIGKILL)
                break
    assert process.wait() == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("measurements/*/*.nc")}
    assert 7 <= len(before) < 20
    done = invoke(tiny_profile(folder), tmp_path, "1", "3", "5", "22", "26")
    assert done.exit_code == 0, done.output
    after = list(tmp_path.glob("measurements/*/*.nc"))
    assert len(re.findall("measured in", done.output)) == len(after) - len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    made = {name: value for name, value in contents(whole[0]).items() if name in contents(tmp_path)}
    assert len(made) == 15 and same(contents(tmp_path), made)


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(folder, tmp_path, monkeypatch, request):
    write, saved = results.write, []

    def interrupted_after(dataset, path, instead):
        found = write(dataset, path, instead)
        saved.append(path)
        if len(saved) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return found

    monkeypatch.setattr(results, "write", interrupted_after)
    # A process that was started in a shell's background ignores Ctrl-C, and so does this one's Python.
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, heeded))
    profile = tiny_profile(folder)
    stopped = invoke(profile, tmp_path, "table1", "2", "24")  # the table, then two measurements
    assert stopped.exit_code == 130 and "the same command goes on" in stopped.output
    assert (tmp_path / "table1.png").exists() and "not made yet" in (tmp_path / "index.html").read_text()
    kept = set(tmp_path.glob("measurements/*/*.nc"))
    assert len(kept) == 2
    done = invoke(profile, tmp_path, "table1", "2", "24")
    assert done.exit_code == 0 and "measured in" not in done.output
    assert set(tmp_path.glob("measurements/*/*.nc")) == kept


@pytest.mark.slow
def test_a_figure_that_fails_is_named_and_the_others_are_made(folder, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    done = invoke(tiny_profile(folder, outside=str(broken)), tmp_path / "out", "2", "3")
    assert done.exit_code == 1
    assert "Fig. 3 failed: ValueError: cannot load" in " ".join(done.output.split())
    assert (tmp_path / "out/figure-02.nc").exists() and not (tmp_path / "out/figure-03.nc").exists()
    page = (tmp_path / "out/index.html").read_text()
    assert 'class="failed">failed: ValueError: cannot load' in page
    mended = invoke(tiny_profile(folder), tmp_path / "out", "3")
    assert mended.exit_code == 0 and "nano-0.4m" not in "".join(re.findall(".*measured in", mended.output))


@pytest.mark.slow
def test_what_other_settings_or_another_version_made_is_not_used(folder, tmp_path, monkeypatch):
    profile = tiny_profile(folder)
    assert invoke(profile, tmp_path, "24").exit_code == 0
    more = invoke(replace(profile, pairs=7), tmp_path, "24")
    assert "curves measured in" in more.output
    assert srt.load(tmp_path / "figure-24.nc")["max_slope_n"].item() == 7
    (outcome,) = running.prepare(find_figures("janiak2024", ["24"]), Cast(profile))
    assert planning.missing_jobs([outcome], tmp_path) == []
    page = invoke(profile, tmp_path, "table1") and (tmp_path / "index.html").read_text()
    assert 'href="#figure-24"' not in page, "the figure in the folder is of other settings"
    monkeypatch.setattr("srtoolkit.reproduction.measurements.__version__", "9.9")
    assert len(planning.missing_jobs([outcome], tmp_path)) == 1


def test_the_plan_counts_what_is_missing(folder, tmp_path):
    outcomes = running.prepare(find_figures("janiak2024", ["2", "3", "23"]), Cast(tiny_profile(folder)))
    table = planning.list_figures(outcomes, tmp_path).set_index("figure")
    assert table["measurements"].tolist() == [1, 3, 1] and not table["there"].any()
    jobs = planning.missing_jobs(outcomes, tmp_path)
    assert len(jobs) == 4, "Fig. 23 shows a measurement of Fig. 3"
    costs = planning.estimate(jobs, calibrate=0.0).set_index(["what", "model"])
    assert costs.loc[("total", ""), "times"] == 4
    several = costs.loc[("curves, 5 pairs × 50 steps, 10 tokens, after block 0", "nano-0.4m"), "forward_tokens"]
    assert several >= 5 * 50
    assert costs["forward_tokens"].iloc[:-1].sum() == costs.loc[("total", ""), "forward_tokens"]


def test_rows_agree_where_the_papers_number_is_within_interval_and_reading():
    def agrees(paper, low=4.0, high=5.0, alike=True):
        return comparing.Row("slope", "m", Estimate(4.5, low, high), "p", paper, 0.05, alike).agrees

    assert [agrees(paper) for paper in (3.94, 3.96, 5.04, 5.06)] == ["no", "yes", "yes", "no"]
    assert agrees(4.5, alike=False) == agrees(None) == ""
    alone = float("nan")
    assert (agrees(4.54, alone, alone), agrees(4.56, alone, alone)) == ("yes", "no")


def test_quantiles_and_mean_leave_excluded_pairs_out():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan])
    sharp = xr.Dataset(
        {"slope": ("pair", values), "excluded": ("pair", np.isnan(values)), "prompt_a": ("pair", np.arange(6)),
         "prompt_b": ("pair", np.arange(6) + 6)}
    )  # fmt: skip
    rows = comparing.quantile_rows(
        sharp, "slope", "slope", "m", "p", {"q05": 1, "q25": 2, "q50": 6, "q75": 4, "q95": 5, "mean": 3, "min": 0,
                                            "max": 9}, scale=2.0)  # fmt: skip
    table = comparing.as_table(rows).set_index("quantity")
    assert table.loc["slope, median", ["ours", "paper", "deviation", "ratio"]].tolist() == [3, 3, 0, 1]
    assert table.loc["slope, mean", "ours"] == 3 and table.loc["slope, max", ["ours", "paper"]].tolist() == [5, 4.5]
    assert table.loc["slope, median", "low"] < 3 < table.loc["slope, median", "high"]
    assert table.loc["slope, min", ["low", "high"]].isna().all()


def add_repository(root, name, branches, **shape):
    """A model repository as the hub's client lays it out: a snapshot and a reference for each branch."""
    repository = root / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    for seed, branch in enumerate(branches):
        commit = f"{len(name)}{seed + 1:039x}"
        save_tiny(repository / "snapshots" / commit, seed=seed, max_position_embeddings=128, **shape)
        (repository / "refs" / branch).write_text(commit)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The paper's models, their training checkpoints, and its data set, all in miniature, in a cache without a hub."""
    root = tmp_path / "hub"
    seen_by = {"1B": (0, 4, 10, 31, 100, 500, 1000, 3049), "7B": (0, 10, 27, 50, 100, 251, 502, 796, 990)}
    for blocks, (size, seen) in enumerate(seen_by.items(), start=2):
        branches = ["main", *(f"step{number}-tokens{billions}B" for number, billions in enumerate(seen))]
        add_repository(root, f"allenai/OLMo-{size}-0724-hf", branches, family="olmo", num_hidden_layers=blocks)
    for size, blocks in {"0.5B": 2, "1.5B": 8, "7B": 3}.items():
        add_repository(root, f"Qwen/Qwen2-{size}", ["main"], family="qwen2", num_hidden_layers=blocks)
    data = root / "datasets--sedthh--gutenberg_english"
    (data / "snapshots/1/data").mkdir(parents=True)
    (data / "refs").mkdir()
    (data / "refs/main").write_text("1")
    books = pd.DataFrame({"TEXT": [path.read_text()[:3000] for path in PROSE]})
    books.to_parquet(data / "snapshots/1/data/train-00000-of-00037-abc.parquet")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(root))
    casting._checkpoints.cache_clear()
    yield root
    casting._checkpoints.cache_clear()


@pytest.mark.slow
def test_the_profile_paper_takes_the_papers_models_revisions_and_settings(hub, tmp_path):
    profile = replace(PROFILES["paper"], pairs=6, many_pairs=8, sweep_pairs=6, resolution=5)
    figures = find_figures("janiak2024", ["1", "2", "3", "4", "23", "24", "25", "26", "table1"])
    outcomes = running.reproduce(figures, profile, tmp_path / "out")
    assert [outcome.error for outcome in outcomes] == [""] * 9
    planes = srt.load(tmp_path / "out/figure-01.nc")
    olmo = "allenai/OLMo-7B-0724-hf"
    wanted = [f"{olmo}@step{step}-tokens{seen}B" for step, seen in ((0, 0), (3, 50), (5, 251), (7, 796))]
    assert planes["model"].values.tolist() == [*wanted, olmo]
    assert all(planes["commit"].values) and planes.attrs["layer"] == 0
    training = srt.load(tmp_path / "out/figure-04.nc")
    assert training.sizes == {"model": 15, "alpha": 50}, "the paper's 4 billion are nearest to 0, which is taken"
    assert "gutenberg" in training.attrs["prompts"]
    assert srt.load(tmp_path / "out/figure-26.nc").attrs["steps"] == 30
    judged = pd.read_csv(tmp_path / "out/figure-03.csv").query("quantity == 'median largest slope'")
    assert set(judged["paper_model"]) == {"OLMo-1B", "OLMo-7B", "Qwen2-0.5B", "Qwen2-1.5B", "Qwen2-7B"}
    assert set(judged["agrees"]) == {"no"}, "random weights have no regions"
    table = pd.read_csv(tmp_path / "out/table1.csv")
    assert len(table) == 5 * 7 and table["agrees"].isin(["yes", "no"]).all()


def test_without_a_hub_the_figures_that_need_one_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    casting._checkpoints.cache_clear()
    outcomes = running.prepare(find_figures("janiak2024", ["1", "2"]), Cast(PROFILES["paper"]))
    assert outcomes[0].state == "failed" and "allenai/OLMo-7B-0724-hf has no branches" in outcomes[0].error
    assert outcomes[1].state == "waiting"


def test_a_plan_needs_no_hub(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    casting._checkpoints.cache_clear()
    assumed = casting.AssumedCheckpoints()
    outcomes = running.prepare(find_figures("janiak2024", ["1", "4"]), Cast(PROFILES["paper"], assumed))
    assert set(assumed.models) == {"allenai/OLMo-7B-0724-hf", "allenai/OLMo-1B-0724-hf"}
    assert not any(outcome.error for outcome in outcomes)
    jobs = planning.missing_jobs(outcomes, tmp_path)
    seen = [
        len(digits) for digits in srt.reference.janiak2024()["digitised"]["fig4c_median_max_slope_by_tokens_b"].values()
    ]
    assert len(jobs) == 5 + sum(seen)
    costs = planning.estimate(jobs, calibrate=0.0).set_index(["what", "model"])
    assert costs.loc[("total", ""), "download_bytes"] > 16 * 4e9
    assert running.prepare(find_figures("janiak2024", ["1"]), Cast(PROFILES["paper"]))[0].error, "a run needs it still"
