"""Loading from a hub that misbehaves: a server on this machine that speaks its language and commits every fault."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import transformers

import srtoolkit as srt
from checkpoints_on_disk import edit_config, save_tiny
from disk_faults import run
from fake_hub import TOKEN, go_to, serve
from srtoolkit.models.hub.errors import HubError, where, without_secrets

PAIRS = [("the cat sat", "a dog ran")]


def cached(tmp_path, pattern="*"):
    """Files of the cache whose name fits, and that hold something."""
    return [path for path in (tmp_path / "cache").rglob(pattern) if path.is_file() and path.stat().st_size]


def test_a_revision_becomes_a_commit_which_the_result_records(hub):
    main, step = (srt.load_model("lab/tiny", revision=revision) for revision in (None, "step1000"))
    assert [main.commit, step.commit] == hub.commits
    assert main.fingerprint != step.fingerprint
    found = srt.interpolate(step, PAIRS, steps=3)
    assert (found.attrs["revision"], found.attrs["commit"]) == ("step1000", hub.commits[1])
    asked = [request.path for request in hub.asked if "step1000" in request.path]
    assert {path.split("/resolve/")[-1] for path in asked[1:]} == {"step1000/config.json"}  # the rest by commit


def test_a_branch_that_moves_is_followed_and_a_commit_stays(hub, tmp_path):
    first = srt.load_model("lab/tiny")
    moved = hub.add("lab/tiny", save_tiny(tmp_path / "later", seed=7), "main")
    later = srt.load_model("lab/tiny")
    assert later.commit == moved and later.fingerprint != first.fingerprint
    hub.repositories["lab/tiny"]["old"] = first.commit
    before = len(hub.asked)
    assert srt.load_model("lab/tiny", revision=first.commit).fingerprint == first.fingerprint
    assert [request.path.partition("?")[0] for request in hub.asked[before:]] == [
        f"/api/models/lab/tiny/revision/{first.commit}"
    ]


def test_a_branch_that_moves_while_it_is_read_is_not_mixed(hub, tmp_path):
    listed = hub.answer

    def move(request):
        answer = listed(request)
        if request.path.startswith("/api/models/lab/tiny"):
            hub.add("lab/tiny", save_tiny(tmp_path / "later", seed=7), "main")
        return answer

    hub.answer = move
    with pytest.raises(HubError, match=r"config\.json of 'lab/tiny': the branch moved on"):
        srt.load_model("lab/tiny")


@pytest.mark.slow
def test_a_dropped_connection_goes_on_where_it_stopped(hub, tmp_path):
    """The client keeps whole pieces of 10 MiB, so the weights are 12.9 MB and the connection ends after 11."""
    source = save_tiny(tmp_path / "large", vocab_size=100_000, tie_word_embeddings=True)
    hub.add("lab/large", source, "main")
    dropped = hub.fails(1, at="model.safetensors", method="GET", stop_at=11_000_000)
    model = srt.load_model("lab/large")
    assert model.fingerprint == srt.load_model(str(source)).fingerprint
    ranges = [request.headers.get("range") for request in hub.asked if request.method == "GET"][-2:]
    assert len(dropped) == 1 and ranges == [None, f"bytes={10 * 2**20}-"]


def test_a_connection_that_is_reset_is_taken_up_again(hub, caplog):
    reset = hub.fails(2, at="model.safetensors", method="GET", stop_at=5_000, reset=True)
    assert srt.load_model("lab/tiny").commit == hub.commits[0]
    assert len(reset) == 2 and "no answer; asking again" in caplog.text


def test_errors_of_the_server_that_pass_are_waited_out(hub, caplog):
    listing = hub.fails(2, at="/api/models/", status=503)
    file = hub.fails(2, at="model.safetensors", method="GET", status=502)
    assert srt.load_model("lab/tiny").commit == hub.commits[0]
    assert len(listing) == len(file) == 2 and "status 503; asking again" in caplog.text


GATED = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model lab/tiny is restricted"}
STALE = {"X-Error-Message": "Invalid credentials in Authorization header"}


@pytest.mark.parametrize(
    ("fault", "asked", "words"),
    [
        ({}, {"name": "lab/none"}, r"'lab/none'.*no such model or file \(404\).*available_models"),
        ({}, {"name": "a/b/c"}, r"'a/b/c'.*cannot be the name of a model"),
        ({}, {"revision": "step9"}, r"revision 'step9' of 'lab/tiny'.*the revision does not \(404\).*/branches"),
        ({"status": 401}, {}, r"no such model, or it is private.*401.*hf auth login"),
        ({"status": 401, "headers": STALE}, {}, r"does not accept the token.*401.*anew"),
        ({"status": 403}, {}, r"forbids it \(403\).*lacks the right"),
        ({"status": 403, "headers": GATED}, {}, r"gated \(403\): accept its terms at .*/lab/tiny, then log in"),
        ({"status": 401, "headers": GATED}, {}, r"gated \(401\): accept its terms"),
        ({"status": 500}, {}, r"failed \(500\).*server's"),
        ({"status": 504}, {}, r"failed \(504\).*server's"),
        ({"status": 429}, {}, r"limits the rate \(429\)\. Try again"),
        ({"stop_at": 3, "reset": True}, {}, r"no connection to .*it was lost.*HF_ENDPOINT"),
    ],
)
def test_failures_are_told_apart_in_words(hub, fault, asked, words):
    if fault:
        hub.fails(at="/api/models/", **fault)
    with pytest.raises(HubError, match=words):
        srt.load_model(**{"name": "lab/tiny", **asked})


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 403, "headers": GATED}, r"model\.safetensors of 'lab/tiny': the model is gated"),
        ({"status": 500}, r"model\.safetensors of 'lab/tiny': .*failed \(500\)"),
        ({"stop_at": 99, "reset": True}, r"model\.safetensors of 'lab/tiny': no connection to .*it was lost"),
    ],
)
def test_failures_at_one_file_name_it_and_leave_nothing_of_it(hub, tmp_path, fault, words):
    hub.fails(at="model.safetensors", method="GET", **fault)
    with pytest.raises(HubError, match=words):
        srt.load_model("lab/tiny")
    assert not cached(tmp_path, "*.safetensors") and not cached(tmp_path, "*.incomplete")


def test_no_connection_is_said_and_what_is_cached_is_used(hub, monkeypatch, caplog):
    model = srt.load_model("lab/tiny")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
    go_to(nobody, monkeypatch)
    assert srt.load_model("lab/tiny").fingerprint == model.fingerprint
    assert f"no connection to {nobody}" in caplog.text and f"Commit {model.commit} lies in the cache" in caplog.text
    with pytest.raises(HubError, match=rf"revision 'step1000' of 'lab/tiny': no connection to {nobody}"):
        srt.load_model("lab/tiny", revision="step1000")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE forbids"):
        srt.load_model("lab/tiny", revision="step1000")


def test_a_hub_that_fails_does_not_keep_one_from_what_is_cached(hub, caplog):
    model = srt.load_model("lab/tiny", revision="step1000")
    hub.fails(status=500)
    start = time.monotonic()
    assert srt.load_model("lab/tiny", revision="step1000").fingerprint == model.fingerprint
    assert time.monotonic() - start < 5
    assert "failed (500)" in caplog.text and "lies in the cache" in caplog.text


def test_a_revision_that_was_deleted_is_not_taken_from_the_cache(hub):
    srt.load_model("lab/tiny", revision="step1000")
    del hub.repositories["lab/tiny"]["step1000"]
    with pytest.raises(HubError, match="the revision does not"):
        srt.load_model("lab/tiny", revision="step1000")


@pytest.mark.parametrize(("file", "kind"), [("model.safetensors", "SHA-256"), ("tokenizer.json", "git hash")])
def test_other_content_of_the_right_size_is_refused_by_name_and_not_kept(hub, tmp_path, file, kind):
    """A weight with one bit turned loads without complaint in transformers; the hash alone tells."""
    content = bytearray((tmp_path / "main" / file).read_bytes())
    content[-1] ^= 1
    hub.fails(at=file, method="GET", body=bytes(content))
    with pytest.raises(HubError, match=rf"{re.escape(file)} of 'lab/tiny' at commit .* its {kind} is .*not used"):
        srt.load_model("lab/tiny")
    assert not cached(tmp_path, file)
    assert all(path.read_bytes() != content for path in cached(tmp_path))
    hub.faults.clear()
    assert srt.load_model("lab/tiny").fingerprint == srt.load_model(str(tmp_path / "main")).fingerprint


def test_content_of_another_size_is_refused_by_name_and_not_kept(hub, tmp_path):
    short = (tmp_path / "main" / "model.safetensors").read_bytes()[:-1000]
    hub.fails(at="model.safetensors", body=short)
    with pytest.raises(HubError, match=rf"model\.safetensors of .* it has {len(short)} bytes, the hub lists"):
        srt.load_model("lab/tiny")
    assert not cached(tmp_path, "model.safetensors")
    hub.faults.clear()
    fingerprint = srt.load_model("lab/tiny").fingerprint
    (weights,) = cached(tmp_path, "model.safetensors")
    blob = weights.resolve()
    blob.unlink()  # not written over: the model that was loaded reads it still
    blob.write_bytes(short)
    with pytest.raises(HubError, match="deleted from the cache"):
        srt.load_model("lab/tiny")
    assert srt.load_model("lab/tiny").fingerprint == fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("at", ["/api/models/", "model.safetensors"])
def test_a_limited_rate_is_waited_out(hub, at):
    limited = hub.fails(1, at=at, method="GET", status=429, headers={"Retry-After": 1})
    start = time.monotonic()
    assert srt.load_model("lab/tiny").commit == hub.commits[0]
    assert len(limited) == 1 and time.monotonic() - start >= 1


@pytest.mark.parametrize("headers", [{"Retry-After": 3600}, {"RateLimit": '"resolvers";r=0;t=3600'}])
@pytest.mark.parametrize("at", ["/api/models/", "config.json", "model.safetensors"])
def test_a_limited_rate_is_not_waited_out_for_ever(hub, tmp_path, at, headers):
    hub.fails(at=at, status=429, headers=headers)
    start = time.monotonic()
    with pytest.raises(HubError, match=r"'lab/tiny': the hub limits the rate \(429\) and asks to wait 3600 s"):
        srt.load_model("lab/tiny")
    assert time.monotonic() - start < 5 and not cached(tmp_path, "model.safetensors")


def test_weights_are_fetched_only_where_they_are_read(hub, tmp_path):
    assert srt.load_model("lab/tiny", init="random").commit == hub.commits[0]
    transformers.BertConfig(hidden_size=32, num_attention_heads=4).save_pretrained(tmp_path / "bert")
    (tmp_path / "bert" / "model.safetensors").write_bytes(b"")
    hub.add("lab/bert", tmp_path / "bert", "main")
    with pytest.raises(ValueError, match="is an encoder"):
        srt.load_model("lab/bert")
    assert not [request for request in hub.asked if "model.safetensors" in request.path]


def test_weights_in_several_files_are_fetched_as_their_index_names_them(hub, tmp_path):
    model = srt.load_model(str(tmp_path / "main"))
    model.hf.save_pretrained(tmp_path / "main", max_shard_size="50kB")
    (tmp_path / "main" / "model.safetensors").unlink()
    (tmp_path / "main" / "consolidated.safetensors").write_bytes(b"the same weights once more, for another library")
    hub.add("lab/shards", tmp_path / "main", "main")
    assert srt.load_model("lab/shards").fingerprint == model.fingerprint
    assert len({request.path for request in hub.asked if "-of-0" in request.path}) > 1
    assert not [request for request in hub.asked if "consolidated" in request.path]


def test_a_repository_without_weights_says_what_it_has(hub, tmp_path):
    (tmp_path / "main" / "model.safetensors").rename(tmp_path / "main" / "model.onnx")
    hub.add("lab/onnx", tmp_path / "main", "main")
    with pytest.raises(HubError, match=r"has no model\.safetensors, only .*model\.onnx"):
        srt.load_model("lab/onnx")


CODE = """
import pathlib
import transformers
pathlib.Path({trap!r}).touch()
class OwnConfig(transformers.LlamaConfig):
    model_type = "own_architecture"
class OwnModel(transformers.LlamaForCausalLM):
    config_class = OwnConfig
"""


def test_code_that_a_model_brings_runs_only_when_asked_for(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    source, trap = tmp_path / "main", tmp_path / "sprung"
    (source / "own.py").write_text(CODE.format(trap=str(trap)))
    edit_config(
        source,
        model_type="own_architecture",
        auto_map={"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"},
    )
    commit = hub.add("lab/own", source, "main")
    for name in ("lab/own", str(source)):
        with pytest.raises(ValueError, match=rf"cannot load '{name}'.*was not run.*trust_remote_code=True"):
            srt.load_model(name)
    assert not trap.exists() and not [request for request in hub.asked if request.path.endswith(".py")]
    model = srt.load_model("lab/own", revision=commit, trust_remote_code=True)
    assert trap.exists() and type(model.hf).__name__ == "OwnModel" and model.commit == commit
    assert srt.interpolate(model, PAIRS, steps=3).distance.shape == (1, 3)


def test_tokens_and_passwords_are_cut_out_of_what_is_quoted(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "unusual-token")
    said = f"bad unusual-token or {TOKEN} at http://me:pass@host/x"
    assert without_secrets(said) == "bad <token> or <token> at http://host/x"
    go_to("https://me:pass@mirror.example:8/hub", monkeypatch)
    assert where() == "https://mirror.example:8/hub"


@pytest.mark.slow
def test_the_token_is_sent_and_never_shown(tmp_path):
    """A whole session with ``HF_ENDPOINT`` and ``HF_TOKEN`` set and all logging on; the hub repeats the token."""
    script = """
    import logging, sys, traceback
    logging.basicConfig(level=logging.DEBUG)
    from IPython.core.ultratb import AutoFormattedTB
    import srtoolkit as srt
    from srtoolkit.models.hub import snapshots
    snapshots.PAUSES = (0.05,)
    def measure(model):
        return srt.interpolate(model, [("the cat sat", "a dog ran")], steps=3)
    found = srt.sweep(["lab/tiny", "lab/forbidden", "lab/limited"], measure, store="store", keep=True)
    srt.save(found, "found.nc")
    print(found.attrs, found.commit.values, found.error.values, found._repr_html_())
    for name in ("lab/none", "lab/forbidden", "lab/stale", "lab/broken", "lab/limited"):
        try:
            srt.load_model(name)
        except ValueError:
            traceback.print_exc()
            print(AutoFormattedTB(mode="Context").text(*sys.exc_info()))  # what a notebook would store
    """
    with serve() as (hub, address):
        commit = hub.add("lab/tiny", save_tiny(tmp_path / "main"), "main")
        said = json.dumps({"error": f"not with {TOKEN}"}).encode()
        for name, status in (("forbidden", 403), ("stale", 401), ("broken", 500), ("limited", 429)):
            hub.fails(at=f"lab/{name}", status=status, headers={"Retry-After": 9999}, body=said)
        environment = {
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
        }
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            capture_output=True, text=True, cwd=tmp_path, env=environment,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:].replace(TOKEN, "<token>")
    assert any(request.headers.get("authorization") == f"Bearer {TOKEN}" for request in hub.asked)
    assert commit in done.stdout and "forbids it (403)" in done.stdout and "not with <token>" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".nc", ".txt", ".safetensors"}
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]


def test_no_stored_notebook_holds_a_token():
    root = Path(__file__).parents[2] / "notebooks"
    texts = {path.name: path.read_text() for path in root.glob("*.ipynb")}
    assert texts and not [name for name, text in texts.items() if re.search(r"\bhf_[A-Za-z0-9]{16,}", text)]


@pytest.mark.slow
def test_a_proxy_that_never_answers_is_given_up_in_words():
    """A real one, which takes the connection and says nothing."""
    code = """
        import time
        import srtoolkit as srt
        from srtoolkit.models.hub import snapshots
        snapshots.PAUSES = (0.05,)
        start = time.monotonic()
        try:
            srt.load_model("lab/tiny")
        except ValueError as error:
            print(time.monotonic() - start < 20, type(error).__name__, error)
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        places = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), proxy)
        settings = {"HF_ENDPOINT": "http://hub.invalid", "HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_OFFLINE": "0"}
        said = run(code, **places, **settings, NO_PROXY="", no_proxy="")
    assert re.match(r"True HubError cannot load 'lab/tiny': no connection to http://hub\.invalid.*proxy settings", said)
