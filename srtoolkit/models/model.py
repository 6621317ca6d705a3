"""The model that every measurement takes: a transformers model, its tokenizer, and nnsight's view of it."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import nnsight
import torch
import transformers
from jaxtyping import Int
from torch import Tensor

from srtoolkit.models.anatomy import Anatomy, narrowest_attention
from srtoolkit.models.probe import Inside, look_inside
from srtoolkit.models.turns import turns
from srtoolkit.models.weights import input_device, is_offloaded, listing, weight_fingerprint
from srtoolkit.validation import UNKEPT

#: Bytes that one batch of a forward pass may take beside the weights; a batch that still does not fit is halved.
MEMORY_BUDGET = 512 * 2**20


@dataclass(eq=False)
class Model:
    """A causal language model, ready for patching; :func:`srtoolkit.load_model` and :func:`srtoolkit.wrap` make one.

    Safe to use from several threads: every forward pass holds ``lock``.

    Attributes:
        name: Name of the model, as given to :func:`srtoolkit.load_model` or :func:`srtoolkit.wrap`.
        hf: The transformers model.
        tokenizer: The transformers tokenizer; ``None`` for a model that takes token ids only.
        revision: Branch, tag or commit that was asked for.
        commit: Commit that the revision resolved to; ``None`` where the source has no commits.
        init: ``"pretrained"``, ``"random"``, a kind of null (``"permuted"``), or ``"given"`` for weights in memory.
        seed: Seed of what was drawn, where ``init`` is not ``"pretrained"``.
        dtype: Name of the number format of weights and activations.
        anatomy: Module paths of the base model, the blocks and the unembedding.
        memory_budget: Bytes that one batch of a forward pass may take beside the weights.
        methods: For each kind of context, the patching method that ``method="auto"`` chose, and how far those that were
            named differ from the full path.
        remote: Where the model runs: ``False`` for this machine, ``True`` for NDIF, the address of another server, or
            ``"local"`` for a rehearsal. Unless it is ``False``, ``hf`` has shapes and no weights.
        nn: nnsight's view of ``hf``; made from ``hf`` where none is given.
        missing: Names of weights that the checkpoint lacks, and that were drawn from ``seed``.
        own_code: Whether the model runs Python code from its own repository.
        lock: Lock that every forward pass holds.
        known_fingerprint: The fingerprint, kept where the weights are offloaded or on a server; else ``None``.
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
    missing: tuple[str, ...] = ()
    own_code: bool = False
    lock: Any = field(default_factory=turns, repr=False)
    remote: bool | str = False
    nn: Any = None
    known_fingerprint: str | None = None

    def __post_init__(self) -> None:
        if self.nn is None:
            self.nn = _PlacedModel(self.hf, envoys=_Placed) if is_offloaded(self.hf) else nnsight.NNsight(self.hf)

    @property
    def n_layers(self) -> int:
        """Number of decoder blocks."""
        return len(self.hf.get_submodule(self.anatomy.blocks))

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
        return narrowest_attention(self.hf.config.get_text_config())

    @property
    def n_parameters(self) -> int:
        """Number of parameters, tied ones counted once."""
        return sum(parameter.numel() for parameter in self.hf.parameters())

    @property
    def device(self) -> torch.device:
        """Device of the token ids and residual streams; the CPU for a model that runs on a server."""
        return torch.device("cpu") if self.remote else input_device(self.hf)

    @property
    def place(self) -> str:
        """Where the model runs, in words: a device, or the address of a server."""
        if self.remote == "local":
            return "this machine in rehearsal"
        if self.remote:
            return str(nnsight.CONFIG.API.HOST if self.remote is True else self.remote)
        return str(self.device)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that tell models with different weights apart.

        They are computed anew each time, so that editing ``hf`` changes the fingerprint. For offloaded weights they are
        computed once; for a model on a server, from the weights as the server holds them, in its number format.
        """
        if self.known_fingerprint is not None:
            return self.known_fingerprint
        found = weight_fingerprint(self.hf)
        if is_offloaded(self.hf):
            self.known_fingerprint = found
        return found

    @cached_property
    def blocks_return_tuples(self) -> list[int]:
        """Length of the tuple that each block returns; 0 for a block that returns the residual stream itself."""
        return [inside.returns for inside in self.inside]

    @cached_property
    def inside(self) -> tuple[Inside, ...]:
        """What each block does, as one short forward pass shows it: the shape of its output, and its MLP's gates.

        Raises:
            ValueError: The model does not run on a plain prompt.
        """
        with self.lock:
            base, blocks = (self.hf.get_submodule(path) for path in (self.anatomy.base, self.anatomy.blocks))
            device = torch.device("meta") if self.remote else self.device
            try:
                return look_inside(base, blocks, self.vocab_size - 1, device, self.d_model)
            except (MemoryError, torch.OutOfMemoryError):
                raise
            except Exception as error:  # families each fail with a type of their own
                if self.remote:  # some cannot run on shapes alone; then nothing is known of their gates
                    return (Inside(),) * self.n_layers
                raise ValueError(
                    f"{self.name}: {type(self.hf).__name__} does not run on a plain prompt of token ids, as every "
                    f"measurement runs it. It said: {type(error).__name__}: {str(error)[:300]}"
                ) from error

    @cached_property
    def forward_arguments(self) -> frozenset[str]:
        """Names of the arguments that the model's forward pass takes."""
        return frozenset(inspect.signature(self.hf.forward).parameters)

    def tokenize(self, text: str, bos: bool = False) -> Int[Tensor, " pos"]:
        """Token ids of a text, without special tokens except, on request, a leading BOS token.

        Args:
            text: The prompt.
            bos: Put the tokenizer's BOS token first. A text that starts with it already, such as a chat template's,
                keeps that one, and a warning says so.

        Raises:
            TypeError: ``text`` is no string.
            ValueError: The model has no tokenizer, ``bos`` is asked of a tokenizer without a BOS token, or the text
                holds a NUL, half a character, or what a tokenizer without an unknown token does not know.
        """
        if not isinstance(text, str):
            turns = "; turns of a conversation need srt.from_text(..., chat=True)" if isinstance(text, list) else ""
            raise TypeError(f"a prompt must be a string, not {type(text).__name__}: {text!r}{turns}")
        if UNKEPT.search(text):
            raise ValueError(
                f"a prompt holds a NUL or half a character, which results cannot keep: {text[:200]!r}; replace it."
            )
        self.check_tokenizer()
        ids = self._ids(text)
        if bos and self.tokenizer.bos_token_id is None:
            raise ValueError(f"{self.name}: bos=True, but the tokenizer has no BOS token; use bos=False.")
        if bos and ids[:1] == [self.tokenizer.bos_token_id]:
            warnings.warn(
                f"{self.name}: bos=True, and a prompt starts with {self.tokenizer.bos_token!r} already, as chat "
                f"templates do; it keeps that one and gets no second: {text[:60]!r}",
                stacklevel=2,
            )
            bos = False
        return torch.tensor([self.tokenizer.bos_token_id, *ids] if bos else ids, dtype=torch.long)

    def _ids(self, text: str) -> list[int]:
        """Token ids of a text. A tokenizer without an unknown token knows some texts only."""
        try:
            return list(self.tokenizer(text, add_special_tokens=False).input_ids)
        except Exception as error:
            if type(error) is not Exception:  # the tokenizers library raises this very class, and no other
                raise
            known = sorted(self.tokenizer.get_vocab())
            some = ", ".join(map(repr, known[:10])) + (", …" if len(known) > 10 else "")
            raise ValueError(
                f"{self.name}: the tokenizer cannot read {text[:200]!r} ({error}); its tokens are {some}: use those."
            ) from error

    def token_text(self, token: int) -> str:
        """The text of one token id.

        Args:
            token: The token id.

        Raises:
            ValueError: The model has no tokenizer.
        """
        self.check_tokenizer()
        return str(self.tokenizer.decode([int(token)], clean_up_tokenization_spaces=False))

    def check_tokenizer(self) -> None:
        """Refuse a model that reads no text.

        Raises:
            ValueError: The model has no tokenizer.
        """
        if self.tokenizer is None:
            raise ValueError(
                f"{self.name} was given without a tokenizer, so it has token ids and no text; "
                "give ids, or wrap(hf_model, tokenizer, name=...) with its tokenizer."
            )

    def provenance(self) -> dict[str, str | int]:
        """What identifies this model in a result: name, version, weights, number format, device, software."""
        return {
            "model": self.name,
            "init": self.init,
            "seed": self.seed,
            "revision": self.revision or "",
            "commit": self.commit or "",
            "fingerprint": self.fingerprint,
            "own_code": int(self.own_code),
            "dtype": self.dtype,
            "device": "remote" if self.remote else self.place,
            **({"remote": self.place} if self.remote else {}),
            **({"missing_weights": listing(self.missing)} if self.missing else {}),
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
            "nnsight": nnsight.__version__,
        }

    def __repr__(self) -> str:
        size = f"{self.n_parameters / 1e6:,.1f}M parameters, {self.n_layers} blocks, d_model {self.d_model}"
        version = f"@{self.revision}" if self.revision else ""
        known = {"pretrained": "", "given": "given in memory, "}
        drawn = known.get(self.init, f"{self.init} weights (seed {self.seed}), ")
        if self.missing:
            drawn += f"not in the checkpoint and drawn (seed {self.seed}): {listing(self.missing)}, "
        return (
            f"Model({self.name}{version}: {size}, {self.dtype} on {self.place}, {drawn}fingerprint {self.fingerprint})"
        )


class _Placed(nnsight.Envoy):
    """nnsight moves inputs to the device of the first parameter, which is no device where that one is offloaded."""

    @property
    def device(self) -> torch.device | None:
        embeds = hasattr(self._module, "get_input_embeddings")
        return input_device(self._module) if embeds else super().device


class _PlacedModel(_Placed, nnsight.NNsight):
    """A model with offloaded weights as nnsight sees it."""
