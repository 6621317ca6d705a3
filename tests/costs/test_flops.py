"""What a run costs, counted from configurations: cases worked out by hand, and the page's table."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import save_file

import srtoolkit as srt
from srtoolkit.costs.architecture import Architecture, find_architecture
from srtoolkit.costs.work import passes
from srtoolkit.suite.configuration import configuration

PAGE = Path(__file__).parents[2] / "docs/from-laptop-to-cluster.md"
OLMO, QWEN = "allenai/OLMo-7B-0724-hf", "Qwen/Qwen2-7B"


@pytest.fixture(autouse=True)
def no_hub(tmp_path, monkeypatch):
    """Sizes are reckoned, whether or not a hub can be reached."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def cost(*work, **options):
    return srt.estimate_cost(list(work), calibrate=0, **options)


def test_parameters_are_those_of_the_model():
    assert find_architecture("nano-1m").parameters == configuration("nano-1m").parameters
    assert find_architecture("smollm2-135m").parameters == 134_515_008
    # 152,064 of 151,936 entries are stored; the model card says 7.61B and 6.53B without embeddings
    assert find_architecture(QWEN).parameters == pytest.approx(7.61e9, rel=0.002)


def test_operations_of_a_curve_worked_out_by_hand():
    a = configuration("nano-1m")
    d, blocks, pairs, steps, length = a.width, a.blocks, 1000, 50, 10
    block = 4 * d * d + 3 * d * a.mlp_width
    weights = pairs * (steps * (blocks - 1) + (length - 1) * blocks + 2 * length) * 2 * block
    keys = pairs * ((steps + length - 1) ** 2 * (blocks - 1) + (length - 1) ** 2 + 2 * length**2) * 4 * d
    logits = pairs * steps * 2 * d * 4096
    row = cost(srt.Work("nano-1m", pairs=pairs, steps=steps, length=length)).iloc[0]
    # Beside it comes the trial of the method, which is a 400th of this.
    assert row.flops == pytest.approx(weights + keys + logits, rel=3e-3)
    assert row.flops > weights + keys + logits
    assert row.flops > weights + keys + logits  # the first run settles the method
    without = cost(srt.Work("nano-1m", pairs=pairs, reads=("resid",))).iloc[0]
    assert row.flops - without.flops == logits
    tokens = pairs * (steps + length - 1 + 2 * length)
    assert row.forward_tokens == pytest.approx(tokens, rel=3e-3) and row.forward_tokens > tokens


@pytest.mark.parametrize("call", ["interpolate", "slice_plane", "count_gate_flips", "patch", "capture"])
def test_twice_the_work_costs_twice(call):
    one, two = (passes(find_architecture("nano-1m"), srt.Work("x", call=call, pairs=n), first=False) for n in (7, 14))
    assert [2 * each.tokens for each in one] == [each.tokens for each in two]


def test_a_later_patch_costs_less_and_a_longer_prompt_little_more():
    first, late = (
        cost(srt.Work("smollm2-135m", pairs=99, layer=layer, reads=("resid",))).flops.iloc[0] for layer in (0, 20)
    )
    assert 0.6 * first < late < 0.7 * first  # (9 x 50 + 30 x 9 + 21 x 20) of (29 x 50 + 30 x 9 + 1 x 20) tokens
    short, long = (cost(srt.Work("smollm2-135m", pairs=99, length=length)).flops.iloc[0] for length in (10, 20))
    assert short < long < 1.25 * short


def test_a_model_is_loaded_and_downloaded_once():
    table = cost(*(srt.Work(OLMO, call=call) for call in ("load", "interpolate", "slice_plane")), srt.Work(QWEN))
    assert list(table["download_bytes"] > 0) == [True, False, False, True, True]
    assert table.index[-1] == "total" and table.download_bytes["total"] == table.download_bytes[:-1].sum()
    assert table.peak_bytes["total"] == table.peak_bytes[:-1].max()
    assert table.loc[f"load {OLMO}", "flops"] == 0
    other = cost(srt.Work(OLMO), srt.Work(OLMO, revision="step0-tokens0B"))
    assert other.download_bytes["total"] == 2 * other.download_bytes.iloc[0]


def test_without_calibration_there_are_no_times():
    assert all(math.isnan(seconds) for seconds in cost(srt.Work("nano-1m"))["seconds"])


def test_sizes_are_those_of_the_files_or_of_the_parameters():
    (row, _) = cost(srt.Work("nano-1m")).itertuples()
    assert row.size_from == "package" and row.download_bytes == 0
    assert row.disk_bytes == pytest.approx(2 * configuration("nano-1m").parameters, rel=0.01)
    (row, _) = cost(srt.Work(QWEN)).itertuples()
    assert row.size_from == "parameters" and row.disk_bytes == row.download_bytes == pytest.approx(15.23e9, rel=0.001)
    half = cost(srt.Work(QWEN), dtype="bfloat16").iloc[0]
    assert half.disk_bytes == row.disk_bytes and half.peak_bytes < 0.6 * row.peak_bytes


def test_a_local_folder_needs_its_configuration_alone(tmp_path):
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
    transformers.LlamaConfig(vocab_size=97, **shape).save_pretrained(tmp_path)
    assert cost(srt.Work(str(tmp_path))).flops.iloc[0] > 0
    save_file({"weight": torch.zeros(1000)}, tmp_path / "model.safetensors")
    (row, _) = cost(srt.Work(str(tmp_path))).itertuples()
    assert row.size_from == "files" and row.disk_bytes == pytest.approx(4000, abs=200)


def test_a_token_goes_to_few_of_the_experts():
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
    few, more = (
        Architecture("moe", transformers.MixtralConfig(num_local_experts=8, num_experts_per_tok=n, **shape)).weights[0]
        for n in (2, 3)
    )
    assert more - few == 3 * 32 * 64


@pytest.mark.parametrize(
    "fields",
    [
        {"model": " "},
        {"call": "dream"},
        {"pairs": 0},
        {"steps": 1},
        {"length": 0},
        {"layer": -1},
        {"reads": ()},
        {"reads": ("gates",)},
        {"resolution": True},
    ],
)
def test_work_that_makes_no_sense_is_refused_by_name(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        srt.Work(**{"model": "nano-1m", **fields})


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(ValueError, match=r"expected one or more srt\.Work"):
        srt.estimate_cost([])
    with pytest.raises(ValueError, match="calibrate=-1"):
        srt.estimate_cost(srt.Work("nano-1m"), calibrate=-1)
    with pytest.raises(ValueError, match="float8"):
        cost(srt.Work("nano-1m"), dtype="float8")
    with pytest.raises(ValueError, match="layer=40: nano-1m has blocks 0 to"):
        cost(srt.Work("nano-1m", layer=40))


# --- the page's table, recomputed
# ------------------------------------------------------------------------------------------------------------------

SLICE = {"call": "slice_plane", "reads": ("final_norm",)}
CURVES = {"pairs": 999, "steps": 50, "length": 10, "reads": ("final_norm", "logits")}
PAPER = srt.reference.janiak2024()
FIG_1 = PAPER["checkpoints"]["fig1_OLMo-7B_tokens_b"]
FIG_4 = [
    (PAPER["models"][name]["hf"], tokens)
    for name, seen in PAPER["digitised"]["fig4c_median_max_slope_by_tokens_b"].items()
    for tokens in seen
]
ROWS = {
    "OLMo-7B, curves": [srt.Work(OLMO, **CURVES)],
    "Qwen2-7B, curves": [srt.Work(QWEN, **CURVES)],
    "OLMo-7B, one slice": [srt.Work(OLMO, **SLICE)],
    "Fig. 1: slices of 5 checkpoints": [srt.Work(OLMO, f"{tokens}B", **SLICE) for tokens in FIG_1],
    "Fig. 4: curves of 16 checkpoints": [srt.Work(name, f"{tokens}B", **CURVES) for name, tokens in FIG_4],
}


def table_of_the_page():
    lines = [line.strip().strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in lines}


def readable(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


@pytest.mark.parametrize("name", ROWS)
def test_the_page_says_what_estimate_cost_says(name):
    page = table_of_the_page()
    total = cost(*ROWS[name]).loc["total"]
    hardware = [re.search(r"([\d.]+) TFLOP/s at (\d+)%", head).groups() for head in page["work"][4:]]
    assert page[name] == [
        f"{total.forward_tokens / 1e3:,.0f} thousand",
        f"{total.flops / 1e12:,.0f}",
        f"{total.peak_bytes / 1e9:.0f} GB",
        f"{total.download_bytes / 1e9:,.0f} GB",
        *(readable(total.flops / (float(peak) * 1e12 * int(share) / 100)) for peak, share in hardware),
    ]


def test_fig_4_has_as_many_checkpoints_as_its_row_says():
    assert len(FIG_4) == 16 and len(FIG_1) == 5
