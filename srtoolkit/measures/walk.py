"""The steps that all measurements on pairs share: check, capture both ends, walk the paths in batches, label values.

A measurement adds what is its own: what it computes from the points of a batch, and the names of its values. Prompts of
any lengths, progress, provenance and overflow are handled here for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int
from torch import Tensor

from srtoolkit.measures.dataset import pairs_dataset
from srtoolkit.measures.paths import Path, find_path
from srtoolkit.measures.progress import reporting
from srtoolkit.models.checks import check_layer, check_position
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress
from srtoolkit.patching.choice import choose_method, names_of
from srtoolkit.patching.not_finite import check_activations, warn_of_overflow
from srtoolkit.patching.patch import capture
from srtoolkit.patching.rounds import method_for_rounds
from srtoolkit.prompts.pairs import PromptPairs, as_pairs, by_length
from srtoolkit.prompts.sampling import sample_pairs

#: Bytes of log-probabilities that are held at one time.
LOGPROB_BYTES = 256 * 2**20

#: Pairs in one batch where no log-probabilities are held.
PAIRS_AT_ONCE = 64

#: The prompts over which the centre of an arc is the mean: how many, of how many tokens, drawn with which seed.
CENTRE_PROMPTS, CENTRE_LENGTH, CENTRE_SEED = 64, 10, 2024


class Batch(NamedTuple):
    """Some pairs whose prompts A are of one length, and the points of their paths.

    Attributes:
        rows: Indices of the pairs in the measurement.
        context: Token ids of the prompts A.
        points: Points of the paths, to be patched into these contexts; in float32 or wider, so that they are rounded
            once, where they enter the model.
        method: Name of the patching method; never ``"auto"``.
        progress: The argument ``progress`` for :func:`srtoolkit.patch`.
        position: Which token's activation the points replace.
    """

    rows: list[int]
    context: Int[Tensor, "pair pos"]
    points: Float[Tensor, "pair alpha d_model"]
    method: str
    progress: Progress
    position: int = -1


class Rows(dict[str, np.ndarray]):
    """Values of every pair by name, filled in batch by batch.

    Args:
        n: Number of pairs.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self._n = n

    def put(self, rows: Sequence[int], values: Mapping[str, Tensor]) -> None:
        """Fill in what was measured of some pairs.

        Args:
            rows: Indices of the pairs in the measurement.
            values: Tensors by name, whose first dimension is the pair.
        """
        for name, value in values.items():
            found = value.cpu().numpy()
            if name not in self:
                self[name] = np.empty((self._n, *found.shape[1:]), found.dtype)
            self[name][list(rows)] = found


@dataclass(frozen=True)
class Walk:
    """The paths of some pairs, with both ends captured. Made by :func:`set_out`.

    Attributes:
        model: The model that is measured.
        pairs: The pairs of prompts; each path runs in its prompt A's context.
        layer: Block whose output is replaced.
        alphas: Places on every path, from A (0) to B (1).
        path: Name of the kind of path.
        points_on: The path as a function of (A, B, alphas).
        a: Activations of the prompts A, in float32 or wider.
        b: Activations of the prompts B, likewise.
        position: Which token's activation is replaced, in every prompt.
        methods: Patching methods that were given or chosen, in the order of their use.
    """

    model: Model
    pairs: PromptPairs
    layer: int
    alphas: Float[Tensor, " alpha"]
    path: str
    points_on: Path
    a: Float[Tensor, "pair d_model"]
    b: Float[Tensor, "pair d_model"]
    position: int = -1
    methods: list[str] = field(default_factory=list)

    def batches(
        self, at_once: int, *, method: str = "auto", in_rounds: bool = False, progress: Progress | None = None
    ) -> Iterator[Batch]:
        """The pairs in batches of prompts of one length, shortest first.

        Args:
            at_once: Most pairs in one batch.
            method: Patching method; for ``"auto"``, one is chosen for each length of prompts.
            in_rounds: Points do not go in together but in :class:`~srtoolkit.patching.rounds.Rounds`.
            progress: Called with the number of points done and that of all points. Where ``None``, a progress bar is
                shown.
        """
        each, steps = len(self.pairs) * len(self.alphas), len(self.alphas)
        with reporting(progress, each, f"after block {self.layer}") as report:
            done = 0
            for places, context in by_length(self.pairs.tokens_a):
                chosen = method
                if method == "auto":
                    behind = context.shape[1] - 1 - check_position(context.shape[1], self.position)
                    tried = context.to(self.model.device)
                    chosen = (
                        method_for_rounds(self.model, tried, behind, self.layer)
                        if in_rounds
                        else choose_method(self.model, tried, steps, behind, self.layer).method
                    )
                self.methods.append(chosen)
                for some in torch.arange(len(places)).split(at_once):
                    rows = [places[index] for index in some]
                    points = self.points_on(self.a[rows], self.b[rows], self.alphas)
                    part = _part(report, done, len(rows) * steps)
                    yield Batch(rows, context[some], points, chosen, part, self.position)
                    done += len(rows) * steps
                    report(done)

    def to_dataset(
        self,
        data: Mapping[str, Any],
        coords: Mapping[str, Any],
        undefined: Bool[np.ndarray, " pair"],
        **settings: Any,
    ) -> xr.Dataset:
        """The measured values as a Dataset with prompts and provenance; logs a warning where activations overflowed.

        Args:
            data: Variables, as xarray takes them.
            coords: Coordinates in addition to the pairs' own.
            undefined: Whether each pair has an output that is NaN or infinite.
            settings: Further settings of the measurement, kept as attributes.
        """
        method = {"method": names_of(self.methods)} if self.methods else {}
        at = {"position": self.position} if self.position != -1 else {}
        about = {"layer": self.layer, "path": self.path, **at, **method, **settings}
        found = pairs_dataset(self.model, self.pairs, data, coords, **about)
        warn_of_overflow(self.model, self.pairs.tokens_a, undefined, self.layer)
        return found


def set_out(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    layer: int,
    alphas: Float[Tensor, " alpha"],
    path: str | Path,
    position: int = -1,
) -> Walk:
    """Check the arguments of a measurement, and capture both ends of every path.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B).
        layer: Block whose output is replaced.
        alphas: Places on every path, from A (0) to B (1).
        path: ``"linear"``, ``"slerp"``, ``"arc"``, or a function of (A, B, alphas).
        position: Which token's activation is captured and replaced, in every prompt.

    Raises:
        ValueError: A prompt, block, path or position is not valid; this is checked before the model runs.
    """
    layer, pairs = check_layer(model, layer), as_pairs(model, pairs)
    path_name, points_on = find_path(path, lambda: prose_mean(model, layer))
    a, b = (wide(capture_all(model, side, layer, position)) for side in (pairs.tokens_a, pairs.tokens_b))
    return Walk(model, pairs, layer, alphas, path_name, points_on, a, b, position)


def wide(activations: Float[Tensor, "prompt d_model"]) -> Float[Tensor, "prompt d_model"]:
    """The same activations in float32 or wider, for points to be made of: in half precision a path would be a stair.

    Args:
        activations: Residual streams, in the model's number format.
    """
    return activations.to(torch.promote_types(activations.dtype, torch.float32))


def prose_mean(model: Model, layer: int) -> Float[Tensor, " d_model"]:
    """Mean activation after block ``layer`` at the last position, over 64 shipped prompts of ten tokens.

    These are the same for every measurement, whatever pairs it is made on.

    Args:
        model: From :func:`srtoolkit.load_model`.
        layer: Block whose output is read.

    Raises:
        ValueError: The model has no tokenizer, or takes no ten tokens.
    """
    if model.tokenizer is None:
        raise ValueError(
            f"path='arc' turns about the mean activation of shipped prose, and {model.name} has no tokenizer to read "
            "it with; give path=srt.paths.arc(about=...), the mean of activations of your own."
        )
    prompts = sample_pairs(model, CENTRE_PROMPTS, length=CENTRE_LENGTH, seed=CENTRE_SEED).tokens_a
    return wide(capture_all(model, prompts, layer)).mean(0)


def capture_all(
    model: Model, prompts: Sequence[Int[Tensor, " _pos"]], layer: int, position: int = -1
) -> Float[Tensor, "prompt d_model"]:
    """Residual streams of prompts of any lengths after block ``layer`` at one position, in the prompts' order.

    Args:
        model: From :func:`srtoolkit.load_model`.
        prompts: Token ids of each prompt.
        layer: Block whose output is read.
        position: Which token's activation, of each prompt; the last by default.

    Raises:
        ValueError: A prompt, block or position is not valid, or activations are NaN or infinite.
    """
    for length in sorted({len(prompt) for prompt in prompts}):  # before any runs
        check_position(length, position)
    named = [tuple(prompt.tolist()) for prompt in prompts]
    number = {ids: index for index, ids in enumerate(dict.fromkeys(named))}  # pairs of a list share their prompts
    out = torch.empty(len(number), model.d_model, dtype=model.hf.dtype, device=model.device)
    for places, tokens in by_length(map(torch.tensor, number)):
        out[places] = capture(model, tokens, layer=layer, position=position)
    return check_activations(model, out[[number[ids] for ids in named]], layer)


def pairs_that_fit(model: Model, steps: int, *, with_logprobs: bool) -> int:
    """Number of pairs in one batch, so that the log-probabilities of all their points can be held.

    Args:
        model: The model, whose vocabulary counts.
        steps: Number of points of each path.
        with_logprobs: Whether log-probabilities are held at all.
    """
    if not with_logprobs:
        return PAIRS_AT_ONCE
    return max(1, min(PAIRS_AT_ONCE, points_held(model) // steps))


def points_held(model: Model) -> int:
    """Number of points whose log-probabilities are held at one time.

    Args:
        model: The model, whose vocabulary counts.
    """
    return LOGPROB_BYTES // (4 * model.vocab_size)


def _part(report: Any, done: int, points: int) -> Progress:
    """The progress of one batch as part of the whole."""

    def progress(here: int, of: int) -> None:
        report(done + points * here // of)

    return progress
