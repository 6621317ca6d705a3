"""Memory that runs out, for real, in the middle of a batch: smaller batches and the same numbers, or a MemoryError."""

from __future__ import annotations

from disk_faults import run

SCRIPT = """
import resource
import numpy as np, torch
torch.set_num_threads(1)
from checkpoints_on_disk import byte_tokenizer
from families import tiny
import srtoolkit as srt
from srtoolkit.measures import walk
from srtoolkit.patching import batches

model = tiny("llama", vocab_size=20_000, num_hidden_layers=2, intermediate_size=8192)
model.tokenizer = byte_tokenizer()
pairs = [(f"the cat sat {letter}", "a dog ran") for letter in "abcdefgh"]

def numbers():
    found = srt.interpolate(model, pairs, steps=150)
    few = srt.interpolate(model, pairs, steps=100)
    ids = model.tokenize("the cat")[None]
    points = torch.linspace(0, 1, 15_000 * model.d_model).reshape(1, 15_000, model.d_model)
    outputs = srt.patch(model, ids, points)
    logits = srt.patch(model, ids, points[:, :100], reads="logits")
    curves = [one[name].values for one in (found, few) for name in ("distance", "kl", "top_probability")]
    return [*curves, outputs.numpy(), logits.numpy()]

def limited(bytes_more):
    grown = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (grown + bytes_more, resource.RLIM_INFINITY))

def unlimited():
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

expected = numbers()
# As on a card whose memory was guessed too large: all points at once.
batches.CPU_TOKENS = walk.LOGPROB_BYTES = 10**12
model.memory_budget = 10**12
limited(600_000_000)  # 15,000 points at once need 0.5 GB for each activation of the MLP
found = numbers()
unlimited()
print("smaller", model.memory_budget < 10**12)
print("same", all(np.allclose(one, other, rtol=1e-3, atol=1e-4) for one, other in zip(found, expected)))
for call in (
    lambda: srt.patch(model, model.tokenize("the cat")[None], torch.randn(1, 400, model.d_model), reads="logits"),
    lambda: srt.interpolate(model, pairs, steps=150),
    lambda: srt.slice_plane(model, ("a cat", "the dog", "rains"), resolution=31),
):
    limited(1_000_000)
    try:
        call()
        print("fitted")
    except BaseException as error:
        unlimited()
        print(type(error).__name__, error)
    unlimited()
model.memory_budget, batches.CPU_TOKENS, walk.LOGPROB_BYTES = 2**29, 1536, 2**28
print("usable", all(np.array_equal(one, other) for one, other in zip(numbers(), expected)))
"""


def test_smaller_batches_give_the_same_and_what_never_fits_is_a_memory_error():
    lines = run(SCRIPT).splitlines()
    assert lines[:2] == ["smaller True", "same True"] and lines[-1] == "usable True", lines
    assert len(lines) == 6
    refused = [line for line in lines[2:-1] if line != "fitted"]  # into what the process had and had freed
    assert refused
    for line in refused:
        assert line.startswith("MemoryError") and "memory" in line.partition(" ")[2], line
