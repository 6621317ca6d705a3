"""What can be read in a patched forward pass at the last position, and what is computed from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

#: Tensors that were read, by name, ``[row, point, width]`` each.
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
    """What to read in a patched forward pass.

    Attributes:
        reads: Names of the read points.
        layer: Block whose output the points replace.
        blocks: Blocks whose gates are read, in the order in which they come back; empty where no gates are read.
    """

    reads: tuple[str, ...]
    layer: int
    blocks: tuple[int, ...] = ()


def wants_logits(reads: Sequence[str]) -> bool:
    """Whether the unembedding must run for these read points.

    Args:
        reads: Names of the read points.
    """
    return "logits" in reads or "logprobs" in reads


def derive(found: Reads, reads: Sequence[str]) -> Reads:
    """The read points that were asked for, in that order and in float32 or wider.

    Args:
        found: The tensors that the pass read, by name.
        reads: Names of the read points that were asked for.
    """
    wide = {name: value.float() if value.dtype in HALVES else value for name, value in found.items()}
    if OPEN_GATES in reads and GATES in found:
        wide[OPEN_GATES] = found[GATES] > 0
    if "logprobs" in reads:
        wide["logprobs"] = torch.log_softmax(wide["logits"], dim=-1)
    return {name: wide[name] for name in reads}
