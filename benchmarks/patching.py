"""Speed of ``srt.patch`` beside what a user would otherwise write, in one run: only the ratios mean something.

    python benchmarks/patching.py [--lengths 10 128] [--pairs 200] [--points 50]

Prints one row for each prompt length: seconds a pair by plain forward hooks on whole prompts (as the paper's scripts
run), by a hand-written one-token suffix over a key-value cache, and by srtoolkit; their ratios; the largest relative
difference of the results; and the peak memory of a process that runs srtoolkit alone. The slow ways are timed on a few
of the pairs.
"""

from __future__ import annotations

import argparse
import copy
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

import srtoolkit as srt

MODEL = "smollm2-135m"


@torch.no_grad()
def plain_hooks(model: srt.Model, context: Tensor, points: Tensor) -> Tensor:
    """Every point runs the whole prompt; a forward hook replaces the last position after block 0."""
    hf = model.hf

    def run(ids: Tensor, replacement: Tensor) -> Tensor:
        def hook(_: torch.nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            output[:, -1] = replacement

        handle = hf.model.layers[0].register_forward_hook(hook)
        try:
            return hf(ids.expand(len(replacement), -1), output_hidden_states=True).hidden_states[-1][:, -1]
        finally:
            handle.remove()

    return torch.stack([run(ids[None], replacement) for ids, replacement in zip(context, points, strict=True)])


@torch.no_grad()
def handwritten_suffix(model: srt.Model, context: Tensor, points: Tensor) -> Tensor:
    """One pair at a time: the prefix's keys and values once, copied for each point, then one token from each point."""
    hf = model.hf

    def run(ids: Tensor, replacement: Tensor) -> Tensor:
        cache = copy.deepcopy(hf.model(ids[:, :-1], use_cache=True).past_key_values)
        cache.batch_repeat_interleave(len(replacement))

        def hook(*_: object) -> Tensor:
            return replacement[:, None]

        handle = hf.model.layers[0].register_forward_hook(hook)
        try:
            last = ids[:, -1:].expand(len(replacement), 1)
            return hf.model(last, past_key_values=cache, use_cache=True).last_hidden_state[:, -1]
        finally:
            handle.remove()

    return torch.stack([run(ids[None], replacement) for ids, replacement in zip(context, points, strict=True)])


def srtoolkit_patch(model: srt.Model, context: Tensor, points: Tensor) -> Tensor:
    found = srt.patch(model, context, points)
    assert isinstance(found, Tensor)
    return found


def paths(model: srt.Model, pairs: int, length: int, steps: int) -> tuple[Tensor, Tensor]:
    prompts = srt.sample_pairs(model, pairs, length)
    context, other = torch.stack(prompts.tokens_a), torch.stack(prompts.tokens_b)
    a, b = srt.capture(model, context), srt.capture(model, other)
    return context, torch.lerp(a[:, None], b[:, None], torch.linspace(0, 1, steps)[None, :, None])


def seconds_a_pair(run: Callable[[], Tensor], pairs: int, repeats: int) -> tuple[float, Tensor]:
    """The fastest of some runs: what is left when the machine's other work is taken away."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = run()
        times.append((time.perf_counter() - start) / pairs)
    return min(times), found


def compare(model: srt.Model, length: int, pairs: int, steps: int) -> list[str]:
    context, points = paths(model, pairs, length, steps)
    srtoolkit_patch(model, context[:1], points[:1])  # the choice of method is not part of the timing
    few = max(1, 40 // length)
    plain, expected = seconds_a_pair(lambda: plain_hooks(model, context[:few], points[:few]), few, 3)
    some = max(4, min(pairs, 400 // length))
    suffix, _ = seconds_a_pair(lambda: handwritten_suffix(model, context[:some], points[:some]), some, 3)
    ours, found = seconds_a_pair(lambda: srtoolkit_patch(model, context, points), pairs, 2)
    difference = float((found[:few] - expected).abs().max() / expected.abs().max())
    cells = [f"{length}", f"{plain:.3f}", f"{suffix:.3f}", f"{ours:.3f}", f"{plain / ours:.1f}", f"{suffix / ours:.2f}"]
    return [*cells, f"{difference:.0e}"]


def peak_memory(length: int, pairs: int, steps: int) -> str:
    command = [
        sys.executable,
        __file__,
        "--alone",
        "--lengths",
        str(length),
        "--pairs",
        str(pairs),
        "--points",
        str(steps),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[10, 128])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument(
        "--alone", action="store_true", help="run srtoolkit only and print the process's peak memory in GiB"
    )
    arguments = parser.parse_args()
    model = srt.load_model(MODEL)
    if arguments.alone:
        srtoolkit_patch(model, *paths(model, arguments.pairs, arguments.lengths[0], arguments.points))
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f}")
        return
    work = f"{arguments.pairs} pairs x {arguments.points} points, {torch.get_num_threads()} threads"
    print(f"{model}\n{work}; seconds a pair\n")
    heads = ["tokens", "plain hooks", "suffix", "srtoolkit", "plain/ours", "suffix/ours", "difference", "peak GiB"]
    print("  ".join(f"{head:>11}" for head in heads))
    for length in arguments.lengths:
        row = [
            *compare(model, length, arguments.pairs, arguments.points),
            peak_memory(length, arguments.pairs, arguments.points),
        ]
        print("  ".join(f"{cell:>11}" for cell in row), flush=True)


if __name__ == "__main__":
    main()
