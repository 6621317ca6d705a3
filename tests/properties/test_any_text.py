"""Curves, slices, flips and predictions of any texts are what plain hooks give, whatever their company."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import srtoolkit as srt
from oracles import activation, assert_close, cases, ids_of, jsd, model_of, outputs, refused
from srtoolkit.measures import paths, walk
from strategies import odd, pairs, texts


def length(text):
    """Tokens of a text: a byte each, but a token by its name is one."""
    return len(text.replace("<bos>", "x").encode())


@functools.lru_cache(maxsize=512)
def on_path(family, text_a, text_b, layer, steps):
    """Ends of a path and what hooks read along it."""
    ids_a, ids_b = (tuple(ids_of(text).tolist()) for text in (text_a, text_b))
    a, b = (activation(family, ids, layer) for ids in (ids_a, ids_b))
    return a, b, outputs(family, ids_a, layer, [a + alpha * (b - a) for alpha in torch.linspace(0, 1, steps)])


@cases(60)
@given(pairs, st.sampled_from(["llama", "gpt2", "opt", "mamba"]), st.integers(0, 3), st.integers(2, 6))
@example([("same", "same"), ("a", "b")], "llama", 0, 3)
def test_curves_are_what_hooks_give(texts_of_pairs, family, layer, steps):
    found = srt.interpolate(model_of(family), texts_of_pairs, layer=layer, steps=steps)
    assert found["text_a"].values.tolist() == [a for a, _ in texts_of_pairs]
    for index, (text_a, text_b) in enumerate(texts_of_pairs):
        a, b, runs = on_path(family, text_a, text_b, layer, steps)
        row, out = found.isel(pair=index), runs["final_norm"]
        distance, scale = (out - out[:1]).norm(dim=-1), float(out[0].norm())
        assert_close(row["distance"], distance, rel=3e-4, absolute=1e-4 * scale)
        assert row["distance"].values[0] == 0 and row["alpha"].values[-1] == 1
        assert row["input_distance"].item() == pytest.approx(float((b - a).norm()), rel=1e-4, abs=1e-4)
        degenerate = float(distance[-1]) <= 1e-4 * scale
        assert row["degenerate"].item() == degenerate or float(distance[-1]) == pytest.approx(1e-4 * scale, rel=0.1)
        if row["degenerate"]:
            assert np.isnan(row["relative_distance"]).all()
        else:
            assert row["relative_distance"].values[-1] == 1
            np.testing.assert_allclose(row["relative_distance"] * row["distance"][-1], row["distance"], rtol=1e-5)
        p = runs["logprobs"].double().exp().numpy()
        kl = (p[0] * (np.log(p[0]) - np.log(p))).sum(1)
        np.testing.assert_allclose(row["kl"], kl, rtol=3e-3, atol=1e-4)
        np.testing.assert_allclose(row["jsd"], jsd(p[:1], p), rtol=3e-3, atol=1e-4)
        np.testing.assert_allclose(p[range(steps), row["top_token"].values], p.max(1), rtol=1e-3)
    assert found["lengths_differ"].values.tolist() == [length(a) != length(b) for a, b in texts_of_pairs]
    excluded = srt.sharpness(found)["excluded"]
    assert (excluded >= found["degenerate"]).all()


@cases(40)
@given(pairs, st.data(), st.sampled_from([1, 2, 64]))
def test_order_company_and_batches_change_nothing(texts_of_pairs, data, at_once):
    model, steps = model_of(), 4
    order = list(data.draw(st.permutations(range(len(texts_of_pairs)))))
    twice = data.draw(st.integers(0, len(texts_of_pairs) - 1))
    whole = srt.interpolate(model, texts_of_pairs, steps=steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "PAIRS_AT_ONCE", at_once)
        patch.setattr(walk, "LOGPROB_BYTES", 4 * 259 * steps * at_once)
        moved = [texts_of_pairs[place] for place in [*order, twice]]
        again = srt.interpolate(model, moved, steps=steps)
    for name in ("distance", "kl", "input_distance"):
        expected = whole[name].values[[*order, twice]]
        np.testing.assert_allclose(again[name], expected, rtol=1e-3, atol=1e-4)
    assert again["degenerate"].values[:-1].tolist() == whole["degenerate"].values[order].tolist()
    np.testing.assert_array_equal(again["prompt_a"][-1] == again["prompt_a"], again["text_a"] == again["text_a"][-1])


@cases(40)
@given(texts, texts, st.integers(2, 5))
def test_a_path_back_is_the_path_there_seen_from_its_end(text_a, text_b, steps):
    def back(a, b, alphas):
        return paths.linear(b, a, alphas)

    forth, back_again = (srt.interpolate(model_of(), [(text_a, text_b)], steps=steps, path=p) for p in ("linear", back))
    assert back_again["distance"].values[0, -1] == pytest.approx(forth["distance"].values[0, -1], rel=1e-3, abs=1e-4)
    np.testing.assert_array_equal(
        back_again["top_token"].values[0, ::-1][[0, -1]], forth["top_token"].values[0, [0, -1]]
    )


@cases(40)
@given(pairs, st.integers(0, 2), st.integers(2, 5))
def test_flips_are_changes_of_sign(texts_of_pairs, layer, steps):
    found = srt.count_gate_flips(model_of(), texts_of_pairs, layer=layer, steps=steps)
    for index, (text_a, text_b) in enumerate(texts_of_pairs):
        _, _, runs = on_path("llama", text_a, text_b, layer, steps)
        for block in found["block"].values:
            gates = runs[f"gate{block}"]
            unsure = int((gates.abs() < 1e-5 * gates.abs().max()).sum())  # a sign that rounding decides
            changes = ((gates[1:] > 0) != (gates[:-1] > 0)).sum(1)
            there = found["flips"].isel(pair=index).sel(block=block).values
            assert there[0] == 0 and np.abs(there[1:] - changes.numpy()).max(initial=0) <= unsure
            ends = int(((gates[0] > 0) != (gates[-1] > 0)).sum())
            assert abs(found["ends_differ"].isel(pair=index).sel(block=block).item() - ends) <= unsure
            assert there.sum() >= found["ends_differ"].isel(pair=index).sel(block=block)


@cases(40)
@given(st.tuples(texts, texts, texts), st.integers(2, 4), st.sampled_from([0.0, 0.5]), st.booleans())
def test_slices_are_outputs_at_their_points(triple, resolution, margin, orthonormal):
    model = model_of()
    tokens = [tuple(ids_of(text).tolist()) for text in triple]
    a, b, c = corners = [activation("llama", ids, 0) for ids in tokens]
    across = c - a - ((c - a) @ (b - a)) / ((b - a) @ (b - a)) * (b - a)
    settings = {"resolution": resolution, "margin": margin, "orthonormal": orthonormal}
    if refused(lambda: srt.slice_plane(model, triple, **settings)):
        assert not (b - a).norm() > 0 or across.norm() < 1e-4 * (b - a).norm()
        return
    found = srt.slice_plane(model, triple, **settings)
    unit = across / (across.norm() / (b - a).norm()) if orthonormal else across
    alphas, betas = (torch.tensor(found[name].values.tolist()) for name in ("alpha", "beta"))
    places = [a + alpha * (b - a) + beta * unit for beta in betas for alpha in alphas]
    for index, (ids, own) in enumerate(zip(tokens, corners, strict=True)):
        out = outputs("llama", ids, 0, [own, *places])
        distance = (out["final_norm"][1:] - out["final_norm"][0]).norm(dim=-1).reshape(resolution, resolution)
        assert_close(found["distance"].isel(anchor=index), distance, rel=2e-3)
        p = out["logprobs"][1:].exp().numpy()
        tokens_there = found["top_token"].isel(anchor=index).values.ravel()
        np.testing.assert_allclose(p[range(len(p)), tokens_there], p.max(1), rtol=1e-2)
        assert (found["margin"].isel(anchor=index) >= 0).all()
    assert ((found["rgb"] >= 0) & (found["rgb"] <= 1)).all()
    assert set(np.unique(found["region"])) <= {-1, 0, 1, 2}


@cases(40)
@given(pairs, st.lists(st.floats(-2, 3), min_size=1, max_size=4), st.integers(1, 5), st.integers(0, 3))
def test_next_tokens_are_the_likeliest(texts_of_pairs, alphas, top, layer):
    found = srt.next_tokens(model_of(), texts_of_pairs, alphas=alphas, top=top, layer=layer)
    for index, (text_a, text_b) in enumerate(texts_of_pairs):
        a, b = (activation("llama", tuple(ids_of(text).tolist()), layer) for text in (text_a, text_b))
        p = outputs("llama", ids_of(text_a), layer, [a + alpha * (b - a) for alpha in alphas])["logprobs"].exp().numpy()
        best = -np.sort(-p, axis=1)[:, :top]
        np.testing.assert_allclose(found["probability"].isel(pair=index), best, rtol=3e-3, atol=1e-6)
        there = np.take_along_axis(p, found["token"].isel(pair=index).values, 1)
        np.testing.assert_allclose(there, best, rtol=3e-3, atol=1e-6)


@cases(30)
@given(pairs, st.integers(2, 5), st.data())
def test_divergences_are_scipys(texts_of_pairs, steps, data):
    lags = data.draw(st.lists(st.integers(1, steps - 1), min_size=1, max_size=2, unique=True))
    found = srt.divergence(model_of(), texts_of_pairs, lags=lags, steps=steps)
    for index, (text_a, text_b) in enumerate(texts_of_pairs):
        p = on_path("llama", text_a, text_b, 0, steps)[2]["logprobs"].double().exp().numpy()
        for lag in lags:
            row = found["jsd"].isel(pair=index).sel(lag=lag).values
            expected = jsd(p[:-lag], p[lag:])
            np.testing.assert_allclose(row[:-lag], expected, rtol=3e-3, atol=1e-4)
            assert np.isnan(row[-lag:]).all()


@cases(40)
@given(pairs)
def test_losses_floors_and_spreads_are_by_hand(texts_of_pairs):
    model = model_of()
    ids = [ids_of(a) for a, _ in texts_of_pairs]
    if min(map(len, ids)) < 2:
        assert refused(lambda: srt.text_loss(model, texts_of_pairs))
    else:
        found = srt.text_loss(model, texts_of_pairs)["loss"].values
        for row, loss in zip(ids, found, strict=True):
            logprobs = torch.log_softmax(model.hf(row[None]).logits[0, :-1], dim=-1)
            assert loss == pytest.approx(-float(logprobs[range(len(row) - 1), row[1:]].mean()), rel=1e-3)
    own = torch.stack([model.hf.model(row[None]).last_hidden_state[0, -1] for row in ids])
    spread = srt.output_spread(model, texts_of_pairs)
    assert_close(spread["from_mean"], (own - own.mean(0)).norm(dim=-1), rel=1e-3, absolute=1e-4)
    floor = srt.noise_floor(model, texts_of_pairs, neighbours=2)
    assert (floor["noise"] < 1e-3 * spread["output_norm"].max()).all()
    np.testing.assert_array_equal(np.isnan(floor["relative_noise"]), floor["d1"] == 0)


@cases(80)
@given(texts, texts, st.booleans())
@example("\ud800", "a", False).via("discovered failure")
@example("a\0", "a", False).via("discovered failure")
@example("", "a", False)
@example("x" * 257, "a", False)
def test_any_text_is_its_bytes_or_refused(text_a, text_b, bos):
    model = model_of()
    try:
        lengths = [length(text) + bos for text in (text_a, text_b)]
    except UnicodeEncodeError:
        lengths = [0]
    if min(lengths) == 0 or "\0" in text_a + text_b or max(lengths) > 256:
        assert refused(lambda: srt.from_text(model, [(text_a, text_b)], bos=bos))
        return
    made = srt.from_text(model, [(text_a, text_b)], bos=bos)
    assert [len(made.tokens_a[0]), len(made.tokens_b[0])] == lengths
    assert model.tokenizer.decode(made.tokens_a[0][bos:].tolist()) == text_a
    assert made.swapped().tokens_a == made.tokens_b and made.text_b == (text_b,)
    assert made.lengths_differ == (lengths[0] != lengths[1],)


@cases(40)
@given(st.lists(texts, max_size=5))
def test_all_pairs_are_all_pairs(prompts):
    if len(set(prompts)) < max(2, len(prompts)):
        assert refused(lambda: srt.all_pairs(model_of(), prompts))
        return
    made = srt.all_pairs(model_of(), prompts)
    n = len(prompts)
    assert list(zip(made.text_a, made.text_b, strict=True)) == [
        (prompts[i], prompts[j]) for i in range(n) for j in range(i + 1, n)
    ]


#: What is no list of pairs of texts.
NO_PAIRS = [
    *(
        None,
        3,
        "ab",
        b"ab",
        [],
        {},
        ["ab"],
        [("a",)],
        [("a", "b", "c")],
        [("a", None)],
        [(1, 2)],
        [None],
        [{"a": 1, "b": 2}],
    ),
    *([("a", "")], [("", "")], [("a", "b"), 3], [[["a"], ["b"]]], np.array([[1, 2]]), [("a" * 300, "b")], ("a", "b")),
    *([("\ud800", "b")], torch.ones(1, 2), set(), [b"ab"]),
]
CALLS = {
    "from_text": srt.from_text,
    "interpolate": srt.interpolate,
    "count_gate_flips": srt.count_gate_flips,
    "locate_gate_flips": functools.partial(srt.locate_gate_flips, block=1),
    "next_tokens": srt.next_tokens,
    "divergence": srt.divergence,
    "noise_floor": srt.noise_floor,
    "output_spread": srt.output_spread,
    "text_loss": srt.text_loss,
    "token_distance": srt.token_distance,
}


@cases(100)
@given(st.sampled_from(sorted(CALLS)), st.sampled_from(range(len(NO_PAIRS))))
def test_what_are_no_pairs_is_refused(call, index):
    assert refused(lambda: CALLS[call](model_of(), NO_PAIRS[index]))


@cases(60)
@given(odd, st.sampled_from(["all_pairs", "labels", "key", "sides"]))
@example(0, "key").via("discovered failure")
def test_odd_prompts_are_refused(value, what):
    made = srt.from_text(model_of(), [("a", "b"), ("c", "d")])
    call = {
        "all_pairs": lambda: srt.all_pairs(model_of(), value),
        "labels": lambda: srt.from_text(model_of(), [("a", "b"), ("c", "d")], labels=value),
        "key": lambda: made[value],
        "sides": lambda: srt.PromptPairs(value, made.tokens_b, made.text_a, made.text_b, made.labels, False, ""),
    }[what]
    assert refused(call) or (what == "labels" and value is None) or (what == "key" and isinstance(value, slice))


@cases(60)
@given(texts, texts, st.integers(0, 5), st.sampled_from(["every", "like", "random"]))
@example("same", "same", 0, "every").via("discovered failure")
def test_random_directions_are_as_long_as_the_way(text_a, text_b, seed, kind):
    a, b = (activation("llama", tuple(ids_of(text).tolist()), 1)[None] for text in (text_a, text_b))
    like = torch.randn(5, 32, generator=torch.Generator().manual_seed(seed))
    path = paths.random_direction(None if kind == "every" else like, "random" if kind == "random" else "a", seed)
    made = path(a, b, torch.linspace(0, 1, 3))[0]
    assert float((made[2] - made[0]).norm()) == pytest.approx(float((b - a).norm()), rel=1e-3, abs=1e-5)
    assert_close(made[1], (made[0] + made[2]) / 2, rel=1e-4, absolute=1e-5)
    assert math.isclose(float(made[0].norm()), float(a.norm()), rel_tol=1e-4)
    curve = srt.interpolate(model_of(), [(text_a, text_b)], layer=1, steps=3, path=path)
    assert curve["degenerate"].item() or np.isfinite(curve["relative_distance"]).all()
