"""Polytope boundaries: where along a path an MLP's gates change sign, in every block.

Within a polytope of a piecewise linear network every gate keeps its sign. Gates of SwiGLU, GEGLU or GELU bend instead
of breaking, so what is counted there is where a pre-activation passes 0, as in the paper's Appendix F. An MLP without a
gate has one pre-activation for each hidden unit, and these are counted; ``attrs["counted"]`` says which.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from srtoolkit.measures.dataset import describe_pairs, provenance
from srtoolkit.measures.paths import Path, find_path
from srtoolkit.measures.walk import capture_all
from srtoolkit.models.checks import check_gates, check_layer
from srtoolkit.models.model import Model
from srtoolkit.patching.overflow import warn_of_overflow
from srtoolkit.patching.patch import patch
from srtoolkit.patching.reads import OPEN_GATES, Reads
from srtoolkit.prompts.pairs import PromptPairs, as_pairs, by_length
from srtoolkit.validation import check_whole, listed

#: Maps whose output is multiplied by another's; the other maps of :data:`srtoolkit.models.anatomy.GATES` stand alone.
GATED = ("gate_proj", "gate_up_proj", "w1")

#: Gates that are held at one time, a byte each.
GATES_AT_ONCE = 2**27


@torch.no_grad()
def count_gate_flips(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    layer: int = 0,
    layers: str | Sequence[int] = "all",
    steps: int = 50,
    path: str | Path = "linear",
) -> xr.Dataset:
    """Number of MLP gates that change sign in each step of each pair's path, in every block behind the patch.

    Every gate is a boundary of its own: ten that change sign within one step are ten polytope boundaries.

    The paper (Appendix F, Fig. 25) compares the two ends of the path in one block, which misses every gate that flips
    and flips back: that is ``ends_differ``. ``flips`` counts along the way; what flips twice within one step is missed
    still, so more steps find more, and :func:`locate_gate_flips` finds where.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of (text, text); every point is put into prompt A's context.
        layer: Block whose output is replaced.
        layers: ``"all"`` blocks behind it, or some of them.
        steps: Points of the path, both ends included.
        path: ``"linear"``, or a function of (A, B, alphas).

    Returns:
        Dims ``pair``, ``alpha``, ``layer``: ``flips`` in the step that ends at alpha (0 at the first);
        ``ends_differ`` (``pair``, ``layer``), ``gates`` (``layer``), with texts, token ids and provenance;
        ``attrs["counted"]`` says whether a gate is one, or the pre-activation of an MLP that has none.

    Raises:
        ValueError: Bad prompts, blocks, steps or path, or a model whose MLPs are not known.
    """
    layer = check_layer(model, layer)
    check_gates(model, layer)
    blocks = find_blocks(model, layer, layers)
    steps = check_whole(steps, "steps", 2, 10**6)
    path_name, path_function = find_path(path)
    pairs = as_pairs(model, pairs)
    alphas = torch.linspace(0, 1, int(steps))
    a, b = (capture_all(model, side, layer) for side in (pairs.tokens_a, pairs.tokens_b))
    flips = np.zeros((len(pairs), len(alphas), len(blocks)), dtype=np.int64)
    ends = np.zeros((len(pairs), len(blocks)), dtype=np.int64)
    non_finite = np.zeros(len(pairs), dtype=bool)
    width = 0
    at_once = max(1, points_at_once(model) // len(alphas))
    with tqdm(total=len(pairs), desc=f"{counted(model)} behind block {layer}", unit="pair", leave=False) as bar:
        for places, context in by_length(pairs.tokens_a):
            for some in torch.arange(len(places)).split(at_once):
                rows = [places[index] for index in some]
                points = path_function(a[rows], b[rows], alphas)
                signs, finite = _signs(model, context[some], points, layer)
                signs, non_finite[rows] = signs[:, :, blocks - layer - 1], ~finite.all(1).cpu().numpy()
                flips[rows, 1:] = (signs[:, 1:] != signs[:, :-1]).sum(-1).cpu().numpy()
                ends[rows] = (signs[:, -1] != signs[:, 0]).sum(-1).cpu().numpy()
                width = signs.shape[-1]
                bar.update(len(rows))
    flips[non_finite] = ends[non_finite] = -1
    warn_of_overflow(model, pairs.tokens_a, non_finite, layer)
    about = describe_pairs(pairs)
    coords = {name: about.pop(name) for name in ("pair", "text_a", "text_b")}
    data = {
        "flips": (("pair", "alpha", "layer"), flips, {"long_name": "gates that change sign in the step ending here"}),
        "ends_differ": (("pair", "layer"), ends, {"long_name": "gates whose sign differs between A and B"}),
        "gates": ("layer", np.full(len(blocks), width)),
        "non_finite": ("pair", non_finite, {"long_name": "whether an output is NaN or infinite; counts are then -1"}),
    }
    coords |= {"alpha": alphas.double().numpy(), "layer": blocks}
    settings = {"steps": len(alphas), "layer": layer, "path": path_name, "counted": counted(model)}
    return xr.Dataset(data | about, coords, provenance(model, pairs, **settings))


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
    """Where on one pair's path each gate of one block changes sign, in alpha, by bisection between steps.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pair: One pair of prompts.
        block: Block whose gates are looked at.
        layer: Block whose output is replaced, before ``block``.
        steps: Points of the path that are compared first; a gate that flips twice between two of them is missed.
        halvings: How often each step with a flip is halved: the place is exact to 1 / (steps - 1) / 2 ** halvings.
        path: ``"linear"``, or a function of (A, B, alphas).

    Returns:
        Dim ``flip``, in the order of the path: ``alpha`` (middle of the last interval), ``gate`` (index), ``sign`` (1
        where the gate opens, -1 where it closes).

    Raises:
        ValueError: Not one pair, bad prompts, blocks, steps or path.
    """
    layer = check_layer(model, layer)
    check_gates(model, layer)
    (block,) = find_blocks(model, layer, [block]).tolist()
    steps, halvings = check_whole(steps, "steps", 2, 10**6), check_whole(halvings, "halvings", 0, 50)
    path_name, path_function = find_path(path)
    pairs = as_pairs(model, pair)
    if len(pairs) != 1:
        raise ValueError(f"expected one pair, got {len(pairs)}; take one with pairs[i : i + 1].")
    context = pairs.tokens_a[0][None]
    a, b = (capture_all(model, side, layer) for side in (pairs.tokens_a, pairs.tokens_b))

    def signs_at(alphas: Float[Tensor, " alpha"]) -> Bool[Tensor, "alpha gate"]:
        return _signs(model, context, path_function(a, b, alphas.float()), layer)[0][0, :, block - layer - 1]

    alphas = torch.linspace(0, 1, int(steps), dtype=torch.float64)
    signs = signs_at(alphas)
    step, gate = torch.nonzero(signs[1:] != signs[:-1], as_tuple=True)
    low, high, before = alphas[step], alphas[step + 1], signs[step, gate]
    for _ in range(halvings):
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
    settings = {"layer": layer, "block": block, "steps": len(alphas), "halvings": halvings, "path": path_name}
    settings["counted"] = counted(model)
    return xr.Dataset(data, attrs=provenance(model, pairs, **settings))


def counted(model: Model) -> str:
    """What this model's MLPs have for gates: ``"gate pre-activations"`` or ``"MLP pre-activations (no gate)"``.

    Args:
        model: One with an MLP that is known.
    """
    gated = (model.anatomy.gate or "").split(".")[-1] in GATED
    return "gate pre-activations" if gated else "MLP pre-activations (no gate)"


def find_blocks(model: Model, layer: int, layers: str | Sequence[int]) -> Int[np.ndarray, " layer"]:
    """Indices of the blocks whose gates are asked for.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layer: Block whose output is replaced.
        layers: ``"all"`` blocks behind it, or some of them.

    Raises:
        ValueError: A block that is not behind ``layer``.
    """
    behind = range(layer + 1, model.n_layers)
    chosen = list(behind) if isinstance(layers, str) and layers == "all" else listed(layers) or []
    try:
        chosen = [check_whole(block, "layers", behind[0], behind[-1]) for block in chosen]
    except ValueError:
        chosen = []
    if not chosen:
        raise ValueError(
            f"layers={layers!r}: the patch is after block {layer} of {model.name}, so its gates are those of blocks "
            f"{behind[0]} to {behind[-1]}; give some of these, or 'all'."
        )
    return np.array(chosen)


def points_at_once(model: Model) -> int:
    """Points whose gates, those of all blocks, fit into ``GATES_AT_ONCE``.

    Args:
        model: From :func:`srtoolkit.load_model`.
    """
    mlp = int(getattr(model.hf.config.get_text_config(), "intermediate_size", None) or 4 * model.d_model)
    return max(1, GATES_AT_ONCE // (mlp * model.n_layers))


def _signs(
    model: Model, context: Int[Tensor, "pair pos"], points: Float[Tensor, "pair alpha d_model"], layer: int
) -> tuple[Bool[Tensor, "pair alpha layer gate"], Bool[Tensor, "pair alpha"]]:
    """Which gates are open, in every block behind ``layer``, and at which points no value is NaN or infinite."""

    def where_finite(found: Reads) -> Reads:
        # A gate that is not finite leaves nothing finite behind it in the residual stream.
        return {OPEN_GATES: found[OPEN_GATES], "finite": found["resid"].isfinite().all(-1, keepdim=True)}

    found = patch(model, context, points, layer, (OPEN_GATES, "resid"), reduce=where_finite)
    assert isinstance(found, dict)
    return found[OPEN_GATES].unflatten(-1, (model.n_layers - layer - 1, -1)), found["finite"][..., 0]
