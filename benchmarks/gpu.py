"""The ways on a GPU, in float32 and with TF32: on models of random weights, which take the time of trained ones.

``python -m benchmarks --device cuda`` runs this. TF32 keeps 10 bits of what is multiplied; it is no float32, so its
rows are in files of their own, and are held against plain hooks with TF32.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers

import srtoolkit as srt
from benchmarks import machine, table
from benchmarks.contestants import KeyValueCache, NnsightTrace, PlainHooks, Srtoolkit
from benchmarks.roofline import MatrixProducts
from benchmarks.timing import contestants, measure, running
from benchmarks.work import Work, prepare
from srtoolkit.suite.shipped import load_suite_tokenizer

#: Configurations of Llama-like models, by the name of what they are shaped like.
SHAPES: dict[str, dict[str, Any]] = {
    "135m": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    },
    "7b": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 32000,
    },
}

#: PyTorch's word for each precision of matrix products, and the largest relative difference at which a time counts.
PRECISIONS = {"float32": ("highest", table.AGREEMENT), "tf32": ("high", 2e-2)}

#: What is measured of each shape. A whole prompt of 1,024 tokens keeps so much that few points of it fit.
WORK = {
    "135m": (
        Work("curves", 10, 50, {"none": (16, 50), "prefix": (128, 50), "srtoolkit": (256, 50)}),
        Work("curves", 64, 50, {"none": (4, 50), "prefix": (32, 50), "srtoolkit": (128, 50)}),
        Work("curves", 256, 50, {"none": (2, 50), "prefix": (16, 50), "srtoolkit": (64, 50)}),
        Work("curves", 1024, 50, {"none": (1, 10), "prefix": (2, 50), "srtoolkit": (16, 50)}),
    ),
    "7b": (
        Work("curves", 10, 50, {"none": (2, 50), "prefix": (16, 50), "srtoolkit": (32, 50)}),
        Work("curves", 256, 50, {"none": (1, 20), "prefix": (4, 50), "srtoolkit": (8, 50)}, repeats={"none": 2}),
    ),
}


def make(shape: dict[str, Any], name: str, device: str) -> srt.Model:
    """A model of random weights in float32, with the suite's tokenizer, whose ids are among its own."""
    config = transformers.LlamaConfig(**{"max_position_embeddings": 2048, **shape})
    torch.manual_seed(0)
    with torch.device(device):
        hf = transformers.LlamaForCausalLM(config).eval().requires_grad_(False)
    return srt.wrap(hf, load_suite_tokenizer(), name=name)


def measured(model: srt.Model, work: Work, repeats: int) -> list[table.Row]:
    """Rows of all ways on one piece of work."""
    ways: list[Any] = [PlainHooks(model.hf), NnsightTrace(model.hf), KeyValueCache(model.hf), Srtoolkit(model)]
    problem = prepare(model, work)
    there = replace(problem, context=problem.context.to(model.device), points=problem.points.to(model.device))
    those = contestants(model, ways, work, there)
    return measure(
        work, those, running(ways[0], work, there), MatrixProducts(model.hf), model.hf.config, repeats
    )  # fmt: skip


def run(shape: str, precision: str, device: str, folder: Path, repeats: int = 3) -> Path:
    """Measure one shape at one precision, print the table, and write the CSV, whose path is returned."""
    setting, agreement = PRECISIONS[precision]
    torch.set_float32_matmul_precision(setting)
    model = make(SHAPES[shape], f"random-{shape}", device)
    gpu = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device
    about = machine.describe(f"random weights, {model.n_parameters / 1e6:.0f}M parameters") | {
        "gpu": gpu,
        "cuda": str(torch.version.cuda),
        "precision": precision,
        "blocks": str(model.n_layers),
    }
    out = folder / f"{gpu} {shape} {precision}.csv".lower().replace(" ", "-")
    rows: list[table.Row] = []
    for one in WORK[shape]:
        rows += measured(model, one, repeats)
        table.write(rows, about, out)  # what is measured is kept if the rest is interrupted
    found, _ = table.read(out)
    print(f"\n{gpu}, {shape}, {precision}: matrix products {table.peak_rate(found) / 1e3:.1f} TFLOP/s")
    print(table.render(found, agreement), flush=True)
    return out


def main(device: str, folder: Path) -> None:
    """All shapes at all precisions."""
    for shape in SHAPES:
        for precision in PRECISIONS:
            run(shape, precision, device, folder)
