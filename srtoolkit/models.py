"""Loading a model, and the object that every measurement takes.

The model and its tokenizer are loaded with transformers and wrapped with ``NNsight``; nnsight's own loading is not
used, so one set of rules (revisions, dtypes, devices, offline) holds for every source.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import nnsight
import pandas as pd
import torch
import transformers
from jaxtyping import Int
from torch import Tensor

from srtoolkit import packaged, reference
from srtoolkit.anatomy import Anatomy, find_anatomy

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16}
INITS = ("pretrained", "random")

#: Bytes that one batch of a forward pass may take beside the weights; a batch that still does not fit is halved.
MEMORY_BUDGET = 512 * 2**20


@dataclass(eq=False)
class Model:
    """A causal language model, ready for patching. Make one with :func:`load_model`.

    Safe to use from several threads: every forward pass holds ``lock``.

    Attributes:
        name: As given to :func:`load_model`.
        hf: The transformers model.
        tokenizer: The transformers tokenizer.
        revision: Branch, tag or commit asked for.
        commit: The commit it resolved to, where the source has commits.
        init: ``"pretrained"`` or ``"random"``.
        seed: Seed of random weights.
        dtype: Name of the number format of weights and activations.
        anatomy: Where the blocks, final norm, unembedding and gate are.
        memory_budget: Bytes one batch may take beside the weights.
        methods: Patching method chosen for each kind of context, filled by ``method="auto"``.
    """

    name: str
    hf: Any
    tokenizer: Any
    revision: str | None
    commit: str | None
    init: str
    seed: int
    dtype: str
    anatomy: Anatomy
    memory_budget: int = MEMORY_BUDGET
    methods: dict[Any, Any] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.RLock, repr=False)

    def __post_init__(self) -> None:
        self.nn = nnsight.NNsight(self.hf)

    @property
    def n_layers(self) -> int:
        """Number of decoder blocks."""
        return int(self.hf.config.get_text_config().num_hidden_layers)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.hf.config.get_text_config().hidden_size)

    @property
    def vocab_size(self) -> int:
        """Number of token ids the model has an embedding for."""
        return int(self.hf.get_input_embeddings().num_embeddings)

    @property
    def context_length(self) -> int | None:
        """Most tokens a prompt may have, or ``None`` where the architecture sets no limit."""
        config = self.hf.config.get_text_config()
        for attribute in ("max_position_embeddings", "seq_length"):
            if getattr(config, attribute, None):
                return int(getattr(config, attribute))
        return None

    @property
    def attention_window(self) -> int | None:
        """Tokens that the narrowest local attention of any block sees, or ``None`` where every block sees all."""
        config = self.hf.config.get_text_config()
        windows = [
            getattr(config, attribute, None) for attribute in ("sliding_window", "window_size", "attention_chunk_size")
        ]
        return min((int(window) for window in windows if window), default=None)

    @property
    def n_parameters(self) -> int:
        """Number of parameters, tied ones counted once."""
        return sum(parameter.numel() for parameter in self.hf.parameters())

    @property
    def device(self) -> torch.device:
        """Where token ids go in and residual streams come out."""
        return self.hf.get_input_embeddings().weight.device

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that two checkpoints share only when their weights are the same."""
        return weight_fingerprint(self.hf)

    @cached_property
    def blocks_return_tuples(self) -> list[int]:
        """Length of the tuple that each block returns, 0 where it returns the residual stream itself."""
        return probe_block_outputs(self)

    @cached_property
    def forward_arguments(self) -> frozenset[str]:
        """Names of the arguments that the model's forward pass takes."""
        return frozenset(inspect.signature(self.hf.forward).parameters)

    def tokenize(self, text: str, bos: bool = False) -> Int[Tensor, " pos"]:
        """Token ids of ``text``, without special tokens except, on request, a leading BOS.

        Raises:
            ValueError: ``bos`` is asked of a tokenizer that has none.
        """
        if not isinstance(text, str):
            raise TypeError(f"a prompt must be a string, not {type(text).__name__}: {text!r}")
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        if bos and self.tokenizer.bos_token_id is None:
            raise ValueError(f"{self.name}: bos=True, but the tokenizer has no BOS token; use bos=False.")
        return torch.tensor([self.tokenizer.bos_token_id, *ids] if bos else ids, dtype=torch.long)

    def token_text(self, token: int) -> str:
        """The text of one token id."""
        return str(self.tokenizer.decode([int(token)], clean_up_tokenization_spaces=False))

    def provenance(self) -> dict[str, str | int]:
        """What identifies this model in a result: name, version, weights, number format, device, software."""
        return {
            "model": self.name,
            "init": self.init,
            "seed": self.seed,
            "revision": self.revision or "",
            "commit": self.commit or "",
            "fingerprint": self.fingerprint,
            "dtype": self.dtype,
            "device": str(self.device),
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
            "nnsight": nnsight.__version__,
        }

    def __repr__(self) -> str:
        size = f"{self.n_parameters / 1e6:,.1f}M parameters, {self.n_layers} blocks, d_model {self.d_model}"
        version = f"@{self.revision}" if self.revision else ""
        weights = "" if self.init == "pretrained" else f"random weights (seed {self.seed}), "
        return (
            f"Model({self.name}{version}: {size}, {self.dtype} on {self.device}, "
            f"{weights}fingerprint {self.fingerprint})"
        )


def load_model(
    name: str,
    *,
    revision: str | None = None,
    init: str = "pretrained",
    dtype: str = "float32",
    device: str = "auto",
    device_map: Any = None,
    seed: int = 0,
    remote: bool = False,
) -> Model:
    """Load a causal language model for patching.

    Args:
        name: A packaged name (see :func:`available_models`), a Hugging Face id, or a local directory.
        revision: Branch, tag or commit of a Hugging Face id; training checkpoints are revisions.
        init: ``"pretrained"``, or ``"random"`` for the same architecture with fresh weights drawn from ``seed``.
        dtype: ``"float32"`` as in the paper; ``"bfloat16"`` and ``"float16"`` trade exactness for memory, and
            :func:`srtoolkit.noise_floor` says how much.
        device: ``"auto"`` takes CUDA, then MPS, then the CPU; or any torch device.
        device_map: Passed to transformers, for models that need several devices.
        seed: Seed of ``init="random"``.
        remote: Reserved for remote execution, which this version does not have.

    Raises:
        ValueError: The name, revision or an option is unknown, or the model is no causal decoder.
        CacheError: A packaged model cannot be fetched or written.
    """
    if init not in INITS:
        raise ValueError(f"init={init!r} is not one of {INITS}.")
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r} is not one of {tuple(DTYPES)}.")
    if remote:
        raise NotImplementedError(
            "remote=True is not available in this version; load the model here, or use device_map."
        )
    source = _source(name, revision)
    config = _from_source(transformers.AutoConfig, name, source, revision)
    _refuse_encoders(name, config)
    with packaged.without_bars():
        tokenizer = _from_source(transformers.AutoTokenizer, name, source, revision)
        if init == "random":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                hf = transformers.AutoModelForCausalLM.from_config(config, dtype=DTYPES[dtype])
        else:
            options = {"dtype": DTYPES[dtype], "device_map": device_map}
            hf = _from_source(transformers.AutoModelForCausalLM, name, source, revision, **options)
    if device_map is None:
        hf = hf.to(_pick_device(device))
    hf.eval().requires_grad_(False)
    return Model(
        name=name,
        hf=hf,
        tokenizer=tokenizer,
        revision=revision,
        commit=_commit(source, revision),
        init=init,
        seed=seed,
        dtype=dtype,
        anatomy=find_anatomy(hf, config.get_text_config().num_hidden_layers, name),
    )


def available_models() -> pd.DataFrame:
    """The models with a name of their own: packaged ones, and those of the paper; any Hugging Face id loads as well.

    Returns:
        One row a model: ``name``, ``family``, ``parameters``, ``revisions``, ``source``, ``works_offline`` (now, on
        this machine).
    """
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "family": "SmolLM2",
            "parameters": spec.parameters,
            "revisions": [],
            "source": f"PyPI wheel {spec.requirement}",
            "works_offline": packaged.is_cached(name),
        }
        for name, spec in packaged.PACKAGED.items()
    ]
    for label, spec in reference.janiak2024()["models"].items():
        cached = transformers.utils.hub.cached_file(
            spec["hf"],
            "config.json",
            local_files_only=True,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        rows.append(
            {
                "name": spec["hf"],
                "family": label.split("-")[0],
                "parameters": int(spec["params_b"] * 1e9),
                "revisions": ["main"],
                "source": "Hugging Face hub (Janiak et al. 2024)",
                "works_offline": cached is not None,
            }
        )
    return pd.DataFrame(rows)


def weight_fingerprint(hf: torch.nn.Module) -> str:
    """SHA-256 (first 16 digits) over the name, shape and up to 4,096 evenly spaced values of every parameter.

    One optimiser step moves nearly every value, so a sample tells checkpoints apart, and a large model takes no longer
    than its number of tensors.
    """
    digest = hashlib.sha256()
    for path, parameter in sorted(hf.named_parameters()):
        flat = parameter.detach().reshape(-1)
        sample = flat[:: max(1, flat.numel() // 4096)][:4096].to("cpu", torch.float32)
        digest.update(f"{path}{tuple(parameter.shape)}".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()[:16]


@torch.no_grad()
def probe_block_outputs(model: Model) -> list[int]:
    """Length of the tuple each block returns (0: a tensor), read from a forward pass on one token."""
    with model.lock:
        blocks, lengths = model.nn.get(model.anatomy.blocks), [0] * model.n_layers
        with model.nn.get(model.anatomy.base).trace(torch.zeros(1, 1, dtype=torch.long, device=model.device)):
            kinds = nnsight.save([])
            for block in blocks:
                kinds.append(block.output)
        for index, output in enumerate(kinds):
            lengths[index] = len(output) if isinstance(output, tuple) else 0
    return lengths


def _source(name: str, revision: str | None) -> str:
    """What transformers is given for ``name``: a directory or a hub id."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"a model name must be a non-empty string, not {name!r}; srt.available_models() lists some.")
    if name in packaged.PACKAGED or Path(name).is_dir():
        if revision is not None:
            raise ValueError(f"{name}: revision={revision!r}, but this model has one version only; leave revision out.")
        return str(packaged.packaged_directory(name)) if name in packaged.PACKAGED else name
    return name


_DIRECTORY_HINT = "A model's directory holds config.json, the tokenizer's files and *.safetensors."
_NAME_HINT = (
    "It is neither a packaged name (srt.available_models()), nor a local directory, nor a Hugging Face id whose files "
    "are cached or can be reached."
)


def _from_source(factory: Any, name: str, source: str, revision: str | None, **options: Any) -> Any:
    """``factory.from_pretrained``, with failures said in the reader's terms."""
    try:
        return factory.from_pretrained(source, revision=revision, **options)
    except Exception as error:  # families, file formats and the hub's client each fail with a type of their own
        what = f"revision {revision!r} of {name!r}" if revision else repr(name)
        hint = _DIRECTORY_HINT if Path(source).is_dir() else _NAME_HINT
        raise ValueError(f"cannot load {what}. {hint} transformers said: {str(error)[:600]}") from error


def _commit(source: str, revision: str | None) -> str | None:
    """The commit that a revision of a hub id resolved to, as the local cache has it."""
    if Path(source).is_dir():
        return None
    config = transformers.utils.hub.cached_file(source, "config.json", revision=revision)
    return transformers.utils.hub.extract_commit_hash(config, None)


def _refuse_encoders(name: str, config: Any) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    kind = config.model_type
    text_kind = config.get_text_config().model_type
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(
            f"{name}: {kind!r} is an encoder-decoder; srtoolkit needs a decoder that predicts the next token."
        )
    if kind not in CAUSAL and text_kind not in CAUSAL:
        raise ValueError(
            f"{name}: {kind!r} is not a causal language model; srtoolkit needs a decoder that predicts the next token."
        )
    if kind in MASKED and not getattr(config, "is_decoder", False):
        raise ValueError(
            f"{name}: {kind!r} is an encoder: its tokens see those after them. "
            "srtoolkit needs a decoder that predicts the next token."
        )


def _pick_device(device: str) -> torch.device:
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
