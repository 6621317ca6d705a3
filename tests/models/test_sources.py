"""What a name leads to, and what each source says of a model before anything is loaded."""

from __future__ import annotations

import pytest
import torch

import srtoolkit as srt
from srtoolkit.models import packaged
from srtoolkit.models.sources import find_source, known_sources
from srtoolkit.models.sources.folder import Folder
from srtoolkit.models.sources.hub import Hub
from srtoolkit.models.sources.suite import Suite
from srtoolkit.models.sources.wheel import Wheel


def test_a_name_leads_to_one_source(tiny_folder, tmp_path, monkeypatch):
    kinds = {"nano-1m": Suite, "smollm2-135m": Wheel, str(tiny_folder): Folder, "lab/tiny": Hub}
    assert {name: type(find_source(name)) for name in kinds} == kinds
    (tmp_path / "lab" / "tiny").mkdir(parents=True)
    (tmp_path / "nano-1m").mkdir()
    monkeypatch.chdir(tmp_path)
    assert isinstance(find_source("lab/tiny"), Folder)  # what is here is meant before the hub,
    assert isinstance(find_source("nano-1m"), Suite)  # and a packaged name before what is here


@pytest.mark.parametrize("name", ["", " ", None, 3, ["nano-1m"]])
def test_what_is_no_name_is_refused(name, unchecked):
    with pytest.raises(ValueError, match="a model name must be a non-empty string"):
        find_source(name)


def test_every_name_of_its_own_leads_to_the_source_that_lists_it():
    assert [find_source(source.name) for source in known_sources()] == known_sources()


def test_what_is_known_beforehand_is_what_the_files_say(smollm2, text_model, tiny_folder):
    shape = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    more = ("vocab_size", "max_position_embeddings", "tie_word_embeddings")
    known, read = (getattr(find_source("smollm2-135m"), what)() for what in ("known_configuration", "configuration"))
    assert {key: getattr(known, key) for key in shape + more} == {key: getattr(read, key) for key in shape + more}
    assert known.dtype == torch.float32 == smollm2.hf.dtype
    assert find_source("smollm2-135m").parameters == smollm2.n_parameters
    folder = find_source(str(tiny_folder))
    assert folder.known_configuration() is None
    assert folder.configuration().to_dict()["hidden_size"] == text_model.d_model


def test_what_the_packaged_model_downloads_and_takes(smollm2, monkeypatch, tmp_path):
    here = find_source("smollm2-135m").size()
    files = sum(path.stat().st_size for path in _directory().iterdir())
    assert here.download == 0 and here.disk == pytest.approx(files, rel=0.05)
    monkeypatch.setenv("SRT_CACHE", str(tmp_path))
    away = find_source("smollm2-135m")
    assert away.size().download == 98_000_000 and not away.works_offline()


def _directory():
    return packaged.packaged_directory("smollm2-135m")


def test_sources_of_one_version_refuse_a_revision_and_have_no_checkpoints(tiny_folder):
    for name in ("smollm2-135m", str(tiny_folder)):
        for ask in (find_source(name).configuration, find_source(name).size):
            with pytest.raises(ValueError, match="one version only"):
                ask("step1")
        with pytest.raises(ValueError, match="has no checkpoints"):
            srt.checkpoints(name)
    with pytest.raises(ValueError, match="nano-1m has no revision 'step7'"):
        find_source("nano-1m").configuration("step7")


def test_the_hubs_cache_is_known_before_the_hub_is_asked(hub_cache):
    source = find_source("lab/tiny")
    weights = sum(path.stat().st_size for path in (hub_cache / "snapshots" / f"{2:040x}").glob("*.safetensors"))
    assert source.works_offline() and source.size("step1000") == (0, weights, "files")
    assert source.configuration("step1000").hidden_size == 32
    assert find_source("lab/none").size() is None and not find_source("lab/none").works_offline()


@pytest.mark.parametrize(
    ("name", "near"),
    [("nano-1M", "nano-1m"), ("nano1m", "nano-1m"), ("smolm2-135m", "smollm2-135m"), ("Qwen2-0.5b", "Qwen/Qwen2-0.5B")],
)
def test_a_mistyped_name_is_refused_with_the_nearest_before_the_hub_is_asked(hub, name, near):
    for call in (srt.load_model, lambda name: srt.estimate_cost(srt.Work(name), calibrate=0)):
        with pytest.raises(ValueError, match=rf"no model is called '{name}'; near to it are \[.*'{near}'"):
            call(name)
    assert not hub.asked


@pytest.mark.parametrize("name", ["gpt2", "distilgpt2", "openai-gpt", "lab/nano-1M", "t5-small"])
def test_names_that_the_hub_may_have_are_left_to_it(name):
    assert isinstance(find_source(name), Hub)
