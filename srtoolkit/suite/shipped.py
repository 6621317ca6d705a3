"""The nano suite as the package carries it: weights in half precision, tokenizer, losses, and a manifest of hashes."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
from jaxtyping import UInt16
from safetensors.torch import load, load_file, save_file

from srtoolkit.files import verified
from srtoolkit.suite.configuration import VOCABULARY, Configuration, configuration, names

#: Stands between documents; begins and ends a text.
END = "<|endoftext|>"

#: Where the package carries the suite's files.
DATA = Path(str(files("srtoolkit.suite"))) / "data"


def revisions(name: str) -> list[str]:
    """Revisions of the suite's model ``name``, by training step; the last is the finished model."""
    configuration(name)
    kept = (path.partition("/")[2] for path in _manifest() if path.startswith(f"{name}/"))
    return [f"step{step}" for step in sorted([0, *(int(file.removeprefix("step").split(".")[0]) for file in kept)])]


def load_suite_model(name: str, revision: str | None) -> transformers.LlamaForCausalLM:
    """The suite's model ``name`` in float32, its weights checked against the manifest.

    Args:
        name: See :func:`srtoolkit.suite.configuration.names`.
        revision: ``"step<n>"``; the finished model where ``None``. ``"step0"`` is drawn from the model's seed.

    Raises:
        ValueError: The model has no such revision.
        CacheError: The weight file is missing, or is not the one that this release carries.
    """
    settings = configuration(name)
    revision = revision or revisions(name)[-1]
    check_revision(name, revision)
    model = initial_model(settings, settings.seed)
    if revision != "step0":
        weights = {key: value.float() for key, value in load(_checked(f"{name}/{revision}.safetensors")).items()}
        missing, unexpected = model.load_state_dict(weights, strict=False)
        assert missing == ["lm_head.weight"] and not unexpected, (missing, unexpected)  # tied to the embedding
    return model


def check_revision(name: str, revision: str | None) -> None:
    """Refuse a revision that the suite's model ``name`` does not have.

    Args:
        name: Of the model.
        revision: ``"step<n>"``, or ``None`` for the finished model.

    Raises:
        ValueError: The model has no such revision.
    """
    if revision is not None and revision not in revisions(name):
        raise ValueError(f"{name} has no revision {revision!r}; it has {revisions(name)}.")


def initial_model(settings: Configuration, seed: int) -> transformers.LlamaForCausalLM:
    """A model of this configuration with fresh weights drawn from ``seed``, in float32."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transformers.LlamaForCausalLM(settings.architecture())


def load_suite_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """The suite's tokenizer: byte-level BPE of 4,096 entries, the same for every model.

    Raises:
        CacheError: Its file is missing or is not the one that this release carries.
    """
    _checked("tokenizer.json")
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(DATA / "tokenizer.json"), bos_token=END, eos_token=END
    )


def losses(name: str) -> pd.DataFrame:
    """The training log of the suite's model ``name``: step, tokens, losses in nats a token, seconds."""
    configuration(name)
    return pd.read_csv(DATA / name / "losses.csv")


def statistics() -> dict[str, Any]:
    """The corpus in numbers, as it was before any model saw it.

    Returns:
        ``train_tokens``, ``held_out_tokens``, ``train_sha256`` (of the stream of ids), and ``unigram_loss``:
        cross-entropy, in nats a token, of the held-out split under the training split's frequencies of tokens (one
        added to each count). A model that knows frequencies and nothing of context has this loss.
    """
    return dict(json.loads((DATA / "statistics.json").read_text()))


def unigram_stage_end(name: str) -> float:
    """Tokens after which the suite's model ``name`` has left the unigram stage: it then knows more than frequencies.

    The first checkpoint of the training log whose held-out loss is 5% below ``statistics()["unigram_loss"]``.
    """
    log = losses(name)
    return float(log["tokens"][log["held_out_loss"] <= 0.95 * statistics()["unigram_loss"]].min())


def measure_statistics(
    train: UInt16[np.ndarray, " train_token"], held_out: UInt16[np.ndarray, " held_out_token"]
) -> dict[str, Any]:
    """What :func:`statistics` gives, from the two splits as streams of token ids."""
    counts = np.bincount(train, minlength=VOCABULARY) + 1.0
    unigram = -np.log(counts / counts.sum())[held_out].mean()
    return {
        "train_tokens": len(train),
        "held_out_tokens": len(held_out),
        "train_sha256": hashlib.sha256(train.tobytes()).hexdigest(),
        "unigram_loss": round(float(unigram), 4),
    }


def ship(folder: Path) -> None:
    """Copy what the package carries out of a folder in which models of the suite were trained, in half precision.

    Models that the folder does not hold stay as the package has them, and those that have no configuration any more are
    removed.

    Args:
        folder: As ``python -m srtoolkit.suite`` leaves it.

    Raises:
        ValueError: The folder's models saw other text than those that stay.
        FileNotFoundError: A model is not finished, or neither the folder nor the package has it.
    """
    held = [name for name in names() if (folder / name).is_dir()]
    staying = [name for name in names() if name not in held]
    if staying and json.loads((folder / "statistics.json").read_text()) != statistics():
        raise ValueError(f"{folder} holds {held}, trained on other text than {staying}, which would stay; train all.")
    DATA.mkdir(exist_ok=True)
    for name in ("sources.csv", "statistics.json", "tokenizer.json"):
        shutil.copyfile(folder / name, DATA / name)
    for old in (path for path in DATA.iterdir() if path.is_dir() and path.name not in staying):
        shutil.rmtree(old)
    for name in held:
        (DATA / name).mkdir()
        shutil.copyfile(folder / name / "losses.csv", DATA / name / "losses.csv")
        for step in configuration(name).shipped:
            weights = load_file(folder / name / f"step{step}.safetensors")
            save_file({key: value.half() for key, value in weights.items()}, DATA / name / f"step{step}.safetensors")
    shipped = [f"{name}/step{step}.safetensors" for name in names() for step in configuration(name).shipped]
    hashes = {path: verified.file_sha256(DATA / path) for path in ("tokenizer.json", *shipped)}
    (DATA / verified.MANIFEST).write_text(json.dumps(hashes, indent=1) + "\n")


def _manifest() -> dict[str, str]:
    """SHA-256 of every file that is checked on reading, by its path."""
    return dict(json.loads((DATA / verified.MANIFEST).read_text()))


def _checked(path: str) -> bytes:
    """Content of a shipped file whose hash is the manifest's."""
    if not (DATA / path).is_file():
        raise verified.CacheError(f"{DATA / path} is missing; install srtoolkit again.")
    verified.check_hash(DATA / path, _manifest()[path])
    return (DATA / path).read_bytes()
