"""Dose and response: how far the output moves when one activation is pushed along a direction, by how much."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from srtoolkit.measures import distances
from srtoolkit.measures.directions import Directions, check_directions
from srtoolkit.measures.progress import reporting
from srtoolkit.measures.read_points import check_outputs, vectors, with_blocks
from srtoolkit.measures.walk import LOGPROB_BYTES, Rows, capture_all, wide
from srtoolkit.models.checks import check_layer, check_model
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress, named
from srtoolkit.patching.choice import choose_method, names_of
from srtoolkit.patching.not_finite import warn_of_overflow
from srtoolkit.patching.patch import patch
from srtoolkit.prompts.pairs import PromptPairs, as_pairs, by_length, check_flag, check_lengths
from srtoolkit.validation import as_float, check_names, listed
from srtoolkit.version import __version__

#: What a size counts in.
UNITS = ("norm", "absolute")

#: Prompts in one batch, where a prompt has few points.
PROMPTS_AT_ONCE = 64

_LONG_NAMES = {
    "distance": "L2 distance from the unperturbed output after the final norm",
    "distance_resid": "L2 distance from the unperturbed output before the final norm",
    "kl": "KL divergence of the prediction from the unperturbed one, nats",
    "jsd": "Jensen-Shannon divergence of the prediction from the unperturbed one, nats",
    "hellinger": "Hellinger distance of the prediction from the unperturbed one, 0 to 1",
    "top_token": "id of the most probable next token",
    "apart": "median distance of the output from the other prompts' outputs, L2 after the final norm",
    "apart_resid": "median distance of the output from the other prompts' outputs, L2 before the final norm",
    "norm": "L2 norm of the activation",
}


@torch.no_grad()
def perturb(
    model: Model,
    prompts: Sequence[str] | PromptPairs,
    directions: Directions,
    sizes: Iterable[float | int],
    *,
    layer: int = 0,
    reads: str | Sequence[str] = "final_norm",
    unit: str = "norm",
    both_signs: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    """How far the output moves when a prompt's activation is pushed along a direction, for every size of the push.

    The activation ``A`` after block ``layer`` at the last position becomes ``A + size * direction``. Distances are from
    the prompt's own output. Stable regions show as a response that stays small and then rises.

    With permuted weights (:func:`srtoolkit.null_model`) the output moves at once and then less: on SmolLM2-135M (8
    prompts of 10 tokens, 4 random directions, in the median, of two seeds) by 0.14 of ``apart`` at a size of 0.05 norms
    and by 0.74 to 0.75 at 1.6, where the trained model moves by 0.02 and 0.88. On 20 prompts of nano-1m these are 0.04
    and 0.67 to 0.73, and 0.02 and 0.62.

    Args:
        model: From :func:`srtoolkit.load_model`.
        prompts: Texts, or pairs of prompts, of which only the prompts A are used.
        directions: From :mod:`srtoolkit.directions`.
        sizes: Sizes of the push, positive and increasing.
        layer: Block whose output is replaced.
        reads: Outputs to measure, one or several: ``"final_norm"`` gives ``distance``; ``"resid"`` the same before the
            norm; ``"logits"`` gives ``kl``, ``jsd``, ``hellinger`` and ``top_token``; ``"resid.7"``, ``"attn.7"`` or
            ``"mlp.7"`` that of one block, as ``distance_mlp_7`` and so on.
        unit: What a size counts: ``"norm"``, the L2 norm of each prompt's own activation, or ``"absolute"``, 1.
        both_signs: Follow the opposite of every direction, too, under its name with a minus.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``prompt``, ``direction``, ``size``: what ``reads`` gives. With dim ``prompt``: ``text``,
        ``norm`` of the activation, and ``apart``, the median distance of the output from the other prompts' outputs: a
        scale for distances, NaN for a single prompt. Mixtures carry ``first``, ``second`` and ``angle`` along
        ``direction``. Responses that are NaN or infinite are NaN, and their prompts ``non_finite``.

    Raises:
        TypeError: ``directions`` or ``prompts`` are something else.
        ValueError: A prompt, block, direction, size or read point is not valid.
    """
    model, layer = check_model(model), check_layer(model, layer)
    reads, (unit,) = check_outputs(model, reads, layer), check_names(unit, UNITS, "unit")
    directions = check_directions(model, directions)
    if check_flag(both_signs, "both_signs"):
        directions = directions.opposites()
    sizes = check_sizes(sizes)
    pushes = torch.tensor(sizes)
    tokens, texts = _prompts(model, prompts)
    at = wide(capture_all(model, tokens, layer))
    scale = at.norm(dim=-1) if unit == "norm" else torch.ones(len(at)).to(at)
    directed = _vectors(at, directions, texts)
    found, methods = Rows(len(tokens)), list[str]()
    each = len(directions) * len(pushes)
    with reporting(progress, len(tokens) * each, f"after block {layer}") as report:
        done = 0
        for places, context in by_length(tokens):
            method = choose_method(model, context.to(model.device), each, layer=layer).method
            methods.append(method)
            for some in torch.arange(len(places)).split(max(1, min(PROMPTS_AT_ONCE, _held(model, reads) // each))):
                index = [places[i] for i in some]
                steps = (scale[index, None] * pushes.to(at))[:, None, :, None]
                points = (at[index, None, None] + steps * directed(index)[:, :, None]).flatten(1, 2)
                whole = torch.cat([at[index, None], points], dim=1)
                tell = functools.partial(_tell, report, done, len(index))
                with named():
                    found.put(index, _respond(model, context[some], whole, layer, reads, method, tell))
                done += len(index) * each
                report(done)
    about = {"layer": layer, "unit": unit, "reads": ", ".join(reads), "method": names_of(methods)}
    dataset = response_dataset(found, directions, sizes, texts, {**model.provenance(), **about})
    dataset["norm"] = "prompt", at.double().norm(dim=-1).cpu().numpy(), {"long_name": _LONG_NAMES["norm"]}
    dataset["tokens"] = ("prompt", "pos"), _padded(tokens)
    warn_of_overflow(model, tokens, dataset["non_finite"].values, layer)
    return dataset


def check_sizes(sizes: Any) -> list[float]:
    """Sizes of a push as a list, after a check that they are positive and increase.

    Args:
        sizes: What was given, to be checked.

    Raises:
        ValueError: There are none, or they are no positive, finite, increasing numbers.
    """
    found = [as_float(size) for size in listed(sizes) or []]
    numbers = [size for size in found if size is not None and 0 < size < 1e30]
    if not found or len(numbers) < len(found) or any(b <= a for a, b in itertools.pairwise(numbers)):
        raise ValueError(
            f"sizes={str(sizes)[:200]}: expected positive numbers, each larger than the one before, such as "
            "(0.1, 0.2, 0.4)."
        )
    return numbers


def response_dataset(
    found: dict[str, np.ndarray],
    directions: Directions,
    sizes: Iterable[float | int],
    texts: Sequence[str],
    about: dict[str, Any],
) -> xr.Dataset:
    """Responses as a Dataset, whatever they were measured on: a model, or a map whose boundaries are known.

    Args:
        found: By name, one value for each prompt and point (directions, then sizes), or, as ``output`` and
            ``output_resid``, the unperturbed outputs; what is left out is not in the result.
        directions: The directions that were followed.
        sizes: Sizes of the push.
        texts: Names of what was perturbed.
        about: Attributes.
    """
    shape = len(texts), len(directions), len(check_sizes(sizes))
    data: dict[str, Any] = {}
    for name, values in found.items():
        if name.startswith("output"):
            data[name.replace("output", "apart")] = ("prompt", _apart(values))
        else:
            data[name] = (("prompt", "direction", "size"), values.reshape(shape))
    floats = [values for _, values in data.values() if values.ndim == 3 and values.dtype.kind == "f"]
    data["non_finite"] = ("prompt", ~np.all([np.isfinite(values).all((1, 2)) for values in floats], axis=0))
    coords: dict[str, Any] = {
        "direction": list(directions.names),
        "size": check_sizes(sizes),
        "text": ("prompt", list(texts)),
    }
    if directions.mixed:
        coords |= {name: ("direction", list(getattr(directions, name))) for name in ("first", "second", "angle")}
    dataset = xr.Dataset(data, coords, {"srtoolkit": __version__, "directions": directions.source, **about})
    for name, long_name in with_blocks(_LONG_NAMES, about.get("reads", "").split(", ")).items():
        if name in dataset:
            dataset[name].attrs["long_name"] = long_name
    return dataset


def _respond(
    model: Model, context: Int[Tensor, "prompt pos"], points: Float[Tensor, "prompt point d_model"],
    layer: int, reads: tuple[str, ...], method: str, tell: Callable[[float], None],
) -> dict[str, Shaped[Tensor, "prompt ..."]]:  # fmt: skip
    """Responses at all points but the first of some prompts; that one is the activation itself.

    Points beyond what memory holds are cut, and each cut runs together with the activation, so that both outputs are of
    one batch and rounding is the same.
    """
    wanted = tuple("logprobs" if read == "logits" else read for read in reads)
    parts: dict[str, list[Tensor]] = {}
    own: dict[str, Tensor] = {}
    done = 0
    for cut in points[:, 1:].split(max(1, _held(model, reads)), dim=1):
        progress = functools.partial(_of_cut, tell, done, cut.shape[1])
        outputs = patch(
            model, context, torch.cat([points[:, :1], cut], 1), layer=layer, reads=wanted, method=method,
            progress=progress,
        )  # fmt: skip
        done += cut.shape[1]
        of_each = [_compare({read: value[row] for read, value in outputs.items()}) for row in range(len(points))]
        for name in of_each[0]:
            parts.setdefault(name, []).append(torch.stack([one[name][1:] for one in of_each]))
        own = {f"output{suffix}": outputs[read][:, 0] for read, suffix in vectors(wanted).items()}
    return {**{name: torch.cat(cuts, dim=1) for name, cuts in parts.items()}, **own}


def _tell(report: Callable[[int], None], before: int, prompts: int, points: float) -> None:
    """So many points of each prompt of a batch are done, after those of other batches."""
    report(before + int(prompts * points))


def _of_cut(tell: Callable[[float], None], before: int, points: int, here: int, of: int) -> None:
    """The progress of one cut as that of all points of a prompt."""
    tell(before + points * here / of)


def _compare(outputs: dict[str, Float[Tensor, "point _width"]]) -> dict[str, Shaped[Tensor, " point"]]:
    """How far every output of one prompt is from the first, by each read point."""
    out = {f"distance{suffix}": distances.l2_from_first(outputs[read]) for read, suffix in vectors(outputs).items()}
    if "logprobs" in outputs:
        logprobs = outputs["logprobs"]
        roots = (logprobs / 2).exp()
        out["kl"], out["jsd"] = distances.kl_from_first(logprobs), distances.jsd_from_first(logprobs)
        out["hellinger"] = distances.hellinger(roots[:1], roots)
        out["top_token"] = logprobs.argmax(-1)
    return {name: value.masked_fill(~value.isfinite(), torch.nan) if value.is_floating_point() else value
            for name, value in out.items()}  # fmt: skip


def _vectors(
    at: Float[Tensor, "prompt d_model"], directions: Directions, texts: Sequence[str]
) -> Callable[[list[int]], Tensor]:
    """The directions of some prompts as ``[prompt, direction, d_model]``, by a function of the prompts' indices."""
    vectors = directions.vectors.to(at)
    if not directions.places:
        return lambda index: vectors.expand(len(index), *vectors.shape)
    still = (torch.cdist(at, vectors, compute_mode="donot_use_mm_for_euclid_dist") == 0).nonzero()
    if len(still):
        prompt, place = still[0].tolist()
        raise ValueError(
            f"directions: {directions.names[place]} has length 0 from prompt {prompt}, {texts[prompt]!r}, which is "
            "where it leads; leave one of them out."
        )

    def of_prompts(index: list[int]) -> Float[Tensor, "prompt direction d_model"]:
        ways = vectors[None] - at[index][:, None]
        return ways / ways.norm(dim=-1, keepdim=True)

    return of_prompts


def _prompts(model: Model, prompts: Any) -> tuple[list[Int[Tensor, " _pos"]], list[str]]:
    """Token ids and texts of the prompts."""
    if isinstance(prompts, PromptPairs):
        pairs = as_pairs(model, prompts)
        return list(pairs.tokens_a), list(pairs.text_a)
    texts = listed(prompts)
    if texts is None or any(not isinstance(text, str) for text in texts):
        raise TypeError(f"prompts: expected a list of strings or PromptPairs, got {str(prompts)[:200]!r}.")
    if not texts:
        raise ValueError("prompts: expected one text or more, got none.")
    tokens = [model.tokenize(text, False) for text in texts]
    check_lengths(model, tokens)
    return tokens, texts


def _held(model: Model, reads: tuple[str, ...]) -> int:
    """Number of points whose outputs are held at one time."""
    width = (model.vocab_size if "logits" in reads else 0) + 2 * model.d_model
    return max(1, LOGPROB_BYTES // (4 * width))


def _apart(outputs: Float[np.ndarray, "prompt d_model"]) -> Float[np.ndarray, " prompt"]:
    """Median distance of each output from the others, NaN where there are none."""
    if len(outputs) < 2:
        return np.full(len(outputs), np.nan)
    wide_outputs = outputs.astype(np.float64)
    between = np.linalg.norm(wide_outputs[:, None] - wide_outputs, axis=-1)
    return np.array([np.median(np.delete(row, place)) for place, row in enumerate(between)])


def _padded(tokens: Sequence[Int[Tensor, " _pos"]]) -> np.ndarray:
    found = np.full((len(tokens), max(map(len, tokens))), -1, dtype=np.int32)
    for row, ids in enumerate(tokens):
        found[row, : len(ids)] = ids.cpu().numpy()
    return found
