"""The cost of a run, before anything is downloaded or loaded: tokens, operations, memory, disk and time.

Tokens, operations and memory are counted from the configuration (:mod:`srtoolkit.costs.passes`,
:mod:`srtoolkit.costs.memory`), the disk is what the model's source says, and time is measured on a miniature of the
model that runs here (:mod:`srtoolkit.costs.speed`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from srtoolkit.costs.architecture import Architecture, find_architecture
from srtoolkit.costs.loading import Loading, measure_loading
from srtoolkit.costs.memory import peak_bytes
from srtoolkit.costs.speed import Speed, flops, measure_speeds
from srtoolkit.costs.words import Costs
from srtoolkit.costs.work import Work, passes
from srtoolkit.models.placement import pick_device
from srtoolkit.models.sources import find_source
from srtoolkit.models.sources.source import Size
from srtoolkit.models.weights import DTYPES, dtype_name
from srtoolkit.validation import check_names, check_number, listed

COLUMNS = (
    *("model", "revision", "call", "forward_tokens", "flops", "peak_bytes"),
    *("download_bytes", "disk_bytes", "size_from", "load_seconds", "run_seconds", "seconds"),
)
SUMS = ("forward_tokens", "flops", "download_bytes", "disk_bytes", "load_seconds", "run_seconds", "seconds")


def estimate_cost(
    work: Work | Sequence[Work],
    *,
    calibrate: int | float = 10.0,
    dtype: str | torch.dtype = "float32",
    device: str = "auto",
) -> pd.DataFrame:
    """The cost of calls on this machine, from the models' configurations alone: tokens, operations, bytes, seconds.

    Time is measured on a miniature of each model, with random weights, which also shows how points will be patched:
    some families have to run whole prompts, many times the tokens, and a configuration does not always say so. Where a
    model's own weights decide, only they can say: behind an indexed attention's ``index_topk`` tokens, and in Bamba and
    Zaya.

    Nothing is downloaded except, for a model that is neither packaged nor the paper's, its configuration and tokenizer.

    Args:
        work: One or more calls. They run one after the other; each model is loaded once, by the first call that needs
            it.
        calibrate: Seconds to spend on measuring this machine, over all calls together; models of billions of parameters
            take longer. With 0, nothing is measured: times are NaN, and the patching method is the one that the
            configuration lets expect.
        dtype: Number format of the models, as :func:`srtoolkit.load_model` takes it.
        device: Device of the models, as :func:`srtoolkit.load_model` takes it.

    Returns:
        One row for each call and a last row ``"total"``, with columns ``model``, ``revision``, ``call``;
        ``forward_tokens``; ``flops`` (of matrix products; a multiplication and an addition are two); ``peak_bytes``
        (growth of the process, or on a GPU of its memory, with the weights; the total is the largest);
        ``download_bytes``, ``disk_bytes`` and ``size_from`` (the source of both: ``"package"``, ``"files"`` on this
        machine, ``"hub"``, or ``"parameters"`` where the hub does not say); ``load_seconds``, ``run_seconds`` and their
        sum ``seconds``, without downloads. What an earlier row loads or downloads is not counted again. The table is
        printed in units that one reads, such as MiB and minutes.

    Raises:
        ValueError: There is no call, ``calibrate`` or ``dtype`` is not valid, a model has no such block, or a
            configuration cannot be read or fetched.
    """
    items = [work] if isinstance(work, Work) else listed(work)
    if not items or not all(isinstance(item, Work) for item in items):
        raise ValueError(f"work: expected one or more srt.Work(...), got {work!r}.")
    calibrate = check_number(calibrate, "calibrate", 0.0)
    (number_format,) = check_names(dtype_name(dtype), DTYPES, "dtype")
    place = pick_device(device)
    models = {item.model: find_architecture(item.model, item.revision) for item in items}
    for item in items:
        passes(models[item.model], item)  # refuses a block that is not there, before anything is measured
    speeds = _measure_speeds(items, models, calibrate, number_format, place)
    loading = measure_loading(number_format) if calibrate else Loading(math.nan, math.nan, math.nan)
    rows, loaded, ran = [], set(), set()
    for item in items:
        model, which = models[item.model], (item.model, item.revision)
        speed = speeds.get(_kind(model, item))
        row = _row(model, item, which not in ran, speed)
        row["peak_bytes"] = peak_bytes(model, item, number_format, place, speed.method if speed else None)
        size = find_size(model, item.revision)
        row |= {"download_bytes": size.download, "disk_bytes": size.disk, "size_from": size.origin}
        row["load_seconds"] = loading.seconds(size.disk, hashed=find_source(item.model).hashed)
        if which in loaded:
            row |= {"download_bytes": 0, "disk_bytes": 0, "load_seconds": 0.0}
        row["seconds"] = row["load_seconds"] + row["run_seconds"]
        rows.append(row)
        loaded.add(which)
        ran |= {which} if item.call != "load" else set()
    table = pd.DataFrame(rows, index=pd.Index([item.label for item in items], name="work"))
    total = {name: table[name].sum(skipna=False) for name in SUMS} | {"peak_bytes": table["peak_bytes"].max()}
    everything = pd.DataFrame([{**dict.fromkeys(("model", "revision", "call", "size_from"), ""), **total}], ["total"])
    return Costs(pd.concat([table, everything])[list(COLUMNS)].rename_axis("work"))


def _kind(model: Architecture, item: Work) -> tuple[Any, ...]:
    """Key that two calls share when they run at the same speed."""
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
    method = speed.method if speed else None
    return {
        "model": item.model,
        "revision": item.revision or "",
        "call": item.call,
        "forward_tokens": sum(one.tokens - one.again for one in passes(model, item, first, method)),
        "flops": sum(flops(model, item, first, method)),
        "run_seconds": speed.seconds(model, item, first) if speed else 0.0,
    }


def find_size(model: Architecture, revision: str | None) -> Size:
    """Bytes of a model's files, and of those still to be downloaded.

    Args:
        model: The model's architecture.
        revision: Branch, tag or commit, as :func:`srtoolkit.load_model` takes it.
    """
    if (size := find_source(model.name).size(revision)) is not None:
        return size
    stored = getattr(model.text, "dtype", None) or torch.float32
    reckoned = model.parameters * stored.itemsize
    return Size(reckoned, reckoned, "parameters")
