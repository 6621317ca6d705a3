"""What a model does inside its blocks, as one short forward pass shows it: the stream's shape, and the MLPs' gates.

Names do not tell a gate: families call attention's output gate like an MLP's, fuse two maps into one, and route tokens
to experts. So the parts are told by what they do. Values that are NaN show it without a tolerance, for they reach
whatever depends on them: an activation leaves every value to itself, and an MLP leaves every token to itself, where
attention and state spaces mix them.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

#: Tokens of the prompt.
TOKENS = 4

#: What families call the part of a block that mixes positions, where there are no weights to see it by.
_MIXES_BY_NAME = re.compile(r"attn|attention|mixer|conv|mamba|rwkv|recurrent|time_mix", re.IGNORECASE)

#: How families call an activation function of their own (Bloom), where there are no values to see it by.
_ACTIVATES_BY_NAME = re.compile(r"gelu|relu|silu|activation", re.IGNORECASE)


@dataclass(frozen=True)
class Gate:
    """An MLP's activation function, whose inputs are the gate pre-activations of a token.

    Attributes:
        path: Path of the activation function inside its block.
        width: Number of its inputs a token.
        gated: Whether what it gives is multiplied by something else, as in SwiGLU; if not, the MLP has no gate, and
            these are the pre-activations of its hidden units.
        mlp: Path of its MLP inside the block; empty for an MLP whose maps lie in the block itself.
    """

    path: str
    width: int
    gated: bool
    mlp: str


@dataclass(frozen=True)
class Inside:
    """What was seen of one block.

    Attributes:
        shape: Shape of the residual stream that it gives for one prompt of ``TOKENS`` tokens; empty if it was not seen.
        runs: Number of times that it runs in one pass, and so of places where a point could be put in.
        returns: Length of the tuple or list that it returns; 0 where it returns the stream itself.
        follows: Whether it takes what the block before it gives, so that this is the residual stream and not a part.
        gates: Activation functions that every token goes through, in the order in which they run.
        others: Paths of parts like an MLP that are not among them: routed experts, or an activation that is no module.
    """

    shape: tuple[int, ...] = ()
    runs: int = 0
    returns: int = 0
    follows: bool = True
    gates: tuple[Gate, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Number of gates a token."""
        return sum(gate.width for gate in self.gates)

    @property
    def counted(self) -> str:
        """What is counted as gates here, in words, and what is not."""
        if not self.shape:
            return "not known: the model does not run here without its weights"
        left_out = f"; not counted: {', '.join(self.others)}" if self.others else ""
        if not self.gates:
            return f"none{left_out or ': no MLP'}"
        kinds = {gate.gated for gate in self.gates}
        names = {True: "gate pre-activations", False: "MLP pre-activations (no gate)"}
        what = " and ".join(names[kind] for kind in sorted(kinds, reverse=True))
        homes = ", ".join(dict.fromkeys(gate.mlp for gate in self.gates if gate.mlp))
        return f"{what} of {homes}{left_out}" if left_out and homes else what + left_out


@torch.no_grad()
def look_inside(base: Any, blocks: nn.ModuleList, token: int, device: torch.device, d_model: int) -> tuple[Inside, ...]:
    """What each block does, seen in a forward pass of one prompt.

    Args:
        base: The transformers model without its unembedding.
        blocks: Its blocks. Where their weights are elsewhere, parts that mix positions are told by their names.
        token: The token id that the prompt repeats.
        device: Device of the token ids.
        d_model: Width of the residual stream.

    Raises:
        Exception: What the model raises where it does not run on a plain prompt.
    """
    prompt = torch.full((1, TOKENS), token, device=device)
    try:
        return _watch(base, blocks, prompt, d_model)
    except (RuntimeError, NotImplementedError):
        if not prompt.is_meta:
            raise
        # Without values some families cannot make the mask, whose values then do not matter.
        mask = torch.ones(1, 1, TOKENS, TOKENS, dtype=torch.bool, device=device)
        return _watch(base, blocks, prompt, d_model, attention_mask=mask)


def _watch(base: Any, blocks: nn.ModuleList, prompt: Tensor, d_model: int, **options: Tensor) -> tuple[Inside, ...]:
    streams: list[Tensor] = []
    watched = [_Block(block, d_model, streams) for block in blocks]
    with ExitStack() as stack:
        for block in watched:
            stack.enter_context(block.watching())
        gives = base(input_ids=prompt, use_cache=False, **options)[0]
    if gives.shape[:2] != prompt.shape:
        raise ValueError(f"it gives {list(gives.shape)} for {list(prompt.shape)} tokens, not one vector for each.")
    return tuple(block.found() for block in watched)


@dataclass
class _Call:
    """One call of an activation function."""

    path: str
    width: int
    rows: int
    output: Tensor
    home: str | None = None
    gated: bool = True


@dataclass
class _Block:
    """A block that is watched while it runs once; ``streams`` is what those before it gave."""

    module: nn.Module
    d_model: int
    streams: list[Tensor]
    shape: tuple[int, ...] = ()
    returns: int = 0
    follows: bool = True
    calls: list[_Call] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)
    mixing: dict[str, bool] = field(default_factory=dict)
    trying: bool = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A context in which every part of the block is watched."""
        handles = []
        for path, part in self.module.named_modules():
            leaf = next(part.children(), None) is None
            after = self._after_leaf(path) if leaf else self._after(path)
            handles.append(part.register_forward_hook(after, with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _after_leaf(self, path: str) -> Any:
        def hook(part: nn.Module, args: Any, _: Any, output: Any) -> None:
            if self.trying:
                return
            self.times[path] += 1
            value = args[0] if args else None
            if not isinstance(value, Tensor) or not isinstance(output, Tensor):
                return
            for call in self.calls:
                if _same_memory(call.output, value):
                    call.gated = False  # a map takes it as it is
            if value.shape == output.shape and value.is_floating_point() and self._is_activation(part, value):
                self.calls.append(_Call(path, value.shape[-1], value.numel() // value.shape[-1], output))

        return hook

    def _after(self, path: str) -> Any:
        def hook(part: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            if self.trying:
                return
            self.times[path] += 1
            if not path:
                self.shape = tuple(_first(output).shape)
                self.returns = len(output) if isinstance(output, tuple | list) else 0
                self.follows = not self.streams or any(
                    _equal(value, self.streams[-1]) for value in (*args, *kwargs.values())
                )
                self.streams.append(_first(output))
                return
            inside = [call for call in self.calls if call.path.startswith(f"{path}.")]
            if inside or "." not in path:
                self.mixing[path] = self._mixes(path, part, args, kwargs)
            if self.mixing.get(path):
                self.calls = [call for call in self.calls if call not in inside]
            elif _first(output).numel() == TOKENS * self.d_model:
                for call in inside:
                    call.home = call.home or path

        return hook

    def _is_activation(self, part: nn.Module, value: Tensor) -> bool:
        """Whether a module changes each value by itself, and does not leave it as it is."""
        if value.is_meta:
            known = type(part).__module__ in ("torch.nn.modules.activation", "transformers.activations")
            return known or bool(_ACTIVATES_BY_NAME.search(type(part).__name__))
        given = torch.full_like(value, torch.nan)
        given[..., 0] = -1
        try:
            with self._trial():
                (gives,) = part(given)[..., :1].unique().tolist()
        except Exception:  # whatever it takes, it is no activation function
            return False
        return gives == gives and gives != -1

    def _mixes(self, path: str, part: nn.Module, args: Any, kwargs: Any) -> bool:
        """Whether the last token's output depends on the tokens before it."""
        if any(value.is_meta for value in (*args, *kwargs.values()) if isinstance(value, Tensor)):
            return bool(_MIXES_BY_NAME.search(f"{path} {type(part).__name__}"))
        try:
            with self._trial():
                gives = _first(part(*map(self._broken, args), **{key: self._broken(kwargs[key]) for key in kwargs}))
            return not gives.numel() or not bool(gives.reshape(TOKENS, -1)[-1].isfinite().all())
        except torch.OutOfMemoryError:
            raise
        except Exception:  # it cannot be run by itself, so nothing is known of it
            return True

    def _broken(self, value: Any) -> Any:
        """A residual stream in which every token but the last is NaN; others as they are, mappings copied."""
        if isinstance(value, MutableMapping):  # in which a block leaves its keys for later ones (Gemma 4)
            return copy.copy(value)
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.numel() != TOKENS * self.d_model:
            return value
        rows = value.reshape(TOKENS, -1).clone()
        rows[:-1] = torch.nan
        return rows.view(value.shape)

    @contextmanager
    def _trial(self) -> Iterator[None]:
        self.trying = True
        try:
            yield
        finally:
            self.trying = False

    def found(self) -> Inside:
        """What was seen, once the block has run."""
        whole = [call for call in self.calls if self._takes_every_token(call)]
        # In a block with an MLP of its own, an activation in no part of the block gates something else (Gemma 4).
        chosen = [call for call in whole if call.home is not None or "." in call.path] or whole
        gates = tuple(Gate(call.path, call.width, call.gated, call.home or "") for call in chosen)
        return Inside(self.shape, self.times[""], self.returns, self.follows, gates, self._others(gates))

    def _takes_every_token(self, call: _Call) -> bool:
        """Whether an activation sees each token once, in order: routed experts do not."""
        if self.times[call.path] != 1 or call.rows != TOKENS:
            return False
        home = self.module.get_submodule(call.home) if call.home else None
        return not (home and _holds_stacks(home)) and not any(self._is_choice(path) for path in _above(call.path))

    def _is_choice(self, path: str) -> bool:
        """Whether this is a list of parts of which only some have run."""
        part = self.module.get_submodule(path)
        members = [f"{path}.{name}" for name, _ in part.named_children()]
        return isinstance(part, nn.ModuleList) and not all(self.times[member] for member in members)

    def _has_experts(self, path: str, part: nn.Module) -> bool:
        return _is_stack(part) or self._is_choice(path)

    def _others(self, gates: tuple[Gate, ...]) -> tuple[str, ...]:
        """Parts that work like an MLP's, token by token and with matrices, and whose gates are not counted."""
        homes = {gate.mlp for gate in gates}
        found = []
        for name, child in self.module.named_children():
            if self.mixing.get(name, True) or name in homes or not _has_matrices(child):
                continue
            stacks = [path for path, part in child.named_modules(prefix=name) if self._has_experts(path, part)]
            counted = any(path.startswith(f"{name}.") for gate in gates for path in (gate.path, gate.mlp))
            found += stacks or ([] if counted else [name])
        return tuple(found)


def _first(output: Any) -> Tensor:
    """The tensor that a module gives, or the first of a tuple; an empty one where there is none."""
    first = output[0] if type(output) in (tuple, list) and output else output  # what has names is no stream's tuple
    return first if isinstance(first, Tensor) else torch.empty(0)


def _same_memory(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage()._cdata == other.untyped_storage()._cdata


def _equal(value: Any, stream: Tensor) -> bool:
    """Whether a block was given what the one before it gave; always, where there are no values."""
    if stream.is_meta:
        return True
    return isinstance(value, Tensor) and torch.equal(value.nan_to_num(), stream.nan_to_num().to(value.device))


def _is_stack(part: nn.Module) -> bool:
    """Whether it holds the matrices of several experts in one tensor."""
    return any(parameter.ndim > 2 for parameter in part.parameters(recurse=False))


def _holds_stacks(part: nn.Module) -> bool:
    return any(map(_is_stack, part.modules()))


def _has_matrices(part: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in part.parameters())


def _above(path: str) -> list[str]:
    """The paths that lead to a module inside a block."""
    names = path.split(".")
    return [".".join(names[:count]) for count in range(1, len(names))]
