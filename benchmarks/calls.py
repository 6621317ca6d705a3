"""srtoolkit's own calls, from prompts to a Dataset, in the form of the ways' results."""

from __future__ import annotations

import torch
from torch import Tensor

import srtoolkit as srt
from benchmarks.work import Problem, Work

#: The call that does each kind of work from one end to the other.
NAMES = {"curves": "srt.interpolate", "slice": "srt.slice_plane", "gates": "srt.count_gate_flips"}


def call(model: srt.Model, work: Work, problem: Problem, pairs: int) -> Tensor:
    """What ``summary`` makes of the ways' results, by a call that starts from the prompts.

    Args:
        model: From ``srt.load_model``.
        work: A kind that there is a call for.
        problem: Its prompts.
        pairs: How many of them; a plane has three in any case.
    """
    steps = len(problem.order)
    if work.kind == "curves":
        curves = srt.interpolate(model, problem.prompts[:pairs], layer=work.layer, steps=steps, reads="final_norm")
        return torch.from_numpy(curves["distance"].values)[:, problem.order]
    if work.kind == "slice":
        resolution = round((steps - 1) ** 0.5)
        plane = srt.slice_plane(
            model, list(problem.prompts), layer=work.layer, resolution=resolution, reads="final_norm"
        )
        distance = torch.from_numpy(plane["distance"].values).flatten(1)
        return torch.cat([torch.zeros(len(distance), 1), distance], dim=1)[:, problem.order]
    flips = srt.count_gate_flips(model, problem.prompts[:pairs], layer=work.layer, steps=steps)
    return torch.from_numpy(flips["flips"].values.sum(axis=-1)).cumsum(dim=1)


def summary(work: Work, found: Tensor) -> Tensor:
    """Distance from the first point's output, [pair, point]; of gates, the flips on the path so far.

    Args:
        work: Which of the two.
        found: A way's result, [pair, point, width].
    """
    if work.reads_gates:
        signs = found > 0
        flips = (signs[:, 1:] != signs[:, :-1]).sum(dim=-1)
        return torch.cat([torch.zeros_like(flips[:, :1]), flips], dim=1).cumsum(dim=1)
    return (found - found[:, :1]).norm(dim=-1)
