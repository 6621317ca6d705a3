"""Models of hidden Markov processes know their process, and what is said of them is what plain passes say."""

from __future__ import annotations

import itertools
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

import srtoolkit as srt
from srtoolkit.files.disk import CacheError
from srtoolkit.toy import hidden_markov, training

BOTH = pytest.mark.parametrize("name", ["mess3", "rrxor"])


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A copy of the models' files to do harm to."""
    shutil.copytree(hidden_markov.DATA, tmp_path / "data")
    monkeypatch.setattr(hidden_markov, "DATA", tmp_path / "data")
    return tmp_path / "data"


@BOTH
def test_losses_are_expectations_over_all_words(name):
    toy = srt.toy.hmm(name, init="random", seed=2)
    found = toy.losses(3)
    for length in (1, 3):
        total = 0.0
        for word, chance in zip(*toy.process.words(length + 1), strict=True):
            logits = toy.model.hf(input_ids=torch.tensor(word[None, :-1])).logits[0, -1]
            total += chance * float(torch.nn.functional.cross_entropy(logits, torch.tensor(int(word[-1]))))
        assert float(found.loss.sel(pos=length)) == pytest.approx(total, rel=1e-5)


@BOTH
@pytest.mark.slow
def test_the_shipped_model_has_learned_its_process_and_the_untrained_one_has_not(name):
    def not_learned(toy):
        found = toy.losses(8 if name == "mess3" else 10)
        assert (found.loss > found.entropy).all(), "nobody predicts better than who knows the process"
        least = float(found.entropy.mean())
        return (float(found.loss.mean()) - least) / (np.log(len(toy.process.symbols)) - least)

    assert not_learned(srt.toy.hmm(name)) < 0.1
    # With tied embeddings, an untrained model tends to repeat its last symbol, as Mess3 does.
    assert not_learned(srt.toy.hmm(name, init="random", seed=0)) > {"mess3": 0.3, "rrxor": 1}[name]


@BOTH
@pytest.mark.slow
def test_every_run_has_learned_its_process_and_is_another_model(name):
    runs = [srt.toy.hmm(name, run=run) for run in range(hidden_markov.CARRIED + 1)]
    assert len({toy.model.fingerprint for toy in runs}) == len({toy.model.name for toy in runs}) == 4
    for toy in runs:
        found = toy.losses(6)
        least, nothing = float(found.entropy.mean()), np.log(len(toy.process.symbols))
        assert 0 < (float(found.loss.mean()) - least) / (nothing - least) < 0.1


def test_a_run_that_the_package_lacks_is_read_from_its_folder(tmp_path):
    start = srt.toy.hmm("rrxor", init="random", seed=9).model.hf
    (tmp_path / "rrxor-run9").mkdir()
    weights = {key: value.detach() for key, value in start.named_parameters()}
    save_file(weights, tmp_path / "rrxor-run9" / "step8000.safetensors")
    read = srt.toy.hmm("rrxor", run=9, folder=tmp_path).model
    assert read.name == "hmm-rrxor-run9"
    assert all(torch.equal(value, weights[key]) for key, value in read.hf.named_parameters())


@BOTH
def test_beliefs_are_read_off_as_by_a_regression_on_captured_activations(name):
    length = {"mess3": 7, "rrxor": 10}[name]
    toy = srt.toy.hmm(name)
    words, _ = toy.process.words(length)
    true = toy.process.beliefs(words)[:, -1]
    fitted, tested = np.array_split(np.random.default_rng(0).permutation(len(words)), 2)
    found, rounding = toy.belief_fits(length), np.finfo(np.float32).eps * len(fitted)
    assert found.sizes["read"] == toy.model.n_layers - 1
    for layer in (0, 2):
        ends = srt.capture(toy.model, torch.tensor(words), layer=layer).double().numpy()
        main = PCA().fit(ends[fitted])
        main = PCA(int((main.singular_values_ > rounding * main.singular_values_[0]).sum())).fit(ends[fitted])
        seen, unseen = main.transform(ends[fitted]), main.transform(ends[tested])
        said = LinearRegression().fit(seen, true[fitted]).predict(unseen)
        expected = r2_score(true[tested], said, multioutput="variance_weighted")
        assert float(found.sel(read=layer)) == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize("states", ["same", "different"])
def test_pairs_lead_to_the_same_or_to_different_beliefs(states):
    toy = srt.toy.hmm("rrxor", init="random")
    pairs = toy.sample_pairs(120, states)
    ends = [toy.process.beliefs(torch.stack(side).numpy())[:, -1] for side in (pairs.tokens_a, pairs.tokens_b)]
    alike = np.abs(ends[0] - ends[1]).max(1) < 1e-9
    assert alike.all() if states == "same" else not alike.any()
    assert len({*pairs.text_a, *pairs.text_b}) == 240, "no word twice"
    assert toy.sample_pairs(120, states, seed=1).text_a != pairs.text_a


def test_pairs_of_any_words_are_what_the_process_emits():
    toy = srt.toy.hmm("mess3", init="random")
    pairs = toy.sample_pairs(300, length=9, seed=5)
    words = [*pairs.text_a, *pairs.text_b]
    assert len(set(words)) == 600 and {len(word) for word in words} == {9}
    stays = np.mean([a == b for word in words for a, b in itertools.pairwise(word)])
    assert 0.5 < stays < 0.75, "symbols repeat, as likely words have it"


def test_words_are_as_many_of_each_belief_state():
    toy = srt.toy.hmm("rrxor", init="random")
    words = toy.sample_words(4, 6)
    states, counts = np.unique(words.values, return_counts=True)
    assert len(states) == 13 and set(counts) == {4} and len(set(words.text.values)) == 52
    tokens = np.array([[int(letter) for letter in text] for text in words.text.values])
    ends = toy.process.beliefs(tokens)[:, -1]
    np.testing.assert_allclose(ends, toy.process.belief_states()[words.values], atol=1e-9)


def test_other_seeds_draw_other_weights_and_the_trained_have_none_to_draw():
    def prints(init):
        return [srt.toy.hmm("rrxor", init=init, seed=seed).model.fingerprint for seed in (0, 1, 1)]

    for init in ("random", "permuted"):
        first, other, again = prints(init)
        assert first != other and other == again
    assert len(set(prints("pretrained"))) == 1


def test_prompts_are_words():
    toy = srt.toy.hmm("mess3", init="random")
    assert toy.model.tokenize("ABCA").tolist() == [0, 1, 2, 0]
    assert toy.texts(np.array([[0, 1, 2, 0]])) == ["ABCA"] and toy.model.token_text(2) == "C"
    assert toy.model.context_length == 11 and toy.model.vocab_size == 3


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: srt.toy.hmm("even"), "mess3.*rrxor"),
        (lambda: srt.toy.hmm("rrxor", run=4), r"run=4.*0 to 3.*srtoolkit.toy train rrxor --run 4.*folder="),
        (lambda: srt.toy.hmm("mess3", run=5, folder="nowhere"), r"nowhere.*mess3-run5.step8000.*--run 5"),
        (lambda: srt.toy.hmm("rrxor", init="drawn"), "pretrained.*random.*permuted"),
        (lambda: srt.toy.hmm("rrxor", init="random").sample_pairs(300, "same"), "n=300.*fewer"),
        (lambda: srt.toy.hmm("mess3", init="random").sample_pairs(3, "same"), "continuum"),
        (lambda: srt.toy.hmm("mess3", init="random").sample_words(2, 2, length=4), "continuum"),
        (lambda: srt.toy.hmm("rrxor", init="random").sample_words(3, 2), "each"),
        (lambda: srt.toy.hmm("rrxor", init="random").losses(11), "length"),
        (lambda: srt.toy.hmm("mess3", init="random").model.tokenize("ABD"), "hmm-mess3.*'ABD'.*'A', 'B', 'C'"),
        (lambda: srt.from_text(srt.toy.hmm("mess3", init="random").model, [("ABCA", "AB A")]), "'AB A'.*'A', 'B', 'C'"),
    ],
)
def test_what_there_is_not_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_damaged_and_missing_weights_are_noticed(elsewhere):
    path = elsewhere / "rrxor.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CacheError):
        srt.toy.hmm("rrxor")
    path.unlink()
    with pytest.raises(CacheError, match="missing"):
        srt.toy.hmm("rrxor")


@pytest.mark.slow
def test_what_is_trained_is_shipped(elsewhere, tmp_path, monkeypatch):
    """A few steps of training, on a short stream, in a folder of its own."""
    monkeypatch.setattr(training, "STREAM", 4000)
    for name in ("mess3", "rrxor"):
        settings = json.loads((elsewhere / f"{name}.json").read_text())
        few = {"steps": 3, "checkpoints": [0, 3], "shipped": [3], "batch": 4}
        (elsewhere / f"{name}.json").write_text(json.dumps(settings | few))
        training.train(name, tmp_path / "runs" / name)
    training.train("mess3", tmp_path / "runs" / "mess3-run2", run=2)
    training.ship(tmp_path / "runs")
    second = srt.toy.hmm("mess3", run=2).model
    begun = srt.toy.hmm("mess3", init="random", seed=2).model
    assert second.fingerprint != begun.fingerprint
    assert (
        max(float((a - b).abs().max()) for a, b in zip(second.hf.parameters(), begun.hf.parameters(), strict=True))
        < 0.01
    )
    toy = srt.toy.hmm("mess3")
    start = srt.toy.hmm("mess3", init="random", seed=0)
    assert toy.model.fingerprint != start.model.fingerprint
    moved = [
        float((a - b).abs().max()) for a, b in zip(toy.model.hf.parameters(), start.model.hf.parameters(), strict=True)
    ]
    assert 0 < max(moved) < 0.01, "three small steps from the start"
    assert (elsewhere / "mess3.csv").read_text().count("\n") == 3
