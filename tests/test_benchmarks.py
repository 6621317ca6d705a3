"""The benchmarks, on a tiny model: all ways do the same work, what differs is void, and rows survive the file."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import srtoolkit as srt
from benchmarks import __main__ as command
from benchmarks import breakdown, gpu, machine, memory, picture, roofline, scaling, table, work
from benchmarks.contestants import WAYS, PlainHooks
from benchmarks.timing import contestants, difference, measure, running
from checkpoints_on_disk import save_tiny

CURVES = work.Work("curves", 6, 7, {"none": (2, 7), "prefix": (3, 7), "srtoolkit": (3, 7)})
SLICE = work.Work("slice", 6, 1 + 4**2, {"none": (1, 9), "prefix": (3, 17), "srtoolkit": (3, 10)})
GATES = work.Work("gates", 6, 7, {"none": (2, 7), "prefix": (3, 7), "srtoolkit": (3, 7)})
DEEPER = work.Work("layers", 6, 60, {"none": (1, 60), "prefix": (1, 60), "srtoolkit": (1, 60)}, layer=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("benchmarks") / "llama")


@pytest.fixture(scope="module")
def model(folder):
    return srt.load_model(str(folder))


@pytest.fixture(scope="module")
def ways(folder):
    return [way(folder) for way in command.available()]


@pytest.fixture(scope="module")
def curves(model):
    return work.prepare(model, CURVES)


@pytest.mark.parametrize("one", [CURVES, SLICE, GATES, DEEPER], ids=lambda one: one.kind)
@pytest.mark.slow
def test_everybody_gets_the_same(model, ways, curves, one):
    problem = curves if one is CURVES else work.prepare(model, one)
    products = roofline.MatrixProducts(ways[0].hf)
    those = contestants(model, ways, one, problem)
    rows = measure(one, those, running(ways[0], one, problem), products, ways[0].hf.config, repeats=1)
    differ = {row.contestant: row.difference for row in rows if row.contestant != table.ROOFLINE}
    assert set(differ) == {way.name for way in ways} | {one.name for one in those if one.summarised}
    assert all(value <= table.AGREEMENT for value in differ.values()), differ


@pytest.mark.slow
def test_a_wrong_result_is_void_and_stays_out_of_the_figures(model, ways, curves):

    class Careless(PlainHooks):
        name = "careless"

        def __init__(self, right):
            self.hf = right.hf

        def _outputs(self, ids, points, layer):
            return super()._outputs(ids, points * (1 + 1e-2), layer)

    ways = [*ways, Careless(ways[0])]
    products = roofline.MatrixProducts(ways[0].hf)
    those = contestants(model, ways, CURVES, curves)
    rows = measure(CURVES, those, running(ways[0], CURVES, curves), products, ways[0].hf.config, repeats=2)
    found = table.compare(pd.DataFrame([vars(row) for row in rows])).set_index("contestant")
    assert list(found.index[found["void"]]) == ["careless"]
    assert math.isnan(found.loc["careless", "ms_a_point"]) and found.loc["plain hooks", "ms_a_point"] > 0
    (line,) = [
        line for line in table.render(pd.DataFrame([vars(row) for row in rows])).splitlines() if "careless" in line
    ]
    assert "void" in line


def test_a_result_that_is_not_a_number_is_never_equal():
    expected = torch.ones(1, 2, 3)
    found = expected.clone()
    assert difference(CURVES, found, expected) == 0
    found[0, 1, 2] = math.nan
    assert not difference(CURVES, found, expected) <= table.AGREEMENT


def test_needed_operations_are_those_that_a_counter_sees(folder):
    """One context of one token: every point runs through the blocks behind the patch and sees itself alone."""
    hf = PlainHooks(folder).hf
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        hf.model(torch.tensor([[5]]))
    linear = sum(2 * part.weight.numel() for part in hf.model.layers.modules() if isinstance(part, nn.Linear))
    blocks = hf.config.num_hidden_layers
    found = roofline.needed(hf.config, 1, 1, 7, 0)
    assert found.linear == pytest.approx(7 * linear * (blocks - 1) / blocks)
    assert counter.get_total_flops() >= linear
    more = roofline.needed(hf.config, 1, 9, 7, 0)
    prefix = more.linear - found.linear
    assert (blocks - 1) / blocks * 8 * linear < prefix < 8 * linear
    assert more.attention > 9 * found.attention
    assert roofline.needed(hf.config, 3, 9, 7, 0).total == pytest.approx(3 * more.total)


def rows(seconds_of, kind="points", tokens=10, layer=0):
    """Rows of srt.patch whose times follow a law."""
    found = []
    for points in (50, 500, 5000):
        one = work.Work(kind, tokens, points, {"srtoolkit": (1, points)}, layer)
        for repeat in range(3):
            noise = 1 + 0.01 * repeat
            found.append(table.Row.of(one, table.OURS, 1, points, repeat, seconds_of(points) * noise, 0.2 * points))
            found[-1].difference = 1e-6
    one = work.Work(kind, tokens, 50, {"srtoolkit": (1, 50)}, layer)
    return [*found, table.Row.of(one, table.ROOFLINE, 0, 0, 0, 1.0, 250.0)]


def test_a_power_is_recovered_with_its_interval():
    x, y = scaling.varied(pd.DataFrame([vars(row) for row in rows(lambda k: 3e-4 * k**0.9)]), blocks=30)["points"]
    found = scaling.fit(x, y)
    assert found.low < 0.9 < found.high < found.low + 0.02
    assert found.exponent == pytest.approx(0.9, abs=1e-9)
    np.testing.assert_allclose(scaling.line(x, 0.5 + 3e-3 * x), (0.5, 3e-3, 0), atol=1e-9)
    np.testing.assert_allclose(found.at(np.array([100.0])), 3e-4 * 100**0.9, rtol=0.02)


def test_a_further_point_does_not_count_the_prefix():
    made = rows(lambda k: 7 + 0.002 * k, "length", 10) + rows(lambda k: 700 + 0.003 * k, "length", 256)
    found = scaling.further_point(pd.DataFrame([vars(row) for row in made]))
    np.testing.assert_allclose(found["ms"], [2, 3])
    assert "1.50 times the time" in scaling.render(pd.DataFrame([vars(row) for row in made]), 30)


def test_the_fastest_run_counts_and_its_share_of_the_roofline(tmp_path):
    file = tmp_path / "new" / "one.csv"
    about = {"processor": "one: two", "threads": "2"}
    table.write(rows(lambda k: 1e-3 * k), about, file)
    found, described = table.read(file)
    assert described == about
    assert len(found) == 10 and len(file.read_text().splitlines()) == 2 + 1 + 10
    compared = table.compare(found)
    np.testing.assert_allclose(compared["ms_a_point"], 1)
    np.testing.assert_allclose(compared["spread"], 0.02, rtol=1e-3)
    np.testing.assert_allclose(compared["roofline"], 0.2 / 1e-3 / 250)
    np.testing.assert_allclose(compared["times_ours"], 1)


def test_the_profile_accounts_for_the_whole_run(ways, curves):
    patch, config = ways[-1], ways[0].hf.config
    found = breakdown.profiled(CURVES, 3, running(patch, CURVES, curves), config)
    spent = {row.contestant: row.seconds for row in found}
    assert list(spent) == [breakdown.LINEAR, breakdown.ATTENTION, breakdown.ELEMENTWISE, breakdown.BETWEEN]
    assert min(spent[group] for group in (breakdown.LINEAR, breakdown.ATTENTION, breakdown.ELEMENTWISE)) > 0
    assert breakdown.group_of("aten::_scaled_dot_product_flash_attention_for_cpu") == breakdown.ATTENTION
    assert breakdown.group_of("aten::addmm") == breakdown.LINEAR
    assert breakdown.group_of("aten::mul") == breakdown.ELEMENTWISE
    assert sum(row.gflop for row in found) == pytest.approx(roofline.needed(config, 3, 6, 7, 0).total / 1e9)
    said = breakdown.render(pd.DataFrame([vars(row) for row in found]))
    assert said.startswith("srt.patch, 3 curves at 6 tokens: linear maps ")
    shares = [int(share) for share in re.findall(r"(\d+)%", said)]
    assert len(shares) == 4 and 98 <= sum(shares) <= 102


def test_nobody_can_be_faster_than_by_the_matrix_products_alone():
    """Needed are 0.2 GFLOP a point, 0.8 ms at 250 GFLOP/s: four fifths of a time of 1 ms, a tenth of one of 8 ms."""
    made = [row for row in rows(lambda k: 1e-3 * k, "curves") if row.of_points in (0, 50)]
    slow = dataclasses.replace(made[0], contestant="plain hooks", seconds=8e-3 * 50)
    said = breakdown.render(pd.DataFrame([vars(row) for row in [*made, slow]]))
    assert said == "at 10 tokens, matrix products at the fastest rate would be: 1.2 x srt.patch, 10.0 x plain hooks"


# --- what the pages say, against the run that the repository keeps ---

ROOT = Path(__file__).parents[1]


def test_the_gpus_command_holds_all_ways_against_plain_hooks(monkeypatch, tmp_path):
    """On the CPU, where it is the same code; whoever differs is void, and a looser agreement lets TF32 count."""
    tiny = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4}
    monkeypatch.setitem(gpu.SHAPES, "135m", {**tiny, "vocab_size": 4096})
    monkeypatch.setitem(gpu.WORK, "135m", (CURVES,))
    found, about = table.read(gpu.run("135m", "float32", "cpu", tmp_path, repeats=1))
    assert about["precision"] == "float32" and about["gpu"] == "cpu"
    compared = table.compare(found).set_index("contestant")
    named = ["plain hooks", "nnsight trace", "key-value cache", "srt.patch", "srt.interpolate"]
    assert list(compared.index) == named and not compared["void"].any()
    found.loc[found["contestant"] == "srt.patch", "difference"] = 5e-3
    assert table.compare(found).set_index("contestant").loc["srt.patch", "void"]
    assert not table.compare(found, gpu.PRECISIONS["tf32"][1])["void"].any()


@pytest.fixture(scope="module")
def kept():
    return table.read(ROOT / "benchmarks/results/amd-epyc-2-threads.csv")[0]


def rows_of(page, first):
    """Cells of a page's tables, by the first cell of their rows, for rows where that starts so."""
    lines = [line.strip("|").split("|") for line in (ROOT / page).read_text().splitlines() if line.startswith("|")]
    found = {name.strip(): [cell.strip() for cell in cells] for name, *cells in lines}
    return {name: cells for name, cells in found.items() if re.match(first, name)}


def says(cell, *values):
    """Whether the numbers in a cell are these, rounded as it has them."""
    numbers = [number.replace(",", "") for number in re.findall(r"\d[\d,]*\.?\d*", cell)]
    assert len(numbers) == len(values), (cell, values)
    return all(
        abs(float(number) - value) <= 0.51 * 10.0 ** -len(number.partition(".")[2])
        for number, value in zip(numbers, values, strict=True)
    )


def tokens_in(name):
    return int(re.search(r"([\d,]+) tokens", name)[1].replace(",", ""))


def test_the_pages_times_are_those_of_the_kept_run(kept):
    compared = table.compare(kept)
    said = rows_of("docs/how-it-works.md", r"[\d,]+ tokens")
    assert len(said) == 4
    for name, cells in said.items():
        some = compared.query(f"kind == 'curves' and tokens == {tokens_in(name)}").set_index("contestant")
        expected = [*some.loc[[way.name for way in WAYS], "ms_a_point"], 100 * some.loc[table.OURS, "roofline"]]
        assert all(says(cell, value) for cell, value in zip(cells, expected, strict=True)), (name, cells, expected)


def test_the_pages_ratios_are_those_of_the_kept_run(kept):
    compared = table.compare(kept)
    kinds = {"curves,": "curves", "450": "length", "slice": "slice", "gate": "gates"}
    said = rows_of("docs/benchmarks.md", "|".join(f"{kind} " for kind in kinds))
    assert len(said) == 7
    for name, cells in said.items():
        points = "and of_points == 450" if name.startswith("450") else ""
        some = compared.query(f"kind == {kinds[name.split()[0]]!r} and tokens == {tokens_in(name)} {points}")
        ratio = some.set_index("contestant")["times_ours"]
        named = [(cell, ratio[way.name]) for cell, way in zip(cells, WAYS[:-1], strict=True) if cell]
        assert named and all(says(cell, value) for cell, value in named), (name, named)


def test_the_pages_profile_is_that_of_the_kept_run(kept):
    compared = table.compare(kept).query("kind == 'curves'").set_index(["tokens", "contestant"])
    said = rows_of("docs/benchmarks.md", r"[\d,]+ tokens")
    assert len(said) == 4
    for name, (limit, linear, *others) in said.items():
        tokens = tokens_in(name)
        spent = kept[(kept["kind"] == breakdown.KIND) & (kept["tokens"] == tokens)].set_index("contestant")
        share, work = 100 * spent["seconds"] / spent["seconds"].sum(), spent.loc[breakdown.LINEAR]
        assert says(linear, share[breakdown.LINEAR], work["gflop"] / work["seconds"])
        groups = (breakdown.ATTENTION, breakdown.ELEMENTWISE, breakdown.BETWEEN)
        assert all(says(cell, share[group]) for cell, group in zip(others, groups, strict=True)), (name, others)
        ours, plain = compared.loc[(tokens, table.OURS)], compared.loc[(tokens, "plain hooks")]
        assert says(limit, plain["ms_a_point"] / (ours["roofline"] * ours["ms_a_point"]))


def test_the_pages_growth_is_that_of_the_kept_run(kept):
    varied = scaling.varied(kept, blocks=30)
    said = rows_of("docs/benchmarks.md", r"\d+ to ")
    assert len(said) == 3
    for (name, (as_line, power)), kind in zip(said.items(), ("points", "pairs", "layers"), strict=True):
        x, y = varied[kind]
        start, each, residual = scaling.line(x, y)
        assert says(as_line, start, 1e3 * each, 100 * residual), name
        assert says(power, *scaling.fit(x, y)[:3]), name


def test_the_pages_times_on_a_gpu_are_those_of_the_kept_runs():
    said = rows_of("docs/benchmarks.md", "|".join(gpu.SHAPES))
    assert len(said) == 12
    ways = ["plain hooks", "nnsight trace", "key-value cache", "srt.patch", "srt.interpolate"]
    for name, cells in said.items():
        shape, precision, _ = name.split(", ", 2)
        found, _ = table.read(ROOT / f"benchmarks/results/nvidia-h200-{shape}-{precision}.csv")
        compared = table.compare(found, gpu.PRECISIONS[precision][1])
        some = compared[compared["tokens"] == tokens_in(name)].set_index("contestant")
        expected = [*(1e3 * some.loc[ways, "ms_a_point"]), 100 * some.loc["srt.patch", "roofline"]]
        assert all(says(cell, value) for cell, value in zip(cells, expected, strict=True)), (name, cells, expected)


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(folder, curves):
    """The peak of this process is not inherited, and a process that fails says why."""
    ballast = torch.ones(2**28)
    one = work.Work("memory", 6, 7, {"srtoolkit": (3, 7)})
    row = memory.peak("plain hooks", folder, one, curves)
    assert ballast[-1] == 1
    assert 0.1 < row.peak_gib < 1
    with pytest.raises(RuntimeError, match="plain hooks: the process that measures"):
        memory.peak("plain hooks", folder / "nowhere", one, curves)


def test_the_machine_is_described():
    found = machine.describe("a model")
    assert found["model"] == "a model" and found["torch"] == torch.__version__
    assert int(found["threads"]) == torch.get_num_threads()
    assert re.fullmatch(r"\d+\.\d GiB", found["memory"]) and float(found["memory"].split()[0]) > 0
    assert re.fullmatch(r"[0-9a-f]{12}( with changes)?|unknown", found["commit"])


def test_the_picture_shows_all_that_was_measured(model, ways, curves):
    products = roofline.MatrixProducts(ways[0].hf)
    found = rows(lambda k: 1e-3 * k)
    for tokens in (6, 12):
        one = dataclasses.replace(CURVES, tokens=tokens)
        those = contestants(model, ways, one, curves)
        found += measure(one, those, running(ways[0], one, curves), products, ways[0].hf.config, repeats=1)
    fig = picture.draw(pd.DataFrame([vars(row) for row in found]), machine.describe(repr(model)) | {"blocks": "3"})
    lengths, _, growth, _ = fig.axes
    assert [line.get_label() for line in lengths.lines][:-1] == [way.name for way in ways]
    for line in lengths.lines:
        np.testing.assert_allclose(line.get_xdata(), [6, 12], rtol=0.07)
    assert "exponent 1.00" in growth.get_legend().get_texts()[0].get_text()
