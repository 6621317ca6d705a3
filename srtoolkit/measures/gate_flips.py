"""Polytope boundaries: where along a path an MLP's gates change sign, in every block.

Within a polytope of a piecewise linear network every gate keeps its sign. Gates of SwiGLU, GEGLU or GELU bend instead
of breaking, so what is counted there is where a pre-activation passes 0, as in the paper's Appendix F. An MLP without a
gate has one pre-activation for each hidden unit, and these are counted. Counted is what every token goes through: a
dense MLP, or the shared expert of one that routes tokens. Routed experts are not, for two points of a path may be sent
to different ones, whose gates cannot be compared. The coordinate ``counted`` says of each block what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int
from torch import Tensor

from srtoolkit.measures.dataset import provenance
from srtoolkit.measures.paths import Path
from srtoolkit.measures.walk import Rows, Walk, set_out
from srtoolkit.models.checks import check_gates, check_layer, refuse_gateless
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress
from srtoolkit.patching.patch import patch
from srtoolkit.patching.reads import OPEN_GATES, Reads
from srtoolkit.prompts.pairs import PromptPairs
from srtoolkit.validation import check_whole, former_spellings, listed

#: Number of gates that are held at one time, a byte each.
GATES_AT_ONCE = 2**27


@former_spellings(layers="blocks")
@torch.no_grad()
def count_gate_flips(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    layer: int = 0,
    blocks: str | Sequence[int] = "all",
    steps: int = 50,
    path: str | Path = "linear",
    progress: Progress | None = None,
) -> xr.Dataset:
    """Number of MLP gates that change sign in each step of each pair's path, in every block after the patched one.

    Every gate is a boundary of its own: ten that change sign within one step are ten polytope boundaries.

    The paper (Appendix F, Fig. 25) compares the two ends of the path in one block, which misses gates that flip and
    flip back: this is ``ends_differ``. ``flips`` counts along the path. It still misses gates that flip twice within
    one step, so more steps find more; :func:`locate_gate_flips` finds where they flip.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B); every point is patched into prompt A's context.
        layer: Block whose output is replaced.
        blocks: Blocks whose gates are read: ``"all"`` after ``layer``, or a list of some of them.
        steps: Number of points of the path, both ends included.
        path: ``"linear"``; ``"slerp"``, whose direction turns evenly; ``"arc"``, the same about the model's mean
            activation; or a function of (A, B, alphas) that returns points, as :func:`srtoolkit.paths.linear` does.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``pair``, ``alpha``, ``block``: ``flips`` in the step that ends at alpha (0 at the first
        point), ``ends_differ`` (``pair``, ``block``), ``gates`` (``block``, the number of gates, 0 where a block has
        none that every token goes through), the coordinate ``counted`` (``block``, what the gates are and what was not
        counted, such as routed experts), and the prompts' texts, token ids and provenance. Pairs with outputs that are
        NaN or infinite are flagged ``non_finite`` and have -1 for counts.

    Raises:
        ValueError: A prompt, block, number of steps or path is not valid, or the blocks have no gates
            that every token goes through.
    """
    layer = check_layer(model, layer)
    check_gates(model, layer)
    read = find_blocks(model, layer, blocks)
    steps = check_whole(steps, "steps", 2, 10**6)
    walk = set_out(model, pairs, layer=layer, alphas=torch.linspace(0, 1, steps), path=path)
    found = Rows(len(walk.pairs))
    for batch in walk.batches(max(1, points_at_once(model, read.tolist()) // steps), progress=progress):
        signs, finite = _signs(walk, batch.context, batch.points, read, batch.method, batch.progress)
        flips = torch.stack([(of_block[:, 1:] != of_block[:, :-1]).sum(-1) for of_block in signs], dim=-1)
        found.put(batch.rows, {
            "flips": torch.cat([flips.new_zeros(len(flips), 1, len(read)), flips], dim=1),
            "ends_differ": torch.stack([(of_block[:, -1] != of_block[:, 0]).sum(-1) for of_block in signs], dim=-1),
            "non_finite": ~finite.all(1),
        })  # fmt: skip
    non_finite = found["non_finite"]
    found["flips"][non_finite] = found["ends_differ"][non_finite] = -1
    of_step, of_ends = "gates that change sign in the step ending here", "gates whose sign differs between A and B"
    undefined = "whether an output is NaN or infinite; counts are then -1"
    data = {
        "flips": (("pair", "alpha", "block"), found["flips"], {"long_name": of_step}),
        "ends_differ": (("pair", "block"), found["ends_differ"], {"long_name": of_ends}),
        "gates": (
            "block",
            widths(model, read.tolist()),
            {"long_name": "gates that are counted; 0 where there are none"},
        ),
        "non_finite": ("pair", non_finite, {"long_name": undefined}),
    }
    said = (
        "block",
        [model.inside[block].counted for block in read.tolist()],
        {"long_name": "what is counted in this block"},
    )
    coords = {"alpha": walk.alphas.double().numpy(), "block": read, "counted": said}
    return walk.to_dataset(data, coords, non_finite, steps=steps, counted=counted(model, read.tolist()))


@torch.no_grad()
def locate_gate_flips(
    model: Model,
    pair: PromptPairs | Sequence[tuple[str, str]],
    block: int,
    *,
    layer: int = 0,
    steps: int = 50,
    halvings: int = 7,
    path: str | Path = "linear",
) -> xr.Dataset:
    """Places on one pair's path, in alpha, where each gate of one block changes sign, found by bisection of steps.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pair: One pair of prompts, or a list of the texts (A, B) of one.
        block: Block whose gates are read.
        layer: Block whose output is replaced, before ``block``.
        steps: Number of points of the path that are compared first; a gate that flips twice between two of them is
            missed.
        halvings: Number of times that each step with a flip is halved; the place is exact to ``0.5 ** halvings`` of a
            step.
        path: ``"linear"``; ``"slerp"``, whose direction turns evenly; ``"arc"``, the same about the model's mean
            activation; or a function of (A, B, alphas) that returns points, as :func:`srtoolkit.paths.linear` does.

    Returns:
        A Dataset with dim ``flip``, in the order of the path: ``alpha`` (middle of the last interval), ``gate`` (its
        index), ``sign`` (1 where the gate opens, -1 where it closes). It is empty where no gate changes sign.

    Raises:
        ValueError: There is not exactly one pair, or a prompt, block, number of steps or path is not valid.
    """
    layer = check_layer(model, layer)
    check_gates(model, layer)
    read = find_blocks(model, layer, [block])
    steps, halvings = check_whole(steps, "steps", 2, 10**6), check_whole(halvings, "halvings", 0, 50)
    alphas = torch.linspace(0, 1, steps, dtype=torch.float64)
    walk = set_out(model, pair, layer=layer, alphas=alphas, path=path)
    if len(walk.pairs) != 1:
        raise ValueError(f"expected one pair, got {len(walk.pairs)}; take one with pairs[i : i + 1].")
    context = walk.pairs.tokens_a[0][None]

    def signs_at(places: Float[Tensor, " alpha"]) -> Bool[Tensor, "alpha gate"]:
        return _signs(walk, context, walk.points_on(walk.a, walk.b, places.float()), read)[0][0][0]

    signs = signs_at(alphas)
    step, gate = torch.nonzero(signs[1:] != signs[:-1], as_tuple=True)
    low, high, before = alphas[step], alphas[step + 1], signs[step, gate]
    for _ in range(halvings if len(step) else 0):
        middle = (low + high) / 2
        places, which = torch.unique(middle, return_inverse=True)
        changed = signs_at(places)[which, gate] != before
        low, high = torch.where(changed, low, middle), torch.where(changed, middle, high)
    order = torch.argsort(low)
    data = {
        "alpha": ("flip", ((low + high) / 2)[order].numpy()),
        "gate": ("flip", gate[order].numpy()),
        "sign": ("flip", torch.where(before, -1, 1)[order].numpy()),
    }
    settings = {"layer": layer, "block": block, "steps": steps, "halvings": halvings, "path": walk.path}
    return xr.Dataset(data, attrs=provenance(model, walk.pairs, **settings, counted=counted(model, read.tolist())))


def counted(model: Model, blocks: Iterable[int]) -> str:
    """What is counted in these blocks: ``"gate pre-activations"``, ``"MLP pre-activations (no gate)"``, and what not.

    Args:
        model: From :func:`srtoolkit.load_model`.
        blocks: Blocks whose gates are read.
    """
    where: dict[str, list[str]] = {}
    for block in blocks:
        where.setdefault(model.inside[block].counted, []).append(str(block))
    alike = len(where) == 1
    return " | ".join(said if alike else f"blocks {', '.join(these)}: {said}" for said, these in where.items())


def widths(model: Model, blocks: Iterable[int]) -> list[int]:
    """Number of gates of each block.

    Args:
        model: From :func:`srtoolkit.load_model`.
        blocks: Blocks whose gates are read.
    """
    return [model.inside[block].width for block in blocks]


def find_blocks(model: Model, layer: int, blocks: str | Sequence[int]) -> Int[np.ndarray, " block"]:
    """Indices of the blocks whose gates are to be read.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layer: Block whose output is replaced.
        blocks: ``"all"`` after ``layer``, or a list of some of them.

    Raises:
        ValueError: A block is not after ``layer``, or none of them has gates.
    """
    behind = range(layer + 1, model.n_layers)
    chosen = list(behind) if isinstance(blocks, str) and blocks == "all" else listed(blocks) or []
    try:
        chosen = [check_whole(block, "blocks", behind[0], behind[-1]) for block in chosen]
    except ValueError:
        chosen = []
    if not chosen:
        raise ValueError(
            f"blocks={blocks!r}: the patch is after block {layer} of {model.name}, so its gates are those of blocks "
            f"{behind[0]} to {behind[-1]}; give some of these, or 'all'."
        )
    refuse_gateless(model, chosen)
    return np.array(chosen)


def points_at_once(model: Model, blocks: Iterable[int]) -> int:
    """Number of points whose gates, in all blocks that are read, are held at one time.

    Args:
        model: From :func:`srtoolkit.load_model`.
        blocks: Blocks that are read.
    """
    return max(1, GATES_AT_ONCE // sum(widths(model, blocks)))


def _signs(
    walk: Walk,
    context: Int[Tensor, "pair pos"],
    points: Float[Tensor, "pair alpha d_model"],
    blocks: Int[np.ndarray, " block"],
    method: str = "auto",
    progress: Progress | None = None,
) -> tuple[list[Bool[Tensor, "pair alpha _gate"]], Bool[Tensor, "pair alpha"]]:
    """Which gates are open, of each block that is read, and at which points no value is NaN or infinite."""

    def where_finite(found: Reads) -> Reads:
        # A gate that is not finite leaves nothing finite behind it in the residual stream.
        return {OPEN_GATES: found[OPEN_GATES], "finite": found["resid"].isfinite().all(-1, keepdim=True)}

    found = patch(
        walk.model, context, points, layer=walk.layer, reads=(OPEN_GATES, "resid"), method=method,
        blocks=blocks.tolist(), reduce=where_finite, progress=progress,
    )  # fmt: skip
    return list(found[OPEN_GATES].split(widths(walk.model, blocks.tolist()), dim=-1)), found["finite"][..., 0]
