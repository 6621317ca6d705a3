"""Curves, prompts and controls on small models, and bad input."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import srtoolkit as srt
from checkpoints_on_disk import byte_tokenizer
from families import hooked, tiny
from hooks import hooked_everywhere
from srtoolkit.measures import walk
from srtoolkit.prompts import sampling

PAIRS = [("the cat sat", "the dog ran"), ("a", "b"), ("short", "rather longer"), ("the cow saw", "the hen hid")]


def test_curves_are_what_plain_hooks_give(text_model):
    curves = srt.interpolate(text_model, PAIRS, layer=1, steps=6)
    for index, (text_a, text_b) in enumerate(PAIRS):
        ids_a, ids_b = text_model.tokenize(text_a), text_model.tokenize(text_b)
        a, b = (hooked(text_model, ids, 1)["own"] for ids in (ids_a, ids_b))
        runs = [hooked(text_model, ids_a, 1, a + alpha * (b - a)) for alpha in torch.linspace(0, 1, 6)]
        distance = torch.stack([(run["final_norm"] - runs[0]["final_norm"]).norm() for run in runs]).numpy()
        kl = [float((runs[0]["logprobs"].exp() * (runs[0]["logprobs"] - run["logprobs"])).sum()) for run in runs]
        row = curves.isel(pair=index)
        assert row.distance.values == pytest.approx(distance, rel=1e-4, abs=1e-5)
        assert row.relative_distance.values == pytest.approx(distance / distance[-1], rel=1e-4, abs=1e-5)
        assert row.distance_resid.values[-1] == pytest.approx(
            float((runs[-1]["resid"] - runs[0]["resid"]).norm()), rel=1e-4
        )
        assert row.kl.values == pytest.approx(kl, rel=1e-3, abs=1e-5)
        assert row.top_token.values.tolist() == [int(run["logprobs"].argmax()) for run in runs]
        assert row.input_distance.item() == pytest.approx(float((b - a).norm()), rel=1e-5)
        assert row.distance.values[0] == 0 and row.jsd.values[0] == 0


BLOCK_READS = ("resid.2", "mlp.2", "attn.3", "mlp", "attn")


@pytest.mark.parametrize("where", ["even", "adaptive"])
@pytest.mark.parametrize("position", [-1, 0])
def test_curves_inside_the_model_are_what_plain_hooks_give(text_model, where, position):
    pairs = [("cat sat", "dog ran"), ("ab", "bc"), ("short", "rather longer")]
    curves = srt.interpolate(
        text_model, pairs, layer=1, steps=6, reads=BLOCK_READS, own_b=True, position=position, where=where
    )
    last = text_model.n_layers - 1
    for index, (text_a, text_b) in enumerate(pairs):
        ids_a, ids_b = text_model.tokenize(text_a), text_model.tokenize(text_b)
        own = hooked_everywhere(text_model, ids_b, 1)
        a, b = (hooked_everywhere(text_model, ids, 1)["resid.1"][position] for ids in (ids_a, ids_b))
        runs = [
            hooked_everywhere(text_model, ids_a, 1, torch.lerp(a, b, at), position) for at in torch.linspace(0, 1, 6)
        ]
        for read in BLOCK_READS:
            name, suffix = read if "." in read else f"{read}.{last}", read.replace(".", "_")
            outputs = torch.stack([run[name][-1] for run in runs])
            expected = {
                f"distance_{suffix}": (outputs - outputs[0]).norm(dim=-1),
                f"distance_b_{suffix}": (outputs - outputs[-1]).norm(dim=-1),
                f"own_b_{suffix}": (outputs - own[name][-1]).norm(dim=-1),
                f"step_{suffix}": torch.cat([torch.zeros(1), outputs.diff(dim=0).norm(dim=-1)]),
            }
            for measure, values in expected.items():
                found = curves[measure].values[index]
                ran = np.isfinite(found)
                assert ran.all() or where == "adaptive"
                if measure.startswith("step"):
                    ran &= np.roll(ran, 1)  # else it is the step from an earlier point
                np.testing.assert_allclose(found[ran], values.numpy()[ran], rtol=1e-3, atol=1e-4)
    assert (srt.motion(curves, reads="attn").peak >= 1).all()


def test_what_no_block_behind_the_patch_has_is_refused_by_name(text_model):
    for bad, said in [("resid.1", "after block 1"), ("mlp.99", "blocks 0 to"), ("attn.x", r"unknown \['attn.x'\]")]:
        with pytest.raises(ValueError, match=said):
            srt.interpolate(text_model, PAIRS, layer=1, steps=3, reads=bad)
    curves = srt.interpolate(text_model, PAIRS, layer=1, steps=3, reads="mlp.2")
    with pytest.raises(ValueError, match="step_attn_2"):
        srt.motion(curves, reads="attn.2")


def test_prompts_of_different_lengths_are_flagged_and_never_padded(text_model):
    curves = srt.interpolate(text_model, PAIRS, steps=3, reads="final_norm")
    assert curves.lengths_differ.values.tolist() == [False, False, True, False]
    for index, pair in enumerate(PAIRS):
        alone = srt.interpolate(text_model, [pair], steps=3, reads="final_norm")
        assert curves.distance.values[index] == pytest.approx(alone.distance.values[0], rel=1e-5)
        kept = curves.tokens_a.values[index]
        assert kept[kept >= 0].tolist() == text_model.tokenize(pair[0]).tolist()


def test_the_result_says_where_it_comes_from(text_model, tmp_path):
    curves = srt.interpolate(text_model, PAIRS, layer=2, steps=4)
    wanted = {
        "model",
        "revision",
        "commit",
        "fingerprint",
        "dtype",
        "device",
        "torch",
        "transformers",
        "nnsight",
        "seed",
    }
    assert wanted | {"layer", "steps", "path", "method", "prompts", "bos", "srtoolkit"} <= set(curves.attrs)
    assert curves.attrs["layer"] == 2 and curves.attrs["method"] == "joint"
    assert srt.load(srt.save(curves, tmp_path / "curves.nc")).identical(curves)
    sharp = srt.sharpness(curves)
    assert srt.load(srt.save(sharp, tmp_path / "sharp.nc")).identical(sharp)
    assert srt.load(srt.save(srt.summarise(sharp), tmp_path / "summary.nc"))["median"].notnull().all()


def test_a_path_of_too_many_points_is_cut_without_a_trace(text_model, monkeypatch):
    whole = srt.interpolate(text_model, PAIRS[:1], steps=40)
    monkeypatch.setattr(walk, "LOGPROB_BYTES", 7 * 4 * text_model.vocab_size)
    cut = srt.interpolate(text_model, PAIRS[:1], steps=40)
    for name in ("distance", "kl", "jsd", "top_probability", "logit_difference"):
        assert cut[name].values == pytest.approx(whole[name].values, rel=1e-4, abs=1e-5, nan_ok=True), name


def test_a_pair_whose_ends_are_the_same_is_degenerate_and_left_out(text_model):
    curves = srt.interpolate(text_model, [("same", "same"), *PAIRS], steps=5)
    assert curves.degenerate.values.tolist() == [True, False, False, False, False]
    assert np.isnan(curves.relative_distance.values[0]).all()
    summary = srt.summarise(srt.sharpness(curves)).sel(quantity="max_slope")
    assert (summary.n, summary.excluded) == (4, 1)


def test_overflow_in_half_precision_is_flagged_not_averaged():
    model = tiny("llama", dtype=torch.float16, vocab_size=259)
    model.tokenizer = byte_tokenizer()
    model.hf.model.layers[2].mlp.down_proj.weight.fill_(6e4)
    sharp = srt.sharpness(srt.interpolate(model, [PAIRS[0], PAIRS[3]], steps=5))
    assert sharp.non_finite.all() and not sharp.degenerate.any()
    assert srt.summarise(sharp).n.sum() == 0


def test_a_path_of_ones_own(text_model):
    def square(a, b, alphas):
        return a[:, None] + alphas[None, :, None] ** 2 * (b - a)[:, None]

    bent, straight = (srt.interpolate(text_model, PAIRS[:1], steps=5, path=path) for path in (square, "linear"))
    assert bent.attrs["path"] == "square"
    assert bent.distance.values[0, 2] == pytest.approx(straight.distance.values[0, 1], rel=1e-5)


def test_relative_distance_is_in_units_of_the_distance_at_the_end(text_model):
    """Of a path that goes beyond B and comes back, so that the end is not the largest distance."""

    def beyond(a, b, alphas):
        return a[:, None] + (alphas + 8 * alphas * (1 - alphas))[None, :, None] * (b - a)[:, None]

    row = srt.interpolate(text_model, PAIRS[:1], steps=5, path=beyond).isel(pair=0)
    assert row.relative_distance.values[-1] == 1 and row.relative_distance.max() > 1.05
    assert row.relative_distance.values == pytest.approx(row.distance.values / row.distance.values[-1])


def test_swapped_pairs_run_in_the_other_context(text_model):
    pairs = srt.from_text(text_model, PAIRS[:1])
    assert pairs.swapped().text_a == pairs.text_b
    forth, back = (srt.interpolate(text_model, side, steps=3) for side in (pairs, pairs.swapped()))
    assert forth.distance.values[0, -1] != pytest.approx(back.distance.values[0, -1], rel=1e-3)


def test_next_tokens_are_the_models_own(text_model):
    said = srt.next_tokens(text_model, PAIRS, alphas=[0, 1], top=3)
    for index, (text_a, _) in enumerate(PAIRS):
        best = hooked(text_model, text_model.tokenize(text_a), 0)["logprobs"].topk(3)
        assert said.token.values[index, 0].tolist() == best.indices.tolist()
        assert said.probability.values[index, 0] == pytest.approx(best.values.exp().numpy(), rel=1e-3)
    assert said.text.values[0, 0, 0] == text_model.token_text(said.token.values[0, 0, 0].item())


# --- prompts ---


def test_bos_is_one_more_token_in_front_of_the_same_text(text_model):
    plain, with_bos = srt.sample_pairs(text_model, 5, length=10), srt.sample_pairs(text_model, 5, length=11, bos=True)
    for without, behind in zip(plain.tokens_a, with_bos.tokens_a, strict=True):
        assert behind.tolist() == [1, *without.tolist()]
    assert with_bos.bos and not plain.bos


def test_the_papers_pairs_are_its_six(text_model):
    pairs = srt.paper_pairs(text_model)
    assert pairs.labels == ("S1", "S2", "S3", "D1", "D2", "D3")
    assert all(a.rpartition(" ")[0] == b.rpartition(" ")[0] for a, b in zip(pairs.text_a, pairs.text_b, strict=True))


def test_the_papers_data_set_is_read_as_its_scripts_do(text_model, tmp_path, monkeypatch):
    """A small copy of the data set in a local hub cache: 100 books joined by end-of-text, cut into windows."""
    commit = "c" * 40
    folder = tmp_path / "datasets--sedthh--gutenberg_english"
    (folder / f"snapshots/{commit}/data").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(commit)
    books = pd.DataFrame({"TEXT": [f"book number {index}. " * 20 for index in range(120)]})
    books.to_parquet(folder / f"snapshots/{commit}/data/train-00000-of-00037-abc.parquet")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    windows = torch.stack([window.ids for window in sampling._gutenberg_windows(text_model, 10)])
    text = text_model.tokenizer.decode(windows.flatten().tolist())
    assert text.startswith("book number 0. ") and "book number 99" in text and "book number 100" not in text
    assert len(srt.sample_pairs(text_model, 30, source="gutenberg")) == 30


# --- bad input, refused before any model runs ---


IDS, POINTS = torch.tensor([[5, 6, 7]]), torch.zeros(1, 2, 32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: srt.capture(m, torch.zeros(1, 0, dtype=torch.long)), ValueError, "empty prompt"),
        (lambda m: srt.capture(m, torch.zeros(0, 3, dtype=torch.long)), ValueError, "empty prompt"),
        (lambda m: srt.capture(m, torch.zeros(3, dtype=torch.long)), ValueError, r"shape \[prompt, pos\], got \[3\]"),
        (lambda m: srt.capture(m, torch.full((1, 65), 5)), ValueError, "65 tokens, but .* takes at most 64"),
        (lambda m: srt.capture(m, torch.tensor([[5, 259]])), ValueError, "5 to 259, but .* has ids 0 to 258"),
        (lambda m: srt.capture(m, torch.tensor([[-1]])), ValueError, "another model's tokenizer"),
        (lambda m: srt.capture(m, [[1, 2]]), TypeError, "LongTensor"),
        (lambda m: srt.capture(m, torch.ones(1, 2)), TypeError, "float32 tensor"),
        (lambda m: srt.capture(m, IDS, layer=4), ValueError, "layer=4: .* blocks 0 to 3"),
        (lambda m: srt.capture(m, IDS, layer=-1), ValueError, "layer=-1"),
        (lambda m: srt.capture(m, IDS, layer=0.5), ValueError, "layer=0.5"),
        (lambda m: srt.patch(m, IDS, POINTS, reads="attention"), ValueError, r"unknown \['attention'\].*final_norm"),
        (lambda m: srt.patch(m, IDS, POINTS, reads=()), ValueError, "empty"),
        (lambda m: srt.patch(m, IDS, POINTS, method="fast"), ValueError, r"unknown \['fast'\].*parallel"),
        (lambda m: srt.patch(m, IDS, POINTS[..., :31]), ValueError, r"\[1, point, 32\].* got \[1, 2, 31\]"),
        (lambda m: srt.patch(m, IDS, POINTS[0]), ValueError, r"got \[2, 32\]"),
        (lambda m: srt.patch(m, IDS, POINTS[:, :0]), ValueError, r"got \[1, 0, 32\]"),
        (lambda m: srt.patch(m, IDS, POINTS / 0), ValueError, "64 of 64 values are NaN or infinite"),
        (lambda m: srt.patch(m, IDS, POINTS.long()), TypeError, "float tensor"),
        (lambda m: srt.interpolate(m, [("a", "")]), ValueError, "empty prompt"),
        (lambda m: srt.interpolate(m, []), ValueError, "non-empty list"),
        (lambda m: srt.interpolate(m, ["ab"]), ValueError, r"\(text, text\)"),
        (lambda m: srt.interpolate(m, [("a", 3)]), TypeError, "must be a string"),
        (lambda m: srt.interpolate(m, PAIRS, steps=1), ValueError, "steps=1"),
        (lambda m: srt.interpolate(m, srt.from_text(m, PAIRS)[9:]), ValueError, "empty PromptPairs"),
        (lambda m: srt.interpolate(tiny("llama"), srt.from_text(m, PAIRS)), ValueError, "another model's tokenizer"),
        (lambda m: srt.interpolate(m, PAIRS, path="bow"), ValueError, "path='bow'"),
        (lambda m: srt.interpolate(m, PAIRS, reads=("kl",)), ValueError, r"unknown \['kl'\]"),
        (lambda m: srt.from_text(m, PAIRS, labels=["x"] * 4), ValueError, "different labels"),
        (lambda m: srt.sample_pairs(m, 0), ValueError, "n=0"),
        (lambda m: srt.sample_pairs(m, 10**9), ValueError, "n=1000000000 pairs of prompts of 10 tokens"),
        (lambda m: srt.sample_pairs(m, 2, length=65), ValueError, "takes at most 64"),
        (lambda m: srt.sample_pairs(m, 2, source="web"), ValueError, "source='web'"),
        (lambda m: srt.next_tokens(m, PAIRS, alphas=[]), ValueError, "alphas"),
        (lambda m: srt.next_tokens(m, PAIRS, top=0), ValueError, "top=0"),
    ],
)
def test_bad_input_is_refused_by_name_before_the_model_runs(text_model, monkeypatch, unchecked, call, error, words):
    def ran(*arguments, **options):
        raise AssertionError("the model ran")

    monkeypatch.setattr(text_model.hf.model, "forward", ran)
    with pytest.raises(error, match=words):
        call(text_model)


def test_bos_of_a_tokenizer_without_one_is_refused(text_model, monkeypatch):
    monkeypatch.setitem(text_model.tokenizer._special_tokens_map, "bos_token", None)
    with pytest.raises(ValueError, match="has no BOS token"):
        srt.sample_pairs(text_model, 2, bos=True)


def test_json_of_the_reference_is_whole():
    assert json.loads(json.dumps(srt.reference.janiak2024()))["protocol"]


@pytest.mark.slow
def test_pairs_with_the_same_last_token_differ_before_it(text_model):
    pairs = srt.sample_pairs(text_model, 40, length=6, same_last_token=True)
    assert all(a[-1] == b[-1] and not torch.equal(a, b) for a, b in zip(pairs.tokens_a, pairs.tokens_b, strict=True))
    assert len({tuple(ids.tolist()) for ids in (*pairs.tokens_a, *pairs.tokens_b)}) == 80
    assert srt.sample_pairs(text_model, 40, length=6, same_last_token=True).text_b == pairs.text_b
    with pytest.raises(ValueError, match="with the same last token"):
        srt.sample_pairs(text_model, 10**6, length=6, same_last_token=True)


@pytest.mark.parametrize("position", [0, 1, -2])
def test_a_path_at_an_earlier_position_is_what_patches_there_give(text_model, position):
    pairs = [("the cat sat", "one dog ran"), ("short", "rather longer")]
    curves = srt.interpolate(text_model, pairs, layer=1, steps=5, position=position, own_b=True)
    assert curves.attrs["position"] == position
    for pair, texts in enumerate(pairs):
        a, b = (text_model.tokenize(text)[None] for text in texts)
        ends = [srt.capture(text_model, side, layer=1, position=position)[:, None] for side in (a, b)]
        points = torch.cat([torch.lerp(*ends, share) for share in torch.linspace(0, 1, 5)], dim=1)
        out = srt.patch(text_model, a, points, layer=1, position=position, method="full")[0]
        expected = (out - out[0]).norm(dim=-1)
        assert np.allclose(curves.distance[pair], expected, atol=1e-4 * float(expected[-1]))
        own = srt.patch(text_model, b, ends[1], layer=1, position=position, method="full")[0, 0]
        assert float(curves.own_b[pair, 0]) == pytest.approx(float((out[0] - own).norm()), rel=1e-3)


def test_a_position_that_one_of_the_prompts_lacks_is_refused_before_any_runs(text_model):
    with pytest.raises(ValueError, match="position=3: a prompt here has 3 tokens"):
        srt.interpolate(text_model, [("abcdef", "abc")], position=3)
