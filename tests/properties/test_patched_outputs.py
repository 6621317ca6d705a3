"""``F_p`` of any points in any contexts is what plain hooks on the whole prompt give, or is refused."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import srtoolkit as srt
from families import tiny
from oracles import activation, assert_close, cases, model_of, outputs, refused
from strategies import FAMILIES, READS, odd, points, token_ids, unlike

INTEGERS = (torch.int64, torch.int32, torch.int16, torch.uint8)


@cases(160)
@given(st.data(), st.sampled_from(FAMILIES), token_ids(), st.integers(0, 3))
def test_patch_is_what_hooks_give(data, family, ids, layer):
    model = model_of(family)
    put_in = data.draw(points(len(ids), model.d_model))
    reads = tuple(data.draw(st.lists(st.sampled_from(READS), min_size=1, max_size=4, unique=True)))
    methods = ["auto", "full"] + ["joint", "parallel"] * (family in ("llama", "gpt2", "opt", "gpt_neox"))
    method = data.draw(st.sampled_from(methods))
    dtype = data.draw(st.sampled_from([dtype for dtype in INTEGERS if dtype != torch.uint8 or ids.max() < 256]))
    context = data.draw(unlike(torch.from_numpy(ids).to(dtype)))
    found = srt.patch(model, context, put_in, layer=layer, reads=reads if len(reads) > 1 else reads[0], method=method)
    found = found if isinstance(found, dict) else {reads[0]: found}
    assert tuple(found) == reads
    for row in range(len(ids)):
        expected = outputs(family, ids[row], layer, put_in[row].detach().float())
        for name in reads:
            assert found[name].dtype == torch.float32 and not found[name].requires_grad
            assert_close(found[name][row], expected[name], rel=3e-4)


@cases(60)
@given(st.data(), st.sampled_from(FAMILIES), token_ids(3), st.integers(0, 3))
def test_capture_is_what_hooks_see_and_put_back_changes_nothing(data, family, ids, layer):
    model, context = model_of(family), torch.from_numpy(ids)
    own = srt.capture(model, data.draw(unlike(context)), layer=layer)
    assert_close(own, torch.stack([activation(family, tuple(row.tolist()), layer) for row in context]))
    back = srt.patch(model, context, own[:, None], layer=layer, reads="logits")[:, 0]
    assert_close(back, model.hf(context).logits[:, -1].detach(), rel=3e-4)


@cases(60)
@given(st.data(), st.sampled_from(["llama", "gpt2", "opt", "phi3"]), token_ids(), st.integers(0, 2))
def test_gates_are_what_hooks_read(data, family, ids, layer):
    model = model_of(family)
    put_in = data.draw(points(len(ids), model.d_model))
    found = srt.patch(model, torch.from_numpy(ids), put_in, layer=layer, reads="gates")
    for row in range(len(ids)):
        expected = outputs(family, ids[row], layer, put_in[row].detach().float())
        assert_close(found[row], torch.cat([expected[f"gate{n}"] for n in range(layer + 1, 4)], dim=-1), rel=3e-4)


@cases(60)
@given(st.data(), token_ids(), st.integers(0, 3))
def test_points_do_not_see_each_other_nor_their_order(data, ids, layer):
    model, context = model_of(), torch.from_numpy(ids)
    put_in = data.draw(points(len(ids), model.d_model, number=9))
    order = data.draw(st.permutations(range(put_in.shape[1])))
    whole = srt.patch(model, context, put_in, layer=layer, reads="logprobs")
    assert_close(srt.patch(model, context, put_in[:, order], layer=layer, reads="logprobs"), whole[:, order], rel=3e-4)
    assert_close(srt.patch(model, context, put_in[:, :1], layer=layer, reads="logprobs"), whole[:, :1], rel=3e-4)


#: Ids that a model of 259 does not have, or that are no ids.
NO_IDS = [
    *(
        torch.zeros(0, 3).long(),
        torch.zeros(1, 0).long(),
        torch.zeros(3).long(),
        torch.tensor(3),
        torch.zeros(1, 1, 1).long(),
    ),
    *(
        torch.tensor([[-1]]),
        torch.tensor([[259]]),
        torch.tensor([[2**40]]),
        torch.tensor([[5.0]]),
        torch.tensor([[True]]),
    ),
    *(torch.tensor([[1j]]), torch.full((1, 257), 5), torch.tensor([[-128]], dtype=torch.int8), np.array([[1, 2]])),
    *(torch.tensor([[5]]).to_sparse(), [[1, 2]], [torch.tensor([1])], "ab", torch.tensor([[float("nan")]])),
    torch.tensor([[70000]], dtype=torch.uint32),
]
no_ids = st.sampled_from(range(len(NO_IDS))).map(NO_IDS.__getitem__)

D = 32
#: Points that are none, for one context of a model 32 wide.
NO_POINTS = [
    *(
        torch.zeros(1, 2, D - 1),
        torch.zeros(2, D),
        torch.zeros(D),
        torch.zeros(2, 2, D),
        torch.zeros(1, 0, D),
        torch.tensor(1.0),
    ),
    *(
        torch.zeros(1, 2, D).long(),
        torch.zeros(1, 2, D).bool(),
        torch.zeros(1, 2, D, dtype=torch.complex64),
        [[[0.0] * D]],
    ),
    *(
        np.zeros((1, 2, D)),
        torch.full((1, 2, D), torch.nan),
        torch.full((1, 2, D), torch.inf),
        None,
        "x",
        torch.zeros(1, 2, D, 1),
    ),
    # Finite as they are, but not in the model's float32.
    *(torch.full((1, 2, D), 1e39, dtype=torch.float64), torch.full((1, 1, D), -1e300, dtype=torch.float64)),
    torch.zeros(1, 2, D).to_sparse(),
]
no_points = st.sampled_from(range(len(NO_POINTS))).map(NO_POINTS.__getitem__)

IDS, POINTS = torch.tensor([[5, 6, 7]]), torch.zeros(1, 2, D)


@cases(40)
@given(no_ids, st.sampled_from(["capture", "patch"]))
def test_what_are_no_ids_is_refused(ids, call):
    model = model_of()
    assert refused(lambda: srt.capture(model, ids) if call == "capture" else srt.patch(model, ids, POINTS))


@cases(60)
@given(no_points, st.sampled_from(["final_norm", ("resid", "logits"), "gates"]), st.sampled_from(["auto", "full"]))
def test_what_are_no_points_is_refused(put_in, read, method):
    assert refused(lambda: srt.patch(model_of(), IDS, put_in, reads=read, method=method))


@cases(33)
@given(st.integers(0, 10), st.sampled_from([torch.float16, torch.bfloat16, torch.float64]))
def test_a_point_that_overflows_the_models_numbers_is_refused(power, dtype):
    model = _of(dtype)
    put_in = torch.full((1, 1, model.d_model), 10.0**power)
    with np.errstate(all="ignore"):
        fits = bool(torch.isfinite(put_in.to(dtype)).all())
    assert refused(lambda: srt.patch(model, IDS, put_in, layer=3, reads="resid")) != fits
    if fits:
        found = srt.patch(model, IDS, put_in, layer=3, reads="resid")
        assert_close(found, put_in.to(dtype))  # behind the last block, what is put in is what is read


_models = {}


def _of(dtype):
    return _models.setdefault(dtype, tiny("llama", dtype=dtype))


@cases(120)
@given(odd, st.sampled_from(["layer", "reads", "method", "model"]))
@example(torch.tensor([1.0, 2.0]), "layer").via("discovered failure")
@example(np.array(0.5), "layer").via("discovered failure")
@example(3, "reads").via("discovered failure")
@example([[1, 2]], "reads").via("discovered failure")
def test_odd_settings_are_refused_or_mean_what_they_say(value, setting):
    model = value if setting == "model" else model_of()
    settings = {} if setting == "model" else {setting: value}
    refuses = refused(lambda: srt.patch(model, IDS, POINTS, **settings))
    whole = hasattr(value, "__index__") and not isinstance(value, (bool, np.bool_))
    assert (
        refuses
        != {
            "model": False,
            "layer": whole and _index(value) in range(4),
            "reads": value == "final_norm" if isinstance(value, str) else False,
            "method": value == "auto" if isinstance(value, str) else False,
        }[setting]
    )
    assert setting != "model" or not refused(lambda: srt.capture(model_of(), IDS))


def _index(value):
    try:
        return value.__index__()
    except TypeError:
        return -1
