"""Gate flips along a path: against plain hooks, against a network counted by hand, and against finer grids."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

import srtoolkit as srt
from every_decoder import small
from families import BLOCKS, gate_map, hooked, tiny
from srtoolkit.measures import paths

PAIRS = [("the cat sat", "a dog ran"), ("rain", "snow falls"), ("so it was", "and then")]


@pytest.fixture(scope="module")
def flips(text_model):
    return srt.count_gate_flips(text_model, PAIRS, steps=11)


def test_flips_are_sign_changes_of_every_gate_in_every_block(text_model, flips):
    pairs = srt.from_text(text_model, PAIRS)
    for pair in range(len(PAIRS)):
        a, b = (srt.capture(text_model, ids[None]) for ids in (pairs.tokens_a[pair], pairs.tokens_b[pair]))
        points = paths.linear(a, b, torch.linspace(0, 1, 11))[0]
        seen = [hooked(text_model, pairs.tokens_a[pair], 0, point) for point in points]
        for block in flips["block"].values:
            signs = torch.stack([one[f"gate{block}"] > 0 for one in seen])
            expected = (signs[1:] != signs[:-1]).sum(1).tolist()
            assert flips["flips"].isel(pair=pair, alpha=slice(1, None)).sel(block=block).values.tolist() == expected
            assert flips["ends_differ"].isel(pair=pair).sel(block=block) == (signs[0] != signs[-1]).sum()
    assert flips["block"].values.tolist() == list(range(1, BLOCKS))
    assert (flips["flips"].isel(alpha=0) == 0).all() and (flips["gates"] == 64).all()


def test_the_ends_see_at_most_what_the_way_does_and_of_the_same_parity(flips):
    along = flips["flips"].sum("alpha")
    assert (along >= flips["ends_differ"]).all()
    assert ((along - flips["ends_differ"]) % 2 == 0).all()  # a gate that flips back has flipped twice
    assert along.sum() > 0


def test_some_blocks_are_a_part_of_all(text_model, flips):
    some = srt.count_gate_flips(text_model, PAIRS, steps=11, blocks=[3, 1])
    assert some["block"].values.tolist() == [3, 1]
    assert (some["flips"] == flips["flips"].sel(block=[3, 1])).all()


def test_a_network_counted_by_hand(text_model):
    """The last MLP's gate map is set to a few known planes in a direction that the path runs along."""
    model = tiny("opt")
    model.tokenizer = text_model.tokenizer
    ids = torch.tensor([[3, 4, 5]]), torch.tensor([[6, 7, 8]])
    block = model.hf.get_submodule(model.anatomy.blocks)[1]
    pairs = srt.PromptPairs(tuple(ids[0]), tuple(ids[1]), ("a",), ("b",), ("p",), False, "made up")
    points = torch.cat([srt.capture(model, one) for one in ids])
    seen = {}
    gate = block.get_submodule(gate_map(model))
    handle = gate.register_forward_hook(lambda _, inputs, __: seen.setdefault("inputs", []).append(inputs[0].flatten()))
    way = paths.linear(points[:1], points[1:], torch.linspace(0, 1, 101))
    srt.patch(model, ids[0], way, layer=0, reads="final_norm", method="prefix")
    handle.remove()
    inputs = torch.cat(seen["inputs"]).reshape(-1, model.d_model)[-101:]
    direction = inputs[-1] - inputs[0]
    heights = inputs @ direction
    assert (heights.diff() > 0).all()  # so a plane across the direction is crossed once
    with torch.no_grad():
        gate.weight.zero_()
        gate.bias.fill_(1.0)  # always open
        for unit, place in enumerate((10, 45, 45, 80)):
            gate.weight[unit] = direction
            gate.bias[unit] = -(heights[place] + heights[place + 1]) / 2
    found = srt.count_gate_flips(model, pairs, steps=101, blocks=[1])["flips"].squeeze()
    assert np.flatnonzero(found).tolist() == [11, 46, 81]
    assert found.values[[11, 46, 81]].tolist() == [1, 2, 1]
    by_region = srt.polytopes_by_region(
        srt.count_gate_flips(model, pairs, steps=101, blocks=[1]), one_jump(pairs, jump=(40, 50))
    )
    counted = {name: by_region[name].values.item() for name in ("flips", "flips_in_jumps", "flips_in_regions")}
    assert counted == {"flips": 4, "flips_in_jumps": 2, "flips_in_regions": 2}
    assert by_region["regions"].item() == 2 and by_region["flips_per_region"].item() == 1
    assert by_region["density_ratio"].item() == pytest.approx((2 / 0.1) / (2 / 0.9))
    placed = srt.locate_gate_flips(model, pairs, 1, steps=11)
    assert placed["gate"].values.tolist() in ([0, 1, 2, 3], [0, 2, 1, 3])
    assert ((placed["alpha"].values * 100).astype(int) == [10, 45, 45, 80]).all() and (placed["sign"] == 1).all()


def one_jump(pairs, jump, steps=101):
    """A made-up curve of each pair that is flat but for some steps in the middle, which climb from 0 to 1."""
    alphas = np.linspace(0, 1, steps)
    curve = np.interp(alphas, [alphas[step] for step in jump], [0, 1])
    return xr.Dataset(
        {
            "relative_distance": (("pair", "alpha"), np.tile(curve, (len(pairs), 1))),
            "degenerate": ("pair", np.zeros(len(pairs), dtype=bool)),
        },
        {"alpha": alphas, "text_a": ("pair", list(pairs.text_a)), "text_b": ("pair", list(pairs.text_b))},
    )


@pytest.mark.parametrize(
    ("family", "what"),
    [
        ("llama", "gate pre-activations"),
        ("gemma2", "gate pre-activations"),
        ("phi3", "gate pre-activations"),
        ("gpt2", "MLP pre-activations (no gate)"),
        ("opt", "MLP pre-activations (no gate)"),
        ("gpt_neox", "MLP pre-activations (no gate)"),
        ("phi", "MLP pre-activations (no gate)"),
    ],
)
def test_the_result_says_what_was_counted(family, what):
    model = tiny(family)
    ids = [torch.tensor([[3, 4, 5]]), torch.tensor([[6, 7, 8]])]
    pairs = srt.PromptPairs(tuple(ids[0]), tuple(ids[1]), ("a",), ("b",), ("p",), False, "made up")
    found = srt.count_gate_flips(model, pairs, steps=5)
    assert found.attrs["counted"] == what
    assert found.gates.values[0] == (4 * 32 if family == "gpt2" else 64)
    assert int(found.flips.sum()) > 0
    assert srt.locate_gate_flips(model, pairs, 2, steps=5).attrs["counted"] == what


def test_a_model_without_a_known_mlp_is_refused():
    ids = [torch.tensor([[3, 4, 5]]), torch.tensor([[6, 7, 8]])]
    pairs = srt.PromptPairs(tuple(ids[0]), tuple(ids[1]), ("a",), ("b",), ("p",), False, "made up")
    with pytest.raises(ValueError, match="no MLP whose pre-activations are known"):
        srt.count_gate_flips(tiny("mamba"), pairs)


def test_curves_and_flips_of_the_same_paths_go_together(text_model, flips):
    curves = srt.interpolate(text_model, PAIRS, steps=11, reads="final_norm")
    found = srt.polytopes_by_region(flips, curves)
    assert (found.flips == flips.flips.sum("alpha")).all()
    row = srt.summarise(found, ["flips_per_region"]).sel(quantity="flips_per_region")
    assert row.n == 3 and row.low <= row["median"] <= row.high


def test_bisection_agrees_with_a_ten_times_finer_grid(text_model):
    """But for gates that flip twice within a coarse step, which only the finer grid sees, in twos."""
    for pair in PAIRS:
        placed, fine = (
            srt.locate_gate_flips(text_model, [pair], 2, steps=steps, halvings=halvings)
            for steps, halvings in ((50, 7), (491, 0))
        )
        counted = int(srt.count_gate_flips(text_model, [pair], steps=491, blocks=[2])["flips"].sum())
        assert fine.sizes["flip"] == counted > 10
        for alpha, gate, sign in zip(*(placed[name].values for name in ("alpha", "gate", "sign")), strict=True):
            same = (fine["gate"] == gate) & (fine["sign"] == sign)
            assert np.abs(fine["alpha"].values[same.values] - alpha).min() < 1 / 490
        missed = counted - placed.sizes["flip"]
        assert missed % 2 == 0 and 0 <= missed <= 0.1 * counted


def test_bad_input_is_refused_by_name(text_model):
    with pytest.raises(ValueError, match=r"blocks 1 to 3"):
        srt.count_gate_flips(text_model, PAIRS, blocks=[0])
    with pytest.raises(ValueError, match=r"blocks 2 to 3"):
        srt.count_gate_flips(text_model, PAIRS, layer=1, blocks="some")
    with pytest.raises(ValueError, match="steps=1"):
        srt.count_gate_flips(text_model, PAIRS, steps=1)
    with pytest.raises(ValueError, match="one pair, got 3"):
        srt.locate_gate_flips(text_model, PAIRS, 2)


#: Families whose gate the first fitting name in block 0 was not: of each block behind the first, the map that makes its
#: gates and the part of its output that they are; ``None`` where only routed experts have any.
MAPS = {
    "afmoe": [("mlp.shared_experts.gate_proj", 1)] * 3,  # self_attn.gate_proj is attention's
    "moshi": [("mlp.fc1", 2)] * 3,  # gate and value in one
    "qwen2_moe": [("mlp.shared_expert.gate_proj", 1)] * 3,
    "deepseek_v3": [("mlp.shared_experts.gate_proj", 1)] * 3,  # block 0 is dense
    "jamba": [None, ("feed_forward.gate_proj", 1), None],
}


def made_up_pair():
    ids = [torch.tensor([[3, 4, 5]]), torch.tensor([[6, 7, 8]])]
    return srt.PromptPairs(tuple(ids[0]), tuple(ids[1]), ("a",), ("b",), ("p",), False, "made up")


@pytest.mark.parametrize("family", MAPS)
def test_each_block_counts_the_gates_of_its_own_mlp(family, tmp_path):
    model = srt.wrap(small(family), None, name=family)
    pair = made_up_pair()
    found = srt.count_gate_flips(model, pair, steps=7)
    a, b = (srt.capture(model, ids) for ids in (pair.tokens_a[0][None], pair.tokens_b[0][None]))
    blocks, seen = model.hf.get_submodule(model.anatomy.blocks), {}

    def keep(block, parts):
        def hook(_, __, output):
            row = output.reshape(3, -1)[-1]
            seen.setdefault(block, []).append(row[: len(row) // parts] > 0)

        return hook

    for block, known in enumerate(MAPS[family], 1):
        if known is not None:
            blocks[block].get_submodule(known[0]).register_forward_hook(keep(block, known[1]))
    for alpha in torch.linspace(0, 1, 7):
        point = (a + alpha * (b - a))[0]
        hooked_once(model, pair.tokens_a[0], point)
    for block, known in enumerate(MAPS[family], 1):
        one = found.sel(block=block)
        if known is None:
            assert one.gates == 0 and (one.flips == 0).all() and "not counted" in str(one.counted.values)
            continue
        signs = torch.stack(seen[block])
        assert one.gates == signs.shape[1]
        assert one.flips.values[0, 1:].tolist() == (signs[1:] != signs[:-1]).sum(1).tolist()
        assert one.ends_differ.item() == int((signs[-1] != signs[0]).sum())
    srt.save(found, tmp_path / "flips.nc")
    assert srt.load(tmp_path / "flips.nc").counted.values.tolist() == found.counted.values.tolist()


def hooked_once(model, ids, point):
    """One whole prompt with a point after block 0, by a plain hook."""

    def replace(module, inputs, output):
        changed = (output if isinstance(output, torch.Tensor) else output[0]).clone()
        changed[:, -1] = point
        return changed if isinstance(output, torch.Tensor) else (changed, *output[1:])

    handle = model.hf.get_submodule(model.anatomy.blocks)[0].register_forward_hook(replace)
    model.hf.base_model(ids[None], use_cache=False)
    handle.remove()


def test_what_is_not_counted_is_said_of_each_block():
    model = srt.wrap(small("jamba"), None, name="jamba")
    found = srt.count_gate_flips(model, made_up_pair(), steps=3)
    routed, dense = "none; not counted: feed_forward.experts", "gate pre-activations"
    assert found.counted.values.tolist() == [routed, dense, routed]
    assert found.attrs["counted"] == f"blocks 1, 3: {routed} | blocks 2: {dense}"
    shared = srt.count_gate_flips(srt.wrap(small("qwen2_moe"), None, name="m"), made_up_pair(), steps=3, blocks=[2])
    assert shared.attrs["counted"] == "gate pre-activations of mlp.shared_expert; not counted: mlp.experts"
    assert shared.gates.values.tolist() == [48]


def test_blocks_with_routed_experts_alone_are_refused_in_words():
    jamba, mixtral = (srt.wrap(small(family), None, name=family) for family in ("jamba", "mixtral"))
    ids = [torch.tensor([[3, 4, 5]])] * 3
    for call in (
        lambda: srt.count_gate_flips(jamba, made_up_pair(), blocks=[3]),
        lambda: srt.locate_gate_flips(jamba, made_up_pair(), 3),
        lambda: srt.slice_gates(jamba, [one[0] for one in ids], 3),
    ):
        with pytest.raises(ValueError, match=r"blocks \[3\].*feed_forward\.experts.*Blocks \[0, 2\] have some"):
            call()
    with pytest.raises(ValueError, match=r"no MLP whose pre-activations are known.*mlp\.experts.*only outputs can"):
        srt.count_gate_flips(mixtral, made_up_pair())


def test_a_path_on_which_no_gate_flips_is_an_empty_result(text_model, tmp_path):
    def stays(a, b, alphas):
        return a[:, None].expand(-1, len(alphas), -1)

    found = srt.locate_gate_flips(text_model, [PAIRS[0]], 2, path=stays, steps=5)
    assert found.sizes["flip"] == 0 and {"alpha", "gate", "sign"} <= set(found)
    assert (srt.count_gate_flips(text_model, [PAIRS[0]], path=stays, steps=5).flips == 0).all()
    srt.save(found, tmp_path / "none.nc")
    assert srt.load(tmp_path / "none.nc").sizes["flip"] == 0
