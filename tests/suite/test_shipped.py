"""The nano suite as users load it: revisions, damage, and what is known of its models beforehand."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

import srtoolkit as srt
from srtoolkit.files.disk import CacheError
from srtoolkit.files.hashes import file_sha256
from srtoolkit.suite import configuration, shipped


@pytest.fixture(scope="module")
def smallest():
    return srt.load_model("nano-0.4m")


@pytest.fixture
def damaged(tmp_path, monkeypatch):
    """A copy of the suite's files to do harm to."""
    shutil.copytree(shipped.DATA, tmp_path / "data")
    monkeypatch.setattr(shipped, "DATA", tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize("name", configuration.names())
@pytest.mark.slow
def test_every_model_loads_and_has_learned_more_than_frequencies(name):
    model = srt.load_model(name)
    assert model.n_layers == configuration.configuration(name).blocks
    assert model.n_parameters == configuration.configuration(name).parameters
    assert model.revision == shipped.revisions(name)[-1]
    loss = srt.text_loss(model, srt.sample_pairs(model, 30, length=100)).loss.mean()
    assert loss < shipped.statistics()["unigram_loss"] - 1
    assert float(loss) == pytest.approx(shipped.losses(name)["held_out_loss"].iloc[-1], abs=0.25)


def test_revisions_are_training_steps():
    table = srt.available_models().set_index("name")
    steps = [int(revision.removeprefix("step")) for revision in table.loc["nano-1m", "revisions"]]
    assert steps[0] == 0 and len(steps) >= 12 and steps == sorted(steps)
    assert steps[-1] == configuration.configuration("nano-1m").steps
    assert all(table.loc[name, "works_offline"] for name in configuration.names())
    seen = srt.checkpoints("nano-1m", near=[0.0, 2e5, 1e9])
    assert seen == {"step0": 0, "step100": 204_800, f"step{steps[-1]}": 2048 * steps[-1]}
    early, late = (srt.load_model("nano-1m", revision=revision) for revision in ("step100", "step800"))
    assert early.revision == "step100" and early.fingerprint != late.fingerprint


def test_the_untrained_checkpoint_is_drawn_from_the_seed():
    first = srt.load_model("nano-1m", revision="step0")
    assert first.fingerprint == srt.load_model("nano-1m", init="random", seed=0).fingerprint
    assert first.fingerprint != srt.load_model("nano-1m", init="random", seed=1).fingerprint
    seed1 = srt.load_model("nano-1m-seed1", revision="step0")
    assert seed1.fingerprint == srt.load_model("nano-1m", init="random", seed=1).fingerprint


def test_a_revision_that_does_not_exist_is_refused_by_name():
    with pytest.raises(ValueError, match=r"nano-1m has no revision 'step7'.*step100"):
        srt.load_model("nano-1m", revision="step7")
    with pytest.raises(ValueError, match="no training"):
        srt.load_model("nano-1m", init="random", revision="step100")


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self):
        return Path.touch, (self.trap,)


def corrupt(path, trap):
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def truncate(path, trap):
    path.write_bytes(path.read_bytes()[:-1000])


def swap(path, trap):
    shutil.copy(path.with_name("step100.safetensors"), path)


def delete(path, trap):
    path.unlink()


def plant(path, trap):
    path.write_bytes(pickle.dumps(Bomb(trap)))


@pytest.mark.parametrize("harm", [corrupt, truncate, swap, delete, plant])
def test_a_damaged_weight_file_is_refused_by_name(damaged, tmp_path, harm):
    last = shipped.revisions("nano-0.4m")[-1]
    harm(damaged / "nano-0.4m" / f"{last}.safetensors", tmp_path / "sprung")
    with pytest.raises(CacheError, match=rf"{last}\.safetensors"):
        srt.load_model("nano-0.4m")
    assert not (tmp_path / "sprung").exists()
    assert srt.load_model("nano-0.4m", revision="step100").revision == "step100"


def test_a_pickle_does_not_run_even_with_its_hash_in_the_manifest(damaged, tmp_path):
    last = shipped.revisions("nano-0.4m")[-1]
    path = damaged / "nano-0.4m" / f"{last}.safetensors"
    plant(path, tmp_path / "sprung")
    manifest = json.loads((damaged / "manifest.json").read_text())
    manifest[f"nano-0.4m/{last}.safetensors"] = file_sha256(path)
    (damaged / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(SafetensorError, match=r"(?i)header"):
        srt.load_model("nano-0.4m")
    assert not (tmp_path / "sprung").exists()


def test_a_damaged_tokenizer_is_refused_by_name(damaged):
    corrupt(damaged / "tokenizer.json", None)
    with pytest.raises(CacheError, match=r"tokenizer\.json"):
        srt.load_model("nano-0.4m")


def test_a_pickle_in_a_store_does_not_run(tmp_path):
    (tmp_path / "x.nc").write_bytes(pickle.dumps(Bomb(tmp_path / "sprung")))
    with pytest.raises(srt.ResultError, match=r"x\.nc is damaged"):
        srt.load(tmp_path / "x.nc")
    assert not (tmp_path / "sprung").exists()


def test_half_precision_in_the_package_is_float32_in_use(smallest):
    assert {parameter.dtype for parameter in smallest.hf.parameters()} == {torch.float32}


def test_the_loss_of_a_text_is_the_models_own(smallest):
    pairs = srt.from_text(smallest, [("In the beginning God created the heaven", "And"), (" the cat sat", "And")])
    found = srt.text_loss(smallest, pairs)
    for ids, loss in zip(pairs.tokens_a, found.loss.values, strict=True):
        assert loss == pytest.approx(smallest.hf(input_ids=ids[None], labels=ids[None]).loss.item(), abs=1e-5)
    with pytest.raises(ValueError, match="one token"):
        srt.text_loss(smallest, [("a", "b")])


def test_the_spread_of_outputs_is_that_of_the_final_norm(smallest):
    pairs = srt.sample_pairs(smallest, 5)
    found = srt.output_spread(smallest, pairs)
    outputs = smallest.hf.model(torch.stack(pairs.tokens_a)).last_hidden_state[:, -1].numpy()
    expected = np.linalg.norm(outputs - outputs.mean(0), axis=1)
    assert found.from_mean.values == pytest.approx(expected, rel=1e-4)
    assert found.relative_spread.values == pytest.approx(expected / np.linalg.norm(outputs, axis=1), rel=1e-4)


def test_the_unigram_stage_ends_at_the_first_checkpoint_that_knows_more():
    log = shipped.losses("nano-1m")
    end = shipped.unigram_stage_end("nano-1m")
    threshold = 0.95 * shipped.statistics()["unigram_loss"]
    assert (log["held_out_loss"][log["tokens"] < end] > threshold).all()
    assert log["held_out_loss"][log["tokens"] == end].item() <= threshold
