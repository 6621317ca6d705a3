"""The estimate against what happens: operations against PyTorch's counter, memory against real runs."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import srtoolkit as srt
from checkpoints_on_disk import save_tiny
from every_decoder import small
from fake_hub import serve
from families import FAMILIES, tiny
from srtoolkit.costs.architecture import Architecture, find_architecture
from srtoolkit.costs.miniature import miniature
from srtoolkit.costs.passes import block_flops, capturing, choosing, patching
from srtoolkit.costs.speed import flops
from srtoolkit.costs.work import run
from srtoolkit.patching.choice import choose_method
from srtoolkit.suite.shipped import load_suite_tokenizer

WORK = {
    "curves": srt.Work("any", pairs=8, steps=6, length=10),
    "curves late": srt.Work("any", pairs=8, steps=6, length=10, layer=2, reads=("final_norm",)),
    "one token": srt.Work("any", call="patch", pairs=3, steps=40, length=1, reads=("logits",)),
    "gates": srt.Work("any", call="count_gate_flips", pairs=5, steps=30, length=12),
    "slice": srt.Work("any", call="slice_plane", resolution=31, length=7),
    "after the last block": srt.Work("any", call="patch", pairs=8, steps=6, length=10, layer=3, reads=("logits",)),
    "capture": srt.Work("any", call="capture", pairs=3, length=9, layer=1),
}


_DELTA = {
    "head_dim": 8,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
}

#: Families in which attention and blocks with a state of their own take turns.
HYBRIDS = {
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2, "use_mamba_kernels": False},
    "qwen3_next": _DELTA,
}


def counted(model, work):
    with FlopCounterMode(display=False) as counter:
        run(model, work)
    return counter.get_total_flops()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.slow
def test_operations_are_those_that_pytorch_counts(family):
    # In plain attention, whose products the counter sees; on a CPU it does not look into fused attention.
    model = tiny(family, attn_implementation="eager")
    model.tokenizer = load_suite_tokenizer()
    known = Architecture(family, model.hf.config)
    assert model.inside  # seen as the model is loaded
    # Not counted: the recurrence between Mamba's maps, small in models that are wider than these.
    tolerance = {"mamba": 0.08}.get(family, 0.03)
    for name, work in WORK.items():
        if name == "gates" and not model.inside[-1].gates:
            continue
        model.methods.clear()
        expected = counted(model, work)
        assert sum(flops(known, work, first=work.call != "capture")) == pytest.approx(expected, rel=tolerance), name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_miniature_runs_and_has_the_models_widths(family):
    model = Architecture(family, tiny(family, vocab_size=300).hf.config)
    small, mini = miniature(model, "float32", torch.device("cpu"))
    assert (small.weights[0], small.d_model, small.query_width) == (model.weights[0], model.d_model, model.query_width)
    assert torch.isfinite(srt.capture(mini, torch.tensor([[1, 299, 7]]))).all()
    blocks = mini.hf.get_submodule(mini.anatomy.blocks)
    places = [{tensor.data_ptr() for tensor in block.parameters()} for block in blocks]
    assert len(blocks) == 4 and places[0] == places[2] == places[3]  # one block's memory


_GROWTH = """
import re, resource, sys
from pathlib import Path
import srtoolkit as srt
from srtoolkit.costs.work import run
from srtoolkit.patching.choice import choose_method

def peak():
    # Linux hands a process's ru_maxrss down to its children.
    if sys.platform == "linux":
        return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak()
work = srt.Work({fields})
run(srt.load_model(work.model), work)
print(peak() - before)
"""


@pytest.mark.parametrize(
    "fields", ["'nano-1m', pairs=100", pytest.param("'smollm2-135m', pairs=10", marks=pytest.mark.smollm2)]
)
@pytest.mark.slow
def test_memory_is_as_estimated_to_a_factor_of_1_5(fields):
    command = [sys.executable, "-c", _GROWTH.format(fields=fields)]
    grown = int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])
    work = eval(f"srt.Work({fields})")
    assert grown / 1.5 < srt.estimate_cost(work, calibrate=0).peak_bytes.iloc[0] < 1.5 * grown


def test_a_model_in_the_hubs_cache_needs_no_download(hub_cache):
    row = srt.estimate_cost(srt.Work("lab/tiny", revision="step1000"), calibrate=0).iloc[0]
    weights = sum(path.stat().st_size for path in (hub_cache / "snapshots" / f"{2:040x}").glob("*.safetensors"))
    assert (row.size_from, row.download_bytes, row.disk_bytes) == ("files", 0, weights) and row.flops > 0


def test_a_model_on_the_hub_is_sized_and_not_fetched(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "tiny")
    with serve() as (state, address):
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        for name, value in (
            *(("ENDPOINT", address), ("HUGGINGFACE_CO_URL_TEMPLATE", template)),
            *(("HF_HUB_OFFLINE", False), ("HF_HUB_CACHE", str(tmp_path / "cache"))),
        ):
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        state.add("lab/tiny", folder, "main")
        row = srt.estimate_cost(srt.Work("lab/tiny"), calibrate=0).iloc[0]
    size = (folder / "model.safetensors").stat().st_size
    assert (row.size_from, row.download_bytes, row.disk_bytes) == ("hub", size, size)
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("family", HYBRIDS)
def test_a_hybrid_is_counted_by_the_method_that_it_is_run_by(family):
    """Blocks that keep a state of their own run whole prompts, and many times the tokens."""
    model = tiny(family, **HYBRIDS[family])
    known = Architecture(family, model.hf.config)
    for length in (1, 9):
        ids = torch.randint(4, 60, (2, length), generator=torch.Generator().manual_seed(length))
        assert known.method(length, 6) == choose_method(model, ids, 6).method


@pytest.mark.parametrize("family", ["bart", "bailing_hybrid", "falcon_h1", "granitemoehybrid", "nemotron_h"])
@pytest.mark.slow
def test_what_cannot_go_on_from_its_own_cache_is_counted_by_whole_prompts(family):
    model = srt.wrap(small(family), None, name=family)
    known = Architecture(family, model.hf.config)
    ids = torch.randint(4, 60, (2, 9), generator=torch.Generator().manual_seed(9))
    assert known.method(9, 6) == choose_method(model, ids, 6).method == ("full" if family[0] == "b" else "prefix")


@pytest.mark.slow
def test_what_only_running_shows_is_counted(tmp_path):
    """GPT's configuration does not say that it takes no cache; a miniature does."""
    hf = small("openai-gpt")
    hf.save_pretrained(tmp_path / "gpt")
    work = srt.Work(str(tmp_path / "gpt"), pairs=4, steps=6, length=9, reads=("final_norm",))
    # In later calls, the method has been chosen; what fails in a way that may be passing is tried twice.
    expected, shown = (srt.estimate_cost([work, work], calibrate=time).forward_tokens.iloc[1] for time in (0, 0.01))
    tokens, model = [], srt.wrap(hf, None, name="gpt")
    run(model, work)
    run(model, work)
    model.hf.get_submodule(model.anatomy.blocks)[0].register_forward_pre_hook(
        lambda _, given: tokens.append(given[0].shape[0] * given[0].shape[1])
    )
    run(model, work)
    assert sum(tokens) == shown > 1.5 * expected


@pytest.mark.parametrize("length", [2, 10, 32, 33, 64, 256, 512, 1024, 4096])
def test_a_trial_of_methods_is_less_than_a_twentieth_of_a_hundred_pairs(length):
    known = find_architecture("smollm2-135m")
    method = known.method(length, 50)
    trial, run = (
        sum(block_flops(known, one) for one in passes)
        for passes in (
            choosing(known, length, 50, 0, method),
            [*capturing(200, length, 0), *patching(known, 100, length, 50, 0, logits=False, method=method)],
        )
    )
    assert 0.02 < trial / run < 0.05


@pytest.mark.parametrize("length", [10, 64])
@pytest.mark.parametrize("points", [1, 2, 6])
@pytest.mark.slow
def test_a_trial_costs_what_is_counted(length, points):
    model = tiny("llama", attn_implementation="eager")
    known = Architecture("llama", model.hf.config)
    ids = torch.randint(4, 60, (2, length), generator=torch.Generator().manual_seed(length))
    choose_method(model, ids, 9)  # what is found out once about a model is no part of each trial
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        method = choose_method(model, ids, points).method
    counted = sum(block_flops(known, one) for one in choosing(known, length, points, 0, method))
    assert method == known.method(length, points)
    assert counter.get_total_flops() == pytest.approx(counted, rel=0.03)
