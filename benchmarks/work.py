"""What is measured: kinds of work, their sizes, and how much of each a way is timed on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import srtoolkit as srt
from srtoolkit.measures.planes import lay_out, points_at

#: Pairs and points that each kind of way is timed on; a kind that is not named is not timed.
Sizes = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Work:
    """One piece of work.

    Attributes:
        kind: ``"curves"``, ``"slice"``, ``"gates"``; what is varied, ``"points"``, ``"pairs"``, ``"layers"``,
            ``"length"``; or what is measured of curves beside time, ``"memory"``, ``"profile"``.
        tokens: Tokens of each prompt.
        points: Points of each pair.
        sizes: Pairs and points of each that are timed, by the way's ``reuse``. A whole prompt costs the same for every
            point, so that ways without reuse are timed on a part where all would take minutes; in smaller batches,
            which are if anything faster: at 256 tokens, batches of 10 took 0.8 times as long a point as those of 50.
        layer: Block whose output is replaced.
        repeats: Most runs, by the way's ``reuse``, or of srtoolkit's ``"call"``, where one takes long.
    """

    kind: str
    tokens: int
    points: int
    sizes: Sizes
    layer: int = 0
    repeats: dict[str, int] = field(default_factory=dict)

    @property
    def reads_gates(self) -> bool:
        """Whether gate pre-activations are read, and not the final norm's output."""
        return self.kind == "gates"


@dataclass(frozen=True)
class Problem:
    """Prompts and points of a piece of work.

    Attributes:
        context: Token ids, [pair, pos].
        points: [pair, point, d_model]; the first is the context's own activation. The first so many of them are a fair
            part of all.
        order: Place on the path, or on the plane, of each point.
        prompts: What the same work starts from: pairs of prompts, or three.
    """

    context: Tensor
    points: Tensor
    order: Tensor
    prompts: Any = field(repr=False)


def full(blocks: int) -> list[Work]:
    """All of it, for a model of so many blocks: some fifteen minutes for SmolLM2 on two cores."""
    slow = {"none": 2}
    return [
        Work("curves", 10, 50, {"none": (2, 50), "prefix": (16, 50), "srtoolkit": (32, 50)}),
        Work("curves", 64, 50, {"none": (1, 20), "prefix": (8, 50), "srtoolkit": (12, 50)}),
        Work("curves", 256, 50, {"none": (1, 50), "prefix": (2, 50), "srtoolkit": (4, 50)}, repeats=slow),
        Work("curves", 1024, 50, {"none": (1, 2), "prefix": (1, 50), "srtoolkit": (2, 50)}, repeats=slow),
        Work(
            "slice", 10, 1 + 61**2, {"none": (1, 100), "prefix": (3, 400), "srtoolkit": (3, 1000)}, repeats={"call": 2}
        ),
        Work("gates", 10, 50, {"none": (1, 50), "prefix": (8, 50), "srtoolkit": (16, 50)}),
        *scaling((50, 500, 5000), (4, 16, 64), _spread(blocks, 5), (10, 64, 256, 1024)),
    ]


def quick(blocks: int) -> list[Work]:
    """Enough to see whether something broke: a few minutes."""
    return [
        Work("curves", 10, 50, {"none": (1, 50), "prefix": (8, 50), "srtoolkit": (16, 50)}),
        Work("curves", 256, 50, {"none": (1, 3), "prefix": (1, 50), "srtoolkit": (2, 50)}),
        Work("slice", 10, 1 + 21**2, {"none": (1, 50), "prefix": (3, 133), "srtoolkit": (3, 442)}),
        Work("gates", 10, 50, {"none": (1, 50), "prefix": (8, 50), "srtoolkit": (16, 50)}),
        *scaling((50, 250, 1250), (4, 8, 16), _spread(blocks, 3), (10, 256)),
    ]


def scaling(
    points: tuple[int, ...], pairs: tuple[int, ...], layers: tuple[int, ...], lengths: tuple[int, ...]
) -> list[Work]:
    """One number varied at a time: points of one pair, pairs of 50 points, blocks behind the patch, tokens."""
    ours, both = {"srtoolkit": (1, 450)}, {"srtoolkit": (1, 450), "prefix": (1, 450)}
    return [
        *(Work("points", 10, k, {"srtoolkit": (1, k)} | ({"prefix": (1, k)} if k <= 500 else {})) for k in points),
        *(Work("pairs", 10, 50, {"srtoolkit": (n, 50)}) for n in pairs),
        *(Work("layers", 10, 1000, {"srtoolkit": (1, 1000)}, layer) for layer in layers),
        *(Work("length", length, 50, {"srtoolkit": (1, 50)}) for length in lengths),
        *(Work("length", length, 450, ours) for length in lengths[:-1]),
        Work("length", lengths[-1], 450, both, repeats={"prefix": 1}),
    ]


def _spread(blocks: int, n: int) -> tuple[int, ...]:
    """``n`` places of the patch, from the first block to the last but two."""
    return tuple(round((blocks - 3) * index / (n - 1)) for index in range(n))


def prepare(model: srt.Model, work: Work) -> Problem:
    """Random prompts of English prose, and points between or around their activations."""
    if work.kind == "slice":
        return _plane(model, work)
    pairs, points = max(pairs for pairs, _ in work.sizes.values()), work.points
    prompts = srt.sample_pairs(model, pairs, work.tokens)
    context, other = torch.stack(prompts.tokens_a), torch.stack(prompts.tokens_b)
    a, b = (srt.capture(model, tokens, layer=work.layer) for tokens in (context, other))
    path = torch.lerp(a[:, None], b[:, None], torch.linspace(0, 1, points, device=a.device)[None, :, None])
    order = torch.arange(points) if work.reads_gates else _from_first(points)
    return Problem(context, path[:, order], order, prompts)


def _plane(model: srt.Model, work: Work) -> Problem:
    """Three prompts; each context's own activation goes before the points of the plane."""
    prompts = srt.sample_pairs(model, 3, work.tokens).tokens_a
    resolution = round((work.points - 1) ** 0.5)
    layout = lay_out(model, prompts, layer=work.layer, resolution=resolution)
    order = _from_first(1 + resolution**2)
    plane = points_at(layout, torch.arange(resolution**2).numpy())
    points = torch.stack([torch.cat([own[None], plane])[order] for own in layout.corners])
    return Problem(torch.cat(layout.tokens), points, order, prompts)


def _from_first(points: int) -> Tensor:
    """Places in random order, but the first in front, so that any number of them is a fair part."""
    rest = torch.randperm(points - 1, generator=torch.Generator().manual_seed(0)) + 1
    return torch.cat([torch.zeros(1, dtype=torch.long), rest])
