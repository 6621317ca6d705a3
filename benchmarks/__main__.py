"""The command: measure, write the CSV, print the table and draw the picture."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from tqdm.auto import tqdm

import srtoolkit as srt
from benchmarks import breakdown, gpu, machine, picture, scaling, table, work
from benchmarks.contestants import WAYS, PlainHooks, Srtoolkit, TransformerLens
from benchmarks.memory import peak
from benchmarks.roofline import MatrixProducts
from benchmarks.timing import contestants, measure, running
from srtoolkit.models import packaged

KINDS = ("curves", "slice", "gates", "points", "pairs", "layers", "length", "memory", "profile")
ROOT = Path(__file__).parents[1]

#: Tokens, pairs and points at which memory is measured, by a way's ``reuse``. At 1,024 tokens, the logits of one curve
#: by whole prompts alone are 10 GB.
MEMORY = {
    "none": ((10, 1, 50), (64, 1, 50)),
    "prefix": ((10, 1, 50), (64, 1, 50), (1024, 1, 50)),
    "srtoolkit": ((10, 1, 50), (64, 1, 50), (1024, 1, 50), (1024, 1, 5000)),
}
QUICK_MEMORY: dict[str, tuple[tuple[int, int, int], ...]] = {
    "none": (),
    "prefix": ((10, 1, 50),),
    "srtoolkit": ((10, 1, 50), (1024, 1, 500)),
}


def main() -> None:
    """Measure, write and show."""
    given = parse()
    if given.device != "cpu":
        gpu.main(given.device, given.out.parent)
        return
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(given.threads)
    os.environ["OMP_NUM_THREADS"] = str(given.threads)  # for the processes whose memory is measured
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        model = srt.load_model(given.model)
        folder = folder_of(model, Path(scratch))
        about = machine.describe(repr(model)) | {"blocks": str(model.n_layers)}
        rows: list[table.Row] = []
        for some in measurements(given, model, folder):
            rows += some
            table.write(rows, about, given.out)  # what is measured is kept if the rest is interrupted
    found, about = table.read(given.out)
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    if (found["contestant"] == table.ROOFLINE).any():
        print(f"matrix products: {table.peak_rate(found):.0f} GFLOP/s")
    texts = (table.render(found), scaling.render(found, model.n_layers), breakdown.render(found))
    print("".join(f"\n{text}\n" for text in texts))
    picture.draw(found, about).savefig(given.picture, dpi=150)
    print(f"\nwrote {given.out} and {given.picture} in {time.perf_counter() - started:.0f} s")


def parse() -> argparse.Namespace:
    """The command's options; what is not the whole of it does not overwrite the results that are kept."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="srtoolkit beside what else one would use"
    )
    parser.add_argument("--quick", action="store_true", help="less of everything, a few minutes")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--repeats", type=int, help="runs of each, of which the fastest counts (3; 2 when quick)")
    parser.add_argument("--model", default="smollm2-135m", help="a name or folder of a Llama-like model")
    parser.add_argument("--device", default="cpu", help="cuda: the ways that run there, on models of random weights")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, help="the CSV")
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    given.repeats = given.repeats or (2 if given.quick else 3)
    whole = not given.quick and given.only == KINDS and given.model == parser.get_default("model")
    name = re.sub(r"\W+", "-", f"{machine.processor()} {given.threads} threads").lower()
    given.out = given.out or ROOT / ("benchmarks/results" if whole else "build/benchmarks") / f"{name}.csv"
    given.picture = given.picture or (ROOT / "docs/benchmarks.png" if whole else given.out.with_suffix(".png"))
    return given


def folder_of(model: srt.Model, scratch: Path) -> Path:
    """The model's files, which all ways load for themselves."""
    if model.name in packaged.PACKAGED:
        return Path(packaged.packaged_directory(model.name))
    model.hf.save_pretrained(scratch)
    model.tokenizer.save_pretrained(scratch)
    return scratch


def available() -> list[type[Any]]:
    """The ways whose libraries are installed."""
    if importlib.util.find_spec("transformer_lens") is not None:
        return list(WAYS)
    print("TransformerLens is not installed and left out; it comes with: pip install -e '.[benchmarks]'")
    return [way for way in WAYS if way is not TransformerLens]


def measurements(given: argparse.Namespace, model: srt.Model, folder: Path) -> Iterator[list[table.Row]]:
    """Rows, one piece of work after the other."""
    kinds = available()
    todo = (work.quick if given.quick else work.full)(model.n_layers)
    todo = [one for one in todo if one.tokens <= longest(model)]
    curves = [one for one in todo if one.kind == "curves" and "profile" in given.only]
    todo = [one for one in todo if one.kind in given.only]
    if "memory" in given.only:  # first, while this process is small
        yield from memory(given, model, folder, kinds)
    if not todo + curves:
        return
    ways = [way(folder) for way in kinds]
    plain = next(way for way in ways if isinstance(way, PlainHooks))
    ours = next(way.model for way in ways if isinstance(way, Srtoolkit))
    products = MatrixProducts(plain.hf)
    for one in (bar := tqdm(todo, unit="work")):
        bar.set_description(f"{one.kind}, {one.tokens} tokens")
        problem = work.prepare(ours, one)
        those, reference = contestants(ours, ways, one, problem), running(plain, one, problem)
        yield measure(one, those, reference, products, plain.hf.config, given.repeats)
    patch = next(way for way in ways if isinstance(way, Srtoolkit))
    for one in tqdm(curves, desc="profile", unit="work"):
        run = running(patch, one, work.prepare(ours, one))
        yield breakdown.profiled(one, one.sizes["srtoolkit"][0], run, plain.hf.config)


def longest(model: srt.Model) -> float:
    """Tokens of the longest prompt that the model takes."""
    return model.context_length or float("inf")


def memory(
    given: argparse.Namespace, model: srt.Model, folder: Path, ways: list[type[Any]]
) -> Iterator[list[table.Row]]:
    """Rows of peaks of memory."""
    sizes = QUICK_MEMORY if given.quick else MEMORY
    todo = [(way, *size) for way in ways for size in sizes[way.reuse] if size[0] <= longest(model)]
    for way, tokens, pairs, points in (bar := tqdm(todo, unit="process")):
        bar.set_description(f"memory of {way.name}, {tokens} tokens")
        one = work.Work("memory", tokens, points, {"srtoolkit": (pairs, points)})
        yield [peak(way.name, folder, one, work.prepare(model, one))]


if __name__ == "__main__":
    main()
