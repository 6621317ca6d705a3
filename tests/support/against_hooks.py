"""One family held against plain forward hooks: every method, at three blocks, at short and long prompts."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

import srtoolkit as srt
from every_decoder import small
from srtoolkit.patching.choice import choose_method
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.prefixes import Unsupported

READS = ("resid", "final_norm", "logits")
CONTEXTS, POINTS = 2, 3
LENGTHS = (1, 2, 9, 40)

#: Seconds of one pass above which a family is tried at fewer places.
SLOW = 0.15

#: Largest error, relative to the largest value and to the distance between two points' outputs.
OF_THE_LARGEST, OF_THE_DISTANCE = 1e-4, 1e-3


@dataclass
class Finding:
    """What was found of one family.

    Attributes:
        kind: Its ``model_type``.
        outcome: ``"works"``, ``"refused"``, ``"cannot be built"``, ``"wrong"`` or ``"raw error"``.
        auto: Methods that ``"auto"`` took.
        right: Methods that were right wherever they were not refused, at one place at least.
        why: What was refused or raised, or where what was wrong, in words.
        refused: Why a method was refused, by its name.
    """

    kind: str
    outcome: str
    auto: list[str] = field(default_factory=list)
    right: list[str] = field(default_factory=list)
    why: str = ""
    refused: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The same as a dict, for a line of JSON."""
        return asdict(self)


def judge(kind: str) -> Finding:
    """Build a family's small model and compare everything that patching gives of it with plain hooks.

    Args:
        kind: The ``model_type`` of a configuration.
    """
    try:
        hf = _louder(small(kind))
    except Exception as error:  # families each fail with a type of their own
        return Finding(kind, "cannot be built", why=_words(error))
    try:
        model = srt.wrap(hf, None, name=kind)
    except ValueError as refused:
        said = str(refused)
        outcome = "refused" if said.startswith(f"{kind}: ") else "raw error"
        return Finding(kind, outcome, why=said.removeprefix(f"{kind}: "))
    except Exception as error:
        return Finding(kind, "raw error", why=_words(error))
    return _compare(model, kind)


def _compare(model: srt.Model, kind: str) -> Finding:
    found = Finding(kind, "works")
    wrong: dict[str, str] = {}
    ran = set()
    for length, layer in _places(model):
        ids = torch.randint(3, model.vocab_size, (CONTEXTS, length), generator=torch.Generator().manual_seed(length))
        points = _points(model, ids, layer)
        expected = by_hooks(model, ids, layer, points)
        at = f"at {length} tokens, after block {layer}"
        for method in ("auto", *METHODS):
            try:
                gives = srt.patch(model, ids, points, layer=layer, reads=READS, method=method)
                chosen = choose_method(model, ids, POINTS, layer=layer).method if method == "auto" else method
            except Unsupported as refused:
                said = str(refused).partition("cannot be run so: ")[2].partition(" Use method=")[0]
                found.refused.setdefault(method, said.rstrip("."))
                continue
            except Exception as error:
                found.outcome, found.why = "raw error", f"{method} {at}: {_words(error)}"
                return found
            ran.add(method)
            if method == "auto" and chosen not in found.auto:
                found.auto.append(chosen)
            if said := _difference(gives, expected):
                wrong.setdefault(method, f"{method} {at}: {said}")
    found.right = [method for method in METHODS if method in ran and method not in wrong]
    if wrong:
        found.outcome, found.why = "wrong", "; ".join(wrong.values())
    return found


def _places(model: srt.Model) -> list[tuple[int, int]]:
    """Lengths of prompts, and the blocks to patch after; fewer of a family whose passes are slow."""
    ids = torch.full((CONTEXTS * POINTS, 1), 3)
    start = time.process_time()
    model.hf(ids, use_cache=False)
    if time.process_time() - start > SLOW:
        return [(length, block) for length in LENGTHS[1:] for block in (0, model.n_layers - 1)]
    config = vars(model.hf.config.get_text_config())
    windows = {
        value
        for name, value in config.items()
        if ("window" in name or "chunk" in name) and type(value) is int and 2 <= value < 40
    }
    lengths = sorted({*LENGTHS, *windows, *(window + 1 for window in windows)})
    ends = [(length, block) for length in lengths for block in (0, model.n_layers - 1)]
    return [*ends, *((length, model.n_layers // 2) for length in LENGTHS[2:])]


def _points(model: srt.Model, ids: Tensor, layer: int) -> Tensor:
    """Each context's own activation, another prompt's, and one that is half random."""
    own = by_hooks(model, ids, layer)["own"]
    noise = torch.randn(own.shape, generator=torch.Generator().manual_seed(layer))
    noise *= own.norm(dim=-1, keepdim=True) / noise.norm(dim=-1, keepdim=True)
    return torch.stack([own, own.flip(0), (own + noise) / 2], dim=1)


@torch.no_grad()
def by_hooks(model: srt.Model, ids: Tensor, layer: int, points: Tensor | None = None) -> dict[str, Tensor]:
    """``F_p`` by forward hooks on whole prompts, without nnsight and without the library's idea of the base model.

    Args:
        model: Only its transformers model is used, and where its blocks are.
        ids: Token ids of the contexts, [context, pos].
        layer: Block whose output is replaced or read at the last position.
        points: The points of each context, [context, point, width]; ``None`` leaves the run as it is.

    Returns:
        ``own`` (the block's output), ``resid``, ``final_norm`` and ``logits``, [context, point, width] where there are
        points, else [context, width].
    """
    hf: Any = model.hf
    blocks = hf.get_submodule(model.anatomy.blocks)
    rows = ids if points is None else ids.repeat_interleave(points.shape[1], dim=0)
    seen: dict[str, Tensor] = {}

    def put_in(_: Any, __: Any, output: Any) -> Any:
        stream = output if isinstance(output, Tensor) else output[0]
        seen["own"] = stream[:, -1].clone()
        if points is None:
            return None
        changed = stream.clone()
        changed[:, -1] = points.flatten(0, 1)
        return changed if isinstance(output, Tensor) else (changed, *output[1:])

    def read(_: Any, __: Any, output: Any) -> None:
        seen["resid"] = (output if isinstance(output, Tensor) else output[0])[:, -1].clone()

    def read_base(_: Any, __: Any, output: Any) -> None:
        seen["final_norm"] = output[0][:, -1].clone()

    def read_head(_: Any, inputs: Any) -> None:
        seen.setdefault(
            "final_norm", inputs[0][:, -1].clone()
        )  # of families that pass by what they call the base model

    handles = [blocks[layer].register_forward_hook(put_in), blocks[-1].register_forward_hook(read)]
    handles.append(hf.get_output_embeddings().register_forward_pre_hook(read_head))
    if hf.base_model is not hf:
        handles.append(hf.base_model.register_forward_hook(read_base))
    try:
        seen["logits"] = hf(rows, use_cache=False).logits[:, -1]
    finally:
        for handle in handles:
            handle.remove()
    return seen if points is None else {name: value.unflatten(0, points.shape[:2]) for name, value in seen.items()}


def _difference(gives: dict[str, Tensor], expected: dict[str, Tensor]) -> str:
    """In words, what differs by more than rounding; empty where nothing does."""
    for read in READS:
        error = float((gives[read] - expected[read]).abs().max())
        largest = float(expected[read].abs().max())
        distance = float((expected[read] - expected[read][:, :1]).abs().max())
        allowed = min(OF_THE_LARGEST * largest, max(OF_THE_LARGEST * largest / 10, OF_THE_DISTANCE * distance))
        if not error <= allowed:
            return f"{read} is off by {error / largest:.0e} of its largest value"
    return ""


def _louder(hf: Any) -> Any:
    """The same model with larger weights, so that every part of it matters to the outputs."""
    quiet = (nn.Embedding, nn.Conv1d)
    with torch.no_grad():
        for module in hf.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.ndim > 1 and not isinstance(module, quiet) and "A_log" not in name:
                    parameter.mul_(3)
    return hf


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
