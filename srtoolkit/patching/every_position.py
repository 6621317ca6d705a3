"""Points at every position of one text, side by side in one sequence behind the keys and values of that text.

A point at position ``t`` sees what the token there would see, those before it and itself. So all positions share one
prefix, and a sequence holds points of many of them. Where a family cannot do that, every position is a prompt of its
own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.patching.batches import PARALLEL_POINTS, in_batches, is_out_of_memory, named, tokens_that_fit
from srtoolkit.patching.derivatives import both_ways, directional_batches, run_hooked
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.methods.method import rows_for
from srtoolkit.patching.passes import logits_at, stream, trace
from srtoolkit.patching.patch import patch
from srtoolkit.patching.prefixes import (
    Prefixes,
    Unsupported,
    check_one_rope,
    check_side_by_side,
    sees_prefix_and_itself,
)
from srtoolkit.patching.reads import Readout, Reads, derive
from srtoolkit.patching.trial import AGREEMENT

#: Shrinks what is read of some points, ``[point, width]`` each, given the points' indices.
Reduce = Callable[[Int[Tensor, " point"], Reads], Reads]


class EveryPosition:
    """A text that stays at hand, into whose positions points are put as often as one likes.

    Args:
        model: From :func:`srtoolkit.load_model`; it must run here.
        ids: Token ids of the text, two or more, checked.
        layer: Block whose output is replaced, checked.

    Attributes:
        own: The text's own activations after the block, ``[pos, d_model]``.
        why_alone: Why every position runs as a prompt of its own; empty where all stand side by side.
    """

    def __init__(self, model: Model, ids: Int[Tensor, " pos"], layer: int) -> None:
        self._model, self._ids, self._layer = model, ids.to(model.device), layer
        with model.lock, torch.no_grad(), named():
            self.own = stream(model, self._ids[None], layer, last=len(ids))[0].to(model.device)
            self._prefixes = Prefixes(model, self._ids[None], tokens_that_fit(model))
            self.why_alone = self._why_alone()

    def __call__(
        self,
        position: Int[Tensor, " point"],
        points: Float[Tensor, "point d_model"],
        reads: tuple[str, ...],
        reduce: Reduce | None = None,
    ) -> Reads:
        """What is read at each point's own position, ``[point, width]`` each, in float32 or wider.

        Args:
            position: Where each point goes in, and is read.
            points: The points.
            reads: What to read, as :func:`srtoolkit.patch` takes it; no gates.
            reduce: Function that shrinks what is read of a batch before it is kept; each point by itself.
        """
        with self._model.lock, torch.no_grad(), named():
            if self.why_alone:
                return self._alone(position, points, reads, reduce)
            found = self._beside(position, points, reads, reduce)
            bad = ~torch.stack([values.isfinite().all(-1) for values in found.values()]).all(0)
            if bad.any():  # one that overflows spoils its sequence: what a mask hides counts 0 times infinity
                which = bad.nonzero()[:, 0]
                again = None if reduce is None else lambda index, some: reduce(which[index], some)
                for name, values in self._alone(position[which.cpu()], points[which], reads, again).items():
                    found[name][which] = values
            return found

    def derive(
        self,
        position: Int[Tensor, " point"],
        points: Float[Tensor, "point d_model"],
        directions: Float[Tensor, "point d_model"],
        reads: str,
        reduce: Callable[[Float[Tensor, "point width"], Float[Tensor, "point width"]], Float[Tensor, " point"]],
    ) -> Float[Tensor, " point"]:
        """One number of each point's output and of that output's derivative along a direction.

        Args:
            position: Where each point goes in, and is read.
            points: The points.
            directions: A direction for each; its length counts.
            reads: ``"resid"``, ``"final_norm"`` or ``"logits"``.
            reduce: Gives the number, of outputs and their derivatives.
        """
        model, found = self._model, torch.empty(len(points), dtype=torch.float64)
        if self.why_alone:
            for place, which in _by_position(position):
                context = self._ids[: place + 1].expand(len(which), -1)
                batches = directional_batches(
                    model, context, points[which], directions[which], layer=self._layer, reads=reads
                )  # fmt: skip
                found[which] = torch.cat([reduce(*batch) for batch in batches]).double().cpu()
            return found

        def run(_: Tensor, rows: Tensor) -> Reads:
            index = rows[..., 0].long()
            inputs = self._inputs(position[index], points)

            def output(point: Callable[[], Tensor]) -> Tensor:
                return run_hooked(model, self._layer, reads, inputs, lambda _: point())

            at, way = (given[index].to(model.hf.dtype) for given in (points, directions))
            value, moved = (each.flatten(0, 1).to(points.dtype) for each in both_ways(model, output, at, way))
            return {"number": reduce(value, moved).double().view(*index.shape, 1)}

        with named():
            return self._batched(run, len(points), (reads,), 3)["number"][:, 0].cpu()

    def _beside(self, position: Tensor, points: Tensor, reads: tuple[str, ...], reduce: Reduce | None = None) -> Reads:
        """Points of all positions, in as few sequences as hold them."""
        model, readout = self._model, Readout(reads, self._layer)

        def run(_: Tensor, rows: Tensor) -> Reads:
            index = rows[..., 0].long()
            inputs = self._inputs(position[index], points) | logits_at(model, readout, index.shape[1], slice(None))
            at = points[index].to(model.device, model.hf.dtype)
            found = derive(trace(model, inputs, at, readout, skip=True, at=slice(None)), reads)
            if reduce is None:
                return found
            flat = reduce(index.flatten(), {name: values.flatten(0, 1) for name, values in found.items()})
            return {name: values.unflatten(0, index.shape) for name, values in flat.items()}

        return self._batched(run, len(points), reads)

    def _batched(
        self, run: Callable[[Tensor, Tensor], Reads], n: int, reads: tuple[str, ...], as_many: int = 1
    ) -> Reads:
        """What is read of so many points, whose indices go through in batches; each takes as much memory as several."""
        model = self._model
        fitting = METHODS["parallel"].points_that_fit(model, len(self._ids), n, Readout(reads, self._layer))

        def shrink() -> None:
            model.memory_budget //= 2

        index = torch.arange(n, dtype=torch.float64)[None, :, None]
        return {name: values[0] for name, values in
                in_batches(run, index, fitting // as_many, self._in_one(n), on_shrink=shrink).items()}  # fmt: skip

    def _in_one(self, n: int) -> int:
        """Number of points in one sequence, so that it is no longer than the narrowest attention sees."""
        window = self._model.attention_window
        return max(1, min(rows_for(n)[1], window - len(self._ids) + 1 if window else n))

    def _inputs(self, position: Int[Tensor, "row point"], like: Tensor) -> dict[str, Any]:
        """Arguments of a pass whose tokens stand at any positions, each behind those before it."""
        rows, k = position.shape
        past, position = len(self._ids) - 1, position.to(self._model.device)
        mask = sees_prefix_and_itself(k, past, like[:1].to(self._model.device, self._model.hf.dtype))
        behind = torch.arange(past, device=position.device) >= position[..., None]
        mask = mask.repeat(rows, 1, 1, 1)
        mask[..., :past].masked_fill_(behind[:, None], torch.finfo(mask.dtype).min)
        return {
            "input_ids": self._ids[position],
            "position_ids": position,
            "attention_mask": mask,
            "past_key_values": self._prefixes.of(torch.zeros(rows, dtype=torch.long)),
            "use_cache": True,
        }

    def _alone(self, position: Tensor, points: Tensor, reads: tuple[str, ...], reduce: Reduce | None = None) -> Reads:
        """Every position as the end of a prompt of its own."""
        out: Reads = {}
        for place, which in _by_position(position):
            found = patch(
                self._model, self._ids[None, : place + 1], points[which][None], layer=self._layer, reads=reads
            )  # fmt: skip
            kept = {name: values[0] for name, values in found.items()}
            kept = kept if reduce is None else reduce(which.to(points.device), kept)
            for name, values in kept.items():
                out.setdefault(name, values.new_empty(len(points), *values.shape[1:]))[which.to(values.device)] = values
        return out

    def _why_alone(self) -> str:
        """Why points cannot stand side by side: what the family lacks, or that whole prompts give something else."""
        model, last = self._model, len(self._ids) - 1
        try:
            check_side_by_side(model, last + self._in_one(PARALLEL_POINTS))
            check_one_rope(model, 1, last + 1)
            tried = sorted({0, last // 2, last})
            moved = torch.stack([self.own[tried].roll(1, 0), self.own[tried]]).flatten(0, 1)
            position = torch.tensor(tried * 2)
            found = self._beside(position, moved, ("final_norm",))["final_norm"]
        except Exception as error:  # families fail in their own ways; whatever it is, whole prompts still work
            if is_out_of_memory(error):
                raise
            return str(error) if isinstance(error, Unsupported) else f"{type(error).__name__}: {str(error)[:120]}"
        expected = torch.empty_like(found)
        for place, which in _by_position(position):
            readout = Readout(("final_norm",), self._layer)
            whole = METHODS["full"].run(model, self._ids[None, : place + 1], moved[which][None], readout)
            expected[which] = whole["final_norm"][0].to(expected)
        way = (expected[: len(tried)] - expected[len(tried) :]).norm(dim=-1).max()
        apart = (found - expected).norm(dim=-1).max()
        return "" if apart <= AGREEMENT[model.dtype] * way else f"outputs differ from whole prompts' by {apart:.1e}"


def _by_position(position: Int[Tensor, " point"]) -> list[tuple[int, Int[Tensor, " _point"]]]:
    """Every position that occurs, with the indices of its points."""
    return [(place, (position == place).nonzero()[:, 0]) for place in position.unique().tolist()]
