"""A model that runs elsewhere: nnsight packs every block for the server, unpacks it without srtoolkit, runs it here."""

from __future__ import annotations

import http.server
import inspect
import pickletools
import socket
import sys
import threading

import nnsight
import numpy as np
import pytest
import torch

import srtoolkit as srt
from checkpoints_on_disk import lay_out_hub
from srtoolkit.models.ndif import WORKS

PAIRS = [("the house was very", "the house was in"), ("a cat", "two dogs"), ("red or blue", "red and blue")]
TRIPLE = ["the house", "a cat sat", "green!"]
READS = ("resid", "final_norm", "logits", "logprobs", "gates", "attn.3", "mlp", "resid.3")


def tokens(n=3, length=5):
    return torch.randint(3, 259, (n, length), generator=torch.Generator().manual_seed(0))


def points(n=3, k=4):
    return torch.randn(n, k, 32, generator=torch.Generator().manual_seed(1))


#: Every public function of a model that works remotely, with something to do.
CALLS = {
    "lay_out": lambda model: srt.lay_out(model, TRIPLE, resolution=3).corners,
    "line_on_plane": lambda model: srt.interpolate(
        model, PAIRS[:1], steps=3, path=srt.line_on_plane(model, TRIPLE, 0.5, 0.5)
    ),
    "slice_predictions": lambda model: srt.slice_predictions(model, TRIPLE, resolution=3, top=2),
    "all_pairs": lambda model: srt.all_pairs(model, TRIPLE),
    "capture": lambda model: srt.capture(model, tokens(), layer=1, position=1),
    "count_regions": lambda model: torch.tensor(srt.count_regions(model, PAIRS, steps=5)),
    "count_gate_flips": lambda model: srt.count_gate_flips(model, PAIRS, steps=7, blocks=[1, 3]),
    "divergence": lambda model: srt.divergence(model, PAIRS, lags=(1, 3), steps=6),
    "from_text": lambda model: srt.from_text(model, PAIRS),
    "interpolate": lambda model: srt.interpolate(model, PAIRS, layer=1, steps=5),
    "continuation": lambda model: srt.continuation(model, PAIRS[:2], alphas=(0, 1), tokens=3),
    "layer_map": lambda model: srt.layer_map(model, PAIRS, steps=5),
    "locate_gate_flips": lambda model: srt.locate_gate_flips(model, PAIRS[:1], 2, steps=5, halvings=2),
    "next_tokens": lambda model: srt.next_tokens(model, PAIRS[:2], top=3),
    "noise_floor": lambda model: srt.noise_floor(model, PAIRS[:1], neighbours=3),
    "noise_growth": lambda model: srt.noise_growth(model, PAIRS, steps=3, draws=2, size=0.5),
    "output_spread": lambda model: srt.output_spread(model, PAIRS),
    "paper_pairs": srt.paper_pairs,
    "path_cosine": lambda model: srt.path_cosine(model, PAIRS, PAIRS[::-1]),
    "patch": lambda model: srt.patch(model, tokens(), points(), layer=1, reads=READS, position=1),
    "perturb": lambda model: srt.perturb(
        model, [a for a, _ in PAIRS], srt.directions.random(model, 2), (0.5, 1.0), reads=("final_norm", "logits")
    ),
    "radius": lambda model: srt.radius(model, TRIPLE, points()[:, :2], delta=0.01, tolerance=0.5),
    "sample_pairs": lambda model: srt.sample_pairs(model, 4, length=6),
    "slice_gates": lambda model: srt.slice_gates(model, TRIPLE, 2, resolution=4, anchor="B"),
    "slice_plane": lambda model: srt.slice_plane(model, TRIPLE, resolution=4),
}
REFUSALS = {
    "text_loss": lambda model: srt.text_loss(model, PAIRS),
    "boundary": lambda model: srt.boundary(model, PAIRS),
    "freeze": lambda model: srt.freeze(model, PAIRS),
    "predicted_radius": lambda model: srt.predicted_radius(model, TRIPLE, points()[:, :2], delta=0.01),
    "surprisal": lambda model: srt.surprisal(model, TRIPLE),
    "token_distance": lambda model: srt.token_distance(model, PAIRS),
    "text_map": lambda model: srt.text_map(model, "a cat sat"),
    "null_model": lambda model: srt.null_model(model, "permuted"),
    "method='prefix'": lambda model: srt.patch(model, tokens(), points(), method="prefix"),
    "method='joint'": lambda model: srt.patch(model, tokens(), points(), method="joint"),
    "method='parallel'": lambda model: srt.interpolate(model, PAIRS, method="parallel"),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same model here, and as a server would have it."""
    with pytest.MonkeyPatch.context() as patch:
        lay_out_hub(tmp_path_factory.mktemp("hub"), patch)
        patch.setattr(sys, "path", list(sys.path))  # the rehearsal changes its order
        yield srt.load_model("lab/tiny"), srt.load_model("lab/tiny", remote="local")


@pytest.mark.slow
def test_every_public_function_of_a_model_either_works_remotely_or_refuses():
    functions = {name: getattr(srt, name) for name in srt.__all__ if inspect.isfunction(getattr(srt, name))}
    of_a_model = {
        name for name, call in functions.items() if next(iter(inspect.signature(call).parameters), "") == "model"
    }
    assert of_a_model == set(CALLS) | {name for name in REFUSALS if "=" not in name}
    assert set(CALLS) - set(WORKS) == {
        name for name in CALLS if getattr(srt, name).__module__.startswith("srtoolkit.prompts")
    }
    assert set(WORKS) < set(CALLS)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.slow
def test_numbers_are_those_of_the_model_here(both, name):
    here, there = (CALLS[name](model) for model in both)
    if isinstance(here, srt.PromptPairs):
        assert all(map(torch.equal, here.tokens_a + here.tokens_b, there.tokens_a + there.tokens_b))
        return
    here, there = ({"": found} if isinstance(found, torch.Tensor) else found for found in (here, there))
    assert list(here) == list(there)
    for part in here:
        expected, found = np.asarray(here[part]), np.asarray(there[part])
        if part in ("noise", "relative_noise"):
            assert np.all(found < 1e-5)
        elif expected.dtype.kind == "f":
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, np.nanmax(np.abs(expected))))
        else:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", REFUSALS)
def test_what_needs_the_weights_refuses_by_name_and_says_what_works(both, name):
    with pytest.raises(srt.RemoteError, match=f"^{name}.*interpolate.*load it here"):
        REFUSALS[name](both[1])


def test_a_result_says_that_it_was_made_remotely_and_of_which_weights(both, tmp_path):
    here, there = both
    found = srt.load(srt.save(CALLS["interpolate"](there), tmp_path / "remote.nc"))
    assert (found.attrs["device"], found.attrs["remote"]) == ("remote", "this machine in rehearsal")
    assert (found.attrs["commit"], found.attrs["fingerprint"]) == (f"{1:040x}", here.fingerprint)
    assert found.attrs["method"] == "full" and "remote" not in CALLS["interpolate"](here).attrs
    assert "float32 on this machine in rehearsal" in repr(there)


def test_weights_stay_away(both):
    _, there = both
    assert {parameter.device.type for parameter in there.hf.parameters()} == {"meta"}
    assert there.n_parameters == both[0].n_parameters


def test_a_revision_and_a_number_format_are_those_of_the_server(both, caplog):
    step = srt.load_model("lab/tiny", revision="step1000", remote="local")
    assert step.commit == f"{2:040x}" and step.fingerprint != both[1].fingerprint
    half = srt.load_model("lab/tiny", remote="local", dtype="bfloat16")
    assert half.dtype == "bfloat16" and half.hf.dtype == torch.bfloat16
    assert srt.patch(half, tokens(), points(), layer=1, reads="gates").dtype == torch.float32


@pytest.mark.parametrize("family", ["gpt_neo", "phi3", "opt", "bloom"])
def test_families_whose_blocks_differ(tmp_path, monkeypatch, family):
    """Tuples, a fused gate, flattened rows, no positions."""
    lay_out_hub(tmp_path, monkeypatch, family)
    monkeypatch.setattr(sys, "path", list(sys.path))
    here, there = srt.load_model("lab/tiny"), srt.load_model("lab/tiny", remote="local")
    for layer in (0, 2):
        assert torch.allclose(
            srt.capture(here, tokens(), layer=layer), srt.capture(there, tokens(), layer=layer), atol=1e-5
        )
        expected, found = (
            srt.patch(model, tokens(), points(), layer=layer, reads=READS, method="full") for model in (here, there)
        )
        for read in READS:
            assert torch.allclose(expected[read], found[read], atol=1e-5 * float(expected[read].abs().max())), read


def test_a_call_is_one_round_trip_of_several_batches_and_names_nothing_of_srtoolkit(both, monkeypatch):
    _, there = both
    sent = []
    pack = nnsight.schema.request.RequestModel.serialize

    def watch(*arguments, **options):
        sent.append(pack(*arguments, **options))
        return sent[-1]

    monkeypatch.setattr(nnsight.schema.request.RequestModel, "serialize", watch)
    whole = srt.patch(there, tokens(), points(), layer=1, reads=READS)
    monkeypatch.setattr(there, "memory_budget", 1)
    pieces = srt.patch(there, tokens(), points(), layer=1, reads=READS)
    srt.capture(there, tokens(), layer=1)
    assert len(sent) == 3
    assert all(torch.allclose(whole[read], pieces[read], atol=1e-5) for read in READS)
    for blob in sent:
        named = [argument for _, argument, _ in pickletools.genops(blob) if isinstance(argument, str)]
        assert any("input_ids" in text for text in named)
        assert not [text for text in named if text.partition(".")[0] == "srtoolkit"]


@pytest.mark.slow
def test_a_sweep_takes_remote_models(both, tmp_path):
    members = [{"name": "lab/tiny", "revision": revision, "remote": "local"} for revision in ("main", "step1000")]
    found = srt.sweep(members, CALLS["interpolate"], store=tmp_path)
    assert set(found.attrs["remote"].split(",")) == {"this machine in rehearsal"}
    assert list(found["commit"].values) == [f"{1:040x}", f"{2:040x}"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"init": "random"}, "init='random' with remote"),
        ({"device": "cpu"}, "device='cpu' with remote"),
        ({"device_map": "auto"}, "device_map='auto' with remote"),
        ({"trust_remote_code": True}, "trust_remote_code=True with remote"),
        ({"allow_missing": True}, "allow_missing=True with remote"),
        ({"name": "nano-1m"}, "'nano-1m' is none"),
        ({"name": "smollm2-135m"}, "'smollm2-135m' is none"),
        ({"remote": "elsewhere"}, "remote='elsewhere': expected True"),
        ({"remote": "https://me:secret@example.org"}, "without a password"),
    ],
)
def test_options_that_the_server_decides_on_are_refused(both, options, words):
    with pytest.raises(srt.RemoteError, match=words) as refusal:
        srt.load_model(**{"name": "lab/tiny", "remote": "local", **options})
    assert "secret" not in str(refusal.value)


@pytest.fixture
def key(both, monkeypatch):
    """A key to no server; the hub is taken to have said how the model's name is spelled."""
    monkeypatch.setattr(nnsight.CONFIG.API, "APIKEY", "key-that-is-secret")
    monkeypatch.setitem(nnsight.modeling.huggingface._ID_CACHE, "lab/tiny", "lab/tiny")
    return "key-that-is-secret"


def test_no_key_is_said_before_anything_is_asked(both, monkeypatch):
    monkeypatch.setattr(nnsight.CONFIG.API, "APIKEY", None)
    monkeypatch.delenv("NDIF_API_KEY", raising=False)
    with pytest.raises(srt.RemoteError, match=r"NDIF_API_KEY.*remote='local' rehearses"):
        srt.load_model("lab/tiny", remote=True)
    monkeypatch.setenv("NDIF_API_KEY", "set-after-import")
    with pytest.raises(srt.HubError, match="HF_HUB_OFFLINE"):  # a key is there: nnsight asks the hub for the name
        srt.load_model("lab/tiny", remote=True)


def test_no_connection_is_said_without_the_key(key, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(
        srt.RemoteError, match=f"'lab/tiny' did not run on {address}. There is no connection"
    ) as refusal:
        srt.load_model("lab/tiny", remote=address)
    assert refusal.value.__suppress_context__ and key not in str(refusal.value)


def test_a_server_that_refuses_and_repeats_the_key_is_quoted_without_it(key):
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = f"no such key: {self.headers['ndif-api-key']}".encode()
            self.send_response(401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(srt.RemoteError, match="does not accept the key in NDIF_API_KEY") as refusal:
            srt.load_model("lab/tiny", remote=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert "no such key: <key>" in str(refusal.value) and key not in str(refusal.value)


def test_a_failure_on_the_server_is_quoted(both, monkeypatch):
    _, there = both
    monkeypatch.setattr(type(there), "context_length", None)
    monkeypatch.setattr(type(there), "vocab_size", 10**6)
    with pytest.raises(srt.RemoteError, match=r"did not run on this machine in rehearsal.*It said.*range"):
        srt.capture(there, torch.tensor([[500_000]]))
