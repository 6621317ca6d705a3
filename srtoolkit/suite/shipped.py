"""The nano suite's files in the package: weights in 16 or 8 bits, tokenizer, losses, and a manifest of hashes."""

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

from srtoolkit.files import disk, hashes, verified
from srtoolkit.suite import eight_bits
from srtoolkit.suite.configuration import VOCABULARY, Configuration, configuration, names
from srtoolkit.suite.sizes import sizes

#: Stands between documents; begins and ends a text.
END = "<|endoftext|>"

#: Where the package carries the suite's files.
DATA = Path(str(files("srtoolkit.suite"))) / "data"


def revisions(name: str) -> list[str]:
    """Revisions of a model of the suite, in the order of training; the last is the finished model.

    Args:
        name: Name of the model.
    """
    configuration(name)
    kept = (path.partition("/")[2] for path in _manifest() if path.startswith(f"{name}/"))
    return [f"step{step}" for step in sorted([0, *(int(file.removeprefix("step").split(".")[0]) for file in kept)])]


def load_suite_model(name: str, revision: str | None) -> transformers.LlamaForCausalLM:
    """Load a model of the suite in float32, after a check of its weights against the manifest.

    Args:
        name: Name of the model, one of :func:`srtoolkit.suite.configuration.names`.
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
        weights = eight_bits.unpack(load(read_checked(f"{name}/{revision}.safetensors")))
        missing, unexpected = model.load_state_dict(weights, strict=False)
        assert missing == ["lm_head.weight"] and not unexpected, (missing, unexpected)  # tied to the embedding
    return model


def check_revision(name: str, revision: str | None) -> None:
    """Refuse a revision that a model of the suite does not have.

    Args:
        name: Name of the model.
        revision: ``"step<n>"``, or ``None`` for the finished model.

    Raises:
        ValueError: The model has no such revision.
    """
    if revision is not None and revision not in revisions(name):
        raise ValueError(f"{name} has no revision {revision!r}; it has {revisions(name)}.")


def initial_model(settings: Configuration, seed: int) -> transformers.LlamaForCausalLM:
    """A model with fresh random weights, in float32.

    Args:
        settings: Configuration of the model.
        seed: Seed of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transformers.LlamaForCausalLM(settings.architecture())


def load_suite_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """The suite's tokenizer: byte-level BPE of 4,096 entries, the same for every model.

    Raises:
        CacheError: The tokenizer's file is missing, or is not the one that this release carries.
    """
    read_checked("tokenizer.json")
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(DATA / "tokenizer.json"), bos_token=END, eos_token=END
    )


def losses(name: str) -> pd.DataFrame:
    """The training log of a model of the suite: step, tokens, losses in nats a token, seconds.

    Args:
        name: Name of the model.
    """
    configuration(name)
    return pd.read_csv(DATA / name / "losses.csv")


def statistics() -> dict[str, Any]:
    """Statistics of the corpus, without any model of the suite.

    Returns:
        ``train_tokens`` and ``held_out_tokens`` (their numbers), ``train_sha256`` (of the stream of token ids), and
        ``unigram_loss``: the cross-entropy, in nats a token, of the held-out split under the token frequencies of the
        training split (one added to each count). A model that knows frequencies and nothing of context has this loss.
    """
    return dict(json.loads((DATA / "statistics.json").read_text()))


def unigram_stage_end(name: str) -> float:
    """Number of training tokens after which a model of the suite knows more than token frequencies.

    It is that of the first checkpoint of the training log whose held-out loss is 5% below
    ``statistics()["unigram_loss"]``.

    Args:
        name: Name of the model.
    """
    log = losses(name)
    return float(log["tokens"][log["held_out_loss"] <= 0.95 * statistics()["unigram_loss"]].min())


def measure_statistics(
    train: UInt16[np.ndarray, " train_token"], held_out: UInt16[np.ndarray, " held_out_token"]
) -> dict[str, Any]:
    """Measure the statistics of the corpus that :func:`statistics` returns.

    Args:
        train: Token ids of the training split, as one stream.
        held_out: Token ids of the held-out split, as one stream.
    """
    counts = np.bincount(train, minlength=VOCABULARY) + 1.0
    unigram = -np.log(counts / counts.sum())[held_out].mean()
    return {
        "train_tokens": len(train),
        "held_out_tokens": len(held_out),
        "train_sha256": hashlib.sha256(train.tobytes()).hexdigest(),
        "unigram_loss": round(float(unigram), 4),
    }


def ship(folder: Path) -> None:
    """Copy trained models of the suite from a folder into the package.

    The two series, and what a run went through on its way, are kept in 8 bits. The finished weights of the earlier
    models are kept in 16, and so is the checkpoint of the smallest one, which a test trains again.

    Models that the folder does not hold stay as they are in the package; those without a configuration are removed.

    Args:
        folder: Folder of a run of ``python -m srtoolkit.suite``.

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
            save_file(_stored(name, step, weights), DATA / name / f"step{step}.safetensors")
    shipped = [f"{name}/step{step}.safetensors" for name in names() for step in configuration(name).shipped]
    others = [path for path in ("tokenizer.json", "followers.npz") if (DATA / path).exists()]
    found = {path: hashes.file_sha256(DATA / path) for path in (*others, *shipped)}
    (DATA / verified.MANIFEST).write_text(json.dumps(found, indent=1) + "\n")


def _stored(name: str, step: int, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights as the package keeps them."""
    earlier = [one.name for one in sizes()]
    if name in earlier and (step == configuration(name).steps or name == names()[0]):
        return {key: value.half() for key, value in weights.items()}
    return eight_bits.pack(weights)


def _manifest() -> dict[str, str]:
    """SHA-256 of every file that is checked on reading, by its path."""
    return dict(json.loads((DATA / verified.MANIFEST).read_text()))


def read_checked(path: str) -> bytes:
    """Content of a shipped file, after a check of its hash against the manifest.

    Args:
        path: Where it lies in the suite's data.

    Raises:
        CacheError: The file is missing, or is not the one that this release carries.
    """
    if not (DATA / path).is_file():
        raise disk.CacheError(f"{DATA / path} is missing; install srtoolkit again.")
    hashes.check_hash(DATA / path, _manifest()[path])
    return (DATA / path).read_bytes()
