"""What a run will take, before anything is downloaded or loaded: tokens, operations, memory, disk and time.

Tokens and operations are counted from the configuration (:mod:`srtoolkit.costs.flops`), memory and disk follow from the
number of parameters, and time from a miniature of the model that runs here (:mod:`srtoolkit.costs.calibration`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from huggingface_hub import constants

from srtoolkit.costs.calibration import Loading, Speed, flops, measure_loading, measure_speeds
from srtoolkit.costs.flops import Architecture, find_architecture
from srtoolkit.costs.work import Work, passes
from srtoolkit.measures.gate_flips import GATES_AT_ONCE
from srtoolkit.measures.walk import LOGPROB_BYTES, PAIRS_AT_ONCE
from srtoolkit.models import smollm2
from srtoolkit.models.checks import check_names
from srtoolkit.models.hub import cache as hub_cache
from srtoolkit.models.loading import pick_device
from srtoolkit.models.model import MEMORY_BUDGET
from srtoolkit.models.weights import DTYPES
from srtoolkit.patching.batches import CPU_TOKENS
from srtoolkit.suite import shipped
from srtoolkit.suite.configuration import names as suite_names

#: What fetching a packaged model downloads, in bytes.
WHEEL_BYTES = {"smollm2-135m": 98_000_000}

#: What a process grows by when any model runs: code that is first imported then, and the libraries' own buffers.
OVERHEAD = 120 * 2**20

COLUMNS = (
    *("model", "revision", "call", "forward_tokens", "flops", "peak_bytes"),
    *("download_bytes", "disk_bytes", "size_from", "load_seconds", "run_seconds", "seconds"),
)
SUMS = ("forward_tokens", "flops", "download_bytes", "disk_bytes", "load_seconds", "run_seconds", "seconds")


class Size(NamedTuple):
    """A model's weights as files.

    Attributes:
        download: Bytes to fetch before it can be loaded here.
        disk: Bytes of its files.
        source: Where these are from: ``"package"``, ``"files"``, ``"hub"`` or ``"parameters"``.
    """

    download: int
    disk: int
    source: str


def estimate_cost(
    work: Work | Sequence[Work], *, calibrate: int | float = 10.0, dtype: str = "float32", device: str = "auto"
) -> pd.DataFrame:
    """What calls will take on this machine, from the models' configurations alone.

    Time is measured on a miniature of each model with noise for weights; nothing is downloaded except, for a model that
    is neither packaged nor the paper's, its configuration and tokenizer.

    Args:
        work: One or more calls. They run one after the other; each model is loaded once, by the first that needs it.
        calibrate: Seconds for measuring this machine, over all items together; models of billions of parameters take
            longer. 0 measures nothing, and leaves the times NaN.
        dtype: As :func:`srtoolkit.load_model` takes it.
        device: Likewise.

    Returns:
        One row a call and a last row ``"total"``, with columns ``model``, ``revision``, ``call``; ``forward_tokens``;
        ``flops`` (of matrix products, a multiplication and an addition being two); ``peak_bytes`` (by which the process
        grows, weights included, or, on a GPU, of its memory; the total's is the largest); ``download_bytes``,
        ``disk_bytes`` and ``size_from`` (where these are from: ``"package"``, ``"files"`` that are here, ``"hub"``, or
        ``"parameters"`` where the hub does not say); ``load_seconds``, ``run_seconds`` and their sum ``seconds``,
        downloads not included. What an earlier row loads or downloads is not counted again.

    Raises:
        ValueError: Nothing to do, an unknown dtype, or a model whose configuration cannot be had.
    """
    items = [work] if isinstance(work, Work) else list(work)
    if not items or not all(isinstance(item, Work) for item in items):
        raise ValueError(f"expected one or more srt.Work, got {work!r}.")
    if not 0 <= calibrate < math.inf:
        raise ValueError(f"calibrate={calibrate!r}: expected a number of seconds, or 0 to leave times out.")
    check_names(dtype, DTYPES, "dtype")
    place = pick_device(device)
    models = {item.model: find_architecture(item.model, item.revision) for item in items}
    for item in items:
        passes(models[item.model], item)  # refuses a block that is not there, before anything is measured
    speeds = _measure_speeds(items, models, float(calibrate), dtype, place)
    loading = measure_loading(dtype) if calibrate else Loading(math.nan, math.nan, math.nan)
    rows, loaded, ran = [], set(), set()
    for item in items:
        model, which = models[item.model], (item.model, item.revision)
        row = _row(model, item, which not in ran, speeds.get(_kind(model, item)))
        row["peak_bytes"] = peak_bytes(model, item, dtype, place)
        size = find_size(model, item.revision)
        row |= {"download_bytes": size.download, "disk_bytes": size.disk, "size_from": size.source}
        row["load_seconds"] = loading.seconds(size.disk, hashed=item.model in smollm2.PACKAGED)
        if which in loaded:
            row |= {"download_bytes": 0, "disk_bytes": 0, "load_seconds": 0.0}
        row["seconds"] = row["load_seconds"] + row["run_seconds"]
        rows.append(row)
        loaded.add(which)
        ran |= {which} if item.call != "load" else set()
    table = pd.DataFrame(rows, index=pd.Index([item.label for item in items], name="work"))
    total = {name: table[name].sum(skipna=False) for name in SUMS} | {"peak_bytes": table["peak_bytes"].max()}
    everything = pd.DataFrame([{**dict.fromkeys(("model", "revision", "call", "size_from"), ""), **total}], ["total"])
    return pd.concat([table, everything])[list(COLUMNS)].rename_axis("work")


def _kind(model: Architecture, item: Work) -> tuple[Any, ...]:
    """What two items share when one's speed is the other's."""
    return *model.kind, replace(item, model="any", revision=None, pairs=1)


def _measure_speeds(
    items: list[Work], models: dict[str, Architecture], calibrate: float, dtype: str, device: torch.device
) -> dict[tuple[Any, ...], Speed]:
    """The speed of every kind of item; those on models that cost the same are measured on one miniature."""
    running: dict[tuple[Any, ...], Work] = {}
    for item in items:
        if item.call != "load":
            running.setdefault(_kind(models[item.model], item), item)
    if not calibrate:
        return dict.fromkeys(running, Speed(math.nan, math.nan, math.nan, math.nan))
    alike: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for kind in running:
        alike.setdefault(models[running[kind].model].kind, []).append(kind)
    speeds: dict[tuple[Any, ...], Speed] = {}
    for kinds in alike.values():
        works = [running[kind] for kind in kinds]
        budget = calibrate * len(works) / len(running)
        measured = measure_speeds(models[works[0].model], works, budget, dtype, device)
        speeds |= dict(zip(kinds, measured, strict=True))
    return speeds


def _row(model: Architecture, item: Work, first: bool, speed: Speed | None) -> dict[str, Any]:
    return {
        "model": item.model,
        "revision": item.revision or "",
        "call": item.call,
        "forward_tokens": sum(one.tokens - one.again for one in passes(model, item, first)),
        "flops": sum(flops(model, item, first)),
        "run_seconds": speed.seconds(model, item, first) if speed else 0.0,
    }


def peak_bytes(model: Architecture, item: Work, dtype: str, device: torch.device) -> int:
    """Bytes by which loading a model and one call on it make the process grow, at most.

    Args:
        model: What the call is on.
        item: The call.
        dtype: Name of the number format.
        device: Where it runs.
    """
    width, number = DTYPES[dtype].itemsize, 4
    weights = model.parameters * width
    every = passes(model, item, first=False)
    if not every:
        return OVERHEAD + weights
    tokens = max(one.tokens for one in every)
    gates = model.mlp_width * model.n_layers if item.call == "count_gate_flips" else 0
    logits = model.vocab_size * item.reads_logits
    per_token = width * (6 * model.d_model + 3 * model.mlp_width) + 2 * gates + 2 * number * logits
    per_batch = min(tokens, CPU_TOKENS if device.type == "cpu" else tokens)
    batch = min(per_batch * per_token, MEMORY_BUDGET)
    return OVERHEAD + weights + batch + _results(model, item, number)


def _results(model: Architecture, item: Work, number: int) -> int:
    """Bytes of what a call holds beside the pass that runs: what was read, until it is boiled down."""
    if item.call == "patch":
        width = model.d_model * (1 + len(item.reads)) + model.vocab_size * item.reads_logits
        return number * item.pairs * item.steps * width
    if item.call == "count_gate_flips":
        return 2 * min(item.pairs * item.steps * model.mlp_width * model.n_layers, GATES_AT_ONCE)
    if item.call == "slice_plane":
        return number * item.resolution**2 * 2 * model.d_model
    points = min(item.pairs, PAIRS_AT_ONCE) * item.steps
    if item.reads_logits:
        while_compared = 4 * number * item.steps * model.vocab_size
        return min(number * points * model.vocab_size, LOGPROB_BYTES) + while_compared
    return number * model.d_model * (2 * item.pairs + 2 * points)


def find_size(model: Architecture, revision: str | None) -> Size:
    """How large a model's files are, and how much of them has yet to be fetched.

    Args:
        model: By its name.
        revision: As :func:`srtoolkit.load_model` takes it.
    """
    name = model.name
    if name in suite_names():
        file = shipped.DATA / name / f"{revision or shipped.revisions(name)[-1]}.safetensors"
        return Size(0, file.stat().st_size if file.exists() else 0, "package")
    if name in smollm2.PACKAGED:
        return Size(0 if smollm2.is_cached(name) else WHEEL_BYTES[name], smollm2.PACKAGED[name].disk, "package")
    if not hub_cache.is_hub_id(name):
        return Size(0, _weight_bytes(Path(name)), "files")
    if commit := hub_cache.cached_commit(name, revision):
        folder = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "snapshots" / commit
        if here := _weight_bytes(folder):
            return Size(0, here, "files")
    if size := hub_cache.download_size(name, revision):
        return Size(size, size, "hub")
    stored = getattr(model.text, "dtype", None) or torch.float32
    size = model.parameters * stored.itemsize
    return Size(size, size, "parameters")


def _weight_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
