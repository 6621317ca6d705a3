"""Loading a model by its name: packaged, from a local directory, or from the Hugging Face hub at any revision.

The model and its tokenizer are loaded with transformers and only then wrapped; nnsight's own loading is not used, so
one set of rules (revisions, dtypes, devices, offline) holds for every source.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from srtoolkit.models import remote as elsewhere
from srtoolkit.models.model import Model
from srtoolkit.models.options import Options
from srtoolkit.models.placement import Placement
from srtoolkit.models.sources import find_source
from srtoolkit.models.wrapping import as_model


def load_model(
    name: str,
    *,
    revision: str | None = None,
    init: str = "pretrained",
    dtype: str = "float32",
    device: str = "auto",
    device_map: Any = None,
    max_memory: dict[int | str, int | str] | None = None,
    offload_folder: str | Path | None = None,
    seed: int = 0,
    remote: bool | str = False,
    trust_remote_code: bool = False,
) -> Model:
    """Load a causal language model for patching.

    Args:
        name: A packaged name (see :func:`srtoolkit.available_models`), a Hugging Face id, or a local directory.
        revision: Branch, tag or commit of a Hugging Face id; training checkpoints are revisions, of the nano suite's
            models, too (``"step800"``).
        init: ``"pretrained"``, or ``"random"`` for the same architecture with fresh weights drawn from ``seed``.
        dtype: ``"float32"`` as in the paper; ``"bfloat16"`` and ``"float16"`` trade exactness for memory, and
            :func:`srtoolkit.noise_floor` says how much.
        device: ``"auto"`` takes CUDA, then MPS, then the CPU; or any torch device.
        device_map: For pretrained models that need several devices, as transformers takes it: ``"auto"`` fills the GPUs
            in turn, then the memory, then the disk; a mapping from module paths to devices, ``"cpu"`` or ``"disk"``
            says what goes where. Weights that are not on a device are fetched for each pass, which is slow.
        max_memory: Most bytes of each device that ``device_map="auto"`` may fill, as ``{0: "20GiB", "cpu": "60GiB"}``.
        offload_folder: Where weights go that are offloaded to the disk and cannot be read from where they lie.
        seed: Seed of ``init="random"``.
        remote: ``True`` runs a model of the hub on NDIF's servers: nothing but its configuration and tokenizer is
            fetched, its number format is the server's own, and it works with every measurement that is made of
            :func:`srtoolkit.capture` and :func:`srtoolkit.patch`; the others refuse. Needs a key in ``NDIF_API_KEY``,
            and trusts the server: nnsight unpickles its answers. ``"local"`` rehearses the same path on this machine;
            an address is that of another server of the kind.
        trust_remote_code: Run Python files that the model's repository or directory brings along, where transformers
            does not know the architecture. They may do whatever you may do: read your files, use your network. Only
            for code that you have read, at a ``revision`` that is a commit, so that it stays what you have read.

    Raises:
        ValueError: The name, revision or an option is unknown, or the model is no causal decoder.
        HubError: A ValueError of the hub: no such model or revision, no leave, no answer, or files that fail their
            hash; the message says which and what to do.
        RemoteError: A ValueError of ``remote``: no key, no connection, no such model there, or an option that the
            server decides on.
        DiskError: A cache is full or cannot be written; of a packaged model a CacheError, which says too that it cannot
            be fetched. The message says how much is needed, where, and which variable moves it.
    """
    placement = Placement(device, device_map, max_memory, offload_folder)
    options = Options(init, dtype, seed, trust_remote_code, placement)
    source = find_source(name)
    if remote:
        return elsewhere.load_remote(source, revision, options, remote)
    options.check()
    loaded = source.load(revision, options)
    return as_model(
        placement.put(loaded.hf, name),
        loaded.tokenizer,
        name=name,
        dtype=dtype,
        revision=loaded.revision,
        commit=loaded.commit,
        init=init,
        seed=seed,
    )
