"""What can be read of a patched pass at the last position, and what follows from what was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

#: What was read, by name: ``[row, point, width]`` each.
Reads = dict[str, Tensor]

#: What can be read of the last position: the residual stream after the last block, the same after the final norm (what
#: the paper's scripts read), the next-token logits and log-probabilities.
READS = ("resid", "final_norm", "logits", "logprobs")

#: Read points beside ``READS``: the MLP's pre-activations in blocks behind the patch, one block after the other, and
#: whether each is above 0.
GATES, OPEN_GATES = "gates", "open_gates"

#: Number formats that are widened once read.
HALVES = (torch.float16, torch.bfloat16)


class Readout(NamedTuple):
    """What is read of a patched pass.

    Attributes:
        reads: Read points.
        layer: Block whose output the points replace.
        blocks: Blocks whose gates are read, in their order; none where gates are not among ``reads``.
    """

    reads: tuple[str, ...]
    layer: int
    blocks: tuple[int, ...] = ()


def wants_logits(reads: Sequence[str]) -> bool:
    """Whether the unembedding must run for them."""
    return "logits" in reads or "logprobs" in reads


def derive(found: Reads, reads: Sequence[str]) -> Reads:
    """What was asked for, in float32 or wider and in the order asked."""
    wide = {name: value.float() if value.dtype in HALVES else value for name, value in found.items()}
    if OPEN_GATES in reads and GATES in found:
        wide[OPEN_GATES] = found[GATES] > 0
    if "logprobs" in reads:
        wide["logprobs"] = torch.log_softmax(wide["logits"], dim=-1)
    return {name: wide[name] for name in reads}
