"""Directions in the residual stream, from where they come: contrasts, principal components, rows of a matrix, chance.

Each function gives :class:`Directions`, which :func:`srtoolkit.perturb` follows from a prompt's activation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from srtoolkit.measures.walk import capture_all, wide
from srtoolkit.models.checks import check_layer, check_model
from srtoolkit.models.model import Model
from srtoolkit.prompts.pairs import check_lengths
from srtoolkit.validation import check_names, check_whole, listed


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions in the residual stream, with their names and where they came from.

    Attributes:
        vectors: One row a direction, of length 1; a mixture ``cos t u + sin t v`` is as long as it comes. Where the
            directions are ``places``, points that they lead to.
        names: A name for each.
        source: In words, how they were made.
        places: Whether each leads from a prompt's activation to a place, and so differs from prompt to prompt.
        first: Of mixtures, the name of ``u``.
        second: Of mixtures, the name of ``v``.
        angle: Of mixtures, ``t`` in radians.

    Raises:
        TypeError: ``vectors`` is no matrix of real numbers.
        ValueError: There are no directions, one has no length or is not finite, or names are not one for each.
    """

    vectors: Float[Tensor, "direction d_model"] = field(repr=False)
    names: tuple[str, ...]
    source: str
    places: bool = False
    first: tuple[str, ...] = field(default=(), kw_only=True)
    second: tuple[str, ...] = field(default=(), kw_only=True)
    angle: tuple[float, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "vectors", _checked(self.vectors, "vectors", self.names))
        if len(self.names) != len(self.vectors) or len(set(self.names)) != len(self.names):
            raise ValueError(
                f"{len(self.vectors)} directions need as many different names, got {list(self.names)[:10]}."
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def mixed(self) -> bool:
        """Whether these are mixtures."""
        return bool(self.angle)

    def opposites(self) -> Directions:
        """The same directions and their opposites, which are named with a minus.

        Raises:
            ValueError: These lead to places, which have no opposite.
        """
        if self.places:
            raise ValueError("directions towards places have no opposite; take both signs of other directions.")
        names = (*self.names, *(f"-{name}" for name in self.names))
        turned = tuple(angle + math.pi for angle in self.angle)
        return Directions(
            torch.cat([self.vectors, -self.vectors]), names, self.source,
            first=self.first * 2, second=self.second * 2, angle=(*self.angle, *turned),
        )  # fmt: skip


def rows(matrix: Float[Tensor, "direction d_model"], names: Sequence[str] | None = None) -> Directions:
    """The rows of a matrix, each brought to length 1: an SAE's decoder, steering vectors, a probe.

    Args:
        matrix: One direction a row; an SAE's decoder is ``[feature, d_model]`` in most libraries.
        names: A name for each; by default their numbers.

    Raises:
        TypeError: ``matrix`` is no matrix of real numbers.
        ValueError: A row has no length or is not finite, or names are not one for each and all different.
    """
    known = None if names is None else _texts(names, "names")
    found = _checked(matrix, "matrix", known or ())
    return Directions(_unit(found), tuple(known or map(str, range(len(found)))), "rows of a matrix")


def random(model: Model, n: int = 1, *, seed: int = 0) -> Directions:
    """Random directions, all equally likely, of length 1.

    Args:
        model: From :func:`srtoolkit.load_model`; only its width counts.
        n: How many.
        seed: Seed of the draw.

    Raises:
        ValueError: ``n`` or ``seed`` is no such whole number.
    """
    n, seed = check_whole(n, "n", 1, 10**6), check_whole(seed, "seed", 0, 2**63 - 1)
    drawn = torch.randn(n, check_model(model).d_model, generator=torch.Generator().manual_seed(seed))
    return Directions(_unit(drawn), tuple(f"random {i}" for i in range(n)), f"random, seed {seed}")


def contrastive(
    model: Model, positive: Sequence[str], negative: Sequence[str], *, layer: int = 0, name: str = "contrast"
) -> Directions:
    """The direction from the mean activation of one set of prompts to that of another, of length 1.

    Activations are read at the last position, so the contrast must be there to be read: sentences of both sets had
    better differ in their last words, or ``layer`` lie deep enough.

    Args:
        model: From :func:`srtoolkit.load_model`.
        positive: Texts of the prompts to which it leads, two or more.
        negative: Texts of the prompts from which it comes, two or more.
        layer: Block whose output is read.
        name: What to call it.

    Raises:
        TypeError: No list of texts.
        ValueError: Fewer than two prompts on a side, a prompt is not valid, or both means are the same.
    """
    layer = check_layer(model, layer)
    sides = [_means_of(model, given, what, layer) for given, what in ((positive, "positive"), (negative, "negative"))]
    source = f"difference of means over {len(positive)} and {len(negative)} prompts after block {layer}"
    return Directions(_unit(_checked((sides[0] - sides[1])[None], "contrast", [name])), (name,), source)


def principal(model: Model, prompts: Sequence[str], n: int = 1, *, layer: int = 0) -> Directions:
    """The first principal components of prompts' activations at the last position, of length 1; of either sign.

    Args:
        model: From :func:`srtoolkit.load_model`.
        prompts: Texts, more than ``n``.
        n: How many, that of the largest variance first.
        layer: Block whose output is read.

    Raises:
        TypeError: No list of texts.
        ValueError: Too few prompts, or one is not valid.
    """
    layer, texts = check_layer(model, layer), _texts(prompts, "prompts", 2)
    n = check_whole(n, "n", 1, min(len(texts) - 1, model.d_model))
    centred = _centred(model, texts, layer)
    found = torch.linalg.svd(centred.double().cpu(), full_matrices=False).Vh[:n].float()
    names = tuple(f"component {i}" for i in range(n))
    return Directions(found, names, f"principal components of {len(texts)} prompts after block {layer}")


def covariance_matched(
    model: Model, prompts: Sequence[str], n: int = 1, *, layer: int = 0, seed: int = 0
) -> Directions:
    """Random directions drawn with the covariance of prompts' activations at the last position, of length 1.

    What distinguishes a direction that means something from any other one within the cloud of activations.

    Args:
        model: From :func:`srtoolkit.load_model`.
        prompts: Texts, two or more; the draw lies within the span of their activations.
        n: How many.
        layer: Block whose output is read.
        seed: Seed of the draw.

    Raises:
        TypeError: No list of texts.
        ValueError: Too few prompts, one is not valid, or ``n`` or ``seed`` is no such whole number.
    """
    layer, texts = check_layer(model, layer), _texts(prompts, "prompts", 2)
    n, seed = check_whole(n, "n", 1, 10**6), check_whole(seed, "seed", 0, 2**63 - 1)
    weights = torch.randn(n, len(texts), generator=torch.Generator().manual_seed(seed))
    drawn = weights @ _centred(model, texts, layer).float().cpu()  # Gaussian, with the sample's own covariance
    names = tuple(f"matched {i}" for i in range(n))
    source = f"covariance of {len(texts)} prompts after block {layer}, seed {seed}"
    return Directions(_unit(_checked(drawn, "prompts", names)), names, source)


def towards(model: Model, prompts: Sequence[str], *, layer: int = 0) -> Directions:
    """Directions from whatever activation is perturbed to those of other prompts, of length 1.

    Args:
        model: From :func:`srtoolkit.load_model`.
        prompts: Texts of the prompts that they lead to, all different.
        layer: Block whose output is read.

    Raises:
        TypeError: No list of texts.
        ValueError: There are no prompts, one stands twice, or one is not valid.
    """
    layer, texts = check_layer(model, layer), _texts(prompts, "prompts", 1)
    found = wide(capture_all(model, _tokens(model, texts), layer)).float().cpu()
    return Directions(found, tuple(f"towards {text!r}" for text in texts), f"activations after block {layer}", True)


def mixtures(directions: Directions, angles: int = 8, *, couples: str = "all") -> Directions:
    """``cos t u + sin t v`` for couples of directions, with ``t`` all around the circle.

    With eight angles, ``u``, ``v``, their opposites, and the four diagonals. A mixture of directions that are not
    orthogonal has another length than 1; it is left so, since what counts are the coefficients.

    Args:
        directions: Two directions or more.
        angles: Number of angles, evenly spaced; a multiple of 4, from 8 on.
        couples: Which two are mixed: ``"all"``, or ``"ring"``, each with the next one and the last with the first.

    Raises:
        ValueError: Fewer than two directions, or such as lead to places or are mixtures already; or another number.
    """
    if not isinstance(directions, Directions) or len(directions) < 2 or directions.places or directions.mixed:
        raise ValueError("directions: expected two or more from srtoolkit.directions that are neither mixtures, nor "
                         f"lead to places, got {str(directions)[:100]!r}.")  # fmt: skip
    angles = check_whole(angles, "angles", 8, 720)
    if angles % 4:
        raise ValueError(
            f"angles={angles}: expected a multiple of 4, so that both directions and their opposites count."
        )
    (couples,) = check_names(couples, ("all", "ring"), "couples")
    turns = [2 * math.pi * step / angles for step in range(angles)]
    places = range(len(directions))
    ring = [(place, (place + 1) % len(places)) for place in places]
    chosen = itertools.combinations(places, 2) if couples == "all" or len(places) == 2 else ring
    each = [(u, v, turn) for u, v in chosen for turn in turns]
    vectors = torch.stack(
        [_exact(math.cos(t)) * directions.vectors[u] + _exact(math.sin(t)) * directions.vectors[v] for u, v, t in each]
    )
    first, second = tuple(directions.names[u] for u, _, _ in each), tuple(directions.names[v] for _, v, _ in each)
    angle = tuple(turn for _, _, turn in each)
    names = tuple(f"{u} | {v} | {math.degrees(t):g}°" for u, v, t in zip(first, second, angle, strict=True))
    source = f"mixtures of: {directions.source}"
    return Directions(vectors, names, source, first=first, second=second, angle=angle)


def join(*given: Directions) -> Directions:
    """Directions of several origins as one; all of them places, all mixtures, or neither.

    Args:
        given: From the functions of this module; their names must differ.

    Raises:
        ValueError: None given, widths or kinds differ, or a name stands twice.
    """
    kinds = {(one.places, one.mixed, one.vectors.shape[1]) for one in given if isinstance(one, Directions)}
    if len(kinds) != 1 or not all(isinstance(one, Directions) for one in given):
        raise ValueError(f"expected directions of one width, all places, all mixtures or neither; got {len(given)} "
                         f"of the kinds (places, mixed, width) {sorted(kinds)}.")  # fmt: skip
    parts = {
        name: tuple(itertools.chain.from_iterable(getattr(one, name) for one in given))
        for name in ("names", "first", "second", "angle")
    }
    source = "; ".join(dict.fromkeys(one.source for one in given))
    return Directions(torch.cat([one.vectors for one in given]), source=source, places=given[0].places, **parts)


def check_directions(model: Model, directions: Any) -> Directions:
    """Directions, after a check that they have the model's width.

    Args:
        model: From :func:`srtoolkit.load_model`.
        directions: What was given, to be checked.

    Raises:
        TypeError: No :class:`Directions`.
        ValueError: Another width.
    """
    if not isinstance(directions, Directions):
        raise TypeError(
            f"directions: expected Directions, got {type(directions).__name__}; srtoolkit.directions.rows(matrix) "
            "makes them of a matrix with one direction a row."
        )
    width = directions.vectors.shape[1]
    if width != model.d_model:
        raise ValueError(
            f"directions of width {width}, but {model.name} has a residual stream of {model.d_model}; of an SAE give "
            "the decoder of this model's width, one feature a row (transpose it, if it is [d_model, feature])."
        )
    return directions


def _exact(value: float) -> float:
    """A sine or cosine that is 0 where it should be."""
    return 0.0 if abs(value) < 1e-15 else value


def _unit(vectors: Float[Tensor, "direction d_model"]) -> Float[Tensor, "direction d_model"]:
    found = vectors.double()
    return (found / found.norm(dim=-1, keepdim=True)).float()


def _checked(vectors: Any, what: str, names: Sequence[str]) -> Float[Tensor, "direction d_model"]:
    """A finite matrix in float32 on the CPU, no row of which is 0."""
    if not isinstance(vectors, Tensor) or not vectors.is_floating_point() or vectors.layout != torch.strided:
        kind = f"a {vectors.dtype} tensor" if isinstance(vectors, Tensor) else type(vectors).__name__
        raise TypeError(f"{what}: expected a float tensor [direction, d_model], got {kind}.")
    if vectors.ndim != 2 or not vectors.numel():
        raise ValueError(f"{what}: expected shape [direction, d_model], got {list(vectors.shape)}; one is v[None].")
    found = vectors.detach().float().cpu()
    lengths = found.double().norm(dim=-1)
    bad = (~lengths.isfinite() | (lengths == 0)).nonzero().flatten().tolist()
    if bad:
        said = ", ".join(names[i] if i < len(names) else str(i) for i in bad[:5])
        raise ValueError(f"{what}: {len(bad)} of {len(found)} directions have length 0 or are not finite: {said}.")
    return found


def _texts(given: Any, what: str, least: int = 1) -> list[str]:
    texts = listed(given)
    if texts is None or any(not isinstance(text, str) for text in texts):
        raise TypeError(f"{what}: expected a list of strings, got {str(given)[:200]!r}.")
    if len(texts) < least:
        raise ValueError(f"{what}: expected {least} or more texts, got {len(texts)}.")
    return texts


def _tokens(model: Model, texts: Sequence[str]) -> list[Tensor]:
    ids = [model.tokenize(text, False) for text in texts]
    check_lengths(model, ids)
    return ids


def _means_of(model: Model, given: Any, what: str, layer: int) -> Float[Tensor, " d_model"]:
    return _activations(model, _texts(given, what, 2), layer).mean(0)


def _centred(model: Model, texts: Sequence[str], layer: int) -> Float[Tensor, "prompt d_model"]:
    found = _activations(model, texts, layer)
    return found - found.mean(0)


def _activations(model: Model, texts: Sequence[str], layer: int) -> Float[Tensor, "prompt d_model"]:
    return wide(capture_all(model, _tokens(model, texts), layer)).float().cpu()
