"""The same work in five ways: as the paper's scripts do it, in two libraries, by hand with a cache, and by srtoolkit.

Every way takes contexts [pair, pos] and points [pair, point, d_model], puts each point in place of the residual stream
after block ``layer`` at the last position, and gives the residual stream after the final norm at that position. What is
asked beside it are the pre-activations of the MLP gates in all blocks behind the patch.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

#: Points that run in one batch where a way leaves that to its user: the points of one of the paper's curves.
BATCH = 50


class Way(Protocol):
    """One way to do the work.

    Attributes:
        name: As shown.
        reuse: ``"none"`` where every point runs its whole prompt, ``"prefix"`` where keys and values are kept, or
            ``"srtoolkit"``: how much of the work can be timed in reasonable time.
    """

    name: str
    reuse: str

    def outputs(self, context: Tensor, points: Tensor, layer: int) -> Tensor:
        """After the final norm, [pair, point, d_model]."""

    def gates(self, context: Tensor, points: Tensor, layer: int) -> Tensor:
        """Gate pre-activations, block after block, [pair, point, block x gate]."""


class _PairByPair:
    """What the ways without reuse share: one pair after the other, in batches of ``BATCH`` whole prompts."""

    reuse = "none"

    def _outputs(self, ids: Tensor, points: Tensor, layer: int) -> Tensor:
        raise NotImplementedError

    def _gates(self, ids: Tensor, points: Tensor, layer: int) -> Tensor:
        raise NotImplementedError

    @torch.no_grad()
    def outputs(self, context: Tensor, points: Tensor, layer: int) -> Tensor:
        return _each_pair(self._outputs, context, points, layer)

    @torch.no_grad()
    def gates(self, context: Tensor, points: Tensor, layer: int) -> Tensor:
        return _each_pair(self._gates, context, points, layer)


def _each_pair(run: Callable[[Tensor, Tensor, int], Tensor], context: Tensor, points: Tensor, layer: int) -> Tensor:
    def curve(ids: Tensor, xs: Tensor) -> Tensor:
        return torch.cat([run(ids.expand(len(some), -1), some, layer) for some in xs.split(BATCH)])

    return torch.stack([curve(ids, xs) for ids, xs in zip(context, points, strict=True)])


class PlainHooks(_PairByPair):
    """Forward hooks on the whole language model, which keeps all hidden states and makes all logits, as the scripts of
    the paper do.
    """

    name = "plain hooks"

    def __init__(self, source: Path | Any) -> None:
        self.hf = load_hf(source)

    def _outputs(self, ids: Tensor, points: Tensor, layer: int) -> Tensor:
        with patched(self.hf, layer, points):
            return self.hf(ids, output_hidden_states=True).hidden_states[-1][:, -1].clone()

    def _gates(self, ids: Tensor, points: Tensor, layer: int) -> Tensor:
        with patched(self.hf, layer, points), gates_kept(self.hf, layer) as found:
            self.hf(ids)
        return torch.cat(found, dim=-1)


class NnsightTrace(_PairByPair):
    """One trace for each pair, as nnsight's documentation introduces it."""

    name = "nnsight trace"

    def __init__(self, source: Path | Any) -> None:
        import nnsight

        self.model: Any
        if isinstance(source, Path):
            self.model = nnsight.TransformersModel(
                str(source), task="text-generation", dispatch=True, dtype=torch.float32
            )
        else:
            self.model = nnsight.NNsight(source)

    def _outputs(self, ids: Tensor, points: Tensor, layer: int) -> Tensor:
        model = self.model
        with model.trace(ids):
            model.model.layers[layer].output[:, -1] = points
            out = model.model.norm.output[:, -1].clone().save()
        return out  # noqa: RET504  what is saved has its value only after the trace

    def _gates(self, ids: Tensor, points: Tensor, layer: int) -> Tensor:
        import nnsight

        model = self.model
        with model.trace(ids):
            found = nnsight.save([])
            model.model.layers[layer].output[:, -1] = points
            for block in list(model.model.layers)[layer + 1 :]:
                found.append(block.mlp.gate_proj.output[:, -1].clone())
        return torch.cat(list(found), dim=-1)


class TransformerLens(_PairByPair):
    """Hooks at TransformerLens' hook points. Its bridge computes all logits, asked for or not."""

    name = "TransformerLens"

    def __init__(self, folder: Path) -> None:
        from transformer_lens.model_bridge import TransformerBridge

        self.bridge = TransformerBridge.boot_transformers(str(folder), device="cpu", dtype=torch.float32)

    def _outputs(self, ids: Tensor, points: Tensor, layer: int) -> Tensor:
        return self._run(ids, points, layer, ["ln_final.hook_out"])

    def _gates(self, ids: Tensor, points: Tensor, layer: int) -> Tensor:
        behind = range(layer + 1, len(self.bridge.blocks))
        return self._run(ids, points, layer, [f"blocks.{block}.mlp.gate.hook_out" for block in behind])

    def _run(self, ids: Tensor, points: Tensor, layer: int, read: list[str]) -> Tensor:
        found: list[Tensor] = []

        def replace(activation: Tensor, hook: Any) -> Tensor:  # noqa: ARG001  hooks are called by these names
            activation[:, -1] = points
            return activation

        def keep(activation: Tensor, hook: Any) -> None:  # noqa: ARG001
            found.append(activation[:, -1].clone())

        hooks = [(f"blocks.{layer}.hook_out", replace), *((name, keep) for name in read)]
        self.bridge.run_with_hooks(ids, return_type=None, fwd_hooks=hooks)
        return torch.cat(found, dim=-1)


class KeyValueCache:
    """By hand: the prefix's keys and values once, copied for each point, then one token from each point. Short prompts
    run several pairs in a batch; the unembedding is left out.
    """

    name, reuse = "key-value cache", "prefix"

    #: Most points in a batch, and most positions whose keys are copied: enough rows for the matrix products, and copies
    #: that do not fill the memory.
    ROWS, POSITIONS = 400, 12_800

    def __init__(self, source: Path | Any) -> None:
        self.hf = load_hf(source)

    @torch.no_grad()
    def outputs(self, context: Tensor, points: Tensor, layer: int) -> Tensor:
        return self._batches(context, points, layer, gates=False)

    @torch.no_grad()
    def gates(self, context: Tensor, points: Tensor, layer: int) -> Tensor:
        return self._batches(context, points, layer, gates=True)

    def _batches(self, context: Tensor, points: Tensor, layer: int, gates: bool) -> Tensor:
        rows = max(BATCH, min(self.ROWS, self.POSITIONS // context.shape[1]))
        pairs = max(1, rows // points.shape[1])
        parts = []
        for ids, xs in zip(context.split(pairs), points.split(pairs), strict=True):
            prefix = self.hf.model(ids[:, :-1], use_cache=True).past_key_values
            parts.append(torch.cat([self._suffix(prefix, ids, some, layer, gates) for some in xs.split(rows, 1)], 1))
        return torch.cat(parts)

    def _suffix(self, prefix: Any, ids: Tensor, xs: Tensor, layer: int, gates: bool) -> Tensor:
        cache = copy.deepcopy(prefix)  # the pass appends to it
        cache.batch_repeat_interleave(xs.shape[1])
        last = ids[:, -1:].repeat_interleave(xs.shape[1], dim=0)
        with patched(self.hf, layer, xs.flatten(0, 1)), gates_kept(self.hf, layer if gates else None) as found:
            out = self.hf.model(last, past_key_values=cache, use_cache=True).last_hidden_state[:, -1]
        return (torch.cat(found, dim=-1) if gates else out).unflatten(0, xs.shape[:2])


class Srtoolkit:
    """``srt.patch``."""

    name, reuse = "srt.patch", "srtoolkit"

    def __init__(self, source: Path | Any) -> None:
        import srtoolkit

        self.model = srtoolkit.load_model(str(source)) if isinstance(source, Path) else source

    def outputs(self, context: Tensor, points: Tensor, layer: int) -> Tensor:
        return self._patch(context, points, layer, "final_norm")

    def gates(self, context: Tensor, points: Tensor, layer: int) -> Tensor:
        return self._patch(context, points, layer, "gates")

    def _patch(self, context: Tensor, points: Tensor, layer: int, read: str) -> Tensor:
        import srtoolkit

        found = srtoolkit.patch(self.model, context, points, layer=layer, reads=read)
        assert isinstance(found, Tensor)
        return found


def load_hf(source: Path | Any) -> Any:
    """A Llama-like causal language model of transformers, in float32; one that is in memory is taken as it is."""
    if not isinstance(source, Path):
        return source
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()


@contextlib.contextmanager
def patched(hf: Any, layer: int, points: Tensor) -> Iterator[None]:
    """While it is open, ``points`` replace the output of block ``layer`` at the last position."""

    def replace(_: torch.nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        output[:, -1] = points

    handle = hf.model.layers[layer].register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def gates_kept(hf: Any, layer: int | None) -> Iterator[list[Tensor]]:
    """A list that gets the gate pre-activations at the last position of every block behind ``layer``; ``None``: of no
    block.
    """
    found: list[Tensor] = []

    def keep(_: torch.nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        found.append(output[:, -1].clone())

    blocks = hf.model.layers[layer + 1 :] if layer is not None else []
    handles = [block.mlp.gate_proj.register_forward_hook(keep) for block in blocks]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


#: Every way, in the order of the table; the first is what the others are compared with.
WAYS: tuple[type[Any], ...] = (PlainHooks, TransformerLens, NnsightTrace, KeyValueCache, Srtoolkit)
